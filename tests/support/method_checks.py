"""What an adapter method promises on a base, checked on a tiny model with the functions that the stages call.

`check_method(Cell("ia3", "nf4"), tmp_path)` raises an AssertionError that names the cell and the promise.
"""

import multiprocessing
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sft.adapters.attach import attach_adapter, restore_adapter
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.adapters.saving import load_adapter, save_adapter
from sft.models.answering.heads import head_names
from sft.models.objective import Objective
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.objectives.seq2seq import OBJECTIVE as SEQ2SEQ
from sft.objectives.sequence_head import OBJECTIVE as SEQUENCE_HEAD
from sft.processes.signals import StopRequested
from sft.prompts.train_row import TrainRow
from sft.registry import import_object
from sft.runs.progress import Progress
from sft.training.checkpoints import TENSORS, CheckpointFolder
from sft.training.options import effective_trainer_args
from sft.training.trainer import TrainerSettings, TrainingRecord, train_model
from tests.support.encoder_decoders import FAMILIES
from tests.support.preloading import start_preloading
from tests.support.stopping import stopped_at
from tests.support.taken_ranks import watched_ranks
from tests.support.tiny_models import MAKERS, tiny_logits
from tests.support.tiny_training import keep_modules, tiny_head_rows, tiny_rows, tiny_source_rows, tiny_tokenizer

STEPS, STOP_AT = 6, 3
STORAGES = {
    **dict.fromkeys(("fp32", "bf16", "gpt2"), "plain"),
    **dict.fromkeys(("bert_head", "bert_head_bf16", "llama_head", "gpt2_head"), "plain"),
    **dict.fromkeys(("t5_source", "t5_source_bf16", "bart_source", "mbart_source", "marian_source"), "plain"),
    **{f"{family}_source_{kind}": kind for family in FAMILIES for kind in ("nf4", "int8")},
    "llama_head_nf4": "nf4",
    "llama_head_int8": "int8",
}
"""Kinds of tiny models whose weights are called otherwise than the kind."""
EXACT = 1e-5
"""How far a logit may be off, relative to the largest, where the same tensors compute the same."""
CLOSE = {"bf16": 2e-2, "bert_head_bf16": 2e-2, "t5_source_bf16": 2e-2}
"""The same of an adapter that is only attached, by kind; `EXACT` elsewhere."""
MERGED = {"bf16": 8e-2, "bert_head_bf16": 8e-2, "t5_source_bf16": 8e-2}
"""The same for a merged model, whose weights were rounded anew."""
MOVED = 0.15
"""How much the training of a cell must change the logits at least, for what comes after to mean something."""


@dataclass(frozen=True)
class Cell:
    """A method on a kind of tiny model, and what is documented of it beyond the common promises."""

    method: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    start_shift: float | None = 0.0
    """By how much the attached model may differ from the base, relative to the largest logit; None: freely."""

    rests: str = "(?!)"
    """Pattern of the names of trained tensors that need not move in three steps."""

    rate: float = 1e-2
    last_layer: bool = False
    """Whether the output head is trained as well."""

    autocast: bool = False
    """Whether it is trained as on a GPU: the forward passes in bf16, whatever the weights are."""

    close: float | None = None
    """Takes the place of the kind's `CLOSE` and of `EXACT`."""

    @property
    def storage(self) -> str:
        return STORAGES.get(self.kind, self.kind)

    @property
    def tolerance(self) -> float:
        return CLOSE.get(self.kind, EXACT) if self.close is None else self.close

    @property
    def exactness(self) -> float:
        """How far the logits of the same adapter may be off."""
        return EXACT if self.close is None else self.close

    @property
    def given(self) -> dict[str, Any]:
        """The options as the train stage gives them to the method."""
        method = adapter_method(self.method)
        given = {TASK_TYPE: self.objective.peft_task_type, **self.options}
        with_head = self.last_layer or (self.objective.has_head and not method.trains_head)
        return dict(method.with_head(given, head_names(MAKERS[self.kind]()))) if with_head else given

    @property
    def objective(self) -> Objective:
        """How the tiny model of this kind answers."""
        if "_source" in self.kind:
            return SEQ2SEQ
        return SEQUENCE_HEAD if "_head" in self.kind else CAUSAL_LM

    @property
    def rows(self) -> Sequence[TrainRow]:
        """What it is trained on."""
        if self.objective.reads == "source":
            return tiny_source_rows()
        return tiny_head_rows() if self.objective.has_head else tiny_rows()

    def __str__(self) -> str:
        more = [name for name in ("autocast", "last_layer") if getattr(self, name)]
        return "-".join([self.method, self.kind, *(f"{key}={value}" for key, value in self.options.items()), *more])


