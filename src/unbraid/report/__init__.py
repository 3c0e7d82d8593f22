"""Run folders to one self-contained page."""

from unbraid.report.page import report

__all__ = ["report"]
