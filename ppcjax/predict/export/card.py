"""The model card: what an exported predictor is, and how to use it."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppcjax.checkout import program
from ppcjax.predict import photos
from ppcjax.runs import Run, provenance
from ppcjax.runs.checked import is_number, read_json
from ppcjax.types import UserError
from ppcjax.weights import known
from ppcjax.weights.exported import ONNX

LOADER = """\
import json

import jax, numpy as np
from jax import export
from PIL import Image

note = json.load(open("EXPORT/model.json"))
model = export.deserialize(bytearray(open("EXPORT/model.jaxexp", "rb").read()))
image = np.asarray(Image.open("photo.jpg").convert("RGB"))[None]  # [1, h, w, 3] uint8
size = np.int32([image.shape[1:3]])
scores = np.asarray(jax.jit(model.call)(image, size)["scores"][0])  # [h, w, classes]
mask = np.where(scores.max(-1) > note["threshold"], scores.argmax(-1), 0)
Image.fromarray(mask.astype(np.uint8)).save("mask.png")
"""

_ONNX = """\
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("EXPORT/model.onnx")
scores, _ = session.run(None, {{"image": images}})  # [b, {0}, {1}, 3] uint8
"""

_CARD = """\
---
library_name: jax
pipeline_tag: image-segmentation
tags: [image-segmentation, jax, stablehlo, ppcjax, {method}]
license: other  # yours to choose; see below what the weights started from
---

# {name}

A network that segments photos into {count} classes, trained by ppcjax with the method
`{method}` for {step} steps.

Classes, by number from 0: {classes}.

Scores are {words}.
A pixel is foreground where its largest score exceeds {threshold:g}{chosen}.
The program computes them at one scale, without mirrors and windows; opened by ppcjax it
has all of them.

## Use with JAX alone

```python
{loader}```

`pip install jax flatbuffers pillow` is all that it needs. The first image of a size
compiles for seconds. Images of several sizes go in one batch, each in the top left
corner, with its own `size`.{onnx}

## Use with ppcjax

```
{command} --ckpt EXPORT --images photos/
```

```python
predictor = ppcjax.load("EXPORT")
mask = predictor.predict("photo.jpg").mask
```

## Training

| | |
| --- | --- |
{facts}

## Scores

{scores}

## Licence

Weights it started from: {start}. Their licence: {licence}. What it was trained on may
have terms of its own.

## Files

{files}

JAX promises to read a program for half a year after it was written (this one: by JAX
{jax}); the run that it is of can be exported again at any time.

Upload: `hf upload OWNER/NAME EXPORT --exclude "eval-*"`.
"""


def card(run: Run, note: Mapping[str, Any], sizes: Mapping[str, int]) -> bytes:
    """README.md of an exported predictor, with the front matter that the hub reads.

    Args:
        run: what was exported.
        note: what model.json says.
        sizes: bytes of the files beside.
    """
    onnx = ""
    if ONNX in sizes:
        code = _ONNX.format(*note["onnx"]["size"])
        onnx = f"\n\n## Use with ONNX Runtime\n\n```python\n{code}```"
    chosen = photos.recorded_threshold(run) if run.folder else None
    how = ", set before any mask was looked at"
    if chosen:
        how = f", which was best on the split {chosen.get('split')}"
    text = _CARD.format(
        name=run.config["name"],
        method=note["method"],
        count=len(run.classes),
        step=run.step,
        classes=", ".join(run.classes),
        words=note["output"]["scores"].partition(": ")[2],
        threshold=note["threshold"],
        chosen=how,
        loader=LOADER,
        command=program("eval"),
        onnx=onnx,
        facts=_facts(note["config"]),
        scores=_scores(run),
        start=note["weights"]["start"],
        licence=note["weights"]["start_licence"],
        files="\n".join(f"- `{n}`: {s / 1e6:.1f} MB" for n, s in sizes.items()),
        jax=note["program"]["jax"],
    )
    return text.encode()


def share(config: Any) -> Any:
    """A config for strangers: of absolute paths the last part, nothing of their owner.

    Args:
        config: JSON types.
    """
    if isinstance(config, Mapping):
        return {name: share(value) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return [share(value) for value in config]
    if isinstance(config, str) and config.startswith(("/", "~")):
        return ",".join(Path(part).name for part in config.split(","))
    return config


def start_weights(config: Mapping[str, Any]) -> tuple[str, str]:
    """What a run started from, and its licence as far as known, in words.

    Of a run on a frozen network that is the network's weights, which it holds.
    """
    frozen = config.get("frozen") or {}
    start = frozen.get("weights") or config.get("init_from") or ""
    method = frozen or config["method"]
    if not start:
        return "random weights", "none"
    row = known.get(start) or known.of_file(Path(start).name)
    if start == "imagenet":
        try:
            settings = method.get("backbone_settings")
            row = known.imagenet(method.get("backbone", ""), settings)
        except UserError:
            row = None
    if row is None:
        return f"`{share(start)}`", "unknown"
    return f"`{row.id}` ({row.source})", row.licence


def _facts(config: Mapping[str, Any]) -> str:
    """Rows of a table: the config in short."""
    data, method = config["data"], config["method"]
    seen = data.get("batch_size", 0) * config.get("steps", 0)
    rows = {
        "config": config["name"],
        "backbone": method.get("backbone", ""),
        "steps": config.get("steps", ""),
        "images seen": seen or "",
        "seed": config.get("seed", ""),
        "method": json.dumps(method),
        "data": json.dumps(data),
        "evaluation": json.dumps(config.get("eval", {})),
    }
    shown = {name: str(text).replace("|", "\\|") for name, text in rows.items() if text}
    return "\n".join(f"| {name} | `{text}` |" for name, text in shown.items())


def _scores(run: Run) -> str:
    """Rows of a table: the evaluations of this step that lie in the run's folder."""
    rows = []
    found = sorted(run.folder.glob("eval-*/metrics.json")) if run.folder else []
    for file in found:
        metrics, made = read_json(file), provenance.read(file.parent) or {}
        table = metrics.get("thresholds")
        if metrics.get("step") != run.step or not isinstance(table, Mapping):
            continue
        for name in ("chosen", "fixed"):  # the third one saw the masks
            row = table.get(name)
            row = row if isinstance(row, dict) else {}
            # null says of masks of nothing
            if all(is_number(row.get(n)) for n in ("threshold", "mean_iou")):
                command = share_words(str(made.get("command") or ""))
                rows.append(
                    f"| {metrics.get('split')} | {metrics.get('images_with_masks')} | "
                    f"{name}, {row['threshold']:g} | {100 * row['mean_iou']:.1f} | "
                    f"`{command or 'not recorded'}` |"
                )
    if not rows:
        return "No evaluation with masks lay beside the run."
    head = [
        "| split | images | threshold | mean IoU, % | command |",
        "| --- " * 5 + "|",
    ]
    return "\n".join([*head, *rows])


def share_words(command: str) -> str:
    """A command for strangers, see `share`."""
    words = []
    for word in shlex.split(command):
        name, equals, value = word.partition("=")
        words.append(f"{name}={share(value)}" if equals else share(word))
    return shlex.join(words)
