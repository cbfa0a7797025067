"""Configs with one fault each of how label scores are compared and calibrated: as `bad_configs.CASES`."""

from typing import Any

CASES: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "unknown normalisation": (
        {"inference__label_scoring": {"normalization": "tokens"}},
        "inference.label_scoring.normalization",
        ("'sum', 'mean', 'chars' or 'pmi'", '"tokens"'),
    ),
    "unknown calibrator": (
        {"inference__calibration_args": {"calibration_fn": "contextul"}},
        "inference.calibration_args.calibration_fn",
        ("'contextul'", "did you mean contextual?", "known: adjustable_batch, batch", "file.py:function"),
    ),
    "option of another calibrator": (
        {"inference__calibration_args": {"calibration_fn": "contextual", "gamma_steps": 5}},
        "inference.calibration_args.gamma_steps",
        ("contextual has no option", "it is one of adjustable_batch", "its options: per_row"),
    ),
    "option without a calibrator": (
        {"inference__calibration_args": {"per_row": True}},
        "inference.calibration_args.per_row",
        ("none has no option", "one of contextual, domain"),
    ),
    "value of a calibrator's option": (
        {"inference__calibration_args": {"calibration_fn": "adjustable_batch", "gamma_range": [5, -5]}},
        "inference.calibration_args.gamma_range",
        ("[5, -5]", "first must be below the second"),
    ),
    "calibration on rows that are all shown": (
        {
            "dataset__shots": 2,
            "inference__icl_examples": 2,
            "inference__calibration_args": {"calibration_fn": "temperature"},
        },
        "inference.calibration_args",
        ("'train:64'", "every training row is an in-context example already", "take more shots"),
    ),
    "calibration without training rows": (
        {
            "dataset__path": "tested",
            "dataset__labels": ["bad", "good"],
            "inference__calibration_args": {"calibration_fn": "domain"},
        },
        "inference.calibration_args",
        ("words from training rows", "train split"),
    ),
    "own calibrator without file": (
        {"inference__calibration_args": {"calibration_fn": "nothere.py:f"}},
        "inference.calibration_args.calibration_fn",
        ("'nothere.py:f'", "no file"),
    ),
}
