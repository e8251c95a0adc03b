"""What mkdocs adds to docs/: the front page, pages from outside, and the reference.

mkdocs calls the functions whose names begin with "on_". Nothing of ppcjax is imported.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Page of the site -> file of the repository that it is.
FROM_OUTSIDE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
# The pages in order; those that are not named here come last.
ORDER = {
    "Start": ("index", "install", "running", "platforms", "compare"),
    "What you have": (
        "tags",
        "few_shot",
        "label",
        "masks",
        "photos_only",
        "data",
        "formats",
    ),
    "Use": ("predict", "python", "export", "weights", "frozen"),
    "Papers and numbers": ("papers", "chain", "methods", "deviations", "results")
    + ("neighbours", "performance"),
    "All settings": ("settings", "many_devices"),
    "The house": ("design", "contributing", "changelog"),
}
# Pages of the reference: title, what it holds, and modules or packages, whose public
# modules are all shown, each on the first page that names it.
REFERENCE = {
    "python": (
        "Use from Python",
        "Trained networks, masks from a few examples, and scores of masks.",
        ("ppcjax/__init__.py", "ppcjax/predict/photos.py")
        + ("ppcjax/predict/supports.py", "ppcjax/predict/prototypes.py")
        + ("ppcjax/predict/images.py", "ppcjax/predict/prediction.py")
        + ("ppcjax/evaluate/scoring",),
    ),
    "methods": ("Methods", "What is trained.", ("ppcjax/methods",)),
    "losses": ("Losses", "Plain losses; those of papers stand with their methods.")
    + (("ppcjax/losses.py",),),
    "ops": ("Operations", "Pure functions of arrays.", ("ppcjax/ops",)),
    "networks": ("Networks", "Flax modules.", ("ppcjax/nn",)),
    "training": ("Training", "Loop, optimizers, schedules.", ("ppcjax/train",)),
    "prediction": ("Prediction", "From photos to masks.", ("ppcjax/predict",)),
    "evaluation": ("Evaluation", "What a run is worth.", ("ppcjax/evaluate",)),
    "refinement": ("Refinement", "Dense CRF, random walk.", ("ppcjax/refine",)),
    "frozen": ("Frozen networks", "Features of photos, kept.", ("ppcjax/frozen",)),
    "weights": ("Weights", "Published and own files.", ("ppcjax/weights",)),
    "data": ("Data", "From files to batches.", ("data_pipelines",)),
    "types": (
        "Types and settings",
        "What the parts give each other.",
        ("ppcjax/types.py", "ppcjax/fields", "ppcjax/runs"),
    ),
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Puts the pages in order."""
    names = {path.relative_to(ROOT / "docs").as_posix() for path in _pages()}
    names |= set(outside())
    nav: list[dict[str, list[str]]] = []
    for title, stems in ORDER.items():
        found = [f"{stem}.md" for stem in stems if f"{stem}.md" in names]
        nav.append({title: found})
        names -= set(found)
    rest = [{"More": sorted(names)}] if names else []
    reference = [f"reference/{name}.md" for name in REFERENCE]
    config.nav = [*nav[:-1], *rest, nav[-1], {"Reference": reference}]
    return config


def _pages() -> Iterator[Path]:
    return (ROOT / "docs").rglob("*.md")


def on_files(files: Any, config: Any) -> Any:
    """Adds pages that lie in no file of docs/."""
    from mkdocs.structure.files import File  # the functions below need it not

    for name, path in outside().items():
        files.append(File.generated(config, name, content=_inside(name, path)))
    for name, (title, text, _) in REFERENCE.items():
        page = f"# {title}\n\n{text}\n\n" + "\n\n".join(
            f"::: {module}" for module in shown(name)
        )
        files.append(File.generated(config, f"reference/{name}.md", content=page))
    return files


def outside() -> dict[str, str]:
    """Page of the site -> file of the repository, of all that lie outside docs/."""
    examples = sorted((ROOT / "examples").glob("*.md"))
    return FROM_OUTSIDE | {
        f"examples/{path.name}": f"examples/{path.name}" for path in examples
    }


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links to files outside docs/ into those of their pages, or into words."""
    name = page.file.src_uri
    if name in outside():
        return markdown
    return _relinked(markdown, name, f"docs/{name}")


def _inside(name: str, path: str) -> str:
    return _relinked((ROOT / path).read_text(encoding="utf-8"), name, path)


def _relinked(markdown: str, name: str, path: str) -> str:
    """A page whose relative links are right on the site.

    Args:
        markdown: the page.
        name: its name on the site.
        path: where it lies in the repository.
    """
    pages = {file: page for page, file in outside().items()}

    def relink(found: re.Match) -> str:
        image, text, target = found.groups()
        file, mark, anchor = target.partition("#")
        if not file or re.match(r"[a-z]+:", target):
            return found[0]
        there = _normal(PurePosixPath(path).parent / file)
        if there.startswith("docs/"):
            page = there.removeprefix("docs/")
        elif there in pages:
            page = pages[there]
        else:
            return text  # a file that is no page
        up = "../" * (len(PurePosixPath(name).parts) - 1)
        return f"{image}[{text}]({up}{page}{mark}{anchor})"

    return _LINK.sub(relink, markdown)


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/".join(parts)


def shown(name: str) -> list[str]:
    """Modules on a page of the reference: those that no earlier page shows."""
    found: dict[str, str] = {}
    for page, (_, _, places) in REFERENCE.items():
        for place in places:
            for module in modules(ROOT / place):
                found.setdefault(module, page)
    return [module for module, page in found.items() if page == name]


def modules(place: Path) -> Iterator[str]:
    """Names of the public modules of a place that have something to say."""
    files = [place] if place.suffix else sorted(place.rglob("*.py"))
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        if any(part.startswith("_") for part in parts) and file.stem != "__init__":
            continue
        if ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))):
            yield ".".join(part for part in parts if part != "__init__")
