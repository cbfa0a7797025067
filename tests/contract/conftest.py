"""Makes the folder that the tests of bad input share importable."""

import importlib.util
import sys
from pathlib import Path

_NAME = "tiny_project"
_spec = importlib.util.spec_from_file_location(_NAME, Path(__file__).with_name(f"{_NAME}.py"))
assert _spec is not None
assert _spec.loader is not None
sys.modules[_NAME] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[_NAME])
