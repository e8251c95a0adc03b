"""The checks of pages find what is wrong, and say where."""

import pytest

from ppcjax import __version__
from tests.docs import blocks
from tests.docs.checks import check
from tests.docs.networks import Networks

RIGHT = """
python train.py --config configs/ppc_shapes.py:cam --config.seed=SEED --workdir RUN
python eval.py --ckpt RUN --crf k1 --export OUT [--split val]
ppcjax train --config segment_folder \\
    --config.data.root=photos   # and masks
XLA_FLAGS=--xla_foo srun python train.py --config ...
pip install 'ppcjax[weights,onnx]' pillow && make test
pip install -r requirements.txt
pip download -d wheels "dist/ppcjax-VERSION-py3-none-any.whl[train]"
ppcjax train --config ppc_shapes --config.track=wandb
python -m benchmarks.step --config configs/ppc_voc.py
ppcjax weights list ppc > list.txt
ppcjax --version
""".replace("VERSION", __version__)
WRONG = {
    "python train.py --config configs/ppc_shape.py": "ppc_shape",
    "python train.py --config configs/ppc_shapes.py:cams": "no variant",
    "ppcjax train --config ppc_shapes --config.data.rooot=x": "no such field",
    "ppcjax train --config ppc_shapes --config.steps=many": "many",
    "ppcjax train --config ppc_shapes --config.optim.lr=-1": "optim.lr",
    "ppcjax train --config ppc_shapes --config.eval.scales=(0,)": "eval.scales",
    "ppcjax train --config ppc_shapes --look": "--look",
    "ppcjax train --config ppc_shapes photos": "no option",
    "ppcjax train --config ppc_folder --config.init_from=imagenets": "no such weights",
    "python eval.py --ckpt runs/ppc_shapes --episodes 200": "--episodes",
    "python eval.py --ckpt runs/panet_shapes --alpha 8": "--alpha",
    "python eval.py --ckpt RUN --crf k9": "k9",
    "python eval.py --ckpt RUN --threshold 7": "threshold",
    "python eval.py": "--ckpt",
    "python eval.py --ckpt runs/ppc_shapes --export_backbone a.pth --onnx": "--onnx",
    "python -m benchmarks.steps --config configs/ppc_voc.py": "benchmarks.steps",
    "python -m benchmarks.step --confg configs/ppc_voc.py": "--confg",
    "python -m benchmarks.step --config configs/ppc_vod.py": "ppc_vod",
    "python tune.py": "tune.py",
    "ppcjax trian --config ppc_shapes": "trian",
    "ppcjax weights list --all": "--all",
    "pip install ppcjax[everything]": "everything",
    "pip install -r requirements-all.txt": "requirements-all",
    "pip install dist/ppcjax-0.0.1-py3-none-any.whl": "make wheel makes",
    "pip download 'dist/ppcjax-VERSION-py3-none-any.whl[all]'": "'all'",
    "pip install requests-html": "requests-html",
    "make tests": "make tests",
    "bash benchmarks/tpu.sh": "tpu.sh",
    "srun ppcjax train --config ppc_shapes --config.stepz=1": "no such field",
}


def commands(text):
    fenced = f"words\n\n```\n{text}\n```\n"
    for block in blocks.blocks_of("page.md", fenced):
        yield from blocks.commands_of(block)


def test_right_commands_pass():
    networks = Networks()
    typed = list(commands(RIGHT))
    assert len(typed) == 12
    for command in typed:
        check(command, networks)


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_command_is_refused_with_its_line(text, capsys):
    networks = Networks()
    (command,) = commands(f"# first\n{text}".replace("VERSION", __version__))
    with pytest.raises(AssertionError) as caught:
        check(command, networks)
    said = f"{caught.value} {capsys.readouterr().err}"
    assert said.startswith("page.md:5: ") and WRONG[text] in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("out/\n  masks/", "page.md:4: 'out/' begins with none of"),
        ("python eval.py \\", "page.md:4: the last line ends with a backslash"),
        ("make 'test", "page.md:4: .*No closing quotation"),
    ],
)
def test_what_is_no_command_needs_a_language(text, message):
    with pytest.raises(AssertionError, match=message):
        list(commands(text))


def test_a_fence_that_is_never_closed_is_found():
    with pytest.raises(AssertionError, match="page.md:1: this fence is never closed"):
        list(blocks.blocks_of("page.md", "```\nmake test\n"))
