from sft.config.findings import Finding, invalid

NAMES = [f"e{number}" for number in range(1, 101)]


def test_each_finding_has_number_name_path_and_file() -> None:
    findings = [
        Finding("e80", "model.nane", "unknown key (did you mean name?)"),
        Finding("e57", "training.trainer_args.lerning_rate", "unknown key (did you mean learning_rate?)"),
    ]
    error = invalid(findings, NAMES, "grid.jsonnet")
    assert error.exit_code == 2
    assert str(error).split("\n") == [
        "2 of 100 experiments are invalid; nothing was started.",
        '#57 "e57": training.trainer_args.lerning_rate: unknown key (did you mean learning_rate?) [grid.jsonnet]',
        '#80 "e80": model.nane: unknown key (did you mean name?) [grid.jsonnet]',
    ]


def test_two_findings_of_one_experiment_are_one_experiment() -> None:
    error = invalid([Finding("e1", "a", "x"), Finding("e1", "b", "y")], NAMES, "g.json")
    assert str(error).startswith("1 of 100 experiments is invalid; nothing was started.\n")
    assert len(error.lines) == 2


def test_a_finding_of_the_grid_has_no_number() -> None:
    error = invalid([Finding(None, "", "no data")], NAMES, "g.json")
    assert str(error) == "The grid is invalid; nothing was started.\nno data [g.json]"


def test_a_finding_that_several_share_is_said_once() -> None:
    findings = [Finding(name, "a.b", "required") for name in ("e1", "e2", "e3")] + [Finding("e2", "c", "other")]
    assert invalid(findings, NAMES, "g.json").lines == (
        "in 3 experiments: e1, e2, e3: a.b: required [g.json]",
        '#2 "e2": c: other [g.json]',
    )


def test_of_many_that_share_a_finding_some_are_named() -> None:
    (line,) = invalid([Finding(name, "a.b", "required") for name in NAMES], NAMES, "g.json").lines
    assert line.startswith("in 100 experiments: e1, e2, ")
    assert line.endswith(", e20 and 80 more: a.b: required [g.json]")
