"""What an experiment's numbers are worth: the same shots and evaluated rows, without any language model."""

from sft.registry import Registry

MAJORITY = "majority class"

baseline_registry: Registry = {
    MAJORITY: "sft.evaluation.baselines.labelled:MAJORITY_CLASS",
    "TF-IDF + logistic regression": "sft.evaluation.baselines.labelled:TFIDF_REGRESSION",
    "embeddings + logistic regression": "sft.evaluation.baselines.embeddings:EMBEDDING_REGRESSION",
    "most frequent label set": "sft.evaluation.baselines.sets:FREQUENT_SET",
    "TF-IDF one-vs-rest": "sft.evaluation.baselines.sets:TFIDF_ONE_VS_REST",
    "lead sentence": "sft.evaluation.baselines.written:LEAD_SENTENCE",
    "copy": "sft.evaluation.baselines.written:COPY",
}
"""Name on the board -> what it is (`sft.evaluation.baselines.entry.Baseline`); a task type names those it has."""
