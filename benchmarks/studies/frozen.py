"""What frozen networks give: from tags, from masks and from a few examples.

Each set of photos has three studies, as what learns from tags is told tags when it is
scored, and what learns from examples is scored in episodes.
"""

from benchmarks.studies.base import Row, Study
from benchmarks.studies.words import (
    EFFICIENTNET,
    MOBILENET,
    MSRC,
    VIT,
    VOC,
    Network,
    Photos,
    config,
    learn,
    score,
    with_held_out,
)

_ABOUT_VIT = (
    'The transformer\'s weights are those of [weights.md](weights.md), "for trying", '
    "tuned further by others, so that **these rows say nothing of DINOv2**."
)
_SMALL = {"mobilenet": MOBILENET, "efficientnet": EFFICIENTNET}
# How maps become tags, where it is not by log mean exp with r = 0.5.
_POOLINGS = {
    "mean": ("mean of the maps", "mean", ""),
    "top_k": ("mean of their largest tenth", "top_k", ""),
    "sharper": ("log mean exp, r = 1", "lse", "1.0"),
    "attention": ("attention, T = 1", "attention", ""),
}


def _tags(photos: Photos) -> dict[str, Row]:
    """Maps of what learns from tags."""

    def maps(label: str, name: str, network: Network = VIT) -> Row:
        what = config(name, photos, network)
        scored = score("--ckpt={run}", photos, "train")
        return Row(label, (scored,), (learn(what, photos, photos.tagged),))

    def same(label: str, name: str) -> Row:  # other maps of what `cam` has learnt
        export = "eval.py --ckpt={cam} --export_weights={out}.safetensors"
        what = f"{config(name, photos)} --config.data.val_split={photos.held_out}"
        what += " --ckpt={out}.safetensors"
        return Row(label, (export, score(what, photos, "train")))

    def refined(label: str, words: str) -> Row:
        return Row(label, (score("--ckpt={cam}", photos, "train", words),))

    return {
        "plain": same("CAM as it is", "ppc_dino:plain"),
        "affinity": same("CAM, affinity of tokens", "ppc_dino:affinity"),
        "cam": maps("the same, class token's attention (cam)", "ppc_dino:cam"),
        "self_attention": same("cam along self-attention", "ppc_dino:self_attention"),
        "pixel_refine": refined("cam, PAR", "--pixel_refine=10"),
        "crf": refined("cam, CRF", "--crf=k1"),
        "seam": maps("SEAM", "ppc_dino:seam"),
        "ppc": maps("PPC", "ppc_dino"),
        "tagged": maps("PPC, prototypes of tagged photos", "ppc_dino:tagged"),
    } | {
        f"affinity_{short}": maps(
            f"CAM, affinity, {net.name}", "ppc_dino:affinity", net
        )
        for short, net in _SMALL.items()
    }


def _pooled(photos: Photos) -> dict[str, Row]:
    """The row `cam` by other poolings."""

    def row(label: str, pooling: str, sharpness: str) -> Row:
        what = (
            f"{config('ppc_dino:cam', photos)} --config.method.pooling={pooling} "
            f"--config.method.pooling_sharpness={sharpness or None}"
        )
        train = (learn(what, photos, photos.tagged),)
        return Row(f"cam, {label}", (score("--ckpt={run}", photos, "train"),), train)

    return {f"pool_{name}": row(*words) for name, words in _POOLINGS.items()}


def _masks(photos: Photos) -> dict[str, Row]:
    """Segmenters and neighbours, told nothing when they are scored."""

    def scored(what: str = "--ckpt={run}") -> str:
        return score(what, photos, photos.held_out)

    def segmenter(label: str, name: str, network: Network = VIT) -> Row:
        what = config(name, photos, network)
        return Row(label, (scored(),), (learn(what, photos, photos.masked),))

    def neighbours(label: str, network: Network = VIT) -> Row:
        what = config("neighbours:frozen", photos, network)
        return Row(label, (scored(f"{what} --memory_split=train"),))

    cam = learn(config("ppc_dino:cam", photos), photos, photos.tagged)
    export = "eval.py --ckpt={run}-cam --root={photos} --export={run}-masks --split="
    taught = config("segment_dino", photos) + " --config.data.masks={run}-masks"
    rows = {
        "tags": Row(
            "light decoder, masks of cam",
            (scored(),),
            (
                cam.replace("{run}", "{run}-cam"),
                export + (photos.tagged or "train"),
                learn(taught, photos, photos.tagged),
            ),
        ),
        "linear": segmenter("linear probe", "segment_dino:linear"),
        "decoder": segmenter("light decoder", "segment_dino"),
        "memory": segmenter("light decoder, memory", "segment_dino:memory"),
        "neighbours": neighbours("30 nearest patches"),
    }
    if photos.tagged:  # what its masks could give at best, were they true
        what = learn(config("segment_dino", photos), photos, photos.tagged)
        label = "light decoder, true masks of the same photos"
        rows["all_masks"] = Row(label, (scored(),), (what,))
    for short, net in _SMALL.items():
        rows[f"linear_{short}"] = segmenter(
            f"linear probe, {net.name}", "segment_dino:linear", net
        )
        rows[f"neighbours_{short}"] = neighbours(f"30 nearest, {net.name}", net)
    return rows


