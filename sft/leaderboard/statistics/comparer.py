"""The one place that chooses how two set-ups are compared: which test, which interval, and what it may be called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, isfinite

from sft.leaderboard.records import (
    BETTER,
    EQUIVALENT,
    LEVEL,
    NOT_TOLD_APART,
    ROWS,
    ROWS_AND_SEEDS,
    WORSE,
    Comparison,
    Interval,
    Needed,
)
from sft.leaderboard.statistics.formulas import CONFIDENCE, POWER, holm, normal_quantile
from sft.leaderboard.statistics.moderation import Prior, SeedVariance, least_row_variance, least_variance, prior_of
from sft.leaderboard.statistics.seed_clusters import ALONE, CONTEXTS, Difference, SeedClusters, kind_of
from sft.leaderboard.statistics.uncertainty import (
    Bounds,
    PairedShares,
    Resampled,
    RowsAndSeeds,
    Uncertainty,
    within_range,
)

_ROUNDING = 1e-9
"""Of floats, relative: less of a spread is none."""


@dataclass(frozen=True)
class Scale:
    """What a metric's numbers mean.

    Attributes:
        higher_is_better: its direction.
        margin: differences within it make no difference to the user; None: nobody says.
        bounds: the least and the greatest value; None where nobody says.
        step: the least by which it changes with one row; 0 for a continuous one.
    """

    higher_is_better: bool = True
    margin: float | None = None
    bounds: Bounds | None = None
    step: float = 0.0

    @property
    def width(self) -> float | None:
        """Of a metric that has both bounds."""
        if self.bounds is None or self.bounds[1] is None:
            return None
        width = self.bounds[1] - self.bounds[0]
        return width if isfinite(width) else None


@dataclass(frozen=True)
class Finding:
    """A comparison before it is corrected for the others of its family."""

    uncertainty: Uncertainty
    difference: float
    n_seeds: int
    n_pairs: int
    runs_only: bool
    rows: float
    """Variance of the difference over test rows."""
    seeds: float
    """Variance of the difference over seeds."""
    n_each: int
    """Seeds of which that is the variance of a mean: those in common, else the fewer of the two sides."""


@dataclass(frozen=True)
class Comparer:
    """Compares set-ups of one board by one metric.

    Attributes:
        scale: of the metric.
        n_rows: test rows.
        priors: what is usual of variances over seeds, by their kind.
    """

    scale: Scale
    n_rows: int
    priors: Mapping[str, Prior] = field(default_factory=dict)

    def with_priors(self, known: Iterable[Sequence[Difference]]) -> "Comparer":
        """The same with what is usual in these means of differences, each kind apart, beside what is known already."""
        found: dict[str, list[SeedVariance]] = {}
        for pairs in known:
            clusters = SeedClusters.of(pairs)
            if clusters.n_seeds > 1 and len(clusters.sources()) == 1:
                found.setdefault(kind_of(pairs), []).append(clusters.variance_of_one(clusters.sources()[0]))
        least = least_variance(self.scale.step)
        usual = {kind: prior_of(variances, least) for kind, variances in found.items()}
        return replace(self, priors={**usual, **self.priors})

    def mean(self, pairs: Sequence[Difference]) -> Finding:
        """The mean of at least one difference and how sure it is: pairs that share a seed stand or fall together."""
        clusters = SeedClusters.of(pairs)
        rows = max(float(clusters.samples.var()), least_row_variance(self.scale.step))
        if clusters.n_seeds > 1:
            seeds = tuple(self._moderated(clusters, levels, kind_of(pairs)) for levels in clusters.sources())
            rows = max(rows - clusters.rows_in_seeds, 0.0)
            return self._finding(clusters, RowsAndSeeds(clusters.mean, rows, seeds, "t"))
        usual = self._usual(pairs) if clusters.n_seeds == 1 else SeedVariance(0.0, 0.0)
        if usual.freedom >= 1:
            return self._finding(clusters, RowsAndSeeds(clusters.mean, rows, (usual,), "t-one-seed"))
        found = _of_rows(pairs, clusters, self.n_rows, rows)
        return replace(self._finding(clusters, found), runs_only=clusters.n_seeds == 1)

    def apart(self, first: Sequence[Difference], second: Sequence[Difference]) -> Finding | None:
        """Two set-ups that share no seed: each with its own variance over seeds; None where one of them tells none.

        Args:
            first: the runs of one, each beside nothing.
            second: those of the other.
        """
        sides = [SeedClusters.of(side) for side in (first, second)]
        prior = self.priors.get(ALONE, Prior())
        sources = []
        for side in sides:
            if side.n_seeds == 1 and prior.freedom == 0:
                return None
            if side.n_seeds == 1:
                sources.append(SeedVariance(prior.variance, prior.freedom))
            else:
                sources += [self._moderated(side, levels, ALONE) for levels in side.sources()]
        difference = sides[0].mean - sides[1].mean
        rows = max(float((sides[0].samples - sides[1].samples).var()), least_row_variance(self.scale.step))
        rows = max(rows - sum(side.rows_in_seeds for side in sides), 0.0)
        found = RowsAndSeeds(difference, rows, tuple(sources), "t-different-seeds")
        seeds = sum(source.variance for source in sources)
        n_each = min(max(side.n_seeds, 1) for side in sides)
        return Finding(found, difference, 0, len(first) + len(second), False, found.rows, seeds, n_each)

    def interval(self, runs: Sequence[Difference]) -> tuple[Interval, str]:
        """The 95 % interval of the mean of a set-up's runs, each beside nothing, and what it covers."""
        found = self.mean(runs)
        interval = within_range(found.uncertainty, found.difference, self.scale.bounds, self.n_rows)
        return interval, covered(found)

    def family(self, findings: Sequence[Finding | None], count: int | None = None) -> list[Comparison | None]:
        """Comparisons that are reported together, corrected for their number.

        Args:
            findings: of the family; None stays None.
            count: how many comparisons there are where only some are reported.
        """
        known = [finding for finding in findings if finding is not None]
        corrected = iter(holm([finding.uncertainty.p for finding in known], count))
        return [None if finding is None else self._comparison(finding, next(corrected)) for finding in findings]

    def _usual(self, pairs: Sequence[Difference]) -> SeedVariance:
        """What is usual of the mean of one seed's differences; without freedom where nothing tells.

        Several contexts that share a seed vary at most as much as one of them.
        """
        contexts = self.priors.get(kind_of(pairs), Prior())
        if kind_of(pairs).startswith(CONTEXTS) and contexts.freedom > 0:
            return SeedVariance(contexts.variance / len(pairs), contexts.freedom)
        single = self.priors.get(pairs[0].kind, Prior())
        return SeedVariance(single.variance, single.freedom)

    def _moderated(self, clusters: SeedClusters, levels: Sequence[int], kind: str) -> SeedVariance:
        """What one source of seeds adds to the variance of the mean; of several sources none borrows."""
        prior = self.priors.get(kind, Prior()) if len(clusters.sources()) == 1 else Prior()
        found = prior.moderated(clusters.variance_of_one(levels), least_variance(self.scale.step))
        return replace(found, variance=found.variance / clusters.runs_per_mean(levels))

    def _finding(self, clusters: SeedClusters, found: Uncertainty) -> Finding:
        rows, seeds = found.standard_error**2, 0.0
        if isinstance(found, RowsAndSeeds):
            rows, seeds = found.rows, sum(source.variance for source in found.seeds)
        n_seeds = max(1, clusters.n_seeds)
        return Finding(found, clusters.mean, n_seeds, clusters.n_pairs, False, rows, seeds, n_seeds)

    def _comparison(self, finding: Finding, p_holm: float) -> Comparison:
        found = finding.uncertainty
        interval = found.interval(CONFIDENCE)
        if (width := self.scale.width) is not None:
            interval = Interval(max(interval.low, -width), min(interval.high, width))
        return Comparison(
            difference=finding.difference,
            interval=interval,
            p=found.p,
            p_holm=p_holm,
            mark=self._mark(finding, p_holm),
            test=found.test,
            covers=covered(finding),
            runs_only=finding.runs_only,
            n_seeds=finding.n_seeds,
            n_pairs=finding.n_pairs,
            detectable=found.detectable,
            needed=self._needed(finding),
        )

    def _mark(self, finding: Finding, p_holm: float) -> str:
        has_spread = finding.uncertainty.standard_error > _ROUNDING * max(1.0, abs(finding.difference))
        if finding.runs_only or not has_spread:  # without any, how much there is was not seen
            return NOT_TOLD_APART
        margin = self.scale.margin
        inner = finding.uncertainty.interval(1 - 2 * LEVEL)
        if margin is not None and -margin <= inner.low and inner.high <= margin:
            return EQUIVALENT
        if p_holm >= LEVEL:
            return NOT_TOLD_APART
        return BETTER if (finding.difference > 0) == self.scale.higher_is_better else WORSE

    def _needed(self, finding: Finding) -> Needed | None:
        """No fewer than there are; more seeds where these suffice, else as much from rows as from seeds.

        Quantiles are normal ones, as more seeds know their variance.
        """
        if not self.scale.margin or finding.runs_only:
            return None
        target = (self.scale.margin / (normal_quantile(1 - LEVEL / 2) + normal_quantile(POWER))) ** 2
        from_rows = min(finding.rows, target / 2 if finding.seeds else target)
        n_seeds = finding.n_each
        if finding.seeds:
            n_seeds = max(n_seeds, ceil(n_seeds * finding.seeds / (target - from_rows)))
        rows = ceil(self.n_rows * finding.rows / from_rows) if from_rows else self.n_rows
        return Needed(rows, n_seeds)


def covered(finding: Finding) -> str:
    """The sources of chance that a finding is over."""
    found = finding.uncertainty
    return ROWS_AND_SEEDS if isinstance(found, RowsAndSeeds) and found.seeds else ROWS


def _of_rows(pairs: Sequence[Difference], clusters: SeedClusters, n_rows: int, least: float) -> Uncertainty:
    """Test rows are the only source of chance: shares of one pair by counts, all else by resampling."""
    if len(pairs) == 1 and (outcomes := pairs[0].outcomes) is not None:
        own, other = outcomes
        return PairedShares(n_rows, int((own & ~other).sum()), int((other & ~own).sum()))
    if clusters.samples.var() < least:
        return RowsAndSeeds(clusters.mean, least, (), "bootstrap")
    return Resampled(clusters.mean, clusters.samples)
