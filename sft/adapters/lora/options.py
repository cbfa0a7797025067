"""The options of LoRA and DoRA: their values, and whether a trained adapter can be trained on under them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sft.adapters.method import OptionFinding
from sft.adapters.peft.folder import adapter_config
from sft.adapters.peft.row import OF_THE_PROGRAM
from sft.config.library.keys import LORA_CONFIG, dataclass_fields
from sft.registry import nearest

REFUSED = {
    **OF_THE_PROGRAM,
    "kasa_config": "it destroys part of the base weights, so that the saved adapter is not the trained model",
    "eva_config": "init_lora_weights eva gives every layer the rank r (rho: 1) and has nothing to set",
    "arrow_config": "it routes between several trained adapters",
    "megatron_config": "Megatron models are not trained here",
    "megatron_core": "Megatron models are not trained here",
    "loftq_config": "init_lora_weights loftq takes one iteration; more would move the base away from the quantised "
    "model that the saved adapter is loaded on",
}
Rank = Annotated[int, Field(ge=1)]
Alpha = Annotated[float, Field(gt=0)]

FREELY_CHANGED = ("lora_dropout",)
"""Options that may be others than those of the trained adapter that is trained on."""
NOT_WITH_DORA = (
    "alora_invocation_tokens",
    "lora_bias",
    "monteclora_config",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
"""Options that PEFT refuses beside DoRA, or forgets on quantised weights."""


class LowRankOptions(BaseModel):
    """The keys of `peft.LoraConfig` that are checked by value; its other keys are passed on as they are."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, use_attribute_docstrings=True)

    r: Rank = 8
    """Rank; default 8."""

    lora_alpha: Alpha = 8
    """Scaling numerator: s = lora_alpha / r, with use_rslora lora_alpha / sqrt(r); default 8."""

    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the adapter's inputs that is dropped in training; default 0."""

    target_modules: str | list[str] = "all-linear"
    """Names, or a pattern, of the layers that get an adapter; default all-linear: every linear layer but the head."""

    init_lora_weights: bool | str = True
    """An initialiser (eva, loftq, milora, pca, pissa, umap, ...), `peft:NAME`, own code; default true: Kaiming."""

    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases of the base are trained; default none."""

    use_rslora: bool = False
    """Scale by 1 / sqrt(r) instead of 1 / r; default false."""

    lora_bias: bool = False
    """A bias in the adapter itself; default false."""

    rank_pattern: dict[str, Rank] | None = None
    """Ranks of single layers by name pattern; default none."""

    alpha_pattern: dict[str, Alpha] | None = None
    """`lora_alpha` of single layers by name pattern; default none."""

    modules_to_save: list[str] | None = None
    """Modules that are trained in full and saved with the adapter; default none."""


class LoraOptions(LowRankOptions):
    """Those of LoRA, which trains magnitudes where it is asked to."""

    use_dora: bool = False
    """Train magnitude and direction apart (DoRA); default false."""


def check_keys(options: Mapping[str, Any]) -> list[OptionFinding]:
    """Unknown and refused keys."""
    return [finding for key in options if (finding := _check_key(key)) is not None]


def check_dora(options: Mapping[str, Any]) -> list[OptionFinding]:
    """Options of which PEFT knows no form with magnitudes."""
    if not options.get("use_dora"):
        return []
    return [OptionFinding(key, "does not go with DoRA; leave it out") for key in NOT_WITH_DORA if options.get(key)]


def disagreements(options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
    """The options that say otherwise than the adapter; it keeps its own shape.

    Args:
        options: of the new training, as written.
        adapter: folder of the trained adapter.

    Raises:
        UserError: the folder holds no adapter.
    """
    saved = adapter_config(adapter)
    if saved.get("peft_type") != "LORA":
        return [OptionFinding("", f"{adapter} is a {str(saved.get('peft_type')).lower()} adapter, not lora")]
    found = []
    for key, value in {"r": LoraOptions.model_fields["r"].default, **options}.items():
        if value is not None and key not in FREELY_CHANGED and not _agrees(key, value, saved):
            name, known = ("exported_rank" if key == "r" else key), saved.get(key)
            left_out = "" if key in options else ", as it is left out"
            message = f"{value!r}{left_out}, but model.adapter has {name} {known!r}; write {key}: {known!r}"
            found.append(OptionFinding(key, message))
    return found


def _agrees(key: str, value: Any, saved: Mapping[str, Any]) -> bool:
    if key == "task_type":
        return True
    if key == "init_lora_weights":
        return value is True
    if key == "target_modules" and value == "all-linear":
        return True
    found = saved.get(key)
    if isinstance(value, list) and isinstance(found, list):
        return sorted(map(str, value)) == sorted(map(str, found))
    return bool(value == found)


def _check_key(key: str) -> OptionFinding | None:
    if key in REFUSED:
        return OptionFinding(key, f"refused: {REFUSED[key]}")
    known = dataclass_fields(LORA_CONFIG)
    if key in known:
        return None
    hint = nearest(key, known)
    suggestion = f" (did you mean {hint}?)" if hint else ""
    return OptionFinding(key, f"unknown key{suggestion}; allowed: what peft.LoraConfig takes")
