"""The `evaluation` section: which metrics are computed, and their arguments."""

from typing import Annotated

from pydantic import ConfigDict, Field

from sft.config.section import Section


class EvaluationConfig(Section):
    """Which metrics are computed; any other key must be an argument of a chosen metric."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, use_attribute_docstrings=True)

    metrics: Annotated[list[str], Field(min_length=1)] | None = None
    """Names of metrics, the first ranks; default by task type."""

    tokenizer_name: str | None = None
    """Hub or local tokenizer that splits words for BLEU and ROUGE; default theirs."""

    baseline_encoder: str | None = None
    """Hub id or folder of a sentence-embedding model, whose embeddings of the shots a third baseline of classification
    learns from by logistic regression; default none. Needs the package sentence-transformers."""

    slices: list[str] | None = None
    """Columns whose values are scored apart, by the metric that ranks; default none."""

    strict_leaks: bool = False
    """A shot or in-context example found among the evaluated rows is an error; default false. In no id."""
