"""What pre-training on photos alone is worth: pixels, whole photos, both, nothing."""

from benchmarks.studies.base import Row, Study

_CLASSES = (
    "building,grass,tree,cow,horse,sheep,sky,mountain,aeroplane,water,face,car,bicycle,"
    "flower,sign,bird,book,chair,road,cat,dog,body,boat"
)
# The rate that masks are learnt with: random weights want the lower, those
# that are pre-trained the higher. A grid would be --config.optim.lr=5e-4 and =2e-3.
_LOW, _HIGH = "5e-4", "2e-3"
_STARTS = {
    "pixpro": ("PixPro, pixels", "", _HIGH),
    "instance": ("BYOL, whole photos", ":byol", _HIGH),
    "both": ("both losses", ":instance", _HIGH),
    "random": ("random weights", "", _LOW),
}
_MASKS = {"75": ("75 masks", 75), "all": ("all masks", 0)}
_MSRC = (
    "--config.data.root={photos} --config.data.void=(0,) --config.data.val_share=0.25"
)
_SCORED = f"--split=val --report_classes={_CLASSES} --export={{out}}"


def _start(name: str) -> Row:
    """A pre-training, whose features the nearest of others' patches label."""
    label, variant, _ = _STARTS[name]
    learnt = (
        f"train.py --config=configs/pixpro_folder.py{variant} "
        "--config.data.root={unlabelled} --config.method.backbone_settings.stages=3 "
        "--config.method.endpoint=stage3 --config.data.crop=96 "
        "--config.data.batch_size=64 --config.minutes=0 --config.checkpoint_every=1000 "
        "--config.seed={seed} --workdir={run} --config.steps="
    )
    # Random weights have batch statistics of photos, too, and learn nothing.
    still = "50 --config.optim.lr=1e-9 --config.optim.schedule.end=1e-9"
    # Photos as large as those that it was trained on, cells of 8 pixels.
    scored = (
        f"eval.py --config=configs/neighbours_folder.py:mobilenet {_MSRC} "
        "--config.method.backbone=resnet18 --config.method.endpoint=stage3 "
        '--config.method.backbone_settings={{"output_stride":8,"stages":3}} '
        "--config.init_from={run} --side=224 --memory_photos=75 --seed={seed}"
    )
    steps = still if name == "random" else "2000"
    return Row(
        f"{label}: nearest patches of 75", (f"{scored} {_SCORED}",), (learnt + steps,)
    )


def _tuned(name: str, masks: str) -> Row:
    """A segmenter that starts there, all of which learns."""
    (label, _, rate), (many, limit) = _STARTS[name], _MASKS[masks]
    learnt = (
        f"train.py --config=configs/segment_resnet.py {_MSRC} "
        f"--config.init_from={{{name}}} --config.method.backbone_settings.stages=3 "
        "--config.method.head_settings.width=64 --config.data.crop=128 "
        "--config.data.scale=(0.4,1.0) --config.steps=200 "
        f"--config.data.limit={limit} --config.data.limit_seed={{seed}} "
        f"--config.seed={{seed}} --config.optim.lr={rate} --workdir={{run}}"
    )
    scored = f"eval.py --ckpt={{run}} --root={{photos}} {_SCORED}"
    return Row(f"{label}: tuned on {many}", (scored,), (learnt,))


STUDIES = {
    "pixpro_msrc": Study(
        "ResNet-18 of three stages, pre-trained on photos without labels: 2,000 steps "
        "of 64 photos, two crops of 96 pixels each. Judged on MSRC-v2, mean IoU over "
        "23 classes on a quarter of 394 photos: as it is, each patch labelled by the "
        "30 nearest of 75 masked photos; and when all of it is tuned on masks, 200 "
        "steps of 8 crops of 128 pixels. A seed is a pre-training, an order and a draw "
        "of masks.",
        {name: _start(name) for name in _STARTS}
        | {
            f"{name}_{masks}": _tuned(name, masks)
            for masks in _MASKS
            for name in _STARTS
        },
        {"fixed": "mean IoU"},
    )
}
