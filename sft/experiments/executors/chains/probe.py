"""A small job before the first one of a run: whether the machines of a cluster see the results folder."""

import contextlib
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sft.exceptions import MachineError
from sft.experiments.executors.chains.asking import Asking
from sft.experiments.executors.chains.cluster import Cluster, Seen
from sft.experiments.executors.chains.options import seen_from_nodes
from sft.experiments.executors.guarded_process import worker_command
from sft.experiments.executors.protocol import Request
from sft.runs.atomic import write_json
from sft.runs.attempts import last_line
from sft.runs.exit_codes import UNSEEN
from sft.runs.file_systems import look_anew
from sft.runs.files import ResultsFolder
from sft.runs.records import read_json_or_none

SECONDS = 60.0
"""That it is expected to take."""
GRACE = 5.0
LOOK_SECONDS = 2.0


class Probe:
    """A job that shows whether one machine of a cluster sees the results folder; the answer is kept for later runs."""

    def __init__(
        self,
        cluster: Cluster,
        asking: Asking,
        results: ResultsFolder,
        patience: float,
        written: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            cluster: whose machines are meant.
            asking: how it answers.
            results: the results folder.
            patience: seconds for which the answer of a job that has ended may take to appear.
            written: options of the cluster, which say where its machines see the folder.
        """
        self._cluster = cluster
        self._asking = asking
        self._results = results
        self._patience = patience
        self._written = written or {}
        place = str(seen_from_nodes(results.path, results, self._written))
        told = {"executor": cluster.name, "path": place, "places": dict(cluster.places or {})}
        self._told: dict[str, Any] = told
        key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
        self._record = results.probes / f"{key}.json"
        self._nonce = secrets.token_hex(8)
        self._name = f"sft-probe-{self._nonce}"
        self._question = results.probes / f"{self._nonce}.json"
        self._request = Request()
        self._id: str | None = None
        self._was_tried = False
        self._seen = Seen("queued")
        self._gone_since: float | None = None
        self._next_look = 0.0
        known = read_json_or_none(self._record)
        self.is_shown = cluster.places is None or (isinstance(known, dict) and known.get("told") == told)
        """Whether its machines see the folder."""

    def start(self, request: Request, say: Callable[[str], None]) -> None:
        """Write the question that a machine is to find; it is submitted at the next look.

        Args:
            request: the least that a job of the run asks for.
            say: called with a line for the user.
        """
        self._request = Request(request.gpus, has_model=request.has_model, seconds=SECONDS)
        write_json(self._question, {"nonce": self._nonce})
        say(
            f"{self._cluster.name}: waiting for a small first job ({self._name}), which shows whether its machines "
            f"see {self._results.path}"
        )

    def look(self, now: float) -> None:
        """Take the next step.

        Raises:
            MachineError: a machine does not see the folder, or cannot run anything.
        """
        if self.is_shown:
            return
        self._look_for_answer()
        if self.is_shown or now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        if self._id is None:
            self._submit()
            return
        identity = self._id
        told = self._asking.ask(lambda: self._cluster.look([identity]))
        if told is None:
            return
        self._seen = told.get(identity, Seen("ended"))
        if self._seen.needs_person and self._seen.waits_for is not None:
            self._asking.tell_waits(self._seen.waits_for)
        if self._seen.standing != "ended":
            self._gone_since = None
            return
        self._gone_since = now if self._gone_since is None else self._gone_since
        is_told = self._seen.error is not None or self._seen.code not in (None, 0)
        if is_told or now >= self._gone_since + self._patience:
            why = self._why()
            self.close()
            raise MachineError(why)

    def close(self) -> None:
        """End it, and take away what it left."""
        if self.is_shown:
            return
        if self._id is not None and self._gone_since is None:
            identity = self._id
            self._asking.ask(lambda: self._cluster.cancel([identity]))
        self._clear()

    def _submit(self) -> None:
        if self._was_tried:
            self._id = self._asking.ask(lambda: self._cluster.find(self._name))
            if self._id is not None or self._asking.is_silent:
                return
        command = worker_command("--probe", str(seen_from_nodes(self._question, self._results, self._written)))
        log = seen_from_nodes(self._log, self._results, self._written)
        self._id = self._asking.submit(
            lambda: self._cluster.submit(self._name, command, log, self._request, GRACE), others=False
        )
        self._was_tried = True

    def _look_for_answer(self) -> None:
        look_anew(self._results.probes)
        answer = read_json_or_none(self._question.with_suffix(".seen"))
        if not isinstance(answer, dict) or answer.get("nonce") != self._nonce:
            return
        write_json(self._record, {"told": self._told, "host": str(answer.get("host"))})
        self.is_shown = True
        self._clear()

    def _why(self) -> str:
        """Why nothing can run there, in one line."""
        cluster, seen, said = self._cluster.name, self._seen, last_line(self._log)
        on = f" on {seen.host}" if seen.host else ""
        error = seen.error
        if seen.ended_as == "interrupted":
            return f"{cluster}: the first job of this run was cancelled{on}, so that nothing was started; run it again"
        if seen.code not in (None, 0, UNSEEN):
            last = f": {said}" if said else ""
            return f"{cluster}: the first job of this run ended{on} with code {seen.code}{last}; {NEED}"
        if error is not None and error.kind != "refused":
            return f"{cluster}: the first job of this run failed{on}, and nothing else was started: {error.message}"
        detail = said if error is None else error.message
        told = f" ({detail})" if detail else ""
        return f"{self._results.path}: a job of {cluster}{on} does not see this results folder{told}; {SHARED}"

    @property
    def _log(self) -> Path:
        return self._question.with_suffix(".log")

    def _clear(self) -> None:
        for path in (self._question, self._question.with_suffix(".seen"), self._log):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


NEED = "every node needs this environment (docs/scale.md)"
SHARED = (
    "choose a --results-path on a file system that all nodes have at this path, or say with the executor "
    "option results_path=PATH where they have it"
)
