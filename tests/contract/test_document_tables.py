"""The tables of the documents list what there is: config keys and defaults, calibrators, extras, functions."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from sft.calibration import calibration_registry
from sft.config.canonical import json_text
from sft.config.experiment import ExperimentConfig
from sft.config.section import Section
from sft.evaluation.metrics import metric_registry
from sft.evaluation.selection import entry_of
from sft.registry import import_object
from tests.contract.documents import DOCUMENTS, ROOT, section


@cache
def key_rows() -> dict[str, str]:
    """Key -> default, from the tables of the config."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| ", DOCUMENTS["docs/config.md"], re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a key stands in two rows"
    return dict(rows)


def config_fields(model: type[Section], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and field of every leaf of the config."""
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        nested = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
        if nested is None:
            yield f"{prefix}{name}", field
        else:
            yield from config_fields(nested, f"{prefix}{name}.")


@cache
def known_fields() -> dict[str, Any]:
    metrics = {
        f"evaluation.{name}": field
        for metric in metric_registry
        for name, field in entry_of(metric).options.model_fields.items()
    }
    calibrators = {
        f"inference.calibration_args.{name}": field
        for target in calibration_registry.values()
        for name, field in import_object(target).options.model_fields.items()
    }
    return dict(config_fields(ExperimentConfig)) | metrics | calibrators


def test_every_key_of_the_config_is_documented_and_no_other() -> None:
    assert set(key_rows()) == set(known_fields())


def test_documented_defaults_are_those_in_force() -> None:
    for key, shown in key_rows().items():
        field = known_fields()[key]
        if field.is_required():
            assert shown == "required", key
        elif field.default is not None:
            assert shown == f"`{json_text(field.default)}`", key
        else:
            assert shown != "required", key


def test_every_function_of_the_grid_library_is_documented() -> None:
    library = (ROOT / "sft" / "grid.libsonnet").read_text("utf-8")
    offered = re.findall(r"^  (\w+)(?:\(.*?\))?::", library, re.MULTILINE)
    assert len(offered) >= 6
    for name in offered:
        assert re.search(rf"^\| `grid\.{name}\b", DOCUMENTS["docs/grids.md"], re.MULTILINE), name


def test_calibrators_are_documented_with_their_row_sets_and_options() -> None:
    text = DOCUMENTS["docs/calibration.md"]
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    shown = {name: [sorted(re.findall(r"`(.*?)`", cell)) for cell in cells] for name, *cells in rows[1:]}
    wanted = {}
    for name, target in calibration_registry.items():
        entry = import_object(target)
        wanted[name] = [sorted(entry.row_sets(entry.options())), sorted(entry.options.model_fields)]
    assert shown == wanted


def test_extras_are_those_of_the_package() -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    rows = re.findall(r"^\| `(\w+)` \| ", section("docs/install.md", "Extras"), re.MULTILINE)
    assert set(rows) == set(offered)
    asked = {name for text in DOCUMENTS.values() for name in re.findall(r"'\.\[(\w+)\]'", text)}
    assert asked
    assert asked <= set(offered)
