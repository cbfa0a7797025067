"""Memory that runs out while a model is loaded: told as that, as no smaller batch helps."""

import contextlib
from collections.abc import Iterator, Mapping

from sft.exceptions import ErrorKind, LoadingOutOfMemory, SftError, machine_kind

LONGEST_REASON = 200
ADVICE: Mapping[ErrorKind, str] = {
    "oom_gpu": "quantize it (model.quantization), take a smaller model, or spread it over several GPUs "
    "(model.model_args.parallelize with resources.gpus)",
    "oom_host": "take a smaller model or a narrower type (model.model_args.dtype: bfloat16), or run fewer experiments "
    "at once (--jobs)",
}
PLACES: Mapping[ErrorKind, str] = {"oom_gpu": "GPU memory", "oom_host": "memory"}


@contextlib.contextmanager
def loading_room(what: str) -> Iterator[None]:
    """Tell of memory that runs out in the block, with what would help.

    Args:
        what: is loaded or made there, as the user knows it.

    Raises:
        LoadingOutOfMemory: memory ran out.
    """
    try:
        yield
    except LoadingOutOfMemory:
        raise
    except Exception as error:
        kind = error.kind if isinstance(error, SftError) else machine_kind(error)
        if kind is None or kind not in ADVICE:
            raise
        reason = " ".join(str(error).split())
        told = f" ({reason[:LONGEST_REASON]}{'...' if len(reason) > LONGEST_REASON else ''})" if reason else ""
        text = f"{PLACES[kind]} ran out while {what}{told}; a smaller batch does not help: {ADVICE[kind]}"
        raise LoadingOutOfMemory(text, kind=kind) from error
