"""`python -m tests.gpu [--only PART]`: what only a GPU can show, each part with its verdict and its figures."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sft.processes.visible_gpus import VISIBLE_GPUS, first_only
from tests.gpu.machine import MACHINE_MUST_CHANGE, gpu_missing, packages_missing
from tests.gpu.parts import PARTS, run_parts
from tests.gpu.report import Report

SECONDS = {"cuda": 240.0, "cpu": 1800.0}
"""For all parts together, where `--seconds` is not given."""


def arguments_of(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="a part to run; may be repeated; default all")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write verdicts and figures as JSON")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: shows that this program works")
    parser.add_argument("--tiny", action="store_true", help="a model of two small layers instead of 300 M parameters")
    parser.add_argument("--seconds", type=float, help="in which all parts must be over (cuda: 240, cpu: 1800)")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Run the parts; 0 when none failed, 1 when one did, 5 when the machine cannot run them."""
    asked = arguments_of(words)
    os.environ |= _settings(asked.device)
    reason = packages_missing() or (gpu_missing() if asked.device == "cuda" else None)
    if reason is not None:
        print(reason, file=sys.stderr)
        return MACHINE_MUST_CHANGE
    from tests.gpu.bench import FULL, TINY, make_bench

    report = Report(asked.device, asked.out)
    report.begin("tiny model" if asked.tiny else "300 M parameters")
    seconds = SECONDS[asked.device] if asked.seconds is None else asked.seconds
    with tempfile.TemporaryDirectory(prefix="sft-gpu-", ignore_cleanup_errors=True) as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")  # nothing is left behind on the machine
        run_parts(
            [part for part in PARTS if part in (asked.only or PARTS)],
            lambda: make_bench(Path(folder), asked.device, TINY if asked.tiny else FULL),
            report,
            seconds,
        )
    report.end()
    return 1 if report.has_failed else 0


def _settings(device: str) -> dict[str, str]:
    """Variables of this process and of the commands that it starts: no network, and one GPU as a stage has it."""
    visible = first_only(os.environ.get(VISIBLE_GPUS)) if device == "cuda" else ""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**offline, VISIBLE_GPUS: visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


if __name__ == "__main__":
    sys.exit(main())
