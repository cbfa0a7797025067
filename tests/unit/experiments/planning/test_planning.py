"""What a plan finds before anything starts: everything wrong, in every experiment, at once."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import InvalidExperiments
from sft.experiments.grids.loading import RawGrid
from sft.experiments.planning import planning
from sft.experiments.planning.checks.odd_texts import OddRow
from sft.experiments.planning.checks.tokenizers import TokenizerAnswer

Raw = Callable[..., dict[str, Any]]
Plan = Callable[..., Any]
LEAK = {"text": "train text 0 is bad", "label": "bad"}


def _lines(plan_of: Plan, project: Path, **configs: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidExperiments) as error:
        plan_of(project, **configs)
    assert error.value.exit_code == 2
    return list(error.value.lines)


def _line(plan_of: Plan, project: Path, config: dict[str, Any]) -> str:
    (line,) = _lines(plan_of, project, a=config)
    return line


def test_all_findings_of_all_experiments_are_told_at_once(plan_of: Plan, project: Path, raw: Raw) -> None:
    lines = _lines(
        plan_of,
        project,
        shape=raw({"dataset": {"shotts": 1}, "seed": "13"}),
        names=raw({"lora": {"init_lora_weights": "pizza"}, "evaluation": {"metrics": ["acuracy"]}}),
        sound=raw(),
        data=raw({"dataset": {"shots": 50}}),
        keys=raw({"training": {"trainer_args": {"lerning_rate": 1}}}),
    )
    told = "\n".join(lines)
    for part in (
        '#1 "shape": dataset.shotts',
        '#1 "shape": seed',
        '#2 "names": lora.init_lora_weights',
        '#2 "names": evaluation.metrics',
        '#4 "data": dataset',
        '#5 "keys": training.trainer_args.lerning_rate',
        "did you mean learning_rate?",
    ):
        assert part in told
    assert len(lines) == 6
    assert "sound" not in told


@pytest.mark.parametrize(
    ("change", "path", "part"),
    [
        ({"dataset": {"task_type": "clasification"}}, "dataset.task_type", "did you mean classification?"),
        ({"lora": ...}, "training", "nothing is trained"),
        ({"lora": ..., "adapter": {"method": "lorra"}}, "adapter.method", "did you mean lora?"),
        ({"lora": {"rr": 8}}, "lora.rr", "unknown"),
        ({"adapter": {"method": "none"}}, "adapter", "both set"),
        ({"dataset": {"path": "nowhere.csv"}}, "dataset", "nowhere.csv"),
        ({"dataset": {"splits": {"test": "tset"}}}, "dataset", "tset"),
        ({"prompting": {"input_columns": ["txt"]}}, "dataset", "txt"),
        (
            {"prompting": {"input_columns": ["text", "label"]}},
            "prompting.input_columns",
            "'label' is among the inputs",
        ),
        (
            {"inference": {"prompting": {"input_columns": ["label"], "input_template": "Is it {label}?"}}},
            "inference.prompting.input_columns",
            "the prompts would hold the answer",
        ),
        ({"dataset": {"keep_columns": ["nope"]}}, "dataset.keep_columns", "columns are: id, text, label"),
        ({"dataset": {"labels": ["bad", "good"]}}, "dataset", "mixed"),
        ({"prompting": {"input_template": "{text} {titel}"}}, "prompting.input_template", "titel"),
        ({"prompting": {"input_template": "{text"}}, "prompting.input_template", "{{"),
        ({"inference": {"prompting": {"input_template": "{x}"}}}, "inference.prompting.input_template", "x"),
        (
            {"prompting": {"input_columns": ["text", "id"], "input_template": "{id}"}},
            "prompting.input_template",
            "{text}",
        ),
        (
            {"inference": {"prompting": {"instruction": "One of {label}."}}},
            "inference.prompting.instruction",
            "{labels}",
        ),
        ({"inference": {"icl_examples": 3}}, "inference.icl_examples", "largest that works is 2"),
        ({"training": {"icl_examples": 2}}, "training.icl_examples", "largest that works is 1"),
        ({"training": {"trainer_args": {"eval_strategy": "epoch"}}}, "training.trainer_args.eval_strategy", "dev"),
        ({"inference": {"generation_args": {"temprature": 1}}}, "inference.generation_args.temprature", "temperature"),
        ({"evaluation": {"ece_binz": 3}}, "evaluation", "ece_bin"),
        ({"evaluation": {"metrics": ["rougeL"]}}, "evaluation.metrics", "rougeL"),
        ({"model": {"quantization": {"config_class": "BitsAndBytes"}}}, "model.quantization", "BitsAndBytesConfig"),
        ({"model": {"adapter": "nowhere"}}, "model.adapter", "adapter"),
        ({"lora": {"init_lora_weights": "mine.py:start"}}, "lora.init_lora_weights", "mine.py"),
    ],
)
def test_each_mistake_is_one_line_with_its_path(
    plan_of: Plan, project: Path, raw: Raw, change: dict[str, Any], path: str, part: str
) -> None:
    line = _line(plan_of, project, raw(change))
    assert f'#1 "a": {path}' in line
    assert part in line
    assert line.endswith("[grid.json]")


def test_a_model_that_is_an_adapter_s_folder_is_told_where_it_belongs(plan_of: Plan, project: Path, raw: Raw) -> None:
    (project / "model" / "adapter_config.json").write_text("{}")
    assert "model.adapter" in _line(plan_of, project, raw())


def test_a_shared_mistake_is_told_once_for_all_its_experiments(plan_of: Plan, project: Path, raw: Raw) -> None:
    bad = {"lora": {"init_lora_weights": "pizza"}}
    (line,) = _lines(plan_of, project, a=raw(bad), b=raw(bad, {"seed": 5}))
    assert line.startswith("in 2 experiments: a, b: lora.init_lora_weights: ")


def test_gold_is_needed_for_metrics_and_not_for_predictions(
    plan_of: Plan, project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    rewrite(project, "test", lambda rows: [{"text": row["text"]} for row in rows])
    assert "sft predict" in _line(plan_of, project, raw())
    grid = RawGrid({"a": raw()}, "grid.json", project)
    assert planning.plan_grid(grid, {}, with_gold=False).experiments[0].data.n_test == 9


def test_equal_experiments_share_their_ids(plan_of: Plan, project: Path, raw: Raw) -> None:
    plan = plan_of(project, a=raw(), b=raw({"seed": 13, "lora": {"r": 2}}), c=raw({"seed": 14})).named()
    assert plan["a"].keys == plan["b"].keys != plan["c"].keys


def test_a_leak_is_a_warning_and_under_strict_leaks_an_error(
    plan_of: Plan, project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    everything = {"dataset": {"shots": "all"}}
    clean = plan_of(project, a=raw(everything))
    assert (clean.experiments[0].data.n_leaked, clean.warnings) == (0, ())
    rewrite(project, "test", lambda rows: rows.__setitem__(1, {**LEAK, "text": "  TRAIN text 0 is\tbad ", "id": ""}))
    leaky = plan_of(project, a=raw(everything), b=raw(everything, {"seed": 3}))
    assert leaky.experiments[0].data.n_leaked == 1
    (warning,) = leaky.warnings
    assert warning.startswith("a and 1 more: 1 shots or in-context examples")
    strict = {"evaluation": {"strict_leaks": True}}
    assert '"a": evaluation.strict_leaks: 1 shots' in _line(plan_of, project, raw(everything, strict))
    assert plan_of(project, a=raw(strict, {"dataset": {"shots": 0}}, {"training": ...})).experiments


def test_an_input_column_that_tells_the_label_is_warned_of(
    plan_of: Plan, project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    numbers = {"bad": 0, "good": 1, "mixed": 2}
    for split in ("train", "test"):
        rewrite(
            project,
            split,
            lambda rows: [
                {**row, "copy": f"{row['label']} ", "number": numbers[row["label"]], "length": len(row["text"])}
                for row in rows
            ],
        )
    columns = {"prompting": {"input_columns": ["text", "copy", "number", "length"]}}
    copy, number = plan_of(project, a=raw(), b=raw(columns), c=raw(columns, {"seed": 3})).warnings
    assert copy.startswith("b and 1 more: the input column 'copy' repeats 'label' in every row")
    assert number.startswith("b and 1 more: the input column 'number' has one value for each label of 'label'")


def test_code_that_comes_with_a_model_is_told_where_it_is_allowed(plan_of: Plan, project: Path, raw: Raw) -> None:
    trusting = {"model": {"model_args": {"trust_remote_code": True}}}
    plan = plan_of(project, a=raw(), b=raw(trusting), c=raw(trusting, {"seed": 3}))
    (warning,) = plan.warnings
    assert warning.startswith("b and 1 more: Python code that comes with the model 'model' is run")
    assert "model.model_args.trust_remote_code" in warning
    refusing = {"model": {"model_args": {"trust_remote_code": False}}}
    assert plan_of(project, a=raw(), b=raw(refusing)).warnings == ()
    assert "model.model_args.trust_remote_code: 1;" in _line(
        plan_of, project, raw({"model": {"model_args": {"trust_remote_code": 1}}})
    )


def test_leaks_of_in_context_examples_count_where_nothing_is_trained(
    plan_of: Plan, project: Path, raw: Raw, zero_shot: dict[str, Any], rewrite: Callable[..., None]
) -> None:
    rewrite(project, "test", lambda rows: rows.__setitem__(0, {**LEAK, "id": ""}))
    examples = raw(zero_shot, {"inference": {"icl_examples": 5}})
    assert plan_of(project, a=examples).experiments[0].data.n_leaked == 1
    assert plan_of(project, a=raw(zero_shot)).experiments[0].data.n_leaked == 0


def test_what_the_plan_shows_of_the_data(plan_of: Plan, project: Path, raw: Raw) -> None:
    data = plan_of(project, a=raw({"dataset": {"splits": {"dev": "dev"}, "max_n_test": 4}})).experiments[0].data
    assert (data.n_train, data.n_dev, data.n_test) == (6, 4, 4)
    assert data.labels == [["bad", "bad"], ["good", "good"], ["mixed", "mixed"]]


def test_the_same_columns_used_with_another_output_are_examined_anew(
    plan_of: Plan, project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    for split in ("train", "test"):
        rewrite(project, split, lambda rows: [row | {"kind": row["label"][0]} for row in rows])
    first = raw({"prompting": {"input_columns": ["kind"], "output_column": "label"}})
    second = raw({"prompting": {"input_columns": ["label"], "output_column": "kind"}})
    plan = plan_of(project, a=first, b=second).named()
    assert plan["a"].data.labels == [["bad", "bad"], ["good", "good"], ["mixed", "mixed"]]
    assert plan["b"].data.labels == [["b", "b"], ["g", "g"], ["m", "m"]]


class Asked:
    """Answers the tokenizer's questions and keeps them."""

    def __init__(self, answers: Callable[[Any], TokenizerAnswer]) -> None:
        self.questions: list[Any] = []
        self._answers = answers

    def __call__(self, questions: list[Any]) -> list[Any]:
        self.questions += questions
        return [self._answers(question) for question in questions]


