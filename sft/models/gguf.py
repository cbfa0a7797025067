"""GGUF files, converted once to safetensors.

A model that transformers reads from a GGUF file can neither be trained nor saved, and is read in 20-60 s each time. So
it is rebuilt once as an ordinary model of 32-bit weights, which loads in a fraction of a second and is equal to it.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sft.exceptions import MachineError, PackageMissing, SftError, UserError, machine_error
from sft.models.hashes import cache_folder, files_sha256
from sft.processes.child import module_command
from sft.processes.isolation import isolated
from sft.runs.file_systems import equal_modes


def convert_gguf(gguf: Path, to: Path) -> None:
    """Write the model and tokenizer of a GGUF file to the folder `to`, as fp32 safetensors; all or nothing.

    The configuration names no quantisation. Nothing is done when `to` is there.

    Raises:
        UserError: the file is no GGUF of a model that transformers can read.
        PackageMissing: the package gguf is not installed.
    """
    if to.exists():
        return
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix=".tmp-", dir=to.parent)
    except OSError as error:
        raise _no_cache(to.parent, error) from error
    with made as temporary:
        folder = Path(temporary) / "model"
        _save_plain(gguf, folder)
        with contextlib.suppress(OSError):  # another process was faster: the same content is there
            os.rename(folder, to)
    if not to.exists():
        raise MachineError(f"{to} could not be written")


def _no_cache(folder: Path, error: OSError) -> MachineError:
    return MachineError(
        f"the cache folder {folder}, in which GGUF models are kept as safetensors, cannot be written: "
        f"{error.strerror}; set XDG_CACHE_HOME to a folder that can"
    )


def converted_gguf(gguf: Path) -> Path:
    """The safetensors folder of a GGUF file in the user's cache, made when it is not there.

    The conversion runs in a process of its own: it needs torch, which the checks of a grid do without.

    Raises:
        UserError: the file is not as it must be; the last line of what the conversion said tells why.
        MachineError: the cache cannot be written, or the conversion ran out of memory or space.
    """
    to = cache_folder() / "gguf" / files_sha256(gguf)[:16]
    if not to.exists():
        command = module_command("sft.models.gguf", str(gguf), str(to))
        ended = subprocess.run(
            command, env=isolated(os.environ), capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or ["no output"])[-1]
            text = f"model {gguf}: cannot be converted to safetensors: {last}"
            if ended.returncode < 0 or ended.returncode == MachineError.exit_code:
                raise MachineError(text)
            raise UserError(text, kind="model")
    return to


def _save_plain(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer  # such files hold one, whatever is asked of it later

    with gguf.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError(f"model {gguf}: not a GGUF file", kind="model")
    place = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**place)
        read = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    except ImportError as error:
        raise PackageMissing("gguf", f"model {gguf}", "pip install gguf") from error
    left_out = ("quantization_config", "_model_name_or_path")
    config = {key: value for key, value in read.config.to_dict().items() if key not in left_out}
    plain = type(read)(type(read.config).from_dict(config))
    plain.load_state_dict(read.state_dict())
    if plain.generation_config is not None:
        plain.generation_config = read.generation_config
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    equal_modes(folder, "config.json")  # the weights are written for their owner only, whatever the umask says


def _main(arguments: list[str]) -> int:
    source, target = arguments
    try:
        convert_gguf(Path(source), Path(target))
    except SftError as error:
        told = error
    except Exception as error:
        found = machine_error("this machine does not let it", error)
        if found is None:
            raise
        told = found
    else:
        return 0
    sys.stderr.write(f"{told}\n")
    return told.exit_code


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
