import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("slow_rows", Path(__file__).with_name("slow_rows.py"))
assert _spec is not None
assert _spec.loader is not None
sys.modules["slow_rows"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["slow_rows"])
