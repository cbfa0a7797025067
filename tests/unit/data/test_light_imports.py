import subprocess
import sys

HEAVY = ("torch", "transformers", "datasets", "pandas", "pyarrow", "huggingface_hub", "numpy")


def test_reading_modules_import_nothing_heavy() -> None:
    code = (
        "import sys, sft.data.loading, sft.data.selection, sft.data.in_context, sft.data.leaks, sft.labels.label_set\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
