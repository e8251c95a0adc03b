"""Why ASGNet's score falls while its loss does, and what five shots give it."""

from benchmarks.studies.base import Row, Study

_DATA = "--config.data.root={photos} --config.init_from={mobilenet}"
_EPISODES = "--episodes=60 --shots=1,5 --seeds=0,1,2 --split=train_aug --gallery=0"
_FEW = "--config.data.train_classes=('cat','horse','sheep','person')"
_EVENLY = "--config.data.sampling=class"


def _trained(label: str, *words: str, steps: int = 300, method: str = "asgnet") -> Row:
    """Trained on one line of settings; the last checkpoint is scored."""
    train = (
        f"train.py --config=configs/{method}_mobilenet.py {_DATA} "
        f"--config.steps={steps} --config.checkpoint_every={steps // 3} "
        + " ".join((*words, "--config.seed={seed} --workdir={run}"))
    )
    return Row(label, (_scored(f"{{run}}/checkpoints/{steps}"),), (train,))


def _scored(checkpoint: str, program: str = "eval.py") -> str:
    words = f"{program} --ckpt={checkpoint} {_EPISODES}"
    return f"{words} --root={{photos}} --export={{out}}"


def _other(label: str, checkpoint: str, words: str = "") -> Row:
    """Examples show something else than what is sought."""
    program = f"-m benchmarks.other_supports {words}".strip()
    return Row(label, (_scored(checkpoint, program),))


STUDIES = {
    "asgnet_voc": Study(
        "ASGNet and PANet on VOC's animals, MobileNetV2; cow and dog are held out, and "
        "so are photos of them. Scored on 180 episodes, the same for all rows and "
        "seeds; the last checkpoint counts, step 300 unless the row says another. Each "
        "changes one thing of *photos drawn evenly*, which is the config as it is.",
        {
            "classes": _trained("classes drawn evenly, as before", _EVENLY),
            "classes_100": Row(
                "the same run at step 100", (_scored("{classes}/checkpoints/100"),)
            ),
            "base": _trained("photos drawn evenly"),
            "base_100": Row(
                "the same run at step 100", (_scored("{base}/checkpoints/100"),)
            ),
            "four": _trained("cat, horse, sheep and person alone", _FEW, _EVENLY),
            "long": _trained("600 steps", steps=600),
            "whole": _trained(
                "objects as large as in evaluation",
                "--config.data.long_side=(224,224)",
            ),
            "no_auxiliary": _trained(
                "no auxiliary losses", "--config.method.auxiliary=0.0"
            ),
            "no_prior": _trained("no prior", "--config.method.prior=none"),
            "sharp": _trained(
                "superpixels that differ", "--config.method.sharpness=2.5"
            ),
            "five": _trained(
                "learnt on one to five shots, joined",
                "--config.data.shot=5 --config.data.least_shot=1",
                "--config.method.shots=joined",
            ),
            "thawed": _trained(
                "the backbone learns from its fourth block on",
                "--config.method.backbone_gradient=True",
                r"--config.optim.frozen=('backbone/(stem|block[1-3])/',)",
                "--config.optim.lr_mults=(('^backbone/',0.1),)",
            ),
            "panet": _trained("PANet", "--config.data.sampling=image", method="panet"),
            "base_other": _other(
                "photos drawn evenly, examples of the other class",
                "{base}/checkpoints/300",
            ),
            "panet_other": _other(
                "PANet, examples of the other class", "{panet}/checkpoints/300"
            ),
            "base_inside_out": _other(
                "photos drawn evenly, examples inside out",
                "{base}/checkpoints/300",
                "--inside_out",
            ),
            "panet_inside_out": _other(
                "PANet, examples inside out", "{panet}/checkpoints/300", "--inside_out"
            ),
        },
        {"5-shot": "five examples", "1-shot": "one example"},
    )
}
