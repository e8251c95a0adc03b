"""From tags on both sets of embedded photos, and from a few examples on the first."""

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


def _few(label: str, config: str, trained: bool = True) -> Row:
    """Episodes of the two classes that training never saw."""
    untrained = f"--config=configs/{config}.py --config.seed={{seed}}"
    what = "--ckpt={run}" if trained else untrained
    scored = (
        f"eval.py {what} --episodes=200 --shots=1,5 --seeds={{seed}} --gallery=0 "
        "--export={out}"
    )
    train = f"train.py --config=configs/{config}.py --config.seed={{seed}} "
    return Row(label, (scored,), (train + "--workdir={run}",) if trained else ())


STUDIES = {
    "few_shapes": Study(
        "Stripes and dots of the embedded photos from one and from five examples, "
        "taught the other classes alone, 900 steps of four episodes from scratch; 200 "
        "episodes a seed on `test`. Each seed is another training and other episodes.",
        {
            "untrained": _few("PANet, untrained", "panet_shapes", trained=False),
            "panet": _few("PANet", "panet_shapes"),
            "asgnet": _few("ASGNet", "asgnet_shapes"),
        },
        {"5-shot": "five examples", "1-shot": "one example"},
    ),
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
