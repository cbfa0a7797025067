"""Every method of PEFT by its name: one class, and a row of the table for each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from sft.adapters.layer_sizes import (
    Sizes,
    known_layers,
    known_norms,
    other_layers,
    rank_finding,
    targeted,
    token_fault,
    unmatched_targets,
)
from sft.adapters.method import Initialisers, OptionFinding, option_defaults, require_agreement
from sft.adapters.peft.folder import CONFIG, SAVED, load_peft, with_saved_head
from sft.adapters.peft.initialisers import begin, begun_by_peft, check_initialisers, named_initialiser
from sft.adapters.peft.options import check, disagreements, options_model
from sft.adapters.peft.row import TIED_ROWS, TOKENS, PeftRow
from sft.adapters.peft.sizes import size_findings
from sft.config.library.defaults import dataclass_defaults
from sft.config.library.keys import dataclass_fields
from sft.exceptions import UserError
from sft.initialization.initializers import require_initializer_package
from sft.models.config_file import NUMBERS_OF_BLOCKS, written_number
from sft.models.objective import Objective
from sft.models.stored_kinds import PLAIN
from sft.prompts.train_row import TrainRow
from sft.registry import is_own_code

if TYPE_CHECKING:
    import torch


CONV1D_MODELS = ("decision_transformer", "gpt2", "imagegpt", "openai-gpt")


class PeftMethod:
    """A method of PEFT as its config class describes it."""

    saved_as = CONFIG
    trains_head = False

    def __init__(self, row: PeftRow) -> None:
        self.row = row
        self.summary = row.summary
        self.trainer_defaults: Mapping[str, Any] = (
            {} if row.learning_rate is None else {"learning_rate": row.learning_rate}
        )

    @property
    def initialisers(self) -> Initialisers | None:
        """As the row says."""
        beginning = self.row.beginning
        return None if beginning is None else Initialisers(beginning.option, beginning.names)

    @property
    def options(self) -> type[BaseModel]:
        """The fields of the config class that are not set by the program."""
        unknown = dict.fromkeys(self.row.fitted)
        return options_model(self.row.config, tuple({**self.row.defaults, **unknown}.items()))

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """Unknown, refused and ill-typed options, targets that train nothing, and initialisers of other methods."""
        found = check_initialisers(self.row, options, folder)
        told = {*named_initialiser(self.row, options), *(finding.path for finding in found)}
        rest = {key: value for key, value in options.items() if key not in told}
        return found + check(self.row, rest, self.options)

    def require_packages(self, options: Mapping[str, Any]) -> None:
        """That of the initialiser; PEFT itself is required by the program."""
        for name in named_initialiser(self.row, options).values():
            require_initializer_package(name)

    def check_on_model(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
        """Whether the model has the targets, and layers that the method takes, where its type is known."""
        kind, layers = config.get("model_type"), known_layers(config)
        if not self.row.takes_conv1d and kind in CONV1D_MODELS and not options.get("target_modules"):
            text = f"{self.row.name} does not take the layers of {kind}, which store their weights as (in, out)"
            return [OptionFinding("method", text)]
        if self.row.targets == "embedding" and config.get("tie_word_embeddings") is True:
            return [OptionFinding("method", f"{self.row.name} {TIED_ROWS}")]
        rows = config.get("vocab_size")
        if self.row.targets == "embedding" and type(rows) is int:
            fault = token_fault(options.get(TOKENS) or (), rows)
            if fault is not None:
                return [OptionFinding(TOKENS, fault)]
        if self.row.model_types and kind is not None and kind not in self.row.model_types:
            known = f"{self.row.name} knows the blocks of {', '.join(self.row.model_types)}"
            return [OptionFinding("method", f"{known}, and this model is of type {kind}; prefix_tuning takes any")]
        if layers and self.row.targets != "none":
            norms = known_norms(config) if self.row.targets == "norms" else ()
            fault = unmatched_targets(options, [*layers, *other_layers(config), *norms])
            if fault is not None:
                return [OptionFinding("target_modules", fault)]
        sizes = {name: layers[name] for name in targeted(options, layers)} if self.row.targets == "linear" else {}
        blocks = written_number(config, NUMBERS_OF_BLOCKS)
        return size_findings(self.row, options, sizes, blocks) + self._check_rank(options, sizes)

    def _check_rank(self, options: Mapping[str, Any], sizes: Sizes) -> list[OptionFinding]:
        """A rank above the size of a layer that gets an adapter."""
        key = self.row.rank
        if self.row.beginning is not None and named_initialiser(self.row, options):
            key = key or self.row.beginning.rank
        if key is None:
            return []
        default = self.options.model_fields[key].default
        found = rank_finding(options, sizes, key, default, has_patterns=self.row.takes_rank_patterns)
        return [] if found is None else [found]

    def supports(self, options: Mapping[str, Any], storage: str, objective: Objective) -> str | None:
        """As the table says, which was measured; a head is trained beside the method's own part."""
        if storage not in self.row.storages:
            return self.row.elsewhere
        return f"{self._trains_no_module}, which a head is" if objective.has_head and not self._saves_modules else None

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """Packed weights would be rounded again; some methods are no part of weights at all."""
        if self.row.unmergeable is not None or storage == PLAIN:
            return self.row.unmergeable
        return f"weights stored as {storage} would be rounded again"

    def with_head(self, options: Mapping[str, Any], head: Sequence[str]) -> Mapping[str, Any]:
        """The head is one of the modules trained in full, where PEFT's class has such."""
        if not self._saves_modules:
            text = f"{self._trains_no_module}, which the output head is"
            raise UserError(f"{text}; leave it out, or take a method such as lora")
        return with_saved_head(options, head)

    @property
    def _saves_modules(self) -> bool:
        """Whether modules of the base can be trained in full beside the method's own part, and saved with it."""
        return SAVED in dataclass_fields(self.row.config)

    @property
    def _trains_no_module(self) -> str:
        return f"{self.row.name} trains no module of the base"

    def known_defaults(self, *, continued: bool) -> Mapping[str, Any]:
        """Ours over those of the class, but for what follows from other options; a trained adapter has its own."""
        known = {**dataclass_defaults(self.row.config), **option_defaults(self.options)}
        follow = (*self.row.fitted, *(self.row.either or ()))
        return {} if continued else {key: value for key, value in known.items() if key not in follow}

    def own_code(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """The initialiser, where it is the user's."""
        named = named_initialiser(self.row, options)
        return {option: name for option, name in named.items() if is_own_code(name)}

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> Any:
        """The `PeftModel` with an adapter as PEFT begins it, or as the initialiser does."""
        from sft.adapters.peft.attach import attach_peft

        attached = attach_peft(model, self.row, begun_by_peft(self.row, options))
        if self.row.beginning is not None:
            for name in named_initialiser(self.row, options).values():
                begin(attached, self.row.beginning, name, folder)
        return attached

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """The options that disagree with the trained adapter."""
        return disagreements(self.row, options, adapter)

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """The `PeftModel` with the trained adapter, which keeps its own options."""
        require_agreement(disagreements(self.row, options, adapter))
        from sft.adapters.peft.attach import make_trainable

        continued = load_peft(model, adapter, trainable=True)
        make_trainable(continued, self.row)
        return continued

    def own_tensors(self, model: Any) -> "dict[str, torch.Tensor]":
        """What is trained, and what else PEFT keeps for the adapter, such as frozen random projections."""
        from sft.adapters.lora.resuming import own_tensors

        return own_tensors(model)

    def save(self, model: Any, folder: Path) -> dict[str, Any]:
        """A plain PEFT folder for the untouched base."""
        from sft.adapters.peft.folder import save_peft

        save_peft(model, folder)
        return {}

    def load(self, model: Any, folder: Path) -> Any:
        """The `PeftModel` of the folder."""
        return load_peft(model, folder)

    def merge(self, model: Any) -> Any:
        """The base with what was learned in its own weights, where the method changes weights."""
        from sft.adapters.peft.folder import merged

        if self.row.unmergeable is not None:
            text = f"the adapter cannot be merged into the base: {self.row.unmergeable}"
            raise UserError(text, kind="model")
        return merged(model)

    def save_start(self, model: Any, options: Mapping[str, Any], folder: Path) -> None:
        """Nothing: the base is untouched, and frozen random parts are among the method's own tensors."""

    def restored(self, model: Any, options: Mapping[str, Any], folder: Path) -> Any:
        """The model as `attach` builds it, whose tensors the caller has."""
        return self.attach(model, begun_by_peft(self.row, options), folder, ())
