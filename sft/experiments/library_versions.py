"""Library versions that changed since a stage was finished: told, never a reason to run it again."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sft.pipeline.jobs import PlannedJob
from sft.runs.environment import versions
from sft.runs.files import JobFolder
from sft.runs.records import StageName, read_json_or_none
from sft.wording import counted

READ_STAGES = 1000
"""Finished stages that are read; of more, that many evenly."""


def version_warnings(finished: Sequence[PlannedJob]) -> list[str]:
    """One line per stage, library and version that is no longer the one installed."""
    installed = versions()
    step = -(-len(finished) // READ_STAGES) or 1
    found: Counter[tuple[StageName, str, str]] = Counter()
    for job in finished[::step]:
        for package, version in recorded_versions(job.folder, job.record.stage).items():
            if installed.get(package) != version:
                found[job.record.stage, package, version] += 1
    return [
        f"{counted(number, f'finished {stage} stage')} used {package} {version}, installed is "
        f"{installed.get(package, 'none')}; results are kept (a stage whose folder is deleted runs again)"
        for (stage, package, version), number in found.items()
    ]


def recorded_versions(folder: JobFolder, stage: StageName) -> Mapping[str, str]:
    """The versions that a finished stage recorded."""
    paths = {"train": folder.training, "infer": folder.inference, "evaluate": folder.metrics}
    return dict(_texts(read_json_or_none(paths[stage])))


def _texts(record: Any) -> Iterator[tuple[str, str]]:
    environment = record.get("environment") if isinstance(record, dict) else None
    found = environment.get("versions") if isinstance(environment, dict) else None
    for package, version in (found if isinstance(found, dict) else {}).items():
        yield str(package), str(version)
