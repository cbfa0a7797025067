"""What `CUDA_VISIBLE_DEVICES` says, read as CUDA reads it."""

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
HIDING = frozenset({"", "-1", "none", "void", "nodevfiles"})
"""Words that are no device: what stands behind one is hidden. Schedulers and container runtimes write the words."""


def visible_names(value: str | None) -> tuple[str, ...] | None:
    """The devices that a value names, in its order and each once; None where the variable is not set."""
    if value is None:
        return None
    names: dict[str, None] = {}
    for name in (part.strip() for part in value.split(",")):
        if name.lower() in HIDING:
            break
        names[name] = None
    return tuple(names)


def shows_none(value: str | None) -> bool:
    """Whether a value hides every GPU."""
    return visible_names(value) == ()


def first_only(value: str | None) -> str:
    """The value that shows the first of the GPUs that `value` shows; numbers are those of the order of the PCI bus."""
    names = visible_names(value)
    return "0" if names is None else ",".join(names[:1])
