"""Text: a column is trained whole, with no prompt before it, and measured by how probable the model finds it."""

from sft.tasks.free_text import no_labels, reference
from sft.tasks.task import Task

TASK = Task(
    name="text",
    objectives=("causal_lm",),
    output="token_sums",
    settings=frozenset(),
    counts_per_label=False,
    default_metrics=("perplexity",),
    label_set=no_labels,
    answer=reference,
    reads="whole",
)