def _plan_asking(monkeypatch: pytest.MonkeyPatch, asked: Asked, project: Path, **configs: Any) -> Any:
    monkeypatch.setattr(planning, "ask", asked)
    return planning.plan_grid(RawGrid(configs, "grid.json", project), {})


def test_the_tokenizer_is_asked_once_per_model_prompting_and_labels(
    monkeypatch: pytest.MonkeyPatch, project: Path, raw: Raw
) -> None:
    asked = Asked(lambda _: TokenizerAnswer())
    words = {"dataset": {"labels": {"bad": "no", "good": "yes", "mixed": "so"}}}
    _plan_asking(
        monkeypatch,
        asked,
        project,
        a=raw(),
        b=raw({"seed": 5, "lora": {"r": 4}}),
        c=raw({"prompting": {"format": "plain"}}),
        d=raw(words),
    )
    assert len(asked.questions) == 3
    assert [question.labels[0] for question in asked.questions] == [["bad", "bad"], ["bad", "bad"], ["bad", "no"]]


def test_what_the_tokenizer_finds_is_told_for_every_experiment_that_shares_it(
    monkeypatch: pytest.MonkeyPatch, project: Path, raw: Raw
) -> None:
    asked = Asked(lambda _: TokenizerAnswer((("dataset.labels", "two labels are equal"),)))
    with pytest.raises(InvalidExperiments) as error:
        _plan_asking(monkeypatch, asked, project, a=raw(), b=raw({"seed": 5}), c=raw({"dataset": {"shots": 99}}))
    lines = error.value.lines
    assert [line.split(": d")[0] for line in lines] == ["in 2 experiments: a, b", '#3 "c"']
    assert len(asked.questions) == 1


