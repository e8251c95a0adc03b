"""Label Studio's JSON and JSON-MIN: polygons, brushes, boxes, ellipses and choices.

Of a task that several people annotated, the annotation marked as ground truth counts,
else the one changed last; cancelled ones never do. Predictions are read only where no
task of a file has an annotation. Coordinates are shares of the photo in percent.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ppcjax.data_pipelines.formats import parsing
from ppcjax.data_pipelines.formats.base import Annotations, Region, Scene, assemble
from ppcjax.data_pipelines.formats.names import MISSING, Names, need_photos
from ppcjax.data_pipelines.formats.parsing import entry
from ppcjax.data_pipelines.formats.studio_shapes import regions_of
from ppcjax.data_pipelines.text import MOST_OF_ANNOTATIONS, read_text
from ppcjax.types import UserError

_CONFIGS = ("label_config.xml", "config.xml")
_MIN_KEYS = ("annotator", "annotation_id", "lead_time")


def find(root: Path, photos: Mapping[str, Path]) -> Annotations | None:
    """The Label Studio files below a folder."""
    known, scenes, missing = Names.of(photos), {}, []
    passed, warnings, listed, files = Counter(), [], [], []
    for file in parsing.files_below(root, ".json"):
        text = read_text(file, MOST_OF_ANNOTATIONS)
        if not text.lstrip().startswith("[") or not _looks_so(text):
            continue
        tasks = parsing.parse_json(text, file)
        if not isinstance(tasks, list) or not any(map(_is_task, tasks)):
            continue
        files.append(file)
        listed += _listed(file.parent)
        for place, (task, results) in enumerate(_chosen(file, tasks, passed, warnings)):
            where = f"{file}: task {str(task.get('id', place))[:20]}"
            name, key = _photo(task, known, where)
            if key is None:
                missing.append(name)
            elif key in scenes:
                raise UserError(f"{where}: the photo {key!r} has two tasks; remove one")
            else:
                size, regions = regions_of(results, where, passed)
                scenes[key] = Scene(where, size, regions)
    if not files:
        return None
    need_photos(len(scenes), missing, str(files[0]), root)
    passed[MISSING] += len(missing)
    scenes = _without_choices(scenes, passed)
    named = {n for s in scenes.values() for r in s.regions for n in r.names}
    listed = [name for name in dict.fromkeys(listed) if name in named]
    return assemble(
        f"Label Studio {', '.join(file.name for file in files[:4])}",
        [*listed, *sorted(named - set(listed))],
        scenes,
        photos,
        fill_boxes=True,
        passed=passed,
        warnings=warnings,
    )


def _looks_so(text: str) -> bool:
    return '"annotations"' in text or '"predictions"' in text or _MIN_KEYS[1] in text


def _is_task(task: Any) -> bool:
    if not isinstance(task, dict):
        return False
    if isinstance(task.get("data"), dict):
        return "annotations" in task or "predictions" in task
    return "annotation_id" in task and "annotator" in task


def _listed(folder: Path) -> list[str]:
    """Names of the labelling configuration beside a file, in order."""
    file = next((folder / n for n in _CONFIGS if (folder / n).is_file()), None)
    if file is None:
        return []
    rows = parsing.load_xml(file).iter()
    return [row.get("value") for row in rows if row.tag in ("Label", "Choice")]


def _chosen(file: Path, tasks: list, passed: Counter, warnings: list):
    """Each task that someone finished, and the results that count."""
    rows = []
    for place, task in enumerate(tasks):
        where = f"{file}: task {place}"
        if not isinstance(task, dict):
            raise UserError(f"{where}: is not an object of names and values")
        if not isinstance(task.get("data"), dict):
            rows.append((task, None, _minimal(task)))
            continue
        done = entry(task, "annotations", list, where, [])
        if any(not isinstance(row, dict) for row in done):
            raise UserError(f"{where}: an annotation is no object of names and values")
        rows.append((task, [r for r in done if not r.get("was_cancelled")], None))
    predicted = not any(minimal or done for _, done, minimal in rows)
    several = skipped = 0
    for place, (task, done, minimal) in enumerate(rows):
        where = f"{file}: task {place}"
        if minimal is not None:
            yield task, minimal
            continue
        if predicted:
            done = entry(task, "predictions", list, where, [])[-1:]
        if not done:
            skipped += 1
            continue
        several += len(done) > 1
        best = max(done, key=_rank)
        yield task, entry(best, "result", list, f"{where}, annotation", [])
    passed["tasks of Label Studio that nobody finished"] += skipped
    if predicted and rows:
        warnings.append(f"{file}: no task is annotated, so its predictions are read")
    if several:
        warnings.append(
            f"{file}: {several} tasks have several annotations, of which the ground "
            "truth or the last one counts"
        )


def _rank(row: dict) -> tuple:
    """What the annotation that counts has most of."""
    changed = row.get("updated_at") or row.get("created_at") or ""
    key = row.get("id") if isinstance(row.get("id"), int) else 0
    return bool(row.get("ground_truth")), str(changed), key


def _minimal(task: dict) -> list:
    """Results of a task of JSON-MIN, as JSON would have them."""
    results = []
    for name, values in sorted(task.items()):
        rows = values if isinstance(values, list) else [values]
        for row in rows:
            if isinstance(row, dict):
                kind = next((n for n in row if n.endswith("labels")), "choices")
                sizes = {n: row.get(n) for n in ("original_width", "original_height")}
                results.append(sizes | {"type": kind, "value": row})
            elif name in ("choice", "choices") and isinstance(row, str):
                results.append({"type": "choices", "value": {"choices": [row]}})
    return results


def _photo(task: dict, known: Names, where: str) -> tuple[str, str | None]:
    """What a task calls its photo, and its id."""
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    texts = {n: v for n, v in sorted(data.items()) if isinstance(v, str) and v}
    names = [texts[n] for n in ("image", "img", "photo") if n in texts]
    names += [v for v in texts.values() if v not in names and ("." in v or "/" in v)]
    for name in names:
        for candidate in _candidates(name):
            key = known.find(candidate, where)
            if key is not None:
                return name, key
    return (names or ["?"])[0], None


def _candidates(url: str) -> list[str]:
    """Paths that a URL may mean, the likeliest first."""
    try:
        parts = urlsplit(url)
        local = parse_qs(parts.query).get("d")
        path = unquote(local[0] if local else parts.path or url)
    except ValueError:
        path = url
    folder, _, name = path.replace("\\", "/").rpartition("/")
    if folder.strip("/").startswith("data/upload"):
        folder = ""
    return [f"{folder}/{name}", url]


def _without_choices(scenes: dict[str, Scene], passed: Counter) -> dict[str, Scene]:
    """Leaves choices out where there are regions, whose labels say what is there."""
    regions = [r for scene in scenes.values() for r in scene.regions]
    if not any(r.kind != "tag" for r in regions):
        return scenes
    choices = sum(r.kind == "tag" for r in regions)
    passed["choices of Label Studio beside regions"] += choices

    def placed(scene: Scene) -> tuple[Region, ...]:
        return tuple(r for r in scene.regions if r.kind != "tag")

    return {k: scene._replace(regions=placed(scene)) for k, scene in scenes.items()}
