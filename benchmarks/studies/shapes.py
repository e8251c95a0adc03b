"""Plain CAM, SEAM, PPC and each of its contrasts, on both sets of embedded photos."""

from benchmarks.studies.base import Row, Study

_CONTRASTS = {
    "cross_prototype": "cross-view prototypes",
    "cross_cam": "cross-view CAM",
    "intra": "intra-view",
}
_VARIANTS = {
    "cam": "CAM",
    "seam": "SEAM",
    "ppc": "PPC, all three contrasts",
    "tagged": "PPC, prototypes of tagged photos",
    **{f"only_{name}": f"SEAM and {label} alone" for name, label in _CONTRASTS.items()},
    **{f"no_{name}": f"PPC without {label}" for name, label in _CONTRASTS.items()},
}
_SCORES = {"chosen": "threshold chosen", "fixed": "default", "oracle": "best threshold"}


def _rows(textures: str) -> dict[str, Row]:
    """The same rows for a set of photos."""
    return {
        name: Row(
            label,
            ("eval.py --ckpt={run} --export={out}",),
            (
                f"train.py --config=configs/ppc_shapes.py{_variant(name)} "
                f"--config.data.textures={textures} --config.seed={{seed}} "
                "--workdir={run}",
            ),
        )
        for name, label in _VARIANTS.items()
    }


def _variant(name: str) -> str:
    return "" if name == "ppc" else f":{name}"


def _about(what: str) -> str:
    return (
        f"From tags, the embedded photos, {what}. 900 steps of 8 from scratch. Mean "
        "IoU is over background and five classes, of the 400 photos of `test`, tags "
        "told; the threshold is chosen on the 200 of `val`."
    )


STUDIES = {
    "tags_shapes": Study(
        _about("whose bodies have any colour and texture"),
        _rows("any"),
        _SCORES,
        against="seam",
    ),
    "tags_shapes_textured": Study(
        _about("whose bodies have any colour, and the texture of their class"),
        _rows("class"),
        _SCORES,
        against="seam",
    ),
}
