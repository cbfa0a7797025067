"""BERTScore as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.entry import PER_ROW
from sft.exceptions import UserError
from sft.models.references import loading_error


class BertScore(OfflineMetric):
    """Mean BERTScore F1; precision and recall stand under the details."""

    needs = "texts"

    @classmethod
    def require(cls, bertscore_lang: str = "en", bertscore_model: str | None = None, **_options: Any) -> None:
        """Check that the encoder is there, by its configuration."""
        from bert_score.utils import lang2model  # type: ignore[import-not-found, unused-ignore]
        from transformers import AutoConfig

        name = bertscore_model or lang2model[bertscore_lang]
        try:
            AutoConfig.from_pretrained(name, trust_remote_code=False)
        except (OSError, ValueError) as error:
            text = f"metric 'bertscore': no encoder can be read from {name!r}: {' '.join(str(error).split())}"
            raise loading_error(name, error) or UserError(text, kind="model") from error

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
        rows = {"bertscore": np.array(f1, dtype=np.float64)}
        return {"bertscore": float(rows["bertscore"].mean()), "bertscore_details": details, PER_ROW: rows}
