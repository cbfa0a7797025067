"""What `sft verify` says, in lines."""

from collections.abc import Iterator

from sft.experiments.upkeep.verification import Verification
from sft.terminal.job_story import story
from sft.wording import counted, shown_path, size_text


def verification_lines(verified: Verification) -> list[str]:
    """Each damaged stage with its bad files and what to do, then how much was compared."""
    checked = [counted(verified.jobs, "finished stage"), counted(verified.files, "file"), size_text(verified.n_bytes)]
    outcome = f"{len(verified.damaged)} damaged" if verified.damaged else "all as written"
    return [*_damaged_lines(verified), *verified.warnings, f"{', '.join(checked)}: {outcome}"]


def _damaged_lines(verified: Verification) -> Iterator[str]:
    for job in verified.damaged:
        yield story(job.name, job.key, job.status, "damaged", verified.results)
        yield from (f"  {shown_path(job.folder.path)}/{file}" for file in job.files)
        yield f"  To compute it anew: rm {shown_path(job.folder.manifest)}, then run the grid again"