def test_blank_inputs_and_blanks_around_answers_are_asked_about_once_each(
    monkeypatch: pytest.MonkeyPatch,
    project: Path,
    raw: Raw,
    generation: dict[str, Any],
    rewrite: Callable[..., None],
) -> None:
    rewrite(project, "train", lambda rows: [row.update(label=f" {row['label']}") for row in rows] and None)
    rewrite(project, "test", lambda rows: [row.update(text=" ") for row in rows[1:3]] and None)
    asked = Asked(lambda _: TokenizerAnswer())
    _plan_asking(monkeypatch, asked, project, a=raw(generation, {"dataset": {"shots": "all"}}))
    blank, answer = asked.questions[0].rows
    assert blank == OddRow("test row 1", {"text": " "}, None)
    assert (answer.name, answer.output) == ("train row 0", " bad")


def test_answers_with_a_blank_line_are_asked_about(
    monkeypatch: pytest.MonkeyPatch,
    project: Path,
    raw: Raw,
    generation: dict[str, Any],
    rewrite: Callable[..., None],
) -> None:
    rewrite(project, "train", lambda rows: rows[3].update(label="one\n\ntwo"))
    asked = Asked(lambda _: TokenizerAnswer())
    _plan_asking(monkeypatch, asked, project, a=raw(generation, {"dataset": {"shots": "all"}}))
    assert asked.questions[0].rows == [OddRow("train row 3", {}, "one\n\ntwo")]