def _few(photos: Photos) -> dict[str, Row]:
    """One and five examples of classes that nothing learnt, in episodes."""
    kinds = "--episodes=60 --shots=1,5 --seeds={seed} --export={out} --root={photos}"

    def episodes(what: str, marks: str) -> str:
        words = f"eval.py {what} {photos.episodes} {kinds}"
        return words + ("" if marks == "masks" else f" --marks={marks}")

    def untrained(
        label: str, variant: str, marks: str = "masks", network: Network = VIT, more=""
    ) -> Row:
        what = config(f"panet_dino{variant}", photos, network)
        return Row(f"{label}, {marks}", (episodes(f"{what} {held_out}{more}", marks),))

    def trained(label: str, name: str, more: str) -> Row:
        what = (
            f"{config(name, photos, None)} {held_out} --config.init_from={{mobilenet}}"
        )
        what += f" --config.method.backbone=mobilenet_v2 {more}"
        made = f"train.py {what} --config.seed={{seed}} --workdir={{run}}"
        return Row(f"{label}, masks", (episodes("--ckpt={run}", "masks"),), (made,))

    def other(run: str, label: str, words: str = "") -> Row:  # what examples tell
        program = f"-m benchmarks.other_supports {words}".strip()
        words = episodes(f"--ckpt={{{run}}}", "masks").replace("eval.py", program, 1)
        return Row(f"{trained_as[run]}, examples {label}", (words,))

    trained_as = {"panet": "PANet, trained", "asgnet": "ASGNet, trained"}
    held_out = "--config.data.novel=('cow','dog')"
    held_out += " --config.eval.classes=novel" if photos.config else ""
    compared = {
        "prototypes": ("prototypes", ""),
        "ridge": ("ridge regression", ":ridge"),
        "superpixels": ("superpixels", ":superpixels"),
    }
    found = {
        f"{short}_{marks}": untrained(label, variant, marks)
        for short, (label, variant) in compared.items()
        for marks in ("masks", "scribbles", "boxes")
    }
    last = " --config.frozen.endpoint=embedding"
    for kind, (label, variant) in compared.items():
        found[f"{kind}_last"] = untrained(f"{label}, last tokens", variant, more=last)
        for short, net in _SMALL.items():
            found[f"{kind}_{short}"] = untrained(
                f"{label}, {net.name}", variant, network=net
            )
    classes = f"--config.data.train_classes={photos.rest}"
    small = "" if photos.config else "_mobilenet"
    steps = "--config.steps=100 --config.checkpoint_every=50"
    return found | {
        "panet": trained(trained_as["panet"], f"panet{small}", f"{steps} {classes}"),
        "asgnet": trained(trained_as["asgnet"], f"asgnet{small}", "--config.steps=300"),
        **{f"{run}_other": other(run, "of the other class") for run in trained_as},
        **{
            f"{run}_inside_out": other(run, "inside out", "--inside_out")
            for run in trained_as
        },
    }


_MAPS = {"chosen": "threshold chosen", "fixed": "default", "oracle": "best threshold"}
_SHOTS = {"5-shot": "five examples", "1-shot": "one example"}
STUDIES = {
    "tags_voc": Study(
        f"From tags, {VOC.about}. Learnt on 3,031 photos, scored on the 437 of "
        "`train` among them, tags told; the threshold is chosen on 100 others. "
        + _ABOUT_VIT,
        _tags(VOC) | _pooled(VOC),
        _MAPS,
        with_held_out,
    ),
    "masks_voc": Study(
        f"From masks, or those made from tags, {VOC.about}. Learnt on the 437 of "
        "`train` (masks of cam: of all 3,031), scored on 100 others, nothing told. "
        + _ABOUT_VIT,
        _masks(VOC),
        {"fixed": "mean IoU"},
        with_held_out,
    ),
    "few_voc": Study(
        "Cow and dog from one and from five examples, 60 episodes a seed over the 437 "
        "photos of `train` of VOC's animals; strokes and boxes are made from masks. "
        + _ABOUT_VIT,
        _few(VOC),
        _SHOTS,
    ),
    "tags_msrc": Study(
        f"From tags, {MSRC.about}. Learnt and scored on three quarters, tags told. "
        + _ABOUT_VIT,
        _tags(MSRC),
        _MAPS,
    ),
    "masks_msrc": Study(
        f"From masks, or those made from tags, {MSRC.about}. Learnt on three quarters "
        "of 394, scored on the rest, nothing told. " + _ABOUT_VIT,
        _masks(MSRC),
        {"fixed": "mean IoU"},
    ),
    "few_msrc": Study(
        "Cow and dog of MSRC-v2 from one and from five examples, 60 episodes a seed. "
        + _ABOUT_VIT,
        _few(MSRC),
        _SHOTS,
    ),
}
