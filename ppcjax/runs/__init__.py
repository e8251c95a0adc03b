"""Runs on disk: checkpoints, the one loader, provenance, files written whole."""

from ppcjax.runs.run import Run, export_run, open_run

__all__ = ["Run", "export_run", "open_run"]
