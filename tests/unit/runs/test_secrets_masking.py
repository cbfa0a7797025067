import pytest

from sft.runs.secrets_masking import mask, secret_values


def test_values_are_found_by_the_names_of_their_variables_the_longest_first() -> None:
    environment = {
        "HF_TOKEN": "abcdefgh",
        "OPENAI_API_KEY": "abcdefgh-longer",
        "Db_Password": "correct horse",
        "AWS_SECRET_ACCESS_KEY": "0123456789",
        "SHORT_TOKEN": "false",
        "PGPASSWD": "hunter2hunter2",
        "AZURE_STORAGE_KEY": "storagestorage",
        "MAX_TOKENS": "1000000000",
        "HF_TOKEN_PATH": "/home/me/token",
        "TOKENIZERS_PARALLELISM": "false or true",
        "PATH": "/usr/bin:/bin",
    }
    assert list(secret_values(environment)) == [
        "abcdefgh-longer", "hunter2hunter2", "storagestorage", "correct horse", "0123456789", "abcdefgh",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PRIVATE\nfirst-line-of-it\nsecond-line\nEND", "***"),
        (repr("key PRIVATE\nfirst-line-of-it\nsecond-line\nEND"), "'key ***'"),
        ("second-line", "***"),
        ("login of bob with CANARYpass failed", "login of bob with *** failed"),
        ("END of it", "END of it"),
    ],
)
def test_a_credential_is_masked_in_each_form_that_it_is_shown_in(text: str, shown: str) -> None:
    environment = {
        "PRIVATE_KEY": "PRIVATE\nfirst-line-of-it\nsecond-line\nEND",
        "DATABASE_URL": "postgres://bob:CANARYpass@db.example/x",
        "PATH": "/usr/bin:/bin",
    }
    assert mask(text, secret_values(environment)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key abcdefgh-longer, then abcdefgh", "key ***, then ***"),
        ("hf_ABCDEFGHIJKLMNOPQRSTUVWX refused", "hf_*** refused"),
        ("GET https://me:pass@hub.example/x", "GET https://***@hub.example/x"),
        ("https:/me:pass@hub.example/x: no such file", "https:/***@hub.example/x: no such file"),
        ("C:/data/a:b@c and see:/me@home", "C:/data/a:b@c and see:/me@home"),
        ("clone https://ghp_x@git.example/a failed", "clone https://***@git.example/a failed"),
        ("GET https://hub.example/x?a=1&access_token=abc&b=2", "GET https://hub.example/x?a=1&access_token=***&b=2"),
        ("{'Authorization': 'Bearer abc.012-xyz'}", "{'Authorization': 'Bearer ***'}"),
        ("ghp_0123456789abcdefghij and sk-0123456789abcdefghij", "*** and ***"),
        (
            "the bearer certificates of sk-learn-contrib-2",
            "the bearer certificates of sk-learn-contrib-2",
        ),
        ("see https://blog.example/@me", "see https://blog.example/@me"),
        ("nothing of it", "nothing of it"),
        ("column hf_text", "column hf_text"),
    ],
)
def test_secrets_are_masked_wherever_they_stand(text: str, shown: str) -> None:
    assert mask(text, ("abcdefgh-longer", "abcdefgh")) == shown
