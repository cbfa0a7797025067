"""Main effects of a board's axes: beside explicit loops over pairs and resamples, and on boards with known effects."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sft.evaluation.rows import EvaluatedRows
from sft.leaderboard.board import with_ranks
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.records import Effect
from sft.leaderboard.statistics.formulas import SAMPLES, resamples
from sft.leaderboard.views.pair import compare_pair
from sft.runs.records import ErrorRecord
from tests.support.records import config, metrics, outcome
from tests.support.results import ResultsBuilder

N_ROWS = 40
ZERO: dict[str, Any] = {"lora": None, "training": None, "dataset": {"shots": 0}, "adapter": {"method": "none"}}


def right(n_right: int, n_rows: int = 200) -> EvaluatedRows:
    return outcome(np.arange(n_rows) < n_right)


@pytest.fixture
def made(tmp_path: Path) -> ResultsBuilder:
    return ResultsBuilder(tmp_path)


def effects(folder: ResultsBuilder, **options: Any) -> dict[str, Effect]:
    return {
        f"{effect.axis}: {effect.value} over {effect.reference}": effect for effect in folder.board(**options).effects
    }


# --- the oracle: an unbalanced grid of two axes and three seeds, worked out row by row


def random_outcome(rng: np.random.Generator, share: float) -> EvaluatedRows:
    return outcome(rng.random(N_ROWS) < share)


def unbalanced(folder: ResultsBuilder) -> dict[tuple[str, str, int], EvaluatedRows]:
    """What ran and has a number: one run failed, one was not started, one has no number."""
    rng = np.random.default_rng(1)
    found = {}
    for rank, init, seed in itertools.product((8, 16), ("default", "pca", "pissa"), (1, 2, 3)):
        name, rows = f"r{rank}/{init}/seed{seed}", random_outcome(rng, 0.5 + 0.01 * rank)
        own = {"lora": {"r": rank} | ({} if init == "default" else {"init_lora_weights": init}), "seed": seed}
        if (rank, init, seed) == (8, "pca", 2):
            folder.failed(name, "f" * 16, folder.config(**own), ErrorRecord("crash", "why"))
        elif (rank, init, seed) == (16, "pissa", 3):
            folder.planned(name, "e" * 16, folder.config(**own))
        elif (rank, init, seed) == (16, "default", 1):
            folder.scored(name, rows, own, results={"macro_f1": None})
        else:
            folder.scored(name, rows, own, results={"macro_f1": f1(rows, np.arange(N_ROWS))})
            found[f"r{rank}", init, seed] = rows
    return found


def f1(rows: EvaluatedRows, drawn: Any) -> float:
    assert rows.gold is not None
    assert rows.predicted is not None
    gold, predicted = rows.gold[drawn], rows.predicted[drawn]
    found = [
        2 * np.sum((gold == label) & (predicted == label)) / (np.sum(gold == label) + np.sum(predicted == label))
        for label in (0, 1)
    ]
    return float(np.mean(found))


def expected_interval(pairs: list[tuple[int, EvaluatedRows, EvaluatedRows]]) -> tuple[float, float]:
    """Differences counted pair by pair and resample by resample, then the variances by seed, one after the other.

    Without the little by which macro averages are widened.
    """
    everything = np.arange(N_ROWS)
    observed = [f1(own, everything) - f1(other, everything) for _, own, other in pairs]
    weights = np.concatenate(list(resamples(N_ROWS, 2)), axis=1).astype(int)
    drawn = [np.repeat(everything, weights[:, number]) for number in range(SAMPLES)]
    sampled = np.array([[f1(own, rows) - f1(other, rows) for rows in drawn] for _, own, other in pairs])
    mean, n_pairs = float(np.mean(observed)), len(pairs)
    seeds = sorted({seed for seed, _, _ in pairs})
    own = {seed: [place for place, pair in enumerate(pairs) if pair[0] == seed] for seed in seeds}
    shares = {seed: len(own[seed]) / n_pairs for seed in seeds}
    apart = sum(sum(observed[place] - mean for place in own[seed]) ** 2 for seed in seeds)
    over_seeds = len(seeds) / (len(seeds) - 1) * apart / n_pairs**2
    over_rows = float(np.mean(sampled, axis=0).var())
    single = sum(shares[seed] * float(np.mean(sampled[own[seed]], axis=0).var()) for seed in seeds)
    squares = sum(share**2 for share in shares.values())
    in_both = max(0.0, squares * (single - over_rows) / (1 - squares))
    rows_apart = max(0.0, over_rows - in_both)
    half = (stats.norm.ppf(0.975) ** 2 * rows_apart + stats.t.ppf(0.975, len(seeds) - 1) ** 2 * over_seeds) ** 0.5
    return mean - half, mean + half


def pairs_of(
    runs: dict[tuple[str, str, int], EvaluatedRows], place: int, value: str, reference: str
) -> Iterator[tuple[int, EvaluatedRows, EvaluatedRows]]:
    for own, other in itertools.product(runs, runs):
        rest = [[part for number, part in enumerate(name) if number != place] for name in (own, other)]
        if own[place] == value and other[place] == reference and rest[0] == rest[1]:
            yield own[2], runs[own], runs[other]


@pytest.mark.parametrize(
    ("place", "value", "reference", "text"),
    [
        (0, "r16", "r8", "lora.r: 16 over 8"),
        (1, "pca", "default", "lora.init_lora_weights: pca over default"),
        (1, "pissa", "default", "lora.init_lora_weights: pissa over default"),
    ],
)
def test_an_effect_is_what_loops_over_pairs_and_resamples_give(
    tmp_path: Path, place: int, value: str, reference: str, text: str
) -> None:
    folder = ResultsBuilder(tmp_path, "macro_f1")
    pairs = list(pairs_of(unbalanced(folder), place, value, reference))
    effect = effects(folder)[text]
    everything = np.arange(N_ROWS)
    observed = [f1(own, everything) - f1(other, everything) for _, own, other in pairs]
    assert effect.difference == pytest.approx(np.mean(observed))
    seeds = [seed for seed, _, _ in pairs]
    assert effect.comparison is not None
    assert (effect.n_pairs, effect.comparison.n_seeds) == (len(pairs), len(set(seeds)))
    interval = effect.comparison.interval
    assert (interval.low, interval.high) == pytest.approx(expected_interval(pairs), abs=5e-4)
    assert effect.comparison.covers == "test rows and seeds"
    assert (effect.value_name, effect.reference_name) == (value, reference)


def test_the_samples_of_an_effect_are_those_of_explicit_resampling(made: ResultsBuilder) -> None:
    """One seed, two contexts: the percentile interval of differences that are counted row by row."""
    rng = np.random.default_rng(2)
    runs = {(rank, init): random_outcome(rng, 0.6) for rank in (8, 16) for init in ("a", "b")}
    for (rank, init), rows in runs.items():
        made.scored(f"r{rank}/{init}", rows, {"lora": {"r": rank, "init_lora_weights": init}})
    effect = effects(made)["lora.r: 16 over 8"]
    weights = np.concatenate(list(resamples(N_ROWS, 2)), axis=1)
    differences = []
    for number in range(SAMPLES):
        drawn = [row for row in range(N_ROWS) for _ in range(int(weights[row, number]))]
        differences.append(
            np.mean([np.mean(runs[16, i].correct[drawn]) - np.mean(runs[8, i].correct[drawn]) for i in "ab"])
        )
    assert effect.comparison is not None
    interval = effect.comparison.interval
    shift = effect.difference - np.mean(differences)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975]) + shift))
    assert (effect.comparison.covers, effect.comparison.runs_only) == ("test rows", True)


# --- boards with known effects


def n_seeds(effect: Effect) -> int | None:
    return effect.comparison and effect.comparison.n_seeds


def test_known_effects_of_two_settings_are_found_with_their_pairs(made: ResultsBuilder) -> None:
    for rank, init, seed in itertools.product((8, 16), (None, "pca"), (1, 2, 3)):
        number = 100 + (20 if rank == 16 else 0) + (10 if init else 0) + 2 * seed
        lora = {"r": rank} | ({"init_lora_weights": init} if init else {})
        made.scored(f"{init or 'default'}/{rank}/seed{seed}", right(number), {"lora": lora, "seed": seed})
    found = effects(made)
    assert list(found) == ["lora.r: 16 over 8", "lora.init_lora_weights: pca over default"]
    rank, init = found.values()
    assert (rank.difference, init.difference) == (pytest.approx(0.1), pytest.approx(0.05))
    assert (rank.n_pairs, rank.kind) == (6, "setting")
    assert rank.comparison is not None
    assert rank.comparison.n_seeds == 3
    assert rank.comparison.interval.low > 0.05
    assert rank.comparison.p_holm == pytest.approx(2 * rank.comparison.p)
    assert (init.value_name, init.reference_name) == ("pca", "default")


def test_a_patch_of_several_settings_is_an_axis_of_the_names_beside_zero_shot(made: ResultsBuilder) -> None:
    for seed in (1, 2):
        made.scored(f"lora/seed{seed}", right(160), {"seed": seed})
        shown = {"lora": None, "adapter": {"method": "none"}, "inference": {"icl_examples": 2}, "training": None}
        made.scored(f"in-context/seed{seed}", right(120), {"seed": seed, **shown})
    key = made.scored("zero/seed1", right(100), {"seed": 1, **ZERO})
    made.alias("zero/seed2", key, made.config(seed=2, **ZERO), made.experiment("zero/seed1", key))
    found = effects(made)
    assert list(found) == ["dataset.shots: 8 over 0", "names, part 1: in-context over zero"]
    lora, shown = found.values()
    assert (lora.difference, lora.n_pairs, lora.kind) == (pytest.approx(0.3), 2, "setting")
    assert (lora.value_name, lora.reference_name) == ("lora", "zero")
    assert (shown.difference, shown.n_pairs, shown.kind) == (pytest.approx(0.1), 2, "name")


def test_the_one_zero_shot_run_stands_beside_every_way_of_training_and_every_seed(made: ResultsBuilder) -> None:
    """It carries an adapter that has no effect, under one name and one seed."""
    made.scored("zero", right(100), {"dataset": {"shots": 0}, "lora": {"init_lora_weights": "pca"}, "seed": 7})
    for init, seed in itertools.product(("default", "pca"), (1, 2)):
        lora = {} if init == "default" else {"init_lora_weights": init}
        own = {"dataset": {"shots": 4}, "lora": lora, "seed": seed}
        made.scored(f"{init}-{seed}", right(120 + 20 * len(lora)), own)
    effect = effects(made)["adapter.method: lora over none"]
    assert (effect.n_pairs, effect.difference, effect.also[0]) == (4, pytest.approx(0.15), "dataset.shots")


def test_what_needs_examples_is_no_setting_without_any(made: ResultsBuilder) -> None:
    for icl, selection, n_right in ((0, "nearest", 100), (2, "random", 120), (2, "nearest", 140)):
        shown = {"icl_examples": icl, "icl_selection": selection}
        made.scored(f"{icl}{selection}", right(n_right), {"inference": shown})
    found = effects(made)
    assert list(found) == ["inference.icl_examples: 2 over 0", "inference.icl_selection: nearest over random"]
    assert found["inference.icl_examples: 2 over 0"].n_pairs == 2


def test_a_run_under_several_names_is_one_pair_and_none_with_itself(made: ResultsBuilder) -> None:
    """Zero-shot knows no initialisation and no seed: two models are one pair, and pca over default none."""
    for model, n_right in (("a", 100), ("b", 120)):
        own = {"model": {"name": model}, **ZERO}
        key = made.scored(f"{model}/zero/seed1", right(n_right), {"seed": 1, **own})
        made.alias(f"{model}/zero/seed2", key, made.config(seed=2, **own), made.experiment(f"{model}/zero/seed1", key))
        for seed in (1, 2):
            made.scored(f"{model}/lora/seed{seed}", right(n_right + 40), {"seed": seed, "model": {"name": model}})
    model = effects(made)["model.name: b over a"]
    assert (model.n_pairs, n_seeds(model), model.difference) == (3, 2, pytest.approx(0.1))
    zero = effects(made)["adapter.method: lora over none"]
    assert (zero.value_name, zero.reference_name) == ("lora", "zero")
    assert {"dataset.shots", "training.trainer_args.learning_rate"} < set(zero.also)
    assert not {"lora", "adapter", "training"} & set(zero.also)
    assert (zero.n_pairs, n_seeds(zero), zero.difference) == (4, 2, pytest.approx(0.2))


def test_a_pair_that_no_seed_changes_is_no_sample_of_seeds(made: ResultsBuilder) -> None:
    """Another model is worth 0.4 without training and 0.1 with it, at every seed: seeds add no uncertainty."""
    for model, zero, trained in (("a", 40, 100), ("b", 120, 120)):
        own = {"model": {"name": model}, **ZERO}
        key = made.scored(f"{model}/zero/seed1", right(zero), {"seed": 1, **own})
        made.alias(f"{model}/zero/seed2", key, made.config(seed=2, **own), made.experiment(f"{model}/zero/seed1", key))
        for seed in (1, 2):
            made.scored(f"{model}/lora/seed{seed}", right(trained), {"seed": seed, "model": {"name": model}})
    effect = effects(made)["model.name: b over a"]
    assert (effect.difference, effect.n_pairs) == (pytest.approx(0.2), 3)
    assert effect.comparison is not None
    assert effect.comparison.interval.high - effect.comparison.interval.low < 0.12


def test_settings_that_change_together_are_one_axis(made: ResultsBuilder) -> None:
    for rank in (8, 16):
        made.scored(f"n{rank}", right(100 + rank), {"lora": {"r": rank, "lora_alpha": 2 * rank}})
    (effect,) = made.board().effects
    assert (effect.axis, effect.also) == ("lora.r", ("lora.lora_alpha",))
    assert (effect.value_name, effect.reference_name) == (None, None)


def test_shots_in_total_and_weights_are_axes_beside_one_zero_shot(made: ResultsBuilder) -> None:
    """Weights have no effect where labels have equally many shots, and neither has any where there are none."""
    made.scored("zero", right(100), {**ZERO, "dataset": {"shots": 0, "shots_by": "total"}})
    for name, shots_by, weights, n_right in (
        ("label", "label", "balanced", 120),
        ("total", "total", "none", 130),
        ("weighed", "total", "balanced", 150),
    ):
        dataset = {"shots": 8, "shots_by": shots_by}
        made.scored(name, right(n_right), {"dataset": dataset, "training": {"class_weights": weights}})
    found = {name: effect.difference for name, effect in effects(made).items()}
    assert found["dataset.shots_by: total over label"] == pytest.approx(0.05)
    assert found["training.class_weights: balanced over none"] == pytest.approx(0.1)
    assert effects(made)["adapter.method: lora over none"].n_pairs == 3


def test_an_empty_section_is_a_default_and_no_section_is_none(made: ResultsBuilder) -> None:
    made.scored("a", right(100), {"lora": None, "adapter": {"method": "lora"}})
    made.scored("b", right(110), {"lora": None, "adapter": {"method": "lora", "r": 4}})
    made.scored("c", right(120), {"lora": None, "adapter": None})
    found = effects(made)
    assert list(found) == ["adapter.method: lora over none", "adapter.r: 4 over default"]
    assert found["adapter.method: lora over none"].difference == pytest.approx(-0.075)


@pytest.mark.parametrize(("numbers", "reference"), [((4, 64, 16), "4"), (("all", 16, 4), "4"), ((16, 0, 4), "0")])
def test_the_reference_is_the_smallest_number(made: ResultsBuilder, numbers: Any, reference: str) -> None:
    for number in numbers:
        made.scored(f"n{number}", right(100), {"dataset": {"shots": number}})
    assert {effect.reference for effect in made.board().effects} == {reference}


def test_of_texts_the_reference_is_the_first_of_the_grid(made: ResultsBuilder) -> None:
    for name, n_right in (("b", 100), ("a", 140), ("c", 120)):
        made.scored(name, right(n_right), {"model": {"name": name}})
    assert list(effects(made)) == ["model.name: a over b", "model.name: c over b"]


def test_names_that_are_numbers_begin_with_the_smallest(made: ResultsBuilder) -> None:
    for number in (16, 4):
        for model in "ab":
            patch = {"lora": {"r": number}, "prompting": {"max_input_length": 10 * number}}
            other = {"max_input_length": 9} if model == "b" else {}
            made.scored(f"r{number}/{model}", right(100), patch | ({"prompting": other} if other else {}))
    assert {effect.reference for effect in made.board().effects if effect.kind == "name"} >= {"r4"}


def test_only_a_seed_or_the_whole_name_is_no_axis(made: ResultsBuilder) -> None:
    for seed in (1, 2, 3):
        made.scored(f"a/seed{seed}", right(100 + seed), {"seed": seed})
    assert made.board().effects == ()


def test_rows_that_differ_in_everything_have_no_effects(made: ResultsBuilder) -> None:
    made.scored("a", right(100), {"lora": {"r": 4}, "model": {"name": "one"}})
    made.scored("b", right(120), {"lora": {"r": 8}, "model": {"name": "two"}, "seed": 5})
    assert made.board().effects == ()


def test_runs_that_nothing_tells_apart_pair_with_none(made: ResultsBuilder) -> None:
    """Two runs of the same settings and seed: of results folders joined, with other data, say."""
    made.scored("a", right(100), {"lora": {"r": 4}})
    made.scored("b", right(120), {"lora": {"r": 8}})
    made.scored("c", right(180), {"lora": {"r": 8}})
    assert made.board().effects == ()


def test_where_less_is_better_the_difference_is_still_value_less_reference(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path, "log_loss")
    for rank, n_right in ((8, 100), (16, 150)):
        rows = right(n_right)
        assert rows.log_loss is not None
        folder.scored(f"n{rank}", rows, {"lora": {"r": rank}}, results={"log_loss": float(rows.log_loss.mean())})
    (effect,) = folder.board().effects
    assert effect.metric == "log_loss"
    assert effect.difference == pytest.approx(-0.25 * 1.25)
    assert effect.comparison is not None
    assert effect.comparison.interval.high < 0


def test_dev_rows_rank_and_effects_are_of_test_rows(made: ResultsBuilder) -> None:
    for rank, n_right in ((8, 100), (16, 150)):
        data = {"dev_rows_sha256": "dd"}
        made.scored(f"n{rank}", right(n_right), {"lora": {"r": rank}}, results={"dev_accuracy": 0.9}, data=data)
    board = made.board()
    assert board.metric == "dev_accuracy"
    assert (board.effects[0].metric, board.effects[0].difference) == ("accuracy", pytest.approx(0.25))


@pytest.mark.parametrize("metric", ["exact_match", "rougeL"])
def test_generated_texts_have_intervals_where_the_metric_follows_from_rows(tmp_path: Path, metric: str) -> None:
    folder = ResultsBuilder(tmp_path, metric)
    for rank, n_right in ((8, 100), (16, 150)):
        rows = EvaluatedRows(np.arange(200) < n_right)
        own = {"lora": {"r": rank}, "dataset": {"task_type": "generation"}}
        folder.scored(f"n{rank}", rows, own, results={metric: n_right / 200}, details={"labels": None})
    (effect,) = folder.board().effects
    assert effect.difference == pytest.approx(0.25)
    assert (effect.comparison is None) == (metric == "rougeL")


def test_a_single_group_and_a_board_without_a_number_have_no_effects(tmp_path: Path) -> None:
    one = ResultsBuilder(tmp_path / "one")
    one.scored("a", right(100), {})
    assert one.board().effects == ()
    none = ResultsBuilder(tmp_path / "none", "macro_f1")
    none.done("a", "a" * 16, config(), metrics({"macro_f1": None}))
    none.done("b", "b" * 16, config(lora={"r": 4}), metrics({"macro_f1": None}))
    board = none.board()
    assert (board.effects, board.learning_curves, board.calibration_gains, board.pareto) == ((), (), (), ())


def test_the_effects_of_a_large_board_are_one_family(made: ResultsBuilder) -> None:
    """Every effect has an interval, whatever the size of the board, and is corrected for all of them."""
    for number in range(60):
        made.scored(f"m{number}", right(100 + number), {"model": {"name": f"m{number}"}, **ZERO})
    found = [effect.comparison for effect in made.board().effects]
    smallest = min(one.p for one in found if one is not None)
    assert len(found) == 59
    assert min(one.p_holm for one in found if one is not None) == pytest.approx(min(1.0, 59 * smallest))


def test_a_pair_of_set_ups_has_one_answer_in_table_effects_and_diff(made: ResultsBuilder) -> None:
    for seed in (1, 2, 3):
        made.scored(f"a/seed{seed}", right(150 + 3 * seed), {"seed": seed})
        made.scored(f"b/seed{seed}", right(120 + 2 * seed), {"seed": seed, "lora": {"r": 4}})
    board = made.board()
    (effect,), table = board.effects, board.groups[1].against_best
    found = compare_pair(with_ranks(build_leaderboard([made.results])), "a", "b").difference
    assert effect.comparison is not None
    assert table is not None
    assert found is not None
    assert table.difference == pytest.approx(-0.16)
    for other in (effect.comparison, found.comparison):
        assert (other.p, other.test, abs(other.difference)) == pytest.approx((table.p, table.test, 0.16))
        assert other.interval.high - other.interval.low == pytest.approx(table.interval.high - table.interval.low)


def test_crossed_seeds_have_one_answer_where_one_source_has_no_effect(made: ResultsBuilder) -> None:
    """Two prompts with examples: init changes nothing, so that each run stands under two of its seeds."""
    shown: dict[str, Any] = {"lora": None, "adapter": {"method": "none"}, "training": None}
    for place, prompt in enumerate(("a", "b")):
        for shots, n_right in enumerate((150, 120, 180)):
            own = {
                **shown,
                "inference": {"icl_examples": 2},
                "prompting": {"instruction": prompt},
                "seeds": {"shots": shots, "init": 0},
            }
            name = f"{prompt}/s{shots}"
            key = made.scored(f"{name}/i0", right(n_right - 20 * place - 3 * place * shots), own)
            again = {**own, "seeds": {"shots": shots, "init": 1}}
            made.alias(f"{name}/i1", key, made.config(**again), made.experiment(f"{name}/i0", key))
    board = made.board()
    (effect,), table = board.effects, board.groups[1].against_best
    assert effect.comparison is not None
    assert table is not None
    assert (effect.comparison.test, effect.comparison.n_seeds) == ("t", 3) == (table.test, table.n_seeds)
    assert effect.comparison.p == pytest.approx(table.p)
