"""The files in which a leaderboard is written."""

from sft.registry import Registry

report_format_registry: Registry = {
    "csv": "sft.reporting.formats.csv:FORMAT",
    "html": "sft.reporting.page.rendering:FORMAT",
    "json": "sft.reporting.formats.json:FORMAT",
    "markdown": "sft.reporting.formats.markdown:FORMAT",
}