@dataclass(frozen=True)
class Trained:
    model: Any
    record: TrainingRecord
    files: dict[str, bytes]
    """Of the saved adapter, by name."""


def check_method(cell: Cell, folder: Path) -> None:
    """Every promise of an adapter method on one base; `folder` is empty."""
    start_preloading()
    keep_modules()
    method = adapter_method(cell.method)
    assert method.supports(cell.options, cell.storage, cell.objective) is None, f"{cell} is refused"
    starts = check_start(cell)
    with watched_ranks() as taken:
        whole = _train(cell, folder / "whole")
    assert min(point.grad_norm or 0.0 for point in whole.record.loss_curve) > 0, f"{cell}: a step without gradient"
    with stopped_at(STOP_AT), pytest.raises(StopRequested):
        _train(cell, folder / "pieces")
    middle = load_file(CheckpointFolder(folder / "pieces" / "work").at(STOP_AT) / TENSORS)
    ends = _trained_tensors(whole.model)
    _check_masters(cell, ends)
    _check_moves(cell, "in the first three steps", starts, middle, taken.get(STOP_AT, ()))
    _check_moves(cell, "after an evaluation", middle, ends, taken.get(STEPS, ()))
    pieces = _train(cell, folder / "pieces")
    assert pieces.record.n_resumed_from == STOP_AT
    assert pieces.files == whole.files, f"{cell}: a resumed training ends otherwise"
    assert pieces.record.loss_curve == whole.record.loss_curve, f"{cell}: a resumed training has other losses"
    expected = tiny_logits(whole.model)
    assert off(tiny_logits(MAKERS[cell.kind]()), expected) > MOVED, f"{cell}: the training changed next to nothing"
    reloaded = logits_in_new_process(cell.kind, folder / "whole/adapter")
    check_close(cell, "reloaded in a new process", expected, reloaded, cell.exactness)
    check_merge(cell, folder / "whole/adapter", expected)


def check_start(cell: Cell) -> dict[str, torch.Tensor]:
    """The attached model computes what the base did; gives copies of what will be trained."""
    base = MAKERS[cell.kind]()
    before = tiny_logits(base)
    attached = _attached(cell, base)
    if cell.start_shift is not None:
        after = tiny_logits(attached)
        check_close(cell, "attached", before, after, max(cell.tolerance, cell.start_shift))
    starts = {name: tensor.clone() for name, tensor in _trained_tensors(attached).items()}
    assert starts, f"{cell}: nothing is trained"
    _check_masters(cell, starts)
    own = adapter_method(cell.method).own_tensors(attached)
    assert starts.keys() <= own.keys(), f"{cell}: a checkpoint lacks {sorted(starts.keys() - own.keys())}"
    return starts


def check_merge(cell: Cell, adapter: Path, expected: torch.Tensor) -> None:
    """The merged model is the trained one, with no adapter in it, or merging is refused with a reason."""
    from peft import PeftModel

    method = adapter_method(cell.method)
    reason = method.unmergeable(cell.options, cell.storage)
    if reason is not None:
        assert len(reason) > len(cell.method), f"{cell}: {reason!r} is no reason"
        assert "\n" not in reason, f"{cell}: {reason!r} is not one line"
        return
    merged = method.merge(load_adapter(MAKERS[cell.kind](), adapter))
    assert not isinstance(merged, PeftModel), f"{cell}: the merged model is still PEFT's"
    names, found = (set(model.state_dict()) for model in (MAKERS[cell.kind](), merged))
    assert {name for name in found - names if not name.endswith(".bias")} == set(), f"{cell}: {found - names} is left"
    check_close(cell, "merged", expected, tiny_logits(merged), MERGED.get(cell.kind, cell.tolerance))


