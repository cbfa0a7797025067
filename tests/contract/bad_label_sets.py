"""Configs of rows with any number of labels, with one fault each: as `bad_configs.CASES`."""

from typing import Any

SETS = {"dataset__task_type": "multilabel", "dataset__labels_separator": ";"}
TRAINED = {"dataset__shots": 2, "lora": {}}

CASES: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "cells without a list of labels": (
        {"dataset__task_type": "multilabel"},
        "dataset",
        ("train.jsonl row 0", "'bad'", "not a list of labels", "dataset.labels_separator"),
    ),
    "row without labels that is empty": (
        {**SETS, "dataset__path": "unlabelled", "dataset__shots": 1, "inference__icl_examples": 1},
        "dataset",
        ("train.jsonl row 1", "no gold in 'label'", "write [] for a row without labels", "dataset.on_missing: drop"),
    ),
    "labels of a row outside the set": (
        {**SETS, "dataset__labels": ["bad", "ugly"]},
        "dataset",
        ("'good'", "labels are: bad, ugly"),
    ),
    "threshold without rows to fit it": (
        {
            "dataset__task_type": "multilabel",
            "dataset__labels_separator": ";",
            "dataset__labels": ["bad", "good"],
            "dataset__path": "tested",
            "inference__threshold": "fit",
        },
        "inference.threshold",
        ("train:64", "there is no training row"),
    ),
    "threshold outside its range": (
        {**SETS, "inference__threshold": 1.5},
        "inference.threshold",
        ("1.5",),
    ),
    "question without the label": (
        {**SETS, "prompting__label_template": "Yes or no?"},
        "prompting.label_template",
        ("lacks the field {label}",),
    ),
    "metric of one label": (
        {**SETS, "evaluation__metrics": ["accuracy"]},
        "evaluation.metrics",
        ("'multilabel'", "subset_accuracy"),
    ),
    "loss that compares labels": (
        {**SETS, **TRAINED, "training__objective": "t_few"},
        "training.objective",
        ("'t_few'", "'multilabel'", "nll"),
    ),
}
