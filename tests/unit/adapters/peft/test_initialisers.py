"""Which methods of PEFT take which initialisers, and that a training begun so keeps the promises of its method."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.method import TASK_TYPE, adapter_method, initialiser_methods
from sft.adapters.peft.initialisers import LOOKING_AT_ROWS
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError
from sft.initialization.factors import needs_of
from sft.initialization.initializers import initializer_registry
from sft.registry import import_object
from tests.support.method_checks import Cell, check_method, check_start
from tests.support.tiny_models import MAKERS

Make = Callable[[str], Any]
Logits = Callable[[Any], torch.Tensor]
PISSA, PCA = {"init_lora_weights": "pissa"}, {"init_weights": "pca"}
TAKING = "lora, dora, adalora (init_lora_weights); gralora, delora (init_weights)"


def cells() -> list[Cell]:
    kinds = ("fp32", "bf16", "nf4", "int8")
    begun = [Cell("adalora", kind, PISSA, rate=0.1) for kind in kinds]
    begun += [Cell("gralora", kind, PCA) for kind in kinds]
    begun += [Cell("delora", "fp32", PCA)]
    return [*begun, Cell("adalora", "fp32", {"init_lora_weights": "pca"}, rate=0.1)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cell", cells(), ids=str)
def test_a_training_begun_by_an_initialiser_keeps_the_promises(cell: Cell, tmp_path: Path) -> None:
    if cell.kind in ("nf4", "int8"):
        pytest.importorskip("bitsandbytes")
    check_method(cell, tmp_path)


@pytest.mark.parametrize("cell", [Cell("adalora", "fp32", PISSA), Cell("gralora", "fp32", PCA)], ids=str)
def test_it_begins_where_the_base_is_and_every_tensor_moves(cell: Cell, train_steps: Callable[..., Any]) -> None:
    starts = check_start(cell)
    model = attach_adapter(MAKERS[cell.kind](), cell.method, cell.given, Path(), 7)
    train_steps(model)
    ends = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert ends.keys() == starts.keys()
    assert [name for name, start in starts.items() if torch.equal(start, ends[name])] == []


def test_the_folder_is_one_that_peft_alone_loads(
    make_model: Make, logits: Logits, train_steps: Callable[..., Any], tmp_path: Path
) -> None:
    options = {TASK_TYPE: "CAUSAL_LM", **PISSA}
    model = attach_adapter(make_model("fp32"), "adalora", options, Path(), 7)
    train_steps(model, rate=0.1)
    save_adapter(model, "adalora", tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(make_model("fp32"), str(tmp_path / "adapter"))
    assert torch.equal(logits(loaded), logits(model))
    assert torch.equal(logits(load_adapter(make_model("fp32"), tmp_path / "adapter")), logits(model))
    with pytest.raises(UserError, match=r"'pca', but model\.adapter has init_lora_weights True; leave it out"):
        continue_adapter(make_model("fp32"), "adalora", {"init_lora_weights": "pca"}, tmp_path / "adapter")


def test_a_training_that_goes_on_decomposes_nothing(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    method = adapter_method("adalora")
    monkeypatch.setattr("sft.initialization.spectrum.top_singular", lambda *_: pytest.fail("a weight is decomposed"))
    monkeypatch.setattr("sft.initialization.directions.begin_directions", lambda *_: pytest.fail("it is begun anew"))
    restored = method.restored(make_model("fp32"), {TASK_TYPE: "CAUSAL_LM", **PISSA}, Path())
    assert restored.peft_config["default"].init_lora_weights is True


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "adalora",
            {"init_lora_weights": "pisa"},
            "init_lora_weights: unknown initialiser 'pisa' (did you mean pissa?); known: ",
        ),
        (
            "adalora",
            {"init_lora_weights": "pissa_simplified"},
            "init_lora_weights: 'pissa_simplified' is refused: only the directions of its factors would count, as E "
            "begins at 0; adalora takes milora, pca, ",
        ),
        (
            "adalora",
            {"init_lora_weights": "peft:pissa"},
            "init_lora_weights: 'peft:pissa' is refused: it is PEFT's, for lora and dora; adalora takes milora, pca, ",
        ),
        ("adalora", {"init_lora_weights": "eva"}, "init_lora_weights: 'eva' is refused: it looks at training rows"),
        ("adalora", {"init_lora_weights": "olora"}, "init_lora_weights: 'olora' is refused: it is PEFT's"),
        (
            "adalora",
            {"init_lora_weights": False},
            "init_lora_weights: false: refused: the change would not begin at 0",
        ),
        ("adalora", {"init_lora_weights": "nothere.py:f"}, "init_lora_weights: 'nothere.py:f': no file "),
        ("gralora", {"init_weights": "pissa"}, "init_weights: 'pissa' is refused: its B is not 0, and nothing is"),
        ("gralora", {"init_weights": "pac"}, "init_weights: unknown initialiser 'pac' (did you mean pca?)"),
        (
            "gralora",
            {"init_lora_weights": "pca"},
            f"init_lora_weights: unknown key; these methods take initialisers: {TAKING}",
        ),
        ("delora", {"init_weights": 3}, "init_weights: 3: input should be a valid boolean"),
        ("loha", {"init_weights": "pca"}, f"init_weights: 'pca': loha takes no initialiser; these do: {TAKING}"),
        ("ia3", {"init_ia3_weights": "a.py:f"}, "init_ia3_weights: 'a.py:f': ia3 takes no initialiser; these do: "),
        ("vera", {"init_lora_weights": "pca"}, "init_lora_weights: 'pca': vera takes no initialiser; these do: "),
        ("hira", {"init_weights": "gausian"}, "init_weights: 'gausian': input should be"),
        (
            "full",
            {"init_lora_weights": True},
            f"init_lora_weights: unknown key; these methods take initialisers: {TAKING}",
        ),
    ],
    ids=str,
)
def test_an_initialiser_that_is_not_taken_is_told_with_those_that_are(
    name: str, options: dict[str, Any], message: str
) -> None:
    (finding,) = adapter_method(name).check(options, Path())
    assert f"{finding.path}: {finding.message}".startswith(message)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("adalora", {"init_lora_weights": value}) for value in ("milora", "pca", "pissa", "umap", True)),
        *((name, {"init_weights": value}) for name in ("gralora", "delora") for value in ("pca", "umap", True)),
        ("hira", {"init_weights": "gaussian"}),
        ("lokr", {"init_weights": "lycoris"}),
        ("miss", {"init_weights": "bat"}),
    ],
    ids=str,
)
def test_what_is_taken_is_taken(name: str, options: dict[str, Any]) -> None:
    assert adapter_method(name).check(options, Path()) == []


def test_a_rank_above_what_a_block_has_is_told_by_the_plan() -> None:
    sizes = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1}
    config = {**sizes, "num_attention_heads": 4, "num_key_value_heads": 2}
    method = adapter_method("gralora")
    assert method.check_on_model({"r": 40}, config) == []
    assert method.check_on_model(PCA, config) == []
    (finding,) = method.check_on_model({**PCA, "r": 40}, config)
    said = "40, above the size of layer model.layers.0.self_attn.k_proj, 32 x 64 (outputs x inputs)"
    assert finding == ("r", f"{said}; the largest rank for all is 32")


@pytest.mark.parametrize(
    ("name", "option"), [("adalora", "init_lora_weights"), ("gralora", "init_weights"), ("delora", "init_weights")]
)
def test_a_start_that_changes_the_model_is_refused(name: str, option: str) -> None:
    (finding,) = adapter_method(name).check({option: False}, Path())
    assert finding.path == option
    assert finding.message.startswith("false: refused: the change would not begin at 0, and")
    assert adapter_method(name).check({option: True}, Path()) == []


def test_own_code_is_found_by_its_option_and_looked_at(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def start(layer, rank, dtype): ...\ndef one(layer): ...\n")
    method, options = adapter_method("gralora"), {"init_weights": "mine.py:start"}
    assert method.check(options, tmp_path) == []
    assert method.own_code(options) == options
    assert method.own_code(PCA) == {}
    (finding,) = method.check({"init_weights": "mine.py:one"}, tmp_path)
    assert finding == ("init_weights", "mine.py:one: must take (layer, rank, dtype)")


def test_what_looks_at_training_rows_is_refused(make_model: Make, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from sft.initialization.factors import needs\n"
        "@needs('activations')\ndef start(layer, rank, dtype, activations): ...\n"
        "same = start\n"
    )
    options = {"init_weights": "mine.py:start"}
    (finding,) = adapter_method("gralora").check(options, tmp_path)
    assert finding.message.startswith("'mine.py:start' is refused: it looks at training rows, and this method begins")
    options = {TASK_TYPE: "CAUSAL_LM", "init_weights": "mine.py:same"}
    with pytest.raises(UserError, match="it looks at training rows"):
        attach_adapter(make_model("fp32"), "gralora", options, tmp_path, 7)
    needing = {name for name, target in initializer_registry.items() if needs_of(import_object(target)) is not None}
    assert needing == set(LOOKING_AT_ROWS)


def test_the_package_of_umap_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from sft.exceptions import PackageMissing

    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PackageMissing, match="umap-learn"):
        adapter_method("delora").require_packages({"init_weights": "umap"})
    adapter_method("delora").require_packages(PCA)


def test_methods_that_take_initialisers_are_named_by_their_options() -> None:
    assert initialiser_methods() == TAKING
    taken = adapter_method("dora").initialisers
    assert taken is not None
    assert "pissa" in taken.names
    assert "pissa_simplified" not in taken.names
