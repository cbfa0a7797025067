"""The options of `sft leaderboard`."""

from pathlib import Path
from typing import Annotated

import typer

Folders = Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="One or several results folders.")]
To = Annotated[Path | None, typer.Option(help="Folder to write to; needed when several are joined.")]
Full = Annotated[
    bool, typer.Option("--full", help="Intervals and tests of all groups; else of the 50 best of each board.")
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
NoTexts = Annotated[
    bool, typer.Option("--no-texts", help="Leave texts of the data out of leaderboard.html; label names stay.")
]
Figures = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the charts there as SVG files.")]
