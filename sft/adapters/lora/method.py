"""LoRA, as `peft.LoraConfig` describes it, with initialisers of the project's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sft.adapters.lora.initialization import InitChoice, check_init
from sft.adapters.lora.target_checks import check_targets
from sft.adapters.method import OptionFinding
from sft.config.library_defaults import dataclass_defaults
from sft.config.library_keys import LORA_CONFIG, dataclass_fields
from sft.data.prompts.train_row import TrainRow
from sft.registry import nearest

SET_BY_US = "set by the program"
REFUSED = {
    "task_type": SET_BY_US,
    "peft_type": SET_BY_US,
    "auto_mapping": SET_BY_US,
    "peft_version": SET_BY_US,
    "base_model_name_or_path": "it is model.name",
    "revision": "the commit of a hub model is pinned by the results folder",
    "inference_mode": SET_BY_US,
    "runtime_config": SET_BY_US,
    "kasa_config": "it destroys part of the base weights, so that the saved adapter is not the trained model",
    "eva_config": "init_lora_weights eva is not supported",
    "arrow_config": "it routes between several trained adapters",
    "megatron_config": "Megatron models are not trained here",
    "megatron_core": "Megatron models are not trained here",
    "loftq_config": "init_lora_weights loftq is not supported",
}
Rank = Annotated[int, Field(ge=1)]
Alpha = Annotated[float, Field(gt=0)]


class LoraOptions(BaseModel):
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
    """An initialiser (pca, pissa, pissa_simplified, umap), `peft:NAME`, or own code; default true: Kaiming."""

    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases of the base are trained; default none."""

    use_rslora: bool = False
    """Scale by 1 / sqrt(r) instead of 1 / r; default false."""

    use_dora: bool = False
    """Train magnitude and direction apart (DoRA); default false."""

    lora_bias: bool = False
    """A bias in the adapter itself; default false."""

    rank_pattern: dict[str, Rank] | None = None
    """Ranks of single layers by name pattern; default none."""

    alpha_pattern: dict[str, Alpha] | None = None
    """`lora_alpha` of single layers by name pattern; default none."""

    modules_to_save: list[str] | None = None
    """Modules that are trained in full and saved with the adapter; default none."""


class Lora:
    """Low-rank adapters (arXiv:2106.09685)."""

    options = LoraOptions

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """Unknown, refused and ill-typed keys, unknown initialisers, and combinations that cannot be saved."""
        findings = [finding for key in options if (finding := _check_key(key)) is not None]
        try:
            LoraOptions.model_validate(dict(options))
        except ValidationError as error:
            return findings + [_shape_finding(problem) for problem in error.errors()]
        return findings + check_targets(options) + _check_init(options, folder)

    def defaults(self) -> dict[str, Any]:
        """Options in force where the user writes none."""
        fields = LoraOptions.model_fields.items()
        return {name: field.default for name, field in fields if field.default is not None}

    def known_defaults(self, *, continued: bool) -> Mapping[str, Any]:
        """Ours over those of `peft.LoraConfig`; a trained adapter keeps its own dropout where none is written."""
        from sft.adapters.lora.continuing import FREELY_CHANGED

        known = {**dataclass_defaults(LORA_CONFIG), **self.defaults()}
        return {key: value for key, value in known.items() if not (continued and key in FREELY_CHANGED)}

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> Any:
        """The model with a LoRA adapter, initialised."""
        from sft.adapters.lora.attach import attach_lora

        return attach_lora(model, self._effective(options), folder, rows)

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """The options that disagree with a trained LoRA adapter, dropout excepted."""
        from sft.adapters.lora.continuing import disagreements

        return disagreements(options, adapter)

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """The model with a trained LoRA adapter; what `options` say must agree with it, dropout excepted."""
        from sft.adapters.lora.attach import continue_lora

        return continue_lora(model, options, adapter)

    def save_start(self, model: Any, options: Mapping[str, Any], folder: Path) -> None:
        """A0 and B0 where they moved the base; with PEFT's own initialisations also the weights they moved."""
        from sft.adapters.lora.resuming import save_start

        save_start(model, options, folder)

    def restored(self, model: Any, options: Mapping[str, Any], folder: Path) -> Any:
        """The model with a LoRA adapter on the base as its initialisation left it."""
        from sft.adapters.lora.resuming import restored_lora

        return restored_lora(model, self._effective(options), folder)

    @staticmethod
    def _effective(options: Mapping[str, Any]) -> dict[str, Any]:
        return {"target_modules": "all-linear", **{key: value for key, value in options.items() if value is not None}}


METHOD = Lora()


def _check_key(key: str) -> OptionFinding | None:
    if key in REFUSED:
        return OptionFinding(key, f"refused: {REFUSED[key]}")
    known = dataclass_fields(LORA_CONFIG)
    if key in known:
        return None
    hint = nearest(key, known)
    suggestion = f" (did you mean {hint}?)" if hint else ""
    return OptionFinding(key, f"unknown key{suggestion}; allowed: what peft.LoraConfig takes")


def _shape_finding(problem: Any) -> OptionFinding:
    path = ".".join(str(part) for part in problem["loc"])
    return OptionFinding(path, f"{problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}")


def _check_init(options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
    choice = InitChoice.of(options.get("init_lora_weights", True))
    findings = check_init(choice, folder)
    name = options.get("init_lora_weights")
    if choice.kind != "peft":
        text = f"does not go with init_lora_weights {name}, which knows linear layers without adapter biases"
        findings += [OptionFinding(key, text) for key in ("lora_bias", "target_parameters") if options.get(key)]
    if options.get("use_dora") and choice.name in ("pissa_simplified", "mica"):
        findings.append(OptionFinding("use_dora", f"does not go with init_lora_weights {name}"))
    return findings + _check_repeated(options, choice)


def _check_repeated(options: Mapping[str, Any], choice: InitChoice) -> list[OptionFinding]:
    """Repeated layers share their weights, from which nothing can be taken off for one of them."""
    if not options.get("layer_replication"):
        return []
    if choice.moves_base:
        text = f"does not go with PEFT's {choice.name}, which would move the repeated layers' weights once for each"
        return [OptionFinding("layer_replication", f"{text}; init_lora_weights pissa takes them")]
    if options.get("use_dora") and choice.name == "pissa":
        return [OptionFinding("layer_replication", "does not go with pissa and use_dora; leave one of them out")]
    return []
