"""Every example is found, evaluates, expands, and is sound as far as can be told without the model hub."""

from pathlib import Path
from typing import Any

import pytest

from sft.data.loading import local_source
from sft.errors import UserError
from sft.experiments.checks import SectionChecks
from sft.experiments.data_checks import DataChecks, DataFacts
from sft.experiments.loading import GridOptions, load_grid
from sft.experiments.planning import read_configs
from sft.models.references import locate

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "etc" / "configs"
ENDINGS = (".json", ".jsonnet")
DATA_FOLDERS = ("data", "initializers")
DEMO = ROOT / "data" / "demo"

FILES = sorted(
    path for path in FOLDER.rglob("*") if path.suffix in ENDINGS and path.relative_to(FOLDER).parts[0] not in DATA_FOLDERS
)
NAMES = [path.relative_to(FOLDER).as_posix() for path in FILES]
HUB = {"json/tweets_qwen.json", "jsonnet/tweets_qwen.jsonnet", "jsonnet/tweets_hub_dataset.jsonnet"}

examples = pytest.mark.parametrize("path", FILES, ids=NAMES)
