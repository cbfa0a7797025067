"""What our `evaluate.Metric` classes share: their input types by need, and that they leave no file behind."""

from typing import Any, ClassVar

import datasets

from sft.evaluation.metrics.entry import Needs
from sft.evaluation.metrics.evaluate_library import evaluate


class OfflineMetric(evaluate.Metric):  # type: ignore[misc]
    """A metric of our own: an `evaluate.Metric` that needs neither the hub nor a cache folder.

    Labels come as indices into the label set, because `evaluate` stores its inputs in Arrow, which knows no text with
    lone surrogates, and because an index is unambiguous where labels differ by a space only.
    """

    needs: ClassVar[Needs]

    @classmethod
    def require(cls, **_options: Any) -> None:
        """Check that what the metric reads beside its package is there; most read nothing.

        Raises:
            SftError: it is not.
        """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.__doc__ or "", citation="", inputs_description="", features=_features(self.needs)
        )


def _features(needs: Needs) -> datasets.Features:
    if needs == "texts":
        return datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")})
    numbers = datasets.Sequence(datasets.Value("float64"))
    if needs == "token_sums":
        return datasets.Features({"predictions": numbers, "references": datasets.Value("string")})
    label = datasets.Value("int64")
    if needs == "label_sets":
        return datasets.Features({"predictions": datasets.Sequence(label), "references": datasets.Sequence(label)})
    predictions = numbers if needs == "probabilities" else label
    return datasets.Features({"predictions": predictions, "references": label})
