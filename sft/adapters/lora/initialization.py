"""What `init_lora_weights` may name: an initialiser of the project, one of PEFT, or own code."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sft.adapters.lora.peft_initializers import PEFT_INITIALIZERS, PeftInitializer
from sft.adapters.method import INITIALISATION, OptionFinding, check_options
from sft.adapters.peft.options import options_model
from sft.exceptions import UserError
from sft.initialization.initializers import NEEDS, initializer_registry, is_of_this_process_alone, needed_by
from sft.registry import is_own_code, own_code_tree, unknown_name

KEY = INITIALISATION
PEFT_PREFIX = "peft:"
PISSA_FAST = re.compile(r"pissa_niter_[1-9]\d*")
UNSUPPORTED = {
    "eva": "PEFT repeats the rows until its incremental SVD converges, which on few rows may be never; plain eva sees "
    "each row once",
    "loftq": "it replaces the base weights by rounded ones, so that the saved adapter is not the trained model; "
    "init_lora_weights loftq leaves the base as it is",
}
SETTINGS = {
    "corda_config": "peft.tuners.lora.config:CordaConfig",
    "lora_ga_config": "peft.tuners.lora.config:LoraGAConfig",
}
"""Option -> the class of PEFT whose keys it has."""
QUANTISED_AT_LOADING = ("nf4", "fp4", "int8", "torchao", "fp8")
"""Kinds of stored weights whose model's files may hold the weights as they were."""


@dataclass(frozen=True)
class InitChoice:
    """One value of `init_lora_weights`, understood."""

    kind: Literal["ours", "peft", "own", "unknown"]
    name: Any
    """The registry's name, PEFT's value (true, false or a name), or the own code as written."""

    @classmethod
    def of(cls, written: bool | str) -> "InitChoice":
        """Ours wins over PEFT's; `peft:NAME` reaches PEFT's."""
        if isinstance(written, bool):
            return cls("peft", written)
        if written in initializer_registry:
            return cls("ours", written)
        name = written.removeprefix(PEFT_PREFIX)
        if name in PEFT_INITIALIZERS or name in UNSUPPORTED or PISSA_FAST.fullmatch(name):
            return cls("peft", name)
        return cls("own" if is_own_code(written) and name == written else "unknown", written)

    @property
    def of_peft(self) -> PeftInitializer | None:
        """PEFT's initialisation by a name of its own."""
        if self.kind != "peft" or not isinstance(self.name, str):
            return None
        return PEFT_INITIALIZERS.get("pissa" if PISSA_FAST.fullmatch(self.name) else self.name)

    @property
    def reads_rows(self) -> bool:
        """Whether PEFT looks at training rows under this choice."""
        return self.of_peft is not None and self.of_peft.looks_at in NEEDS

    @property
    def reads_weights(self) -> bool:
        """Whether PEFT looks at base weights under this choice."""
        return self.of_peft is not None and self.of_peft.reads_weights

    @property
    def moves_base(self) -> bool:
        """Whether PEFT changes base weights under this choice."""
        return self.of_peft is not None and self.of_peft.moves_base


def loftq_refusal(options: Mapping[str, Any], storage: str) -> str | None:
    """Why `init_lora_weights: loftq` has nothing to start from on a base; None where it has, or is not asked for."""
    if InitChoice.of(options.get(KEY) or True) != InitChoice("ours", "loftq") or storage in QUANTISED_AT_LOADING:
        return None
    return "init_lora_weights loftq starts from what the model's quantisation at loading lost; pissa takes any base"


