"""LoRA, as `peft.LoraConfig` describes it, with initialisers of the project's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from sft.adapters.lora.initialization import KEY, check_initialization, loftq_findings, loftq_refusal
from sft.adapters.lora.options import FREELY_CHANGED, LoraOptions, check_dora, check_keys, disagreements
from sft.adapters.lora.target_checks import check_on_model, check_targets
from sft.adapters.method import Initialisers, OptionFinding, check_values, option_defaults
from sft.adapters.peft.folder import CONFIG, load_peft, with_saved_head
from sft.config.library.defaults import dataclass_defaults
from sft.config.library.keys import LORA_CONFIG
from sft.initialization.initializers import initializer_registry, require_initializer_package
from sft.models.objective import Objective
from sft.models.stored_kinds import PLAIN
from sft.prompts.train_row import TrainRow
from sft.registry import is_own_code

if TYPE_CHECKING:
    import torch

NAMED = "is what the method's name stands for; leave it out"
WITHOUT_NORMS = ("gptq", "awq", "fp8")
"""Storages whose weights PEFT does not read as they are computed with, or on which it has no DoRA."""


class Lora:
    """Low-rank adapters (arXiv:2106.09685)."""

    options: type[BaseModel] = LoraOptions
    fixed: Mapping[str, Any] = {}
    """Options of `peft.LoraConfig` that the method's name stands for."""
    saved_as = CONFIG
    trains_head = False
    trainer_defaults: Mapping[str, Any] = {}

    @property
    def initialisers(self) -> Initialisers:
        """Those of the registry that go with what the method's name stands for."""
        names = [name for name in initializer_registry if not check_initialization({**self.fixed, KEY: name}, Path())]
        return Initialisers(KEY, tuple(names))

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """Unknown, refused and ill-typed keys, unknown initialisers, and combinations that cannot be saved."""
        findings = [OptionFinding(key, NAMED) for key in self.fixed if key in options] + check_keys(options)
        wrong = check_values(options, self.options)
        if wrong:
            return findings + wrong
        whole = {**options, **self.fixed}
        return findings + check_targets(whole) + check_dora(whole) + check_initialization(whole, folder)

    def require_packages(self, options: Mapping[str, Any]) -> None:
        """That of the initialiser."""
        require_initializer_package(options.get(KEY))

    def check_on_model(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
        """Options that PEFT takes for any model, and that fail on one such as this."""
        whole = {**options, **self.fixed}
        return check_on_model(whole, config) + loftq_findings(whole, config)

    def supports(self, options: Mapping[str, Any], storage: str, objective: Objective) -> str | None:
        """Low-rank factors go beside any weights; magnitudes need the norms, LoftQ what quantisation lost."""
        if {**options, **self.fixed}.get("use_dora") and storage in WITHOUT_NORMS:
            return f"DoRA takes the norms of the weights, which PEFT does not read where they are stored as {storage}"
        return loftq_refusal(options, storage)

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """What is trained beside plain weights can be added to them."""
        return None if storage == PLAIN else f"weights stored as {storage} would be rounded again"

    def with_head(self, options: Mapping[str, Any], head: Sequence[str]) -> Mapping[str, Any]:
        """The head is one of the modules trained in full."""
        return with_saved_head(options, head)

    def known_defaults(self, *, continued: bool) -> Mapping[str, Any]:
        """Ours over those of `peft.LoraConfig`; a trained adapter keeps its own dropout where none is written."""
        known = {**dataclass_defaults(LORA_CONFIG), **option_defaults(self.options)}
        left_out = {*self.fixed, *(FREELY_CHANGED if continued else ())}
        return {key: value for key, value in known.items() if key not in left_out}

    def own_code(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """The initialiser, where it is the user's."""
        written = options.get(KEY)
        return {KEY: written} if isinstance(written, str) and is_own_code(written) else {}

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> Any:
        """The model with a LoRA adapter, initialised."""
        from sft.adapters.lora.attach import attach_lora

        return attach_lora(model, self._effective(options), folder, rows)

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """The options that disagree with a trained LoRA adapter, dropout excepted."""
        return disagreements(options, adapter)

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """The model with a trained LoRA adapter; what `options` say must agree with it, dropout excepted."""
        from sft.adapters.lora.attach import continue_lora

        return continue_lora(model, options, adapter)

    def own_tensors(self, model: Any) -> "dict[str, torch.Tensor]":
        """What is trained, and what else PEFT keeps for the adapter."""
        from sft.adapters.lora.resuming import own_tensors

        return own_tensors(model)

    def save(self, model: Any, folder: Path) -> dict[str, Any]:
        """A plain PEFT folder for the untouched base, and `exported_rank`."""
        from sft.adapters.lora.saving import save_lora

        return save_lora(model, folder)

    def load(self, model: Any, folder: Path) -> Any:
        """The `PeftModel` of a folder that PEFT wrote, be it LoRA's or of another of its methods."""
        return load_peft(model, folder)

    def merge(self, model: Any) -> Any:
        """The base with s B A added to its weights."""
        from sft.adapters.peft.folder import merged

        return merged(model)

    def save_start(self, model: Any, options: Mapping[str, Any], folder: Path) -> None:
        """A0 and B0 where they moved the base; with PEFT's own initialisations also the weights they moved."""
        from sft.adapters.lora.resuming import save_start

        save_start(model, options, folder)

    def restored(self, model: Any, options: Mapping[str, Any], folder: Path) -> Any:
        """The model with a LoRA adapter on the base as its initialisation left it."""
        from sft.adapters.lora.resuming import restored_lora

        return restored_lora(model, self._effective(options), folder)

    def _effective(self, options: Mapping[str, Any]) -> dict[str, Any]:
        written = {key: value for key, value in options.items() if value is not None}
        return {"target_modules": "all-linear", **written, **self.fixed}


METHOD = Lora()
