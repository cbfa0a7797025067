"""Everything wrong with a lora section is told before anything starts, without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from sft.adapters.lora.initialization import InitChoice
from sft.adapters.lora.options import LoraOptions
from sft.adapters.method import adapter_method
from sft.config.library.keys import LORA_CONFIG, dataclass_fields
from sft.exceptions import UserError


def messages(options, folder=Path()):
    return [f"{path}: {message}" for path, message in adapter_method("lora").check(options, folder)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"r": 4, "lora_alpha": 0.5, "lora_dropout": 0, "target_modules": ["q_proj"], "bias": "lora_only"},
        {"init_lora_weights": False},
        *({"init_lora_weights": name} for name in ("eva", "pca", "umap", "pissa", "pissa_simplified", "olora")),
        *({"init_lora_weights": name} for name in ("milora", "loftq", "gaussian")),
        {"init_lora_weights": "peft:pissa"},
        {"init_lora_weights": "corda", "corda_config": {"corda_method": "kpm"}, "lora_ga_config": None},
        {"init_lora_weights": "lora_ga", "lora_ga_config": {"direction": "A2rBr", "stable_gamma": 8}},
        {"init_lora_weights": "pissa_niter_16"},
        {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 2.5}, "use_rslora": True},
        {"use_dora": True, "init_lora_weights": "pissa", "modules_to_save": ["lm_head"], "exclude_modules": "a.*"},
        {"target_modules": ["q_proj", "lm_head"], "modules_to_save": ["lm_head"]},
        {"target_modules": r".*_proj|lm_head", "exclude_modules": ["lm_head"]},
        {"target_modules": r".*", "exclude_modules": r".*head"},
        {"target_modules": ["embed_tokens"]},
        {"trainable_token_indices": [0, 3], "modules_to_save": ["lm_head"]},
        {"trainable_token_indices": {"embed_tokens": [3]}},
        {"layer_replication": [[0, 2], [1, 2]], "init_lora_weights": "pissa", "use_dora": True},
    ],
    ids=str,
)
def test_what_peft_takes_is_taken(options):
    assert messages(options) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"lora_alfa": 3}, "lora_alfa: unknown key (did you mean lora_alpha?)"),
        ({"peft_type": "LORA"}, "peft_type: refused: set by the program"),
        ({"kasa_config": {}}, "kasa_config: refused: it destroys part of the base weights"),
        ({"r": 0}, "r: 0: input should be greater than or equal to 1"),
        ({"r": 8.5}, "r: 8.5: input should be a valid integer"),
        ({"lora_dropout": 1}, "lora_dropout: 1: input should be less than 1"),
        ({"lora_alpha": 0}, "lora_alpha: 0: input should be greater than 0"),
        ({"rank_pattern": {"q_proj": "8"}}, "rank_pattern.q_proj: '8': input should be a valid integer"),
        ({"bias": "some"}, "bias: 'some': input should be 'none', 'all' or 'lora_only'"),
        ({"target_modules": 5}, "target_modules: 5: input should be a valid string or a valid list"),
        ({"target_modules": ["q_proj", 5]}, "target_modules.1: 5: input should be a valid string"),
        (
            {"init_lora_weights": "corda", "corda_config": {"corda_method": "xpm"}},
            "corda_config.corda_method: 'xpm': input should be 'ipm' or 'kpm'",
        ),
        (
            {"init_lora_weights": "lora_ga", "lora_ga_config": {"directions": "ArBr"}},
            "lora_ga_config.directions: unknown key (did you mean direction?); allowed: direction, scale",
        ),
        (
            {"init_lora_weights": "lora_ga", "lora_ga_config": "ArBr"},
            "lora_ga_config: 'ArBr': must be an object; its keys: direction, scale, stable_gamma",
        ),
        ({"init_lora_weights": "pisa"}, "init_lora_weights: unknown initialiser 'pisa' (did you mean pissa?)"),
        ({"init_lora_weights": "peft:pca"}, "init_lora_weights: unknown initialiser 'peft:pca'"),
        (
            {"init_lora_weights": "peft:loftq"},
            "init_lora_weights: loftq: it replaces the base weights by rounded ones",
        ),
        ({"loftq_config": {"loftq_iter": 2}}, "loftq_config: refused: init_lora_weights loftq takes one iteration"),
        ({"init_lora_weights": "loftq", "use_dora": True}, "use_dora: does not go with init_lora_weights loftq"),
        (
            {"init_lora_weights": "loftq", "layer_replication": [[0, 2]]},
            "layer_replication: does not go with init_lora",
        ),
        ({"init_lora_weights": "peft:eva"}, "init_lora_weights: eva: PEFT repeats the rows until"),
        (
            {"init_lora_weights": "eva", "eva_config": {"rho": 2}},
            "eva_config: refused: init_lora_weights eva gives every",
        ),
        ({"init_lora_weights": "orthogonal", "r": 5}, "r: 5: init_lora_weights orthogonal takes even ranks; write 6"),
        (
            {"init_lora_weights": "peft:orthogonal", "rank_pattern": {"q_proj": 3}},
            "rank_pattern.q_proj: 3: init_lora_weights orthogonal takes even ranks; write 4",
        ),
        ({"init_lora_weights": "pissa_simplified", "use_dora": True}, "use_dora: does not go with"),
        ({"init_lora_weights": "pca", "lora_bias": True}, "lora_bias: does not go with init_lora_weights pca"),
        (
            {"target_modules": ["q_proj", "lm_head"]},
            "target_modules: ['q_proj', 'lm_head'] puts an adapter",
        ),
        ({"target_modules": "lm_head"}, "target_modules: 'lm_head' puts an adapter on the output head"),
        (
            {"target_modules": ".*(q_proj|lm_head)"},
            "target_modules: '.*(q_proj|lm_head)' puts an adapter",
        ),
        ({"target_modules": ["embed_out"]}, "target_modules: ['embed_out'] puts an adapter on the output head"),
        (
            {"target_parameters": ["lm_head.weight"]},
            "target_parameters: ['lm_head.weight'] puts an adapter",
        ),
        (
            {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
            "target_modules: ['embed_tokens'] with ensure_weight_tying puts an adapter on the output head",
        ),
        ({"target_modules": "(q_proj"}, "target_modules: '(q_proj' is no regular expression: missing )"),
        ({"rank_pattern": {"(q_proj": 4}}, "rank_pattern: '(q_proj' is no regular expression: missing )"),
        ({"exclude_modules": "*head"}, "exclude_modules: '*head' is no regular expression: nothing to repeat"),
        ({"trainable_token_indices": [-1]}, "trainable_token_indices: [-1]; allowed: a list of token ids"),
        ({"trainable_token_indices": {"wte": [True]}}, "trainable_token_indices: {'wte': [True]}; allowed: a list of"),
        ({"trainable_token_indices": 3}, "trainable_token_indices: 3; allowed: a list of token ids"),
        ({"layers_to_transform": [0]}, "layers_to_transform: needs target_modules as a list"),
        (
            {"layer_replication": [[0, 2]], "init_lora_weights": "olora"},
            "layer_replication: does not go with PEFT's olora, which would move",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_with_its_key(options, expected):
    (message,) = messages(options)
    assert message.startswith(expected)


def test_all_findings_come_at_once():
    assert len(messages({"lora_alfa": 3, "peft_type": "X", "r": 0, "bias": "some"})) == 4


OWN = """
import torch
from sft.initialization import factors
from sft.initialization.factors import needs

