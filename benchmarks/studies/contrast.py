"""Whether contrast adds to cross-entropy on CamVid, and which memory."""

from benchmarks.studies.base import Row, Study

_NETWORK = "configs/contrastive_camvid.py:mobilenet"
# The contrast begins after an eighth of the steps, as released for 40,000. The grid of
# a crop has 12 x 16 cells; V (max_views) is also the number of cells that a class must
# have more of to take part, so that it is small here.
_TRAINING = (
    "--config.data.root={photos} --config.init_from={mobilenet} "
    "--config.data.crop=96,128 --config.steps=2000 --config.checkpoint_every=1000"
)
_CONTRASTED = "--config.method.warmup_steps=250 --config.method.max_views="
# What a small grid could try of each contrast: --config.method.weight=0.1 (released,
# which the configs have) and 1 (that of the paper).
_OF_AN_IMAGE = _CONTRASTED + "5"
# Of a class of the batch, of which small classes have some 20 cells. Slots as the paper
# has them: 1 region (the config's) and 10 pixels for each of 367 photos.
_OF_A_BATCH = (
    _CONTRASTED + "10 --config.method.max_anchors=128 --config.method.pixel_slots=3670"
)


def _row(label: str, mode: str, more: str = "") -> Row:
    what = " ".join(filter(None, (f"--config={_NETWORK}_{mode}", _TRAINING, more)))
    return Row(
        label,
        ("eval.py --ckpt={run} --split=val --root={photos} --export={out}",),
        (f"train.py {what} --config.seed={{seed}} --workdir={{run}}",),
    )


STUDIES = {
    "contrast_camvid": Study(
        "MobileNetV2 from ImageNet on the 367 frames of CamVid's `train`, stem and "
        "first three blocks frozen, 2,000 steps of 8 crops of 96 x 128 pixels from "
        "frames of about half their size. Mean IoU over 11 classes on the 101 frames "
        "of `val` at half their size. One setting per mode, from the paper or the "
        "release, fixed before.",
        {
            "ce": _row("cross-entropy", "ce"),
            "nomem": _row("and contrast within the batch", "nomem", _OF_AN_IMAGE),
            "mem_official": _row(
                "with the released memory", "mem_official", _OF_AN_IMAGE
            ),
            "mem_fixed": _row("with that memory, mended", "mem_fixed", _OF_AN_IMAGE),
            "mem_paper": _row(
                "with the paper's memory and mining", "mem_paper", _OF_A_BATCH
            ),
        },
        {"fixed": "mean IoU"},
        seeds=(0, 1, 2, 3, 4),
        against="ce",
    )
}