def check_close(
    cell: Cell, what: str, expected: torch.Tensor, found: torch.Tensor, tolerance: float | None = None
) -> None:
    """Two sets of logits agree to the cell's tolerance, relative to the largest."""
    found_off, allowed = off(expected, found), cell.tolerance if tolerance is None else tolerance
    assert found_off <= allowed, f"{cell}: {what}, the logits are off by {found_off:.1e} of the largest, not {allowed}"


def off(expected: torch.Tensor, found: torch.Tensor) -> float:
    """The largest difference of two sets of logits, relative to the largest logit."""
    return float((found - expected).abs().max() / expected.abs().max())


def logits_in_new_process(kind: str, adapter: Path) -> torch.Tensor:
    """The logits of a new base with a saved adapter, computed by a process that shares nothing with this one."""
    start_preloading()
    out = adapter.with_name(f"{adapter.name}.logits")
    process = multiprocessing.get_context("forkserver").Process(target=_write_logits, args=(kind, adapter, out))
    process.start()
    process.join()
    assert process.exitcode == 0, f"{adapter} on {kind}: the new process ended with {process.exitcode}"
    found: torch.Tensor = torch.load(out)
    return found


def _write_logits(kind: str, adapter: Path, out: Path) -> None:
    torch.set_num_threads(1)
    torch.save(tiny_logits(load_adapter(MAKERS[kind](), adapter)), out)


def _train(cell: Cell, folder: Path) -> Trained:
    """One training, or what is left of it, as the stage does it."""
    folder.mkdir(exist_ok=True)
    method, checkpoints = adapter_method(cell.method), CheckpointFolder(folder / "work")
    resumed = checkpoints.newest()
    base, options = MAKERS[cell.kind](), cell.given
    model = (
        _attached(cell, base) if resumed is None else restore_adapter(base, cell.method, options, checkpoints.start)
    )
    evaluated = {"eval_strategy": "steps", "eval_steps": 2, "eval_on_start": True}
    args = {"max_steps": STEPS, "per_device_train_batch_size": 4, "learning_rate": cell.rate, **evaluated}
    args |= {"bf16": True} if cell.autocast else {}
    settings = TrainerSettings(
        effective_trainer_args(args, cell.method),
        13,
        checkpoints,
        lambda place: method.save_start(model, options, place),
        method.own_tensors,
        resumed,
    )
    rows = cell.rows
    if cell.objective.own_loss is not None:
        loss = import_object(cell.objective.own_loss)
        settings = replace(settings, own_loss=lambda model: loss(model, (), rows))
    record = train_model(
        model, tiny_tokenizer(), rows, rows[:3], settings, Progress(folder / "progress.json", "train")
    )
    if "_original_forward" in vars(model):  # what is measured computes without the trainer's autocast
        model.forward = vars(model).pop("_original_forward")
    save_adapter(model, cell.method, folder / "adapter")
    files = {path.name: path.read_bytes() for path in (folder / "adapter").iterdir()}
    return Trained(model, record, files)


def _attached(cell: Cell, base: Any) -> Any:
    return attach_adapter(base, cell.method, cell.given, Path(), 7, cell.rows)


def _trained_tensors(model: Any) -> dict[str, torch.Tensor]:
    # a model that was trained is in eval mode, and what was trained still says so
    return {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}


def _check_masters(cell: Cell, tensors: Mapping[str, torch.Tensor]) -> None:
    others = {name: tensor.dtype for name, tensor in tensors.items() if tensor.dtype != torch.float32}
    assert not others, f"{cell}: not trained in fp32: {others}"


def _check_moves(
    cell: Cell,
    when: str,
    before: Mapping[str, torch.Tensor],
    after: Mapping[str, torch.Tensor],
    taken: Collection[str],
) -> None:
    """What a checkpoint holds beside the trained tensors is frozen; what is `taken` moved and was set back to zero."""
    trained = [name for name in after if name in before and not re.search(cell.rests, name)]
    still = [name for name in trained if torch.equal(before[name], after[name]) and name not in taken]
    assert not still, f"{cell}: {len(still)} of {len(trained)} tensors did not move {when}, such as {still[0]}"
