"""`python -m tests.support.ray_cluster`: two nodes of Ray on this machine, until its input ends.

The second node alone has a GPU, which is none: it is only counted. `lose` as input ends that node as if its machine
had gone, `add` brings another one, `behead` ends the head; each is answered by a line.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "of-this-test",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
    "RAY_worker_niceness": "0",
}
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}


def is_missing() -> bool:
    """Whether Ray is not installed."""
    return importlib.util.find_spec("ray") is None


@dataclass(frozen=True)
class Nodes:
    """The two nodes, as a test sees them."""

    environment: dict[str, str]
    """With which a run finds the cluster."""
    tell: Callable[[str], Any]
    """Have the second node be lost or added again, or the head be lost; returns when that is done."""


@contextlib.contextmanager
def two_nodes() -> Iterator[Nodes]:
    """Start the cluster, and end it with the block."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SFT_")}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_cluster"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=own | ENVIRONMENT,
        cwd=Path(__file__).parents[2],
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def tell(what: str) -> Any:
            asked.write(f"{what}\n")
            asked.flush()
            return json.loads(answers.readline())

        address = tell("address")
        yield Nodes({**ENVIRONMENT, "RAY_ADDRESS": address}, tell)
        asked.close()


def main() -> None:
    """Start both nodes, then do what is asked."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        os.environ["RAY_TMPDIR"] = folder  # before it is imported
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_gpus": 0})
        second = cluster.add_node(**NODE, num_gpus=1)
        for line in sys.stdin:
            if line.strip() == "lose":
                cluster.remove_node(second, allow_graceful=False)
            elif line.strip() == "add":
                second = cluster.add_node(**NODE, num_gpus=1)
            elif line.strip() == "behead":
                cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
            answers.write(f"{json.dumps(cluster.address)}\n")
            answers.flush()
        cluster.shutdown()


if __name__ == "__main__":
    main()
