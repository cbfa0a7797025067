"""Which GPUs a run may use, by what the driver, the user's `--gpus` and `CUDA_VISIBLE_DEVICES` say."""

from collections.abc import Mapping, Sequence

from sft.exceptions import MachineError, UserError
from sft.experiments.executors.local.gpu_question import Gpu, GpuAnswer, ask_for_gpus
from sft.processes.visible_gpus import VISIBLE_GPUS, visible_names
from sft.runs.notices import say_once
from sft.wording import and_more

QUERY_TIMEOUT_SECONDS = 60
INSTEAD = f"compute on the CPU with --gpus none, or with {VISIBLE_GPUS}= in the environment of any command"


def find_gpus(choice: str, environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """The UUIDs of `usable_gpus`."""
    return names_of(usable_gpus(choice, environment))


def usable_gpus(choice: str, environment: Mapping[str, str]) -> tuple[Gpu, ...] | None:
    """The GPUs that a run may use; None where nobody can be asked, as there is no NVIDIA driver.

    Args:
        choice: `all`, `none`, or indices (or UUIDs) with commas.
        environment: its `CUDA_VISIBLE_DEVICES` is the set that may be used, as indices or UUIDs.

    Raises:
        UserError: the choice is no such list.
        MachineError: a GPU that was asked for is not there or not allowed, or the driver does not work.
    """
    asked, visible = _asked(choice), visible_names(environment.get(VISIBLE_GPUS))
    if asked == ():
        return ()
    if visible == ():
        return _none_found(asked, choice, f"{VISIBLE_GPUS}={environment[VISIBLE_GPUS]} hides all")
    answer = ask_for_gpus(QUERY_TIMEOUT_SECONDS)
    if answer.broken:
        raise MachineError(f"the driver of the GPUs does not work: {answer.broken}; mend it, or {INSTEAD}")
    if answer.absent:
        _none_found(asked, choice, answer.absent)
        return None
    if answer.why:
        say_once("gpus", f"no GPU is used: {answer.why}")
    allowed = list(answer.gpus)
    if visible is not None:
        allowed = [gpu for name in visible for gpu in _named(answer, allowed, name, VISIBLE_GPUS)]
    if asked is not None and not allowed:
        return _none_found(asked, choice, answer.why or "the driver lists none")
    if asked is not None:
        allowed = [gpu for name in asked for gpu in _named(answer, allowed, name, "--gpus")]
    _require_sound(allowed)
    return tuple({gpu.uuid: gpu for gpu in allowed}.values())


def names_of(gpus: Sequence[Gpu] | None) -> tuple[str, ...] | None:
    """The names by which `CUDA_VISIBLE_DEVICES` shows them; None where none are managed."""
    return None if gpus is None else tuple(gpu.uuid for gpu in gpus)


def require_gpus(needed: Mapping[str, int], gpus: Sequence[str] | None) -> None:
    """Refuse experiments that ask for more GPUs than there are.

    Args:
        needed: experiment name -> GPUs its stages ask for.
        gpus: those there are; None where none are managed.

    Raises:
        MachineError: one asks for more.
    """
    found = len(gpus or ())
    short = {name: asked for name, asked in needed.items() if asked > found}
    if not short:
        return
    name, asked = next(iter(short.items()))
    raise MachineError(f'"{name}"{and_more(len(short), 1)}: resources.gpus: asked {_count(asked)}, found {found}')


def _asked(choice: str) -> tuple[str, ...] | None:
    """What `--gpus` names; None for all."""
    if choice == "all":
        return None
    if choice == "none":
        return ()
    names = tuple(part.strip() for part in choice.split(","))
    if not all(name.isdecimal() or name.startswith(("GPU-", "MIG-")) for name in names):
        raise UserError(f"--gpus {choice!r}: must be all, none, or numbers with commas such as 0,1")
    return names


def _none_found(asked: Sequence[str] | None, choice: str, why: str) -> tuple[Gpu, ...]:
    if asked is not None:
        raise MachineError(f"asked {_count(len(asked))} (--gpus {choice}), found 0: {why}")
    return ()


def _named(answer: GpuAnswer, gpus: Sequence[Gpu], name: str, source: str) -> list[Gpu]:
    """The GPU of an index or of a UUID, which may be shortened; where it is divided, its parts."""
    is_uuid = name.startswith(("GPU-", "MIG-"))
    found = [
        gpu
        for gpu in gpus
        if gpu.index == name or (is_uuid and (gpu.uuid.startswith(name) or gpu.whole.startswith(name)))
    ]
    # NVML knows parts by UUIDs alone, not by the older names that hold the UUID of the GPU.
    if not found and name.startswith("MIG-" if not answer.knows_parts else "MIG-GPU-"):
        return [Gpu(name, name)]
    there = ", ".join(dict.fromkeys(gpu.index for gpu in gpus)) or "none"
    if not found:
        raise MachineError(f"{source}: GPU {name} is not there or not allowed; allowed: {there}")
    if len({gpu.index for gpu in found}) > 1:
        raise MachineError(f"{source}: several GPUs begin with {name}; write more of it, or a number of: {there}")
    return found


def _require_sound(gpus: Sequence[Gpu]) -> None:
    for gpu in gpus:
        if gpu.error:
            raise MachineError(
                f"GPU {gpu.index} cannot be used: {gpu.error}; name others with --gpus or {VISIBLE_GPUS}, or {INSTEAD}"
            )


def _count(number: int) -> str:
    return f"{number} GPU" if number == 1 else f"{number} GPUs"
