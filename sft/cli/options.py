"""The options of `sft leaderboard` and `sft predict`, and those that say how a grid is run."""

from pathlib import Path
from typing import Annotated

import typer

Folders = Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="One or several results folders.")]

All = Annotated[bool, typer.Option("--all", help="Also show what is in no grid any more, marked so.")]

To = Annotated[Path | None, typer.Option(help="Folder to write to; needed when several are joined.")]

Full = Annotated[bool, typer.Option("--full", help="Changes nothing: all groups have intervals and tests.")]

Margin = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="Differences within X, in the metric's own units, count as none; default 2 % of its range."
    ),
]

Metric = Annotated[str | None, typer.Option(metavar="M", help="Show the ranking by another result, such as accuracy.")]

GroupBy = Annotated[
    list[str] | None,
    typer.Option("--group-by", metavar="KEY,...", help="Show means by settings, such as dataset.shots,lora.r."),
]

Diff = Annotated[
    tuple[str, str] | None,
    typer.Option("--diff", metavar="A B", help="Compare two: names, groups, beginnings of ids, or `best`."),
]

Top = Annotated[
    int | None, typer.Option("--top", metavar="N", min=1, help="Show the N best of each board; the files hold all.")
]

Json = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]

NoTexts = Annotated[
    bool,
    typer.Option("--no-texts", help="Leave texts of the data out of leaderboard.html; labels and slices stay named."),
]

Figures = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the charts there as SVG files.")]

Executor = Annotated[
    str | None,
    typer.Option(
        metavar="local|slurm|ray", help="Where stages run; default as the grid says, else on this machine (local)."
    ),
]

ExecutorOption = Annotated[
    list[str] | None,
    typer.Option("--executor-option", metavar="NAME=VALUE", help="Of a cluster (docs/scale.md); may be repeated."),
]

Detach = Annotated[
    bool,
    typer.Option(
        "--detach", help="Submit all to the queue of slurm and leave; the same command collects it (docs/scale.md)."
    ),
]

Jobs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Stages at the same time; default one per GPU slot (those without GPU come on top), 1 on a CPU.",
    ),
]

Gpus = Annotated[
    str, typer.Option(metavar="0,1|none|all", help="GPUs to use, of those that CUDA_VISIBLE_DEVICES allows.")
]

JobsPerGpu = Annotated[int, typer.Option(metavar="N", help="Stages that share a GPU.")]

Start = Annotated[
    str,
    typer.Option(metavar="auto|warm|fresh", help="Processes forked from a preloaded server, fresh, or as is safe."),
]

Timeout = Annotated[float | None, typer.Option(metavar="SECONDS", help="Longest time of a stage; default no limit.")]

StallTimeout = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Longest time of a stage without progress; default no limit.")
]

StartTimeout = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Longest time of a process's imports; default learnt, at least 120."),
]

ForkTimeout = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Longest start of a forked process; default learnt, at least 20."),
]

Grace = Annotated[float, typer.Option(metavar="SECONDS", help="Between the request to stop and the end by force.")]

Retries = Annotated[int, typer.Option(metavar="N", help="Further tries after a fault that may pass.")]

OnOom = Annotated[
    str, typer.Option("--on-oom", metavar="ladder|fail", help="When memory runs out: try with less, or fail.")
]

FailFast = Annotated[
    bool, typer.Option("--fail-fast/--keep-going", help="Start nothing more after a failure, or go on.")
]

Reuse = Annotated[
    list[Path] | None,
    typer.Option("--reuse", metavar="DIR", help="Another results folder whose finished stages count; repeatable."),
]

RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Run again what failed earlier and would fail the same way.")
]

Tracker = Annotated[
    str | None, typer.Option("--tracker", metavar="NAME", help="Log results, curves and predictions there: mlflow.")
]

ConfigOrId = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|ID",
        help="Without --input a config file (a grid with --only NAME); with it a finished experiment: its name, the "
        "beginning of its id, or `best`.",
    ),
]

NewRows = Annotated[
    Path | None,
    typer.Option("--input", metavar="FILE", help="New rows, without gold: csv, tsv, JSON (Lines), Parquet or xlsx."),
]

Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="With --input; default beside it, new.csv gives new.predictions.jsonl."),
]

PredictionsPath = Annotated[
    Path | None,
    typer.Option(
        "--results-path",
        help="Folder the results go to, default predictions; with --input that of the experiment, default results.",
    ),
]