WHAT = "activations"

def good(layer, rank, dtype=None):
    pass

def few(layer):
    pass

alias = good

@needs("activations")
def looks(layer, rank, dtype, activations):
    pass

@factors.needs("gradients")
def looks_too(layer, rank, *others):
    pass

@needs("gradients")
def looks_in_vain(layer, rank, dtype):
    pass

@needs("labels")
def looks_elsewhere(layer, rank, dtype, labels):
    pass

@needs(WHAT)
def says_it_later(layer, rank, dtype, activations):
    pass

def says_nothing(layer, rank, dtype, activations):
    pass

class Start:
    pass

NUMBER: float = 0.5
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("own.py:good", None),
        ("own.py:alias", None),
        ("own.py:missing", "defines no 'missing'"),
        ("own.py:few", "must take (layer, rank, dtype)"),
        ("own.py:looks", None),
        ("own.py:looks_too", None),
        ("own.py:looks_in_vain", "must take (layer, rank, dtype, gradients)"),
        ("own.py:looks_elsewhere", "needs(...) names one of 'activations' and 'gradients', written out"),
        ("own.py:says_it_later", "needs(...) names one of 'activations' and 'gradients', written out"),
        ("own.py:says_nothing", "a fourth argument is for what @needs('activations') above it names"),
        ("own.py:Start", "own.py:Start: is a class; name a function of (layer, rank, dtype)"),
        ("own.py:NUMBER", "own.py:NUMBER: is a value; name a function of (layer, rank, dtype)"),
        ("nowhere.py:good", "no file"),
        ("broken.py:good", "is not Python"),
        ("no_such_module_anywhere:good", "no module no_such_module_anywhere"),
    ],
)
def test_own_initialisers_are_found_without_running_them(name, expected, tmp_path):
    (tmp_path / "own.py").write_text("raise SystemExit('was run')\n" + OWN)
    (tmp_path / "broken.py").write_text("def good(:\n")
    found = messages({"init_lora_weights": name}, tmp_path)
    assert (not found) if expected is None else expected in found[0]


def test_our_names_win_and_the_prefix_reaches_peft():
    assert InitChoice.of("pissa") == InitChoice("ours", "pissa")
    assert InitChoice.of("peft:pissa") == InitChoice("peft", "pissa")
    assert InitChoice.of("peft:pissa").moves_base
    assert not InitChoice.of(True).moves_base
    assert InitChoice.of("a.py:f").kind == "own"


def test_method_none_takes_no_options_and_an_unknown_method_is_told():
    assert adapter_method("none").check({}, Path()) == []
    assert adapter_method("none").check({"r": 8}, Path()) == [("r", "method none takes no options; leave it out")]
    with pytest.raises(UserError, match="did you mean lora"):
        adapter_method("lorra")


def test_the_checked_keys_are_keys_of_peft_with_its_defaults():
    known = dataclass_fields(LORA_CONFIG)
    ours = {"target_modules": "None", "rank_pattern": "dict()", "alpha_pattern": "dict()"}
    for name, field in LoraOptions.model_fields.items():
        text = known[name].default_text
        assert name in ours or text == repr(field.default), name


def test_checking_imports_neither_torch_nor_peft():
    code = (
        "import sys; sys.modules['torch'] = None; from pathlib import Path;"
        "from sft.adapters.method import adapter_method;"
        "print(adapter_method('lora').check({'init_lora_weights': 'pissa'}, Path()), 'peft' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[] False\n"


def test_loftq_needs_files_that_are_not_quantised_yet():
    method, loftq = adapter_method("lora"), {"init_lora_weights": "loftq"}
    quantised = {"model_type": "llama", "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    (finding,) = method.check_on_model(loftq, quantised)
    assert finding.path == "init_lora_weights"
    assert "the files of this model hold its weights quantised already" in finding.message
    assert method.check_on_model(loftq, {"model_type": "llama"}) == []
    assert method.check_on_model({"init_lora_weights": "pissa"}, quantised) == []
