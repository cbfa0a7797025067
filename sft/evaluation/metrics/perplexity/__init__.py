"""Perplexity: e to the mean of -ln p(token) over the tokens of all rows, 1 and up; lower is better.

Each token counts the same, whichever row it is in; the first of a row counts where the tokenizer puts a token before
it. Models with different tokenizers count different tokens, so that their numbers cannot be compared.
"""

from sft.evaluation.metrics.entry import MetricEntry

METRIC = MetricEntry(
    results=("perplexity",),
    module="sft.evaluation.metrics.perplexity.module:Perplexity",
    needs="token_sums",
    task_types=frozenset({"text"}),
    range=(1.0, None),
    row_sums="sft.evaluation.metrics.perplexity.row_sums:perplexity_sums",
    higher_is_better=False,
)
