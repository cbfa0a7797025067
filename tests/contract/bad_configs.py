"""Configs with one fault each: the change of a sound config, the path that is named, what else the line says."""

from typing import Any

TRAINED = {"dataset__shots": 2, "lora": {}}
LABEL_WORDS = {"dataset__labels": {"bad": "x", "good": " x"}}
HALVES = {"dataset__splits": {"test": 0.5}}
LEAKS = {"dataset__splits": {"train": "data/train.jsonl", "test": "data/train.jsonl"}, "dataset__shots": 1}

CASES: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "unknown key": ({"prompting__instructions": "x"}, "prompting.instructions", ("did you mean instruction?",)),
    "unknown section": ({"trainning": {}}, "trainning", ("did you mean training?",)),
    "unknown trainer key": (
        {**TRAINED, "training__trainer_args": {"lerning_rate": 1e-4}},
        "training.trainer_args.lerning_rate",
        ("did you mean learning_rate?",),
    ),
    "refused trainer key": (
        {**TRAINED, "training__trainer_args": {"seed": 1}},
        "training.trainer_args.seed",
        ("seeds.training",),
    ),
    "number in quotes": (
        {**TRAINED, "training__trainer_args": {"learning_rate": "1e-4"}},
        "training.trainer_args.learning_rate",
        ("'1e-4'", "without quotes"),
    ),
    "unknown lora key": ({"dataset__shots": 2, "lora": {"rank": 4}}, "lora.rank", ("peft.LoraConfig",)),
    "rank 0": ({"dataset__shots": 2, "lora": {"r": 0}}, "lora.r", ("0", "greater than or equal to 1")),
    "wrong type": ({"dataset__shots": "four"}, "dataset.shots", ("an integer or 'all'", '"four"')),
    "required key": ({"prompting": {"input_columns": ["text"]}}, "prompting.output_column", ("required",)),
    "unknown task type": (
        {"dataset__task_type": "regression"},
        "dataset.task_type",
        ("'regression'", "classification, generation, multilabel, summarization"),
    ),
    "missing file": ({"dataset__path": "nowhere.csv"}, "dataset.path", ("nowhere.csv",)),
    "missing input column": ({"prompting__input_columns": ["txt"]}, "dataset", ('"txt"', "text, label")),
    "missing output column": (
        {"dataset__shots": 1, "prompting__output_column": "lable"},
        "dataset",
        ('"lable"', "text, label"),
    ),
    "missing kept column": ({"dataset__keep_columns": ["id"]}, "dataset.keep_columns", ("'id'", "text, label")),
    "missing split": ({"dataset__splits": {"test": "tset"}}, "dataset", ('"tset"', "test, train")),
    "no test split": ({"dataset__path": "one"}, "dataset", ("splits are: train", "splits: {test: 0.3}")),
    "broken jsonl": ({"dataset__path": "broken"}, "dataset", ("train.jsonl line 3", "not valid JSON")),
    "broken csv": ({"dataset__path": "cells"}, "dataset", ("train.csv line 2", "3 cells", "text, label")),
    "wrong encoding": ({"dataset__path": "latin"}, "dataset", ("train.csv line 2", "0xe9", "cp1252", "encoding")),
    "encrypted spreadsheet": (
        {"dataset__path": "locked.xlsx", **HALVES},
        "dataset",
        ("locked.xlsx", "without a password"),
    ),
    "broken spreadsheet": ({"dataset__path": "cut.xlsx", **HALVES}, "dataset", ("cut.xlsx", "not a spreadsheet that")),
    "field of no JSON": (
        {"dataset__path": "cells/test.csv", "dataset__read": {"field": "data"}, **HALVES},
        "dataset.read.field",
        ("test.csv is csv", "take field out"),
    ),
    "field that is not there": (
        {"dataset__path": "around.json", "dataset__read": {"field": "rows"}, **HALVES},
        "dataset.read.field",
        ("around.json has no 'rows'", "keys there: a, b"),
    ),
    "rows in two places": (
        {"dataset__path": "around.json", **HALVES},
        "dataset",
        ("2 objects under 'a', 2 objects under 'b'", "write dataset.read: {field: 'a'}"),
    ),
    "empty cell": ({"dataset__path": "holes"}, "dataset", ("row 1 (counted from 0)", "dataset.on_missing: drop")),
    "empty cell, refused": (
        {"dataset__path": "holes", "dataset__on_missing": "error"},
        "dataset",
        ("rows 1 (text)", "dataset.on_missing: drop"),
    ),
    "gold among the inputs": (
        {"prompting__input_columns": ["text", "label"]},
        "prompting.input_columns",
        ("'label' is among the inputs", "take it out"),
    ),
    "no inputs": ({"prompting": {"output_column": "label"}}, "prompting.input_columns", ("required",)),
    "inputs of a text that is learned whole": (
        {"dataset__task_type": "text"},
        "prompting.input_columns",
        ("learns the column 'label' whole", "leave it out"),
    ),
    "text as a conversation": (
        {"prompting__input_columns": ["label"]},
        "dataset",
        ("row 0 (counted from 0)", "holds text and not a list of turns"),
    ),
    "more shots than rows": (
        {"dataset__shots": 9},
        "dataset",
        ("9 shots asked, 4 available", "bad: 4, good: 4", "dataset.if_fewer: use_all"),
    ),
    "training without an adapter": (
        {"dataset__shots": 2, "training": {}},
        "training",
        ("`lora: {}`", "`adapter: {method: 'none'}`"),
    ),
    "more examples than shots": (
        {"dataset__shots": 2, "inference__icl_examples": 3},
        "inference.icl_examples",
        ("3 asked", "largest that works is 2"),
    ),
    "unknown training objective": (
        {**TRAINED, "training__objective": "tfew"},
        "training.objective",
        ("tfew", "nll", "t_few"),
    ),
    "an objective that needs labels": (
        {**TRAINED, "dataset__task_type": "generation", "training__objective": "t_few"},
        "training.objective",
        ("'t_few'", "classification", "'generation'", "nll or dft"),
    ),
    "two losses": (
        {**TRAINED, "training__objective": "t_few", "training__trainer_args": {"loss_type": "dft"}},
        "training.trainer_args.loss_type",
        ("'dft'", "training.objective 't_few'", "leave one of them out"),
    ),
    "an objective of single rows": (
        {**TRAINED, "training__objective": "t_few", "training__trainer_args": {"packing": True, "max_length": 64}},
        "training.trainer_args.packing",
        ("training.objective t_few", "joins rows", "leave it out"),
    ),
    "training examples": (
        {**TRAINED, "training__icl_examples": 2},
        "training.icl_examples",
        ("2 asked", "largest that works is 1", "never its own example"),
    ),
    "unknown selection of examples": (
        {"inference__icl_selection": "closest"},
        "inference.icl_selection",
        ("'random' or 'nearest'", '"closest"'),
    ),
    "encoder that is not there": (
        {"inference": {"icl_examples": 1, "icl_selection": "nearest", "icl_encoder": "./nowhere"}},
        "inference.icl_encoder",
        ("'./nowhere'", "no file or folder"),
    ),
    "encoder of a baseline that is not there": (
        {"dataset__shots": 1, "inference__icl_examples": 1, "evaluation__baseline_encoder": "./nowhere"},
        "evaluation.baseline_encoder",
        ("'./nowhere'", "no file or folder"),
    ),
    "lora with adapter": ({"lora": {}, "adapter": {"method": "none"}}, "adapter", ("both set", "keep one")),
    "unknown adapter": (
        {"dataset__shots": 2, "adapter": {"method": "loraa"}},
        "adapter.method",
        ("'loraa'", "did you mean lora?", "known: "),
    ),
    "gold outside the set": ({"dataset__path": "outside"}, "dataset", ("row 1: 'ugly'", "labels are: bad, good")),
    "labels equal after trimming": (LABEL_WORDS, "dataset.labels", ("'bad' and 'good'", "trimming", "'x'")),
    "unknown initialiser": (
        {"dataset__shots": 2, "lora": {"init_lora_weights": "pisa"}},
        "lora.init_lora_weights",
        ("'pisa'", "did you mean pissa?", "pca, peft:corda", "file.py:function"),
    ),
    "initialiser of other methods": (
        {"dataset__shots": 2, "adapter": {"method": "adalora", "init_lora_weights": "pissa_simplified"}},
        "adapter.init_lora_weights",
        ("'pissa_simplified' is refused", "E begins at 0", "pca, pissa, "),
    ),
    "initialiser of no method": (
        {"dataset__shots": 2, "adapter": {"method": "ia3", "init_lora_weights": "pca"}},
        "adapter.init_lora_weights",
        ("ia3 takes no initialiser", "adalora (init_lora_weights); gralora, delora (init_weights)"),
    ),
    "own initialiser without file": (
        {"dataset__shots": 2, "lora": {"init_lora_weights": "nothere.py:f"}},
        "lora.init_lora_weights",
        ("'nothere.py:f'", "no file"),
    ),
    "unknown metric": (
        {"evaluation__metrics": ["macro_f"]},
        "evaluation.metrics",
        ("'macro_f'", "did you mean macro_f1?", "known: accuracy"),
    ),
    "metric of another task": (
        {"evaluation__metrics": ["rougeL"]},
        "evaluation.metrics",
        ("'rougeL'", "'classification'", "accuracy"),
    ),
    "argument of no metric": (
        {"evaluation__ece_bin": 3},
        "evaluation.ece_bin",
        ("no chosen metric takes", "did you mean ece_bins?"),
    ),
    "argument of a metric not chosen": (
        {"evaluation": {"metrics": ["accuracy"], "ece_bins": 3}},
        "evaluation.ece_bins",
        ("argument of ece",),
    ),
    "unknown quantisation": (
        {"model__quantization": {"config_class": "BitsAndBytesConfg"}},
        "model.quantization",
        ("'BitsAndBytesConfg'", "did you mean BitsAndBytesConfig?", "GPTQConfig"),
    ),
    "unknown quantisation argument": (
        {"model__quantization": {"config_class": "BitsAndBytesConfig", "args": {"load_in_4bits": True}}},
        "model.quantization",
        ("'load_in_4bits'", "did you mean load_in_4bit?"),
    ),
    "unknown generation argument": (
        {"dataset__task_type": "generation", "inference__generation_args": {"max_new_token": 4}},
        "inference.generation_args.max_new_token",
        ("did you mean max_new_tokens?",),
    ),
    "label set of one": ({"dataset__labels": ["bad"]}, "dataset.labels", ("one label only, 'bad'",)),
    "empty label": ({"dataset__labels": ["bad", " "]}, "dataset.labels", ("empty word ' '",)),
    "large seed": ({"seed": 2**53 + 1}, "seed", ("2^53", str(2**53 + 1))),
    "negative seed": ({"seed": -1}, "seed", (">= 0", "-1")),
    "secret": ({"model__model_args": {"token": "abcd1234"}}, "model.model_args.token", ("HF_TOKEN",)),
    "missing model folder": ({"model__name": "./nam"}, "model.name", ("'./nam'", "no file or folder")),
    "missing adapter folder": ({"model__adapter": "nowhere"}, "model.adapter", ("'nowhere'", "adapter_config.json")),
    "unknown template field": (
        {"prompting__input_template": "{txt}"},
        "prompting.input_template",
        ("{txt}", "input_columns (text)"),
    ),
    "no dev rows to evaluate on": (
        {**TRAINED, "training__trainer_args": {"eval_strategy": "epoch"}},
        "training.trainer_args.eval_strategy",
        ("dataset.splits",),
    ),
    "no batch left": (
        {**TRAINED, "training__trainer_args": {"dataloader_drop_last": True}},
        "training.trainer_args.dataloader_drop_last",
        ("4 training rows", "a batch of 8", "per_device_train_batch_size: 4"),
    ),
    "a metric that trainings do not have": (
        {**TRAINED, "training__trainer_args": {"save_strategy": "best", "metric_for_best_model": "eval_macro_f1"}},
        "training.trainer_args.metric_for_best_model",
        ("'eval_macro_f1'", "loss"),
    ),
    "the best of nothing": (
        {**TRAINED, "training__trainer_args": {"save_strategy": "best"}},
        "training.trainer_args.save_strategy",
        ("metric_for_best_model",),
    ),
    "GPUs that nothing uses": (
        {"resources__gpus": 2},
        "resources.gpus",
        ("2, but a process uses one GPU", "parallelize: true"),
    ),
    "leaks": (
        {**LEAKS, "evaluation__strict_leaks": True, "inference__icl_examples": 1},
        "evaluation.strict_leaks",
        ("2 shots",),
    ),
}
