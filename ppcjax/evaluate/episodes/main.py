"""The command line's few-shot half: runs are evaluated, folders of photos segmented."""

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from ppcjax import data_pipelines
from ppcjax.data_pipelines.episodes.supports import read_supports
from ppcjax.data_pipelines.sources.photos import photos as find_photos
from ppcjax.evaluate.episodes import choice as episode_choice
from ppcjax.evaluate.episodes import page as episode_page
from ppcjax.evaluate.episodes.evaluation import evaluate
from ppcjax.evaluate.episodes.pictures import format_result, picture
from ppcjax.evaluate.episodes.protocols import EpisodeEvaluation
from ppcjax.evaluate.masks import files as export_files
from ppcjax.evaluate.masks.summary import as_json
from ppcjax.predict import supports as fewshot
from ppcjax.predict.fewshot_model import load_model
from ppcjax.predict.supports import Prototypes
from ppcjax.report.progress import show_progress


def main(
    run: str | Path,
    *,
    split: str = "",
    root: str | None = None,
    export: str | Path = "",
    plans: str | Path = "",
    episodes: int = 0,
) -> dict[str, Any]:
    """Evaluates a run as its config.eval says; prints and writes the result.

    Of a run with several checkpoints it chooses one first, see `episode_choice`.

    Writes to `export` metrics.json, report.html, plans/ and pictures of some queries:
    support and its mask, query and truth, query and what was found.

    Args:
        run: RUN, RUN/checkpoints or RUN/checkpoints/STEP.
        split: of the data; "" for config.data.eval_split.
        root: where the data lies now; None for config.data.root.
        export: folder; "" for RUN/eval-SPLIT.
        plans: folder of plans to use; "" for `export`/plans.
        episodes: of each run; 0 for what the protocol says.

    Returns:
        What is written to metrics.json.
    """
    model = load_model(run)
    data, settings = dict(model.config["data"]), dict(model.config["eval"])
    if root is not None:
        data["root"] = root
    if episodes:
        settings["episodes"] = episodes
    settings = EpisodeEvaluation.of(settings)
    choice = episode_choice.choose(run, settings, data)
    if choice is not None:
        print(episode_choice.describe(choice))
        model = load_model(run)
    split = split or data["eval_split"]
    source = data_pipelines.make_source(data, split, classes=model.classes)
    out = Path(export) if export else model.folder / f"eval-{split}"
    pictures = []

    def draw(shot, seed, tested):
        number = 1 + sum(one.shot == shot for one in pictures)
        if number <= settings.gallery:
            path = out / "episodes" / f"{shot}shot_{seed}_{number:03d}.jpg"
            pictures.append(picture(tested, shot, model.classes))
            export_files.write_file(path, pictures[-1].jpeg)

    found = evaluate(
        model,
        source,
        data=data,
        settings=settings,
        plans=plans or out / "plans",
        use=draw,
    )
    found |= {"run": str(model.folder), "step": model.step, "choice": choice}
    written = as_json(found)
    metrics = json.dumps(written, indent=1).encode()
    export_files.write_file(out / "metrics.json", metrics)
    episode_page.write_report(out / "report.html", written, pictures, model.folder)
    print(f"{format_result(written)}\n\nreport: {out / 'report.html'}")
    return found


def segment_photos(
    run: str | Path,
    supports: str | Path,
    photos: str,
    *,
    export: str | Path = "",
    size: int = 0,
) -> Prototypes:
    """Finds the classes of masked example photos in other photos.

    Writes to `export` masks/ID.png and overlays/ID.jpg at the photos' own sizes,
    classes.txt, and prototypes.npz for `fewshot.load`.

    Args:
        run: of a few-shot method.
        supports: folder of examples, see `ppcjax.data_pipelines.episodes.supports`.
        photos: folder, file or pattern of the photos to segment.
        export: folder; "" for RUN/segmented.
        size: longer side of photos in the network, pixels; 0: config.data.crop.

    Returns:
        The prototypes.
    """
    model = load_model(run)
    given = read_supports(str(supports))
    fitted = fewshot.fit(
        given.images, given.masks, run=model, names=given.names, size=size
    )
    out = Path(export) if export else model.folder / "segmented"
    source = find_photos(photos, ("background", *fitted.names))
    for index in show_progress(range(len(source)), len(source), "photos"):
        record = source.record(index)
        image = record.photo(0).pixels
        mask = fitted.predict(image)
        export_files.write_mask(out / "masks" / f"{record.id}.png", mask)
        drawn = io.BytesIO()
        Image.fromarray(export_files.draw_mask(image, mask)).save(
            drawn, "JPEG", quality=88
        )
        export_files.write_file(out / "overlays" / f"{record.id}.jpg", drawn.getvalue())
    export_files.write_classes(out / "classes.txt", ("background", *fitted.names))
    fitted.save(out / "prototypes.npz")
    print(f"{len(source)} photos segmented; written to {out}")
    return fitted
