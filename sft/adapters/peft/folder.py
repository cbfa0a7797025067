"""A folder that PEFT wrote, whatever its method: what it says of itself, and a base model with what it holds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.adapters.peft.fit import TARGETS, require_fit, require_known_options, require_patterns, told_fault
from sft.exceptions import UserError, machine_kind
from sft.models.library_warnings import judged_warnings
from sft.models.reading import reading_error
from sft.models.room import loading_room
from sft.runs.file_systems import equal_modes

if TYPE_CHECKING:
    from peft import PeftConfig

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
SAVED = "modules_to_save"
"""The option of PEFT's methods that names modules trained in full."""


def load_peft(model: Any, folder: Path, trainable: bool = False, dropout: float | None = None) -> Any:
    """The `PeftModel` of a base model with the adapter saved in `folder`, in eval mode unless `trainable`.

    Args:
        model: the untouched base.
        folder: a PEFT folder with safetensors.
        trainable: whether its weights can be trained on.
        dropout: replaces the adapter's own LoRA dropout; None leaves it.

    Raises:
        UserError: there is no adapter, it is not in safetensors, or it does not fit the model.
    """
    from sft.initialization.layers import ADAPTER

    saved = adapter_config(folder)
    try:
        config = _config(folder, saved, trainable, dropout)
        with (
            loading_room(f"the adapter {folder} was loaded"),
            judged_warnings(f"model.adapter: {folder}", left=TARGETS),
        ):
            loaded = _loaded(model, folder, config, trainable)
            require_fit(loaded, ADAPTER, folder)
        require_patterns(loaded, ADAPTER, f"model.adapter: {folder}: ", ("alpha_pattern",))
    except (RuntimeError, ValueError, KeyError) as error:
        if machine_kind(error) is not None:
            raise
        raise UserError(
            f"model.adapter: {folder} does not fit the model: {told_fault(error)}", kind="model"
        ) from error
    except Exception as error:
        told = reading_error(f"model.adapter: {folder} cannot be loaded", str(folder), folder, error)
        if told is None:
            raise
        raise told from error
    return loaded.train() if trainable else loaded.eval()


def save_peft(model: Any, folder: Path) -> None:
    """Write the adapter of a `PeftModel` to `folder`, which is new, in one order on every run."""
    from sft.initialization.layers import ADAPTER

    model.save_pretrained(folder, selected_adapters=[ADAPTER], save_embedding_layers=False)
    write_config(folder, adapter_config(folder))


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Names of modules are sets to PEFT, written in an order that changes from run to run."""
    names = ("target_modules", "exclude_modules", "feedforward_modules")
    ordered = {
        key: sorted(value) if key in names and isinstance(value, list) else value for key, value in config.items()
    }
    (folder / CONFIG).write_text(json.dumps(ordered, indent=2, sort_keys=True) + "\n", "utf-8")
    equal_modes(folder, CONFIG)  # the weights are written for their owner only, whatever the umask says


def with_saved_head(options: Mapping[str, Any], head: Sequence[str]) -> dict[str, Any]:
    """Options that also name the output head among the modules that are trained in full and saved with the adapter.

    Of a head that shares its weights with the input embedding PEFT trains a copy, which takes the head's place.

    Args:
        options: of a method of PEFT that has `modules_to_save`.
        head: names of the modules that are the output head.
    """
    return {**options, SAVED: list(dict.fromkeys([*(options.get(SAVED) or ()), *head]))}


def merged(model: Any) -> Any:
    """The base model of a `PeftModel` with the adapter in its own weights.

    Raises:
        UserError: kind model: PEFT cannot merge this adapter into these weights.
    """
    from sft.adapters.base_weights.head import say_own_head

    try:
        base = model.merge_and_unload(safe_merge=True)
    except (NotImplementedError, ValueError, AttributeError) as error:
        raise UserError(f"the adapter cannot be merged into the base: {told_fault(error)}", kind="model") from error
    say_own_head(base)
    return base


def adapter_config(folder: Path) -> dict[str, Any]:
    """What `adapter_config.json` of a trained adapter says.

    Raises:
        UserError: there is no adapter in `folder`, or not in safetensors, which alone are read.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"model.adapter: {folder} holds no trained adapter: it has no {CONFIG}", kind="model")
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"model.adapter: {folder} has no {WEIGHTS}; only safetensors are read", kind="model")
    try:
        config = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"model.adapter: {file} is not JSON ({error}); copy it again", kind="model") from error
    if not isinstance(config, dict):
        raise UserError(f"model.adapter: {file} is no object of settings", kind="model")
    return config


def _loaded(model: Any, folder: Path, config: "PeftConfig", trainable: bool) -> Any:
    """PEFT loads virtual tokens to be read only; here they can be trained on, but for those that never were."""
    from peft import PeftModel

    is_virtual = config.is_prompt_learning
    loaded = PeftModel.from_pretrained(model, str(folder), config=config, is_trainable=trainable and not is_virtual)
    if is_virtual and trainable:
        for name, weight in loaded.prompt_encoder.named_parameters():
            weight.requires_grad_("frozen" not in name)
        config.inference_mode = False
    return loaded


def _config(folder: Path, saved: Mapping[str, Any], trainable: bool, dropout: float | None) -> "PeftConfig":
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(str(folder))
    require_known_options(folder, saved, config)
    if dropout is not None:
        config.lora_dropout = dropout
    config.inference_mode = not trainable
    return config
