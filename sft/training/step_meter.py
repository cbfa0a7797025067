"""How fast the steps of a training are, and how much memory they take."""

import contextlib
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any

import torch

from sft.processes.environment import peak_gpu_bytes, peak_rss_bytes


class StepMeter:
    """Counts the tokens of micro-batches, and the wall time of their steps without what lies between them.

    Tokens are summed where the batch is and read when a point is made, so that no step waits for the device.
    """

    def __init__(self, tokens: int = 0, seconds: float = 0.0) -> None:
        """
        Args:
            tokens: counted since the last point by an earlier piece of the training.
            seconds: their steps took.
        """
        self._tokens: int | torch.Tensor = tokens
        self._seconds = seconds
        self._since: float | None = None

    @property
    def tokens(self) -> int:
        """Tokens since the last point, of prompts and answers, without padding; waits for the device."""
        return int(self._tokens)

    @property
    def seconds(self) -> float:
        """Wall time of the steps since the last point."""
        return self._seconds + (0.0 if self._since is None else perf_counter() - self._since)

    def add(self, inputs: Mapping[str, Any]) -> None:
        """Count a micro-batch; the clock starts with the first one.

        Args:
            inputs: as the model gets them; without a mask there is no padding.
        """
        if self._since is None:
            self._since = perf_counter()
        mask = inputs.get("attention_mask")
        self._tokens = self._tokens + (inputs["input_ids"].numel() if mask is None else mask.sum())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time of what is no step: an evaluation, the writing of a checkpoint."""
        is_running, self._seconds, self._since = self._since is not None, self.seconds, None
        try:
            yield
        finally:
            self._since = perf_counter() if is_running else None

    def point(self) -> dict[str, float]:
        """What a log entry says of the steps since the last point; counting begins anew.

        Returns:
            `tokens_per_second`; `peak_rss_bytes` and, on a GPU, `peak_gpu_bytes`: the most that this process has had.
        """
        tokens, seconds, gpu = self.tokens, self.seconds, peak_gpu_bytes()
        self._tokens, self._seconds = 0, 0.0
        self._since = None if self._since is None else perf_counter()
        speed = {"tokens_per_second": tokens / seconds} if seconds else {}
        return {**speed, "peak_rss_bytes": peak_rss_bytes(), **({} if gpu is None else {"peak_gpu_bytes": gpu})}
