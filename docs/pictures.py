"""Makes the pictures of the docs: python -m docs.pictures [NAME ...].

Of the embedded data, and of photos that the package scikit-image ships: the coins are
without known copyright restrictions (its docstring says so). Needs Chromium for those
that are screenshots, and `pip install scikit-image`; runs go to runs/pictures, and a
second call goes on with what is there.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from docs import cells
from ppcjax.data_pipelines import shapes
from ppcjax.report.overlay import draw_mask

DOCS = Path(__file__).resolve().parent
WORK = DOCS.parent / "runs/pictures"
WIDTH = 800  # of a picture, pixels
GAP = 8  # between two, pixels
# As few updates as show what there is to see; the pages say what whole runs reach.
STEPS = {"ppc_shapes": 450, "segment_shapes": 300, "pixpro_shapes": 200}


def program(*words: str) -> None:
    """Runs ppcjax in WORK, so that reports show the names that pages use."""
    print("$ ppcjax", *words, flush=True)
    WORK.mkdir(parents=True, exist_ok=True)
    paths = os.pathsep.join(filter(None, [str(DOCS.parent), os.getenv("PYTHONPATH")]))
    subprocess.run(
        [sys.executable, "-m", "ppcjax", *words],
        check=True,
        cwd=WORK,
        env={**os.environ, "PYTHONPATH": paths},
    )


def shapes_folder(root: Path, count: int) -> Path:
    """A folder of embedded scenes as people have photos: tags.csv and masks.

    Args:
        root: where it goes.
        count: how many photos.
    """
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    lines = ["image,tags"]
    for index in range(count):
        scene = shapes.scene(0, "test", index, 96)
        name = f"{index:03}.png"
        Image.fromarray(scene.image).save(root / "images" / name)
        Image.fromarray(scene.mask).save(root / "masks" / name)
        tags = " ".join(shapes.CLASSES[i] for i in np.unique(scene.mask) if i)
        lines.append(f"{name},{tags or 'background'}")
    (root / "tags.csv").write_text("\n".join(lines) + "\n")
    (root / "classes.txt").write_text("\n".join(shapes.CLASSES[1:]) + "\n")
    return root


def trained(config: str) -> Path:
    """A run on the embedded data: that of `make demo`, else a shorter one."""
    demo = DOCS.parent / "runs" / config
    if (demo / "threshold.json").is_file():  # it has ended, and been evaluated
        return demo
    program("train", "--config", config, f"--config.steps={STEPS[config]}")
    return WORK / "runs" / config


def save(picture: Image.Image, name: str, *, width: int = WIDTH) -> None:
    """Saves a picture of the docs, in as few colours as a small file needs."""
    height = round(picture.height * width / picture.width)
    if picture.width != width:
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    few = picture.convert("RGB").quantize(160, dither=Image.Dither.NONE)
    few.save(DOCS / name, optimize=True)
    print(f"docs/{name}: {(DOCS / name).stat().st_size / 1000:.0f} kB", flush=True)


def grid(rows: list[list[np.ndarray]]) -> Image.Image:
    """Images [H, W, 3] uint8 of one size in rows, on white."""
    height, width = (side + GAP for side in rows[0][0].shape[:2])
    size = (width * len(rows[0]) - GAP, height * len(rows) - GAP)
    picture = Image.new("RGB", size, "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            picture.paste(Image.fromarray(image), (x * width, y * height))
    return picture


def screenshot(page: Path | str, name: str, size: tuple[int, int]) -> None:
    """A page as a desk shows it, from its top.

    Args:
        page: a .html file, or the address of a server.
        name: of the picture.
        size: width and height of the window, CSS pixels.
    """
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit(f"docs/{name} needs Chromium, which is not installed")
    shot = (WORK / name).resolve()
    flags = "--headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run"
    command = [browser, *flags.split(), f"--window-size={size[0]},{size[1]}"]
    command += ["--virtual-time-budget=5000", f"--screenshot={shot}"]
    address = page if isinstance(page, str) else page.resolve().as_uri()
    subprocess.run([*command, address], check=True, stderr=subprocess.DEVNULL)
    save(Image.open(shot), name, width=size[0])


def inspected() -> None:
    """What `ppcjax inspect` draws of a folder: scenes of the embedded data."""
    shapes_folder(WORK / "photos", 12)
    program("inspect", "--config", "segment_folder", "--config.data.root=photos")
    drawn = WORK / "runs/segment_folder/inspect/contact.png"
    save(Image.open(drawn), "inspect.png", width=1000)


def report() -> None:
    """The report of PPC on the embedded data, at 1280 pixels."""
    run = str(trained("ppc_shapes"))
    program("eval", "--ckpt", run, "--limit", "40", "--export", "maps")
    screenshot(WORK / "maps/report.html", "report.png", (1280, 1600))


def masks() -> None:
    """Photos, their masks, and what a segmenter finds that learnt from such masks."""
    import ppcjax  # restoring takes seconds to import

    segmenter = ppcjax.load(trained("segment_shapes"))
    scenes = [shapes.scene(0, "test", index, 96) for index in (0, 1, 2, 3, 4, 5)]
    found = [segmenter.predict(scene.image).mask for scene in scenes]
    rows = [
        [scene.image for scene in scenes],
        [draw_mask(s.image, s.mask, opacity=0.7) for s in scenes],
        [
            draw_mask(s.image, m, opacity=0.7)
            for s, m in zip(scenes, found, strict=True)
        ],
    ]
    save(grid(rows), "masks.png")


def photos_only() -> None:
    """The report of PixPro on the embedded data: cells found again in another crop."""
    trained("pixpro_shapes")
    program(
        "eval", "--ckpt", "runs/pixpro_shapes", "--limit", "64", "--export", "views"
    )
    screenshot(WORK / "views/report.html", "photos_only.png", (1000, 980))


def coins() -> tuple[np.ndarray, np.ndarray]:
    """The photo of coins of scikit-image [H, W, 3], and a mask of them [H, W]."""
    from scipy import ndimage
    from skimage import data, filters, segmentation

    grey = data.coins()
    seeds = np.where(grey < 30, 1, np.where(grey > 150, 2, 0))
    flooded = segmentation.watershed(filters.sobel(grey), seeds) == 2
    mask = ndimage.binary_opening(ndimage.binary_fill_holes(flooded), iterations=2)
    return np.repeat(grey[..., None], 3, -1), mask.astype(np.uint8)


def few_shot() -> None:
    """One example, and what is found in a photo by it: two halves of one photo."""
    import ppcjax
    from ppcjax.configs import panet_folder

    photo, mask = coins()
    half = len(photo) // 2
    run = ppcjax.fewshot.untrained(panet_folder.get_config())

    def twice(image: np.ndarray) -> np.ndarray:
        return image[:half].repeat(2, 0).repeat(2, 1)

    example, new, marked = twice(photo), twice(photo[half:]), twice(mask)
    found = ppcjax.fewshot([example], [marked], run=run, names=["coin"]).predict(new)
    truth = twice(mask[half:])
    overlap = ((found == 1) & (truth == 1)).sum() / ((found == 1) | (truth == 1)).sum()
    print(f"few_shot: IoU with the mask of the lower half {100 * overlap:.1f} %")
    rows = [[example, draw_mask(example, marked)], [new, draw_mask(new, found)]]
    save(grid(rows), "few_shot.png")


def label() -> None:
    """The page of `ppcjax label` on drawn photos, three of them marked."""
    for name in ("cells", "cells-labels"):
        shutil.rmtree(WORK / name, ignore_errors=True)
    server, address = cells.served(WORK / "cells")
    try:
        screenshot(address, "label.png", (1280, 800))
    finally:
        server.terminate()
        server.wait()


PICTURES: dict[str, Callable[[], None]] = {
    "inspect": inspected,
    "few_shot": few_shot,
    "label": label,
    "masks": masks,
    "photos_only": photos_only,
    "report": report,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()
