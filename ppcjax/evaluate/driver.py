"""Runs any plan: predictions, counts, files, metrics.json, provenance, report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppcjax import fields
from ppcjax.console import allocator, screen
from ppcjax.console.loops import show_progress
from ppcjax.evaluate.protocol import Plan, count_all
from ppcjax.evaluate.results import results
from ppcjax.report import curves, data
from ppcjax.report import page as pages
from ppcjax.report.text import as_json
from ppcjax.runs import provenance
from ppcjax.runs.files import json_bytes
from ppcjax.runs.ours import Folder
from ppcjax.version import __version__

REPORT = "report.html"


def evaluate(
    name: str,
    plan: Plan,
    settings: Any,
    out: Path | Folder,
    *,
    command: str | None = None,
) -> dict[str, Any]:
    """Predicts, counts, writes and draws what a plan says; prints the result.

    Args:
        name: key of the evaluation in EVALUATIONS.
        plan: what is evaluated.
        settings: what the plan was made with, for the record.
        out: folder of the results: metrics.json, provenance.json, report.html and what
            the plan writes; nothing of others is written over.
        command: what was typed, for the record; None where nothing was.

    Returns:
        What metrics.json holds.
    """
    with results(out) as folder:
        metrics = _evaluated(name, plan, settings, folder, command)
    print(f"{plan.text(metrics)}\n\nreport: {folder.path / REPORT}")
    return metrics


def _evaluated(
    name: str, plan: Plan, settings: Any, out: Folder, command: str | None
) -> dict[str, Any]:
    if said := allocator.said():
        screen.line(said)
    tiles = []

    def draw(prediction):
        tile = plan.tile(prediction)
        if tile is not None:
            tiles.append(tile)

    shown = show_progress(
        plan.predictions,
        plan.total - plan.kept,
        f"evaluating {plan.split}",
        unit=plan.unit,
        compiles="the network",
    )
    counts = count_all(
        plan._replace(predictions=shown),
        uses=[lambda prediction: plan.write(prediction, out), draw],
    )
    metrics = as_json(head(name, plan) | plan.summarize(counts))
    metrics["skipped"] = dict(plan.skipped)
    metrics["data"] = dict(plan.account)
    for file, content in plan.files.items():
        out.write(file, content)
    plan.finish(out)
    out.write("metrics.json", json_bytes(metrics))
    record = _record(name, plan, settings, command)
    out.write(provenance.NAME, json_bytes(provenance.stamped(record)))
    out.write(REPORT, report(plan, metrics, tiles, made=_made(record)))
    plan.complete()
    return metrics


def head(name: str, plan: Plan) -> dict[str, Any]:
    """What every metrics.json begins with: what was evaluated, on what."""
    run = plan.run
    return {
        "config": run.config["name"],
        "method": run.config["method"]["name"],
        "evaluation": name,
        "run": str(run.folder),
        "step": run.step,
        "split": plan.split,
        "skipped": {},
    }


def _record(name: str, plan: Plan, settings: Any, command: str | None) -> dict:
    run = plan.run
    return as_json(
        {
            "config": run.config["name"],
            "checkpoint": {"run": str(run.folder), "step": run.step},
            "command": command,
            "evaluation": name,
            "classes": list(run.classes),
            "split": plan.split,
            plan.unit: plan.total,
            "settings": fields.flat(settings),
            **plan.record,
        }
    )


def _made(record: Mapping[str, Any]) -> dict[str, str | None]:
    """What made a report, for its foot; no date, so that it is made again as it is."""
    made = record["checkpoint"]
    return {
        "Program": f"ppcjax {__version__}",
        "Commit": provenance.commit(),
        "Checkpoint": f"{made['run']}, step {made['step']}",
        "Evaluation": record["evaluation"],
        "Command": record["command"],
    }


def report(
    plan: Plan,
    metrics: dict[str, Any],
    tiles: list,
    *,
    made: Mapping[str, str | None],
) -> bytes:
    """Content of report.html: what the plan shows, its data, curves, what was skipped.

    Args:
        plan: what was evaluated.
        metrics: what metrics.json holds.
        tiles: the gallery.
        made: what made the page, see `Page`.
    """
    page = plan.page(metrics, tiles)
    found = plan.run.folder / "metrics.jsonl"
    more = [
        data.section(metrics.get("data", {})),
        curves.scores(curves.read_curves(found, "val/")),
        curves.losses(curves.read_curves(found, "train/loss/")),
        pages.skipped(metrics["skipped"]),
    ]
    shown = page._replace(sections=[*page.sections, *more], made=made)
    return pages.as_html(shown).encode()
