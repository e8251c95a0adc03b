"""Do prototypes add to SEAM, and SEAM to plain maps, where the backbone learns, too?"""

from benchmarks.studies.base import Row, Study
from benchmarks.studies.words import (
    MSRC,
    VOC,
    Photos,
    config,
    learn,
    score,
    with_held_out,
)

# As many for each method, and the ablations of PPC have PPC's.
_GRID = tuple(f"--config.optim.lr={rate}" for rate in (0.001, 0.003, 0.01))
_CONTRASTS = {
    "cross_prototype": "contrast across views by prototypes",
    "cross_cam": "contrast across views by maps",
    "intra": "contrast within a view",
}
_RELEASED = "--config.method.prototype_photos=all"
# What PPC's settings change, each on its own.
_SETTINGS = {
    "from_the_start": ("contrast from the first step", "contrast_start=0"),
    "late": ("contrast in the last half only", "contrast_start={half}"),
    "surer": ("pseudo labels above 0.5", "pseudo_threshold=0.5"),
    "laxer": ("pseudo labels above 0.2", "pseudo_threshold=0.2"),
    "softer": ("temperature 0.5", "temperature=0.5"),
}


def _rows(photos: Photos, steps: int, more: str = "") -> dict[str, Row]:
    """Methods and ablations at equal steps, each at its best rate of the grid."""

    def row(label: str, variant: str, words: str = "", like: str = "ppc") -> Row:
        name = f"ppc{'' if photos.config else '_mobilenet'}:{variant}".rstrip(":")
        what = (
            f"{config(name, photos, None)} --config.init_from={{mobilenet}} "
            f"--config.method.backbone=mobilenet_v2 --config.steps={steps} {more} "
            f"{words} {{choice}}"
        )
        train = (" ".join(learn(what, photos, photos.tagged).split()),)
        found = Row(label, (score("--ckpt={run}", photos, "train"),), train, like=like)
        if like:
            return found
        judge = score("--ckpt={run}", photos, photos.held_out)
        return found._replace(grid=_GRID, judge=judge)

    rows = {
        "cam": row("CAM", "cam", like=""),
        "seam": row("SEAM", "seam", like=""),
        "ppc": row("PPC, prototypes as released", "", _RELEASED, like=""),
        "tagged": row("PPC, prototypes of tagged photos", "tagged"),
        # Which asks for a fifth of each photo that is of no class.
        "seam_no_min": row(
            "SEAM without L_min", "seam", "--config.method.min_pooling=0.0", like="seam"
        ),
    }
    for name, label in _CONTRASTS.items():
        rows[f"no_{name}"] = row(f"PPC without {label}", f"no_{name}")
        rows[f"only_{name}"] = row(f"SEAM and {label}", f"only_{name}")
    for name, (label, setting) in _SETTINGS.items():
        words = f"--config.method.{setting.format(half=steps // 2)}"
        rows[name] = row(f"PPC, {label}", "", words)
    return rows


_ABOUT = (
    "MobileNetV2 from ImageNet learns from tags at equal steps, each method at its "
    "best learning rate of three; tags are told where maps are scored. "
)
_SCORES = {"chosen": "threshold chosen", "fixed": "default", "oracle": "best threshold"}
STUDIES = {
    "prototypes_voc": Study(
        _ABOUT + f"391 steps of eight, {VOC.about}; scored on 437 photos, rates and "
        "thresholds are chosen on 100 others.",
        _rows(VOC, 391),
        _SCORES,
        with_held_out,
        against="seam",
    ),
    "prototypes_msrc": Study(
        _ABOUT + f"300 steps of eight, {MSRC.about}; scored on the three quarters that "
        "are learnt from, rates are chosen on the rest.",
        _rows(MSRC, 300, "--config.method.small_view=160"),
        _SCORES,
        against="seam",
    ),
}
