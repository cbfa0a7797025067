"""Translation: the answer says in another language what the input says."""

from sft.tasks.free_text import free_text_task

TASK = free_text_task(
    "translation",
    ("seq2seq", "causal_lm"),
    default_metrics=("bleu", "chrf"),
    baselines=("copy",),
    instruction="Translate the text into {column}. Answer with nothing else.",
)