def test_the_child_process_finds_what_needs_the_tokenizer(project: Path, raw: Raw) -> None:
    plain = {"prompting": {"format": "plain"}}
    configs = {
        "sound": raw(),
        "blank": raw(plain, {"dataset": {"labels": {"bad": "b\n\nad", "good": "g", "mixed": "m"}}}),
        "template": raw({"model": {"chat_template_from": "nowhere.jinja"}}),
        "bare": raw({"model": {"name": "bare"}}),
    }
    shutil.copytree(project / "model", project / "bare", ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(InvalidExperiments) as error:
        planning.plan_grid(RawGrid(configs, "grid.json", project), {})
    told = "\n".join(error.value.lines)
    assert '#2 "blank"' in told
    assert '#3 "template"' in told
    assert "nowhere.jinja" in told
    assert '#4 "bare": model.name' in told
    assert "sound" not in told


def test_a_word_tokenizer_that_is_not_there_is_a_finding(plan_of: Plan, project: Path, raw: Raw) -> None:
    assert '"a": evaluation.tokenizer_name' in _line(plan_of, project, raw({"evaluation": {"tokenizer_name": "./no"}}))


def test_the_chat_template_is_checked_at_its_pinned_commit(
    project: Path, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(lambda _: TokenizerAnswer())
    monkeypatch.setattr(planning, "ask", asked)
    config = raw({"model": {"chat_template_from": "owner/chat"}})
    planning.plan_grid(RawGrid({"a": config}, "grid.json", project), {"model:owner/chat@": "c" * 40})
    assert [question.template_revision for question in asked.questions] == ["c" * 40]


def test_a_training_section_without_an_adapter_is_no_mistake_where_nothing_is_trained(
    project: Path, raw: Callable[..., dict[str, Any]]
) -> None:
    config = raw({"dataset": {"shots": 1}, "training": {"trainer_args": {"max_steps": 1}}, "lora": None})
    grid = RawGrid({"a": config}, "grid.json", project)
    with pytest.raises(InvalidExperiments, match="training is set but nothing is trained"):
        planning.plan_grid(grid, {})
    assert planning.plan_grid(grid, {}, may_train=False).experiments


CALIBRATED: dict[str, Any] = {"inference": {"calibration_args": {"calibration_fn": "temperature"}}}
ALL_SHOWN: dict[str, Any] = {"inference": {"icl_examples": 2}}
NOTHING: dict[str, Any] = {"lora": ..., "training": ...}


def test_row_sets_that_cannot_be_built_are_findings_of_what_names_them(
    plan_of: Plan, project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    lines = _lines(plan_of, project, a=raw(NOTHING, CALIBRATED, ALL_SHOWN), b=raw(NOTHING, ALL_SHOWN, _drawn(2)))
    assert "inference.calibration_args: row set 'train:64': every training row is an in-context" in lines[0]
    assert "inference.calibration_args: icl_examples: 2 asked, the largest that works is 1" in lines[1]
    (project / "data" / "train.jsonl").unlink()
    labels = {"dataset": {"shots": 0, "labels": ["bad", "good", "mixed"]}}
    assert "inference.calibration_args: row set 'train:64': there is no training row" in _line(
        plan_of, project, raw(NOTHING, labels, CALIBRATED)
    )
    rewrite(project, "train", lambda rows: [{"text": row["text"]} for row in rows])
    assert "column 'label' is not in the train split" in _line(plan_of, project, raw(NOTHING, labels, CALIBRATED))
    assert plan_of(project, a=raw(NOTHING, labels)).experiments


def _drawn(k: int) -> dict[str, Any]:
    return {"inference": {"icl_examples": k, "random_icl": True, **CALIBRATED["inference"]}}


def test_calibrated_twins_of_a_sound_experiment_are_examined_themselves(
    plan_of: Plan, project: Path, raw: Raw
) -> None:
    lines = _lines(plan_of, project, sound=raw(NOTHING, ALL_SHOWN), a=raw(NOTHING, CALIBRATED, ALL_SHOWN))
    assert [text.split('"')[1] for text in lines] == ["a"]


@pytest.mark.parametrize("name", ["label_mass", "uncalibrated_f"])
def test_an_own_metric_may_not_have_the_name_of_a_number_of_ours(
    plan_of: Plan, project: Path, raw: Raw, name: str
) -> None:
    (project / "mine.py").write_text(f"def {name}(predictions, references):\n    return 1.0\n")
    line = _line(plan_of, project, raw({"evaluation": {"metrics": ["accuracy", f"mine.py:{name}"]}}))
    assert f"evaluation.metrics: a result called {name!r} is one of the program's" in line
