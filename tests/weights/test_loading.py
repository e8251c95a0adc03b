"""Starting a network from files: what is taken, what is said, what is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ppcjax.types import UserError
from ppcjax.weights import guess, load_into, namemap
from ppcjax.weights.arrays import to_names
from ppcjax.weights.matching import leaves_of
from ppcjax.weights.start import Source
from tests.weights.published import recorded, small, without_memory
from tests.weights.readers.pickling import FORMS
from tests.weights.released_files import WRITERS, write
from tests.weights.test_writers import tree_of

HEAD = {"classifier": {"conv": {"kernel": np.ones((1, 1, 4, 3), np.float32)}}}
FILE = Path("some.pth")


def network(leaves, **parts):
    """Parameters of a network with that backbone: zeros without memory."""
    zeros = {p: np.broadcast_to(np.float32(0), x.shape) for p, x in leaves.items()}
    return {"backbone": tree_of(zeros), **parts}


def load(params, arrays, **facts):
    """What `load_into` takes of arrays, and its lines."""
    lines = []
    source = Source(FILE, arrays, facts)
    params, _ = load_into(params, {}, [source], log=lines.append)
    return leaves_of(params["backbone"]), lines


def refusal(params, arrays):
    with pytest.raises(UserError) as error:
        load(params, arrays)
    text = str(error.value)
    assert str(FILE) in text and "\n" not in text
    return text


@pytest.fixture(scope="module")
def resnet():
    """Few channels: parameters by path, and a file that has a classifier, too."""
    leaves = small("resnet18", {})
    arrays = to_names(leaves, namemap.namings("resnet")["torchvision"])
    return leaves, arrays | {"fc.weight": np.zeros((9, 4), np.float32)}


@pytest.mark.parametrize("container", [*FORMS, *WRITERS])
def test_what_is_said(tmp_path, resnet, container):
    leaves, arrays = resnet
    both = {f"teacher.backbone.{name}": array for name, array in arrays.items()}
    both |= {f"student.backbone.{name}": 0 * array for name, array in arrays.items()}
    write(tmp_path / FILE, both, container=container)
    lines = []
    params, state = load_into(
        network(leaves, head=HEAD), {}, tmp_path / FILE, log=lines.append
    )
    for path, leaf in leaves_of(params["backbone"]).items():
        np.testing.assert_array_equal(leaf, leaves[path])
    assert params["head"] is HEAD and not state
    count = sum(leaf.size for leaf in leaves.values()) / 1e6
    assert lines == [
        f"init_from {tmp_path / FILE}: names of torchvision behind 'teacher.backbone.'",
        "  chosen   'teacher.backbone.', where 'student.backbone.' would fit as well",
        f"  loaded   backbone: {len(leaves)} arrays, {count:.2f} M values",
        f"  skipped  student ({len(leaves) + 1}), fc (1)",
        "  new      head (1)",
    ]


def test_kernels_are_turned_and_statistics_found_where_they_are(resnet):
    leaves, arrays = resnet
    stats = {p: x for p, x in leaves.items() if p.endswith(("mean", "var"))}
    params = network({p: x for p, x in leaves.items() if p not in stats})
    state = {"batch_stats": network(stats, head=HEAD), "memory": HEAD}
    found, state = load_into(params, state, [Source(FILE, arrays)], log=print)
    kernel = found["backbone"]["layer2_0"]["conv1"]["conv"]["kernel"]
    np.testing.assert_array_equal(
        kernel[2, 1, 3, 5], arrays["layer2.0.conv1.weight"][5, 3, 2, 1]
    )
    variance = state["batch_stats"]["backbone"]["layer4_1"]["bn2"]["var"]
    np.testing.assert_array_equal(variance, arrays["layer4.1.bn2.running_var"])
    assert state["batch_stats"]["head"] is HEAD and state["memory"] is HEAD


# Of a network: what a file is of, and what its refusal must say.
OTHERS = [
    (
        "resnet18",
        {},
        "torchvision/resnet34",
        "layer1.2.*no such layer.*backbone=resnet34$",
    ),
    ("resnet50", {}, "torchvision/resnet34", "has no layer1.0.bn3.*=resnet34$"),
    (
        "resnet50",
        {},
        "timm/resnet50s",
        r'\(3, 3, 3, 64\) .* \(7, 7, 3, 64\).*backbone=resnet50 .*{"stem": "deep"}',
    ),
    ("resnet50", {"stem": "deep"}, "torchvision/resnet50", "bn2.*=resnet50$"),
    ("resnet101", {}, "torchvision/resnet18", "is of another network.*=resnet18$"),
    ("resnet18", {}, "timm/vgg16", "holds nothing of this network.*backbone=vgg16$"),
    ("vgg16", {}, "timm/resnet50d", "holds nothing.*no network of ppcjax"),
    ("vit_s16", {}, "timm/vit_s14", r"patch_embed.*\(14, 14, 3, 384\).*=vit_s14$"),
    ("vit_s14", {}, "timm/vit_s14_reg", '=vit_s14 .*{"registers": 4}'),
    ("mobilenet_v2", {}, "torchvision/resnet18", "=resnet18$"),
]


def _others():
    """Transformers and ResNets are of many kinds, which takes long to try."""
    for case in OTHERS:
        large = case[0].startswith("vit") or case[0] == "resnet18"
        marks = [pytest.mark.slow] if large else []
        yield pytest.param(*case, marks=marks, id=f"{case[0]} from {case[2]}")


@pytest.mark.parametrize(("backbone", "settings", "key", "says"), list(_others()))
def test_files_of_other_networks_are_refused_with_the_nearest_setting(
    backbone, settings, key, says
):
    params = network(guess.leaves(backbone, settings))
    text = refusal(params, without_memory(recorded()[key]))
    assert re.search(says, text), text


def test_files_that_lack_something_are_refused(resnet):
    leaves, arrays = resnet
    params = network(leaves)
    less = {n: a for n, a in arrays.items() if n != "bn1.running_mean"}
    text = refusal(params, less)
    assert "has no bn1.running_mean, which the backbone needs (1 of 100 arr" in text
    assert "their names are like those of resnet" in text
    text = refusal(params, arrays | {"bn1.bias": np.zeros(7, np.float32)})
    assert "bn1.bias is float32 (7,), which is no part of (6,) (bn1/bias)" in text
    assert "(a, ...)" in refusal(params, {"a": np.zeros(1)})


def test_fewer_stages_take_less_of_a_file(resnet):
    leaves, arrays = resnet
    first = {p: x for p, x in leaves.items() if not p.startswith(("layer3", "layer4"))}
    found, lines = load(network(first), arrays)
    assert found.keys() == first.keys()
    assert lines[-1] == "  skipped  layer3 (25), layer4 (25), fc (1)"


def test_several_files_fill_several_parts(tmp_path, resnet):
    leaves, arrays = resnet
    vit = small("vit_s16", {})
    save_file(to_names(vit, namemap.namings("vit")["original"]), tmp_path / "v.st")
    write(tmp_path / FILE, arrays)
    links = {"link0/kernel": np.zeros((1, 1, 6, 6), np.float32)}
    params = network(leaves | links) | {"vit": network(vit)["backbone"]}
    lines = []
    both = f"{tmp_path / FILE},{tmp_path / 'v.st'}"
    found, _ = load_into(params, {}, both, log=lines.append)
    for part, wanted in (("backbone", leaves | links), ("vit", vit)):
        for path, leaf in leaves_of(found[part]).items():
            np.testing.assert_array_equal(leaf, wanted[path], err_msg=path)
    assert [line for line in lines if "names of" in line] == [
        f"init_from {tmp_path / FILE}: names of torchvision",
        f"init_from {tmp_path / 'v.st'}: names of original",
    ]


def test_torchvisions_vgg16_is_taken_in_the_order_of_its_layers():
    leaves = small("vgg16", {})
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    arrays = to_names(leaves, namemap.namings("vgg16")["torchvision"])
    arrays = {n: a * 0 + int(n.split(".")[1]) for n, a in arrays.items()}
    found, _ = load(network(leaves), arrays)
    ours = sorted({path.split("/")[0] for path in leaves})
    for layer, place in zip(ours, places, strict=True):
        assert np.all(found[f"{layer}/conv/kernel"] == place)
        assert np.all(found[f"{layer}/conv/bias"] == place)


def test_blue_first_becomes_red_first(resnet):
    leaves, arrays = resnet
    found, lines = load(network(leaves), arrays, channels="bgr")
    kernel = leaves["conv1/conv/kernel"]
    np.testing.assert_array_equal(found["conv1/conv/kernel"], kernel[:, :, ::-1])
    np.testing.assert_array_equal(found["bn1/scale"], leaves["bn1/scale"])
    assert "some.pth takes blue first" in lines[0]
    # A network that turns the colours itself takes it as it is.
    source = [Source(FILE, arrays, {"channels": "bgr"})]
    found, _ = load_into(network(leaves), {}, source, bgr=True, log=lines.append)
    found = leaves_of(found["backbone"])["conv1/conv/kernel"]
    np.testing.assert_array_equal(found, kernel)


# A layer of ours, and its convolution and normalisation in each program.
FOLDED = [
    ("torchvision", "block3/depthwise", "features.3.conv.1.0", "features.3.conv.1.1"),
    ("timm", "block2/project", "blocks.1.0.conv_pwl", "blocks.1.0.bn3"),
    ("huggingface", "head", "conv_1x1.convolution", "conv_1x1.normalization"),
    ("timm", "block4/expand", "blocks.2.0.conv_pw", "blocks.2.0.bn1"),
    ("package", "stem", "_conv_stem", "_bn0"),
]


@pytest.mark.parametrize("eps", [None, 1e-2])
@pytest.mark.parametrize(("naming", "layer", "conv", "norm"), FOLDED)
def test_normalisation_is_folded_into_the_convolution(naming, layer, conv, norm, eps):
    """What the two give in turn for an input, the one layer gives alone."""
    backbone = "efficientnet_lite0" if layer in ("block4/expand", "stem") else None
    backbone, rng = backbone or "mobilenet_v2", np.random.default_rng(0)
    leaves, names = small(backbone, {}), namemap.namings(backbone)[naming]
    arrays = {}
    for name, array in to_names(leaves, names).items():
        drawn = rng.standard_normal(array.shape).astype(np.float32)
        arrays[name] = abs(drawn) + 0.1 if name.endswith("running_var") else drawn
    found, _ = load(network(leaves), arrays, **({"eps": eps} if eps else {}))
    leaf = ("weight", "bias", "running_mean", "running_var")
    scale, bias, mean, var = (np.float64(arrays[f"{norm}.{one}"]) for one in leaf)
    kernel = np.float64(arrays[f"{conv}.weight"])
    x = rng.standard_normal(kernel.shape[1:])
    z = np.einsum("oikl,ikl->o", kernel, x)
    wanted = (z - mean) / np.sqrt(var + (eps or names.eps)) * scale + bias
    ours = {p.split("/")[-1]: v for p, v in found.items() if p.startswith(f"{layer}/")}
    value = np.einsum("klio,ikl->o", np.float64(ours["kernel"]), x) + ours["bias"]
    np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)
    arrays[f"{norm}.running_var"] = -var.astype(np.float32)
    with pytest.raises(UserError, match=f"{norm}.running_var holds variances"):
        load(network(leaves), arrays)


def test_layers_in_call_order_fill_mobilenet_v2(tmp_path):
    """An npz of half precision, already folded; what is behind the backbone stays."""
    leaves = small("mobilenet_v2", {})
    layers = dict.fromkeys(path.rsplit("/", 1)[0] for path in _in_call_order(leaves))
    arrays = {}
    for number, layer in enumerate(layers):
        kind = "depthwise_conv_2d" if "depthwise" in layer else "conv_2d"
        for leaf in ("kernel", "bias"):
            array = leaves[f"{layer}/{leaf}"].astype(np.float16)
            arrays[f"{number:02d}/{kind}/{leaf}"] = array
    arrays["52/conv_2d/kernel"] = np.zeros((1, 1, 6, 11), np.float16)
    write(tmp_path / FILE, arrays, container="npz")
    found, _ = load_into(network(leaves, head=HEAD), {}, tmp_path / FILE)
    assert found["head"] is HEAD
    for path, leaf in leaves_of(found["backbone"]).items():
        assert leaf.dtype == np.float32
        np.testing.assert_array_equal(leaf, leaves[path].astype(np.float16))


def _in_call_order(leaves):
    steps = ("expand", "depthwise", "project")

    def place(path):
        block, step = path.split("/")[:2]
        number = {"stem": 0, "head": 99}.get(block, None)
        number = int(block.removeprefix("block")) if number is None else number
        return number, steps.index(step) if step in steps else 0

    return sorted(leaves, key=place)


def test_names_of_detectron2(resnet):
    arrays = to_names(resnet[0], namemap.namings("resnet")["detectron2"])
    torchvision = resnet[1]
    for theirs, same in {
        "stem.conv1.weight": "conv1.weight",
        "stem.conv1.norm.running_var": "bn1.running_var",
        "res2.0.conv1.weight": "layer1.0.conv1.weight",
        "res3.0.shortcut.weight": "layer2.0.downsample.0.weight",
        "res3.0.shortcut.norm.running_mean": "layer2.0.downsample.1.running_mean",
        "res5.1.conv2.norm.bias": "layer4.1.bn2.bias",
    }.items():
        np.testing.assert_array_equal(arrays[theirs], torchvision[same])
    assert len(arrays) == len(torchvision) - 1


def test_only_what_is_taken_must_be_finite():
    leaves = small("vgg16", {})
    arrays = to_names(leaves, namemap.namings("vgg16")["torchvision"])
    arrays["scores"] = np.float32([np.nan, 1])
    load(network(leaves), arrays)
    arrays["features.5.bias"] = arrays["features.5.bias"] * np.inf
    with pytest.raises(UserError, match="NaN or infinite.*features.5.bias"):
        load(network(leaves), arrays)
