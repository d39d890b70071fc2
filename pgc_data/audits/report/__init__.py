"""The files of an audit: `audit.json`, the charts, and `report.html`, one page that needs nothing else."""

from __future__ import annotations

from pgc_data.audits.report.files import JSON_NAME, PAGE_NAME, write_report

__all__ = ["JSON_NAME", "PAGE_NAME", "write_report"]
