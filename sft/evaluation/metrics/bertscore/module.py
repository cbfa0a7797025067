"""BERTScore as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

from sft.evaluation.metrics.base import OfflineMetric


class BertScore(OfflineMetric):
    """Mean BERTScore F1; precision and recall stand under the details."""

    needs = "texts"

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        bertscore_lang: str,
        bertscore_model: str | None,
        bertscore_layers: int | None,
    ) -> dict[str, Any]:
        from bert_score import score  # type: ignore[import-not-found, unused-ignore]

        precision, recall, f1 = score(
            list(predictions),
            list(references),
            lang=bertscore_lang,
            model_type=bertscore_model,
            num_layers=bertscore_layers,
        )
        details = {"precision": float(precision.mean()), "recall": float(recall.mean())}
        return {"bertscore": float(f1.mean()), "bertscore_details": details}
