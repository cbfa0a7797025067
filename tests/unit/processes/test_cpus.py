"""The CPUs that affinity and quotas leave; the files of the system are made here."""

from pathlib import Path

import pytest

from sft.processes.cpus import cpu_quota, usable_cpus


def system(folder: Path, line: str, **files: str) -> tuple[Path, Path]:
    """`/proc` with this line about the process, and control groups: path, `/` as `__` -> text."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(line)
    for name, text in files.items():
        path = folder / "cgroup" / name.replace("__", "/").replace("cpu_max", "cpu.max").replace("cpu_cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "proc", folder / "cgroup"


@pytest.mark.parametrize(
    ("line", "files", "quota"),
    [
        ("0::/pod/me\n", {"pod__me__cpu_max": "250000 100000\n"}, 2.5),
        ("0::/pod/me\n", {"pod__me__cpu_max": "max 100000\n"}, None),
        ("0::/pod/me\n", {"pod__me__cpu_max": "max 100000\n", "pod__cpu_max": "150000 50000\n"}, 3.0),
        ("0::/a/b/c\n", {"a__b__c__cpu_max": "400000 100000\n", "a__cpu_max": "100000 100000\n"}, 1.0),
        ("0::/outside/name\n", {"cpu_max": "200000 100000\n"}, 2.0),
        ("0::/../beside\n", {"cpu_max": "200000 100000\n"}, 2.0),
        (
            "5:cpu,cpuacct:/job\n0::/\n",
            {"cpu__job__cpu_cfs_quota_us": "300000\n", "cpu__job__cpu_cfs_period_us": "100000\n"},
            3.0,
        ),
        (
            "5:cpuacct,cpu:/job/step\n",
            {"cpuacct,cpu__job__cpu_cfs_quota_us": "50000\n", "cpuacct,cpu__job__cpu_cfs_period_us": "100000\n"},
            0.5,
        ),
        ("5:cpu:/\n", {"cpu__cpu_cfs_quota_us": "-1\n", "cpu__cpu_cfs_period_us": "100000\n"}, None),
        ("4:memory:/job\n", {"cpu__job__cpu_cfs_quota_us": "1\n", "cpu__job__cpu_cfs_period_us": "1\n"}, None),
        ("", {}, None),
    ],
)
def test_the_quota_is_the_least_of_all_groups_above(
    tmp_path: Path, line: str, files: dict[str, str], quota: float | None
) -> None:
    assert cpu_quota(*system(tmp_path, line, **files)) == quota


@pytest.mark.parametrize(
    ("allowed", "written", "usable"),
    [(8, "250000 100000", 2), (8, "50000 100000", 1), (2, "400000 100000", 2), (8, "max 100000", 8), (8, "", 8)],
)
def test_what_is_usable_is_no_more_than_the_affinity_and_than_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int, written: str, usable: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(allowed)))
    assert usable_cpus(*system(tmp_path, "0::/me\n", me__cpu_max=written)) == usable
