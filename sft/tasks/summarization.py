"""Summarization: the answer is a short text that says what a long one holds."""

from sft.tasks.free_text import free_text_task

TASK = free_text_task(
    "summarization",
    ("seq2seq", "causal_lm"),
    default_metrics=("rougeLsum", "rouge1", "rouge2"),
    baselines=("lead sentence", "copy"),
    instruction="Sum up the text in one short sentence. Answer with nothing else.",
)
