"""Generation: the answer is free text."""

from sft.tasks.free_text import free_text_task

TASK = free_text_task(
    "generation",
    ("causal_lm", "seq2seq"),
    default_metrics=("rougeL", "rouge1", "rouge2", "bleu", "chrf", "exact_match"),
)
