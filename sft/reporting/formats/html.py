"""`leaderboard.html`: one page with tables, charts and the details of experiments, for people."""

from sft.reporting.formats.report_format import ReportFormat
from sft.reporting.page.rendering import page_text

FORMAT = ReportFormat(ending="html", render=page_text)
