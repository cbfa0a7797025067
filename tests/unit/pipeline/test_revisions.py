"""Which experiments a mended fault touches: those stages run again, all others keep their keys."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.data.loading import kept_quotes
from sft.pipeline.experiment import Experiment, Fingerprints
from sft.pipeline.revisions import revisions_of

Raw = Callable[..., dict[str, Any]]


def _experiment(written: dict[str, Any], **found: Any) -> Experiment:
    config = ExperimentConfig.model_validate(written)
    return Experiment("a", config, Path(), Fingerprints({}, "model", **found))


@pytest.mark.parametrize(
    ("column", "template", "touched"),
    [
        ("text", None, False),
        ("text", 'It\'s {text}: "so"', False),
        ("text", "{{x}} {text}", True),
        ("What's it?", "{What's it?}", True),
        ("a.b", "{a.b}", False),
    ],
)
def test_templates_whose_braces_and_names_were_read_otherwise(
    raw: Raw, column: str, template: str | None, touched: bool
) -> None:
    written = {"input_columns": [column], "input_template": template}
    everywhere = _experiment(raw({"prompting": written}))
    at_inference = _experiment(raw({"inference": {"prompting": written}}))
    assert revisions_of("train", everywhere) == ({"input_template_in_training": 2} if touched else None)
    assert revisions_of("train", at_inference) is None
    for experiment in (everywhere, at_inference):
        assert revisions_of("infer", experiment) == ({"input_template": 2} if touched else None)


@pytest.mark.parametrize(
    ("name", "text", "read", "touched"),
    [
        ("a.tsv", 'text\tlabel\n"a\tbad\n', {}, True),
        ("a.tab", 'text\tlabel\n"a\tbad\n', {}, True),
        ("a.csv", 'text\tlabel\n"a\tbad\n', {"sep": "\t"}, True),
        ("a.csv", 'text,label\n"a",bad\n', {}, False),
        ("a.tsv", "text\tlabel\na\tbad\n", {}, False),
        ("a.tsv", 'text\tlabel\n"a"\tbad\n', {"quote": '"'}, False),
        ("a.tsv", 'text,label\n"a",bad\n', {"sep": ","}, False),
        ("none.tsv", "", {}, False),
    ],
)
def test_tab_files_in_which_quotes_are_now_text(
    raw: Raw, tmp_path: Path, name: str, text: str, read: dict[str, str], touched: bool
) -> None:
    if text:
        (tmp_path / name).write_text(text)
    config = ExperimentConfig.model_validate(
        raw({"dataset": {"path": name, "read": read, "splits": {"test": 0.5}}}),
    )
    found = Fingerprints({}, "model", keeps_quotes=kept_quotes(config.dataset, tmp_path))
    experiment = Experiment("a", config, tmp_path, found)
    assert revisions_of("train", experiment) == ({"tab_quotes_in_training": 2} if touched else None)
    assert revisions_of("infer", experiment) == ({"tab_quotes": 2} if touched else None)
    assert revisions_of("evaluate", experiment) is None


STEPS = {"eval_strategy": "steps", "save_strategy": "steps", "load_best_model_at_end": True}


@pytest.mark.parametrize(
    ("args", "touched"),
    [
        ({**STEPS, "eval_steps": 1, "save_steps": 2}, True),
        ({**STEPS, "eval_steps": 2}, True),
        ({**STEPS, "eval_steps": 2, "save_steps": 2}, False),
        ({**STEPS, "eval_steps": 2, "save_steps": 4, "load_best_model_at_end": False}, False),
        ({**STEPS, "eval_strategy": "epoch", "save_strategy": "epoch"}, False),
        ({**STEPS, "eval_steps": 2, "save_strategy": "best"}, False),
        ({}, False),
    ],
)
def test_a_best_step_between_two_saved_ones(raw: Raw, args: dict[str, Any], touched: bool) -> None:
    experiment = _experiment(raw({"training": {"trainer_args": args}}))
    assert revisions_of("train", experiment) == ({"best_step": 2} if touched else None)


def _without_spectra(experiment: Any) -> dict[str, int] | None:
    """The revisions of a training beside that of every start from singular triplets."""
    found = dict(revisions_of("train", experiment) or {})
    found.pop("partial_spectrum", None)
    return found or None


FP32 = {"model_args": {"dtype": "float32"}}
OWN = {"init_lora_weights": "own.py:f"}
REPEATED = {"layer_replication": [[0, 2], [0, 2]]}


@pytest.mark.parametrize(
    ("lora", "model", "touched"),
    [
        ({}, {}, None),
        ({"init_lora_weights": "pissa"}, {}, None),
        ({"init_lora_weights": "mica"}, {}, None),
        ({"init_lora_weights": "peft:pissa"}, {}, "moved_half_weights"),
        ({"init_lora_weights": "lora_ga"}, {"model_args": {"torch_dtype": "torch.bfloat16"}}, "moved_half_weights"),
        ({"init_lora_weights": "olora"}, FP32, None),
        ({"init_lora_weights": "orthogonal"}, {}, "orthogonal_in_half"),
        ({"init_lora_weights": "orthogonal"}, FP32, None),
        ({"init_lora_weights": "pissa", **REPEATED}, FP32, "moved_shared_weights"),
        ({**OWN, **REPEATED}, {}, "moved_shared_weights"),
        ({"init_lora_weights": "pca", **REPEATED}, {}, None),
        ({"modules_to_save": ["lm_head"]}, {}, "half_modules"),
        ({"bias": "all"}, {"model_args": {"dtype": "auto"}}, "half_modules"),
        ({"modules_to_save": ["lm_head"], "bias": "all"}, FP32, None),
        ({"trainable_token_indices": [1]}, {}, None),
        ({"init_lora_weights": "pca"}, {"name": "some/Model-FP8"}, "fp8_scales"),
        (OWN, {"quantization": {"config_class": "FbgemmFp8Config", "args": {}}}, "fp8_scales"),
        ({"init_lora_weights": True}, {"name": "some/Model-FP8"}, None),
    ],
    ids=str,
)
def test_adapters_whose_start_or_precision_is_another(raw: Raw, lora: Any, model: Any, touched: str | None) -> None:
    experiment = _experiment(raw({"lora": lora, "model": model}))
    assert _without_spectra(experiment) == ({touched: 2} if touched else None)
    is_half = "model_args" in model and model != FP32
    assert revisions_of("infer", experiment) == ({"half_head": 2} if is_half else None)


@pytest.mark.parametrize(
    ("model", "touched"),
    [
        ({}, False),
        ({"dtype": "bfloat16"}, True),
        ({"torch_dtype": "torch.float16"}, True),
        ({"dtype": "auto"}, True),
        ({"dtype": "float32"}, False),
        ({"dtype": "float64"}, False),
    ],
    ids=str,
)
def test_label_scores_of_models_that_are_written_with_16_bits(raw: Raw, model: Any, touched: bool) -> None:
    written = {"model": {"model_args": model}}
    expected = {"half_head": 2} if touched else None
    assert revisions_of("infer", _experiment(raw(written))) == expected
    assert revisions_of("train", _experiment(raw(written))) is None
    texts = {**written, "dataset": {"task_type": "generation"}}
    assert revisions_of("infer", _experiment(raw(texts))) is None
    of_decoder = raw(written, {"model": {"auto_class": "AutoModelForSeq2SeqLM"}})
    expected = {**(expected or {}), "half_head_of_decoder": 2} if touched else None
    assert revisions_of("infer", _experiment(of_decoder)) == expected
    head = {"model": {"auto_class": "AutoModelForSequenceClassification", "model_args": model}}
    for task in ("classification", "multilabel"):
        by_head = _experiment(raw({"lora": {}}, head, {"dataset": {"task_type": task}}))
        assert ("half_head_of_labels" in (revisions_of("infer", by_head) or {})) is touched


@pytest.mark.parametrize("name", ["named_template", "read_instruction", "unusual_clock"])
def test_what_only_the_tokenizer_tells_of_prompts(raw: Raw, name: str) -> None:
    training = _experiment(raw(), prompt_traits={"train": [name], "infer": []})
    assert revisions_of("train", training) == {f"{name}_in_training": 2}
    assert revisions_of("infer", training) is None
    assert revisions_of("infer", _experiment(raw(), prompt_traits={"infer": [name]})) == {name: 2}


@pytest.mark.parametrize(
    ("lora", "model", "touched"),
    [
        ({}, {}, True),
        ({"target_modules": "all-linear", "init_lora_weights": "pca"}, {}, True),
        ({"target_modules": ["q_proj"]}, {}, False),
        ({}, {"adapter": "trained"}, False),
    ],
)
def test_adapters_on_layers_that_text_does_not_pass(raw: Raw, lora: Any, model: Any, touched: bool) -> None:
    written = raw({"lora": lora, "model": model})
    told = {"train": [], "infer": [], "model": ["other_layers"]}
    assert _without_spectra(_experiment(written, prompt_traits=told)) == ({"other_layers": 2} if touched else None)
    assert revisions_of("infer", _experiment(written, prompt_traits=told)) is None
    assert _without_spectra(_experiment(written)) is None


@pytest.mark.parametrize(
    ("init", "model", "touched"),
    [
        ("pissa", {}, True),
        ("pissa_simplified", {}, True),
        ("pca", {}, True),
        ("pca", {"adapter": "trained"}, False),
        ("milora", {}, False),
        ("peft:pissa", {}, False),
        (True, {}, False),
    ],
)
def test_the_largest_directions_of_wide_layers(raw: Raw, init: Any, model: Any, touched: bool) -> None:
    lora = {"init_lora_weights": init, "target_modules": ["q_proj"]}
    written = raw({"lora": lora, "model": {**model, "model_args": {"dtype": "float32"}}})
    told = {"train": [], "infer": [], "model": ["wide_layers"]}
    assert _without_spectra(_experiment(written, prompt_traits=told)) == ({"wide_layers": 2} if touched else None)
    assert revisions_of("infer", _experiment(written, prompt_traits=told)) is None
    assert _without_spectra(_experiment(written)) is None
    untrained = raw({"lora": ..., "training": ..., "dataset": {"shots": 0}})
    assert revisions_of("train", _experiment(untrained, prompt_traits=told)) is None


@pytest.mark.parametrize(
    ("saved", "task_type", "shots", "touched"),
    [
        ({"num_virtual_tokens": 4}, "generation", 0, True),
        ({"num_virtual_tokens": 4}, "classification", 0, False),
        ({"r": 4}, "generation", 0, False),
        ({"num_virtual_tokens": 4}, "generation", 8, False),
    ],
    ids=str,
)
def test_texts_behind_virtual_tokens(
    raw: Raw, tmp_path: Path, saved: Any, task_type: str, shots: int, touched: bool
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(saved))
    (tmp_path / "adapter_model.safetensors").touch()
    dataset = {"task_type": task_type, "shots": shots}
    written = raw({"dataset": dataset, "model": {"adapter": str(tmp_path)}, "lora": {} if shots else None})
    assert revisions_of("infer", _experiment(written)) == ({"virtual_tokens": 2} if touched else None)


@pytest.mark.parametrize(
    ("adapter", "model", "touched"),
    [
        ({"method": "lora", "init_lora_weights": "eva"}, {}, True),
        ({"method": "dora", "init_lora_weights": "milora"}, {}, True),
        ({"method": "adalora", "init_lora_weights": "pissa"}, {}, True),
        ({"method": "gralora", "init_weights": "pca"}, {}, True),
        ({"method": "lora", "init_lora_weights": "pca"}, {"adapter": "trained"}, False),
        ({"method": "lora", "init_lora_weights": "umap"}, {}, False),
        ({"method": "lora", "init_lora_weights": "own.py:f"}, {}, False),
        ({"method": "bone", "init_weights": "bat"}, {}, False),
    ],
    ids=str,
)
def test_starts_from_singular_triplets(raw: Raw, adapter: Any, model: Any, touched: bool) -> None:
    experiment = _experiment(raw({"lora": ..., "adapter": adapter, "model": model}))
    found = revisions_of("train", experiment) or {}
    assert found.get("partial_spectrum") == (2 if touched else None)


@pytest.mark.parametrize(
    ("dataset", "threshold", "touched"),
    [
        ({}, 0.5, False),
        ({"max_n_test": 8}, 0.5, True),
        ({"splits": {"folds": 3}}, 0.5, True),
        ({}, "fit", True),
    ],
)
def test_rows_of_several_labels_that_are_drawn(raw: Raw, dataset: Any, threshold: Any, touched: bool) -> None:
    drawn = {"dataset": dataset, "inference": {"threshold": threshold}}
    own = _experiment(raw(drawn, {"dataset": {"task_type": "multilabel"}, "prompting": {"instruction": "?"}}))
    for stage, name in (("train", "_in_training"), ("infer", ""), ("baseline", "_of_baselines")):
        expected = {f"label_set_strata{name}": 2} if touched else None
        assert revisions_of(stage, own) == expected  # type: ignore[arg-type]
        assert revisions_of(stage, _experiment(raw(drawn))) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("splits", "touched"), [({"test": 0.3}, True), ({"folds": 3}, True), ({}, False)])
def test_whole_texts_that_are_cut(raw: Raw, splits: Any, touched: bool) -> None:
    own = _experiment(raw({"dataset": {"task_type": "text", "splits": splits}}))
    assert revisions_of("train", own) == ({"whole_text_cut_in_training": 2} if touched else None)
    assert revisions_of("infer", own) == {**({"whole_text_cut": 2} if touched else {}), "whole_text_sums": 2}


@pytest.mark.parametrize(("auto_class", "touched"), [(None, False), ("AutoModelForSequenceClassification", True)])
def test_heads_that_judge_each_label_by_itself(raw: Raw, auto_class: str | None, touched: bool) -> None:
    model = {"model": {"auto_class": auto_class}}
    sets = {"dataset": {"task_type": "multilabel"}}
    found = revisions_of("train", _experiment(raw(model, sets))) or {}
    assert found.get("sigmoid_head") == (2 if touched else None)
    assert "sigmoid_head" not in (revisions_of("train", _experiment(raw(model))) or {})


@pytest.mark.parametrize(
    ("adapter", "model", "touched"),
    [
        ({"method": "lora", "init_lora_weights": "lora_ga"}, {}, (True, True)),
        ({"method": "lora", "init_lora_weights": "lora_ga"}, {"model_args": {"dtype": "float32"}}, (True, False)),
        ({"method": "gralora", "init_weights": "own.py:f"}, {}, (True, True)),
        ({"method": "lora", "init_lora_weights": "lora_ga"}, {"adapter": "trained"}, (False, False)),
        ({"method": "lora", "init_lora_weights": "corda"}, {}, (False, False)),
    ],
    ids=str,
)
def test_starts_from_gradients_of_a_head(raw: Raw, adapter: Any, model: Any, touched: tuple[bool, bool]) -> None:
    by_head = {"lora": ..., "adapter": adapter, "dataset": {"task_type": "multilabel"}, "prompting": {}}
    for labels, is_touched in zip(([["a", "a"]], [["a", "a"], ["b", "b"]]), touched, strict=True):
        written = raw(by_head, {"model": {**model, "auto_class": "AutoModelForSequenceClassification"}})
        found = revisions_of("train", _experiment(written, labels=labels)) or {}
        assert found.get("head_gradients") == (2 if is_touched else None)
    prompted = _experiment(raw(by_head, {"model": model}), labels=[["a", "a"]])
    assert "head_gradients" not in (revisions_of("train", prompted) or {})


def test_heads_of_models_that_mix_padding_in(raw: Raw) -> None:
    head = raw({"model": {"auto_class": "AutoModelForSequenceClassification"}})
    told = _experiment(head, prompt_traits={"model": ["mixes_padding"]})
    assert revisions_of("infer", told) == {"padded_head": 2}
    assert "padded_head" not in (revisions_of("train", told) or {})
    assert revisions_of("infer", _experiment(head)) is None
