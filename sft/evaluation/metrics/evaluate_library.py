"""The `evaluate` library, imported without the parts that would pull torch.

`import evaluate` imports `transformers.pipelines` for its own evaluator loops, and with it torch: 4 to 8 s, where the
rest takes 1.5 s. It does so under `except ImportError`, as an optional part, and no environment variable turns that
off. Nothing here uses the evaluator loops, so transformers is hidden while `evaluate` is imported.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Make `import name` raise ImportError inside the block; a module that is already loaded comes back after it."""
    loaded = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if loaded is None:
            del sys.modules[name]
        else:
            sys.modules[name] = loaded


with _hidden("transformers"):
    import evaluate

__all__ = ["evaluate"]
