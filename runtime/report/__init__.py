"""The HTML page of a simulation: one file, without scripts and without anything from elsewhere."""

from runtime.report.page import report

__all__ = ["report"]