def loftq_findings(options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
    """That `init_lora_weights: loftq` finds no weights before quantisation where the model's files are quantised.

    Args:
        options: of `peft.LoraConfig`.
        config: what the model's `config.json` says.
    """
    if not config.get("quantization_config") or InitChoice.of(options.get(KEY) or True) != InitChoice("ours", "loftq"):
        return []
    text = "loftq: the files of this model hold its weights quantised already, and not as they were; take pissa"
    return [OptionFinding(KEY, f"{text}, or quantise the model that it was made of")]


def check_initialization(options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
    """What is wrong with `init_lora_weights`, alone and beside other options; own code is parsed, never imported."""
    choice = InitChoice.of(options.get(KEY, True))
    findings = _check_choice(choice, folder)
    name = options.get(KEY)
    if choice.kind != "peft":
        text = f"does not go with init_lora_weights {name}, which knows linear layers without adapter biases"
        findings += [OptionFinding(key, text) for key in ("lora_bias", "target_parameters") if options.get(key)]
    if options.get("use_dora") and choice.name in ("loftq", "pissa_simplified", "mica"):
        findings.append(OptionFinding("use_dora", f"does not go with init_lora_weights {name}"))
    return findings + _check_repeated(options, choice) + _check_even(options, choice) + _check_settings(options)


def _check_choice(choice: InitChoice, folder: Path) -> list[OptionFinding]:
    if choice.kind == "peft" and choice.name in UNSUPPORTED:
        return [OptionFinding(KEY, f"{choice.name}: {UNSUPPORTED[choice.name]}")]
    if choice.kind == "ours" and is_of_this_process_alone(choice.name):
        text = f"{choice.name!r} was put into initializer_registry by this process, and stages run in others"
        return [OptionFinding(KEY, f"{text}; name your function as file.py:function or package.module:function")]
    if choice.kind == "unknown":
        known = [*initializer_registry, *(f"{PEFT_PREFIX}{name}" for name in PEFT_INITIALIZERS), "true", "false"]
        return [OptionFinding(KEY, f"{unknown_name('initialiser', choice.name, known)}, or your own file.py:function")]
    return _check_own(choice.name, folder) if choice.kind == "own" else []


def _check_own(name: str, folder: Path) -> list[OptionFinding]:
    try:
        source = own_code_tree(name, folder)
    except UserError as error:
        return [OptionFinding(KEY, str(error))]
    function = name.rpartition(":")[2]
    for node in source.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            fault = _signature_fault(node)
            return [] if fault is None else [OptionFinding(KEY, f"{name}: {fault}")]
        what = _kind_of_other(node, function)
        if what is not None:
            return [OptionFinding(KEY, f"{name}: is a {what}; name a function of (layer, rank, dtype)")]
    return []


def _kind_of_other(node: ast.stmt, name: str) -> str | None:
    """What a statement binds a name to, where that is seen to be no function."""
    if isinstance(node, ast.ClassDef) and node.name == name:
        return "class"
    targets = (
        node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    )
    is_bound = any(isinstance(target, ast.Name) and target.id == name for target in targets)
    value = getattr(node, "value", None)
    if not is_bound or not isinstance(value, ast.Constant | ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.Set):
        return None
    return "value"


def _signature_fault(function: ast.FunctionDef) -> str | None:
    """What is wrong with the parameters of an own initialiser, and with what it says that it needs."""
    needed = needed_by(function)
    if needed is not None and needed not in NEEDS:
        return f"needs(...) names one of {' and '.join(map(repr, NEEDS))}, written out"
    parameters = [*function.args.posonlyargs, *function.args.args]
    required = len(parameters) - len(function.args.defaults)
    if needed is None and required > 3:
        return f"is given (layer, rank, dtype); a fourth argument is for what @needs({NEEDS[0]!r}) above it names"
    enough = len(parameters) >= (2 if needed is None else 4) or function.args.vararg is not None
    return None if enough else f"must take (layer, rank, dtype{'' if needed is None else f', {needed}'})"


def _check_repeated(options: Mapping[str, Any], choice: InitChoice) -> list[OptionFinding]:
    """Repeated layers share their weights, which can be moved for none of them, and have names of their own."""
    if options.get("layer_replication") and choice.kind == "ours" and choice.name == "loftq":
        text = "does not go with init_lora_weights loftq, which looks layers up in the model's files by their names"
        return [OptionFinding("layer_replication", text)]
    if not options.get("layer_replication") or not choice.moves_base:
        return []
    text = f"does not go with PEFT's {choice.name}, which would move the repeated layers' weights once for each"
    return [OptionFinding("layer_replication", f"{text}; init_lora_weights pissa takes them")]


def _check_even(options: Mapping[str, Any], choice: InitChoice) -> list[OptionFinding]:
    """Orthogonal factors are halves of one orthogonal matrix."""
    if choice != InitChoice("peft", "orthogonal"):
        return []
    ranks = {
        "r": options.get("r") or 8,
        **{f"rank_pattern.{key}": rank for key, rank in (options.get("rank_pattern") or {}).items()},
    }
    return [
        OptionFinding(path, f"{rank}: init_lora_weights orthogonal takes even ranks; write {rank + 1}")
        for path, rank in ranks.items()
        if rank % 2
    ]


def _check_settings(options: Mapping[str, Any]) -> list[OptionFinding]:
    """Unknown keys and values of the settings that PEFT's initialisations by training rows have."""
    found = []
    for key, settings in SETTINGS.items():
        written = options.get(key) or {}
        known = options_model(settings, ())
        if isinstance(written, Mapping):
            found += [OptionFinding(f"{key}.{path}", message) for path, message in check_options(written, known)]
        else:
            found.append(
                OptionFinding(key, f"{written!r}: must be an object; its keys: {', '.join(known.model_fields)}")
            )
    return found
