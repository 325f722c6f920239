"""report.json as one self-contained HTML page."""

from typing import Any


def render_html(report: dict[str, Any], timings: dict[str, Any]) -> str:
    """The page."""
    return f"<html><body><pre>{report['run']} {timings['seconds']}</pre></body></html>"
