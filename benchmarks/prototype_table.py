"""The table of docs/results.md of what `benchmarks.prototypes` found of runs.

    python -m benchmarks.prototype_table

reads benchmarks/results/prototypes/NAME.json, each the prototypes.json of a run, and
writes its place on the page anew.
"""

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import study_table

RESULTS = study_table.RESULTS.parent / "prototypes"
_NAMES = {
    "shapes": "shapes",
    "shapes_textured": "shapes, textured",
    "voc": "VOC's animals",
}
_COLUMNS = (
    *("set", "pseudo labels", "own pixels, all", "tagged"),
    *("nearest prototype, all", "tagged", "of true masks"),
    *("cosine to own and best other, all", "tagged", "of true masks"),
)


def read(results: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """What was found, by the names of sets."""
    return {
        name: json.loads(file.read_text())
        for name in _NAMES
        if (file := results / f"{name}.json").exists()
    }


def section(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table, as Markdown."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "| --- " * len(_COLUMNS) + "|"]
    for name, of in found.items():
        labels, cosines = of["labels"], of["cosines"]
        cells = [
            _NAMES[name],
            _recall(labels["pseudo"]),
            *(f"{_own(of['made_of'][kind]):.0f}" for kind in ("own", "tagged")),
            *(_recall(labels[f"nearest{kind}"]) for kind in ("", "_tagged", "_true")),
            *(_near(cosines[kind]) for kind in ("own", "tagged", "true")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    commits = dict.fromkeys(of["commit"] for of in found.values())
    made = (
        "Shares in percent, means over classes that photos show, by chance in "
        "brackets; own pixels are those of the class among the pixels of its "
        "prototype, without the background's. `python -m benchmarks.prototypes --ckpt "
        "RUN --split SPLIT --out DIR`, of runs of the row PPC with seed 0. Commits "
        f"{', '.join(commits)}."
    )
    return "\n".join(lines) + "\n\n" + made


def _recall(labels: Mapping[str, Any]) -> str:
    return f"{100 * labels['mean_recall']:.0f} ({100 * labels['mean_chance']:.0f})"


def _own(made_of: Mapping[str, list[float | None]]) -> float:
    """Share of the pixels of prototypes that are of their class, in percent."""
    shares = [row[i] for i, row in enumerate(made_of.values()) if i]
    return 100 * statistics.mean(share for share in shares if share is not None)


def _near(cosines: Mapping[str, list[float | None]]) -> str:
    pairs = [pair for pair in cosines.values() if pair[0] is not None]
    own, other = (statistics.mean(values) for values in zip(*pairs, strict=True))
    return f"{own:.2f}, {other:.2f}"


def main(page: Path = study_table.PAGE) -> None:
    """Writes the table's place on the page."""
    told = section(read())
    page.write_text(study_table.replaced(page.read_text(), "preconditions", told))


if __name__ == "__main__":
    main()
