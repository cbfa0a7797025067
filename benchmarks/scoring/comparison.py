"""Both sides on the same cases, one after the other, and whether they agree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.report import Figure
from benchmarks.scoring.cases import Case, Prompts, prompts_of
from benchmarks.scoring.ours import OurSide, Scored
from benchmarks.scoring.peer import PeerSide, peer_side

MOST_APART = 1e-3
"""Nats that two scores of a label may be apart."""
BATCH_SIZES = (1, 4, 8)
"""What lm-eval may choose from; the fastest on a few of a case's sequences is taken."""
TRIAL_SEQUENCES = 8


@dataclass(frozen=True)
class Measured:
    """One case on both sides.

    Attributes:
        prompts: what we scored.
        peer_prompts: what lm-eval scored, the first of them.
        ours: one result per run.
        peer: one result per run.
        batch_size: lm-eval's.
    """

    prompts: Prompts
    peer_prompts: Prompts
    ours: Sequence[Scored]
    peer: Sequence[Scored]
    batch_size: int

    @property
    def seconds(self) -> tuple[float, float]:
        """Ours and lm-eval's, the median of each."""
        return median(run.seconds for run in self.ours), median(run.seconds for run in self.peer)

    @property
    def apart(self) -> float:
        """How far two scores of a label are apart at most, in nats."""
        theirs = self.peer[0].scores
        return float(np.abs(self.ours[0].scores[: len(theirs)] - theirs).max())

    @property
    def same_best(self) -> int:
        """On how many of lm-eval's tweets both prefer the same label."""
        theirs = self.peer[0].scores
        return int((self.ours[0].scores[: len(theirs)].argmax(axis=1) == theirs.argmax(axis=1)).sum())

    @property
    def agreed_accuracy(self) -> float:
        """The accuracy on what both scored.

        Raises:
            RuntimeError: the sides differ in it, or in a score.
        """
        theirs = self.peer[0].scores
        both = (self.ours[0].scores[: len(theirs)], theirs)
        first, second = (self.peer_prompts.accuracy(scores.tolist()) for scores in both)
        if first != second or not self.apart <= MOST_APART:
            raise RuntimeError(f"accuracy {first} and {second}, scores apart by {self.apart} nats")
        return first


def compared(cases: Sequence[Case], folder: Path) -> Iterator[Figure]:
    """The figures of each case."""
    ours = OurSide()
    with peer_side(folder) as peer:
        for case in cases:
            prompts = prompts_of(case)
            measured = _measure(case, prompts, ours, peer)
            yield from _figures(case, measured)
            if case.peer_tweets is not None:
                seconds = ours.score(measured.peer_prompts).seconds
                name = f"the same, the {_tweets(case.peer_tweets)} of lm-eval alone: lm-eval / sft"
                yield Figure(name, measured.seconds[1] / seconds, "x", f"sft {seconds:.3g} s")


def _measure(case: Case, prompts: Prompts, ours: OurSide, peer: PeerSide) -> Measured:
    """Ours, lm-eval's, and so on by turns; ours at the end again."""
    peer_prompts = prompts.first(case.peer_tweets or case.tweets)
    ours.warm_up(prompts)
    batch_size = _fastest(peer, peer_prompts)
    our_runs, peer_runs = [], []
    for _ in range(case.rounds):
        our_runs.append(ours.score(prompts))
        peer_runs.append(peer.score(peer_prompts, batch_size))
    our_runs.append(ours.score(prompts))
    return Measured(prompts, peer_prompts, our_runs, peer_runs, batch_size)


def _fastest(peer: PeerSide, prompts: Prompts) -> int:
    """The batch size with which lm-eval is fastest on a few sequences; what it does once is not in that."""
    # It runs labels of one token as one sequence for all of them.
    sequences = 1 if all(len(answer) == 1 for answer, _ in prompts.label_ids) else len(prompts.labels)
    trial = prompts.first(-(-TRIAL_SEQUENCES // sequences))
    if sequences > 1:
        trial = trial.first_labels(TRIAL_SEQUENCES)
    peer.score(trial.first(1).first_labels(1), 1)
    return min(BATCH_SIZES, key=lambda size: peer.score(trial, size).seconds)


def _figures(case: Case, measured: Measured) -> Iterator[Figure]:
    seconds, peer_seconds = measured.seconds
    accuracy = measured.agreed_accuracy
    count = len(measured.peer_prompts.ids)
    scaled = measured.prompts.sequence_tokens / measured.peer_prompts.sequence_tokens
    all_tweets = measured.prompts.accuracy(measured.ours[0].scores.tolist())
    note = f"median of {len(measured.ours)}; accuracy {all_tweets:.3g}"
    yield Figure(f"{case.name}: sft", seconds, "s", note)
    note = f"batches of {measured.batch_size}, the fastest of {', '.join(map(str, BATCH_SIZES))}; "
    if count < case.tweets:
        note += f"measured on {_tweets(count)} ({peer_seconds:.3g} s), scaled by tokens; "
    yield Figure(f"{case.name}: lm-eval", scaled * peer_seconds, "s", f"{note}accuracy {accuracy:.3g}")
    note = "" if case.target is None else f"wanted: {case.target:g}; "
    note += f"same accuracy; same best label on {measured.same_best} of {_tweets(count)}; "
    note += f"scores at most {measured.apart:.1g} nats apart"
    yield Figure(f"{case.name}: lm-eval / sft", scaled * peer_seconds / seconds, "x", note)


def _tweets(count: int) -> str:
    return "1 tweet" if count == 1 else f"{count} tweets"
