"""Text of others on the terminal."""


def visible(text: str) -> str:
    r"""The text with everything that cannot be seen, or would steer a terminal, as an escape such as `\x1b`.

    Line breaks stay.
    """
    return "".join(
        character if character == "\n" or character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
