"""Files of the hub, and what their configs say of the input."""

import json
from pathlib import Path

import pytest

from ppcjax.weights import fetch
from tests.weights.fetch.web import WEIGHTS, one_line, start


def test_hub(web, cache):
    lines = []
    found = fetch.local_file("hf://owner/net", say=lines.append)
    assert found.path.read_bytes() == WEIGHTS and str(found.path) in lines[-1]
    for source in (
        "hf://owner/net/model.safetensors",
        "hf://owner/net@main/model.safetensors",
        " hf://owner/net@main ",
        "https://huggingface.co/owner/net/blob/main/model.safetensors",
    ):
        assert fetch.local_file(source).path == found.path
    assert len(web.downloads("/owner/net/resolve/main/model.safetensors")) == 1


def test_hub_offline(web, cache, monkeypatch):
    """What was downloaded stays; else one message says all, and obeying it helps."""
    path = fetch.local_file("hf://owner/net", say=print).path
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch.local_file("hf://owner/net").path == path
    url = f"{web.address}/owner/net/resolve/v2/a.pth"
    target = cache / "hub/owner/net@v2/a.pth"
    one_line("hf://owner/net/a.pth@v2", url, target, "HF_HUB_OFFLINE")
    target.parent.mkdir(parents=True)
    target.write_bytes(WEIGHTS)
    for source in ("hf://owner/net/a.pth@v2", "hf://owner/net@v2"):
        assert fetch.local_file(source).path == target
    one_line("hf://owner/another", f"{web.address}/owner/another", cache)


@pytest.mark.parametrize("mishap", ["cut", "slow"])
def test_hub_goes_on_where_it_broke_off(web, cache, mishap, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)
    path = "/owner/net/resolve/main/model.safetensors"
    web.mishaps[path] = [mishap]
    assert fetch.local_file("hf://owner/net", say=print).path.read_bytes() == WEIGHTS
    begins = [begin for _, _, begin in web.downloads(path)]
    assert begins[0] == 0 and (mishap == "slow" or begins[-1] > 0)


def test_hub_in_trouble(web, cache):
    path = "/owner/net/resolve/main/model.safetensors"
    web.mishaps[path] = [500] * 9
    one_line("hf://owner/net", web.address + path, "500", cache / "hub/owner/net")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hf://owner/nobody/a.pth", "no such repository"),
        ("hf://owner/nobody", "no such repository"),
        ("hf://owner/net/a.pth@v9", "no such repository or revision"),
        ("hf://owner/net/a.pth", "has no file a.pth"),
        ("hf://owner/gated/a.pth", "agreement"),
        ("hf://net", "write hf://OWNER/NAME"),
        ("hf://owner/net/../a.pth", "write hf://OWNER/NAME"),
        ("s3://bucket/a.pth", "s3:// is not known"),
    ],
)
def test_hub_mistakes(web, cache, source, words):
    web.repositories["owner/gated"] = {"a.pth": WEIGHTS}
    web.gated.add("owner/gated")
    one_line(source, words)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (
            ["pytorch_model.bin", "model.safetensors", "flax.msgpack"],
            "model.safetensors",
        ),
        (["pytorch_model.bin", "onnx/model.onnx"], "pytorch_model.bin"),
        (["net.safetensors", "a.pth", "b.pth"], "net.safetensors"),
        (["README.md", "net.pth"], "net.pth"),
        (["net.bin"], "net.bin"),
        (["a.pth", "b.pth"], None),
        (["README.md"], None),
    ],
)
def test_which_file_of_a_repository(web, cache, names, chosen):
    web.repositories["owner/net"] = dict.fromkeys(names, WEIGHTS)
    if chosen:
        assert fetch.local_file("hf://owner/net", say=print).path.name == chosen
    else:
        one_line("hf://owner/net", *[name for name in names if name.endswith("pth")])


TIMM = {
    "architecture": "tf_net",
    "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.4] * 3},
}
PROCESSOR = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 0.5]}


@pytest.mark.parametrize(
    ("configs", "facts"),
    [
        (
            {"config.json": TIMM},
            dict(
                pixel_mean=(0.5,) * 3, pixel_std=(0.4,) * 3, padding="after", eps=1e-3
            ),
        ),
        (
            {
                "preprocessor_config.json": PROCESSOR,
                "config.json": {"tf_padding": False, "layer_norm_eps": 0.01},
            },
            dict(
                pixel_mean=(0.1, 0.2, 0.3),
                pixel_std=(1, 1, 0.5),
                padding="both",
                eps=0.01,
            ),
        ),
        (
            {"preprocessor_config.json": {**PROCESSOR, "do_normalize": False}},
            dict(pixel_mean=(0.0,) * 3, pixel_std=(1.0,) * 3),
        ),
        (
            {"preprocessor_config.json": {"do_flip_channel_order": True}},
            {"channels": "bgr"},
        ),
        ({"config.json": {"mean": [123.0, 116.0, 103.0], "std": [1.0] * 3}}, None),
        ({"config.json": {"mean": [0.5] * 3, "std": [0.5, 0.5, 0.0]}}, None),
        ({"config.json": {"mean": [0.5] * 2, "std": [0.5] * 2}}, None),
        ({"config.json": {"mean": "0.5", "std": [True] * 3}}, None),
        ({"config.json": [1]}, {}),
        ({"config.json": None}, None),
    ],
    ids=range(10),
)
def test_what_configs_say_of_the_input(web, cache, tmp_path, configs, facts):
    """Of a file of the hub, of one beside its configs; nonsense is told, not kept."""
    texts = {
        name: json.dumps(config) if config is not None else "{"
        for name, config in configs.items()
    }
    for name, text in texts.items():
        web.repositories["owner/net"][name] = text.encode()
        (tmp_path / name).write_text(text)
    (tmp_path / "net.pth").write_bytes(WEIGHTS)
    for source in ("hf://owner/net", str(tmp_path / "net.pth"), "hf://owner/net"):
        lines = []
        found = fetch.local_file(source, say=lines.append)
        assert dict(found.facts) == (facts or {})
        assert bool([line for line in lines if "left out" in line]) == (facts is None)


def test_environment_of_the_hub(web, tmp_path):
    """HF_ENDPOINT, HF_HOME and the plain printing of a log, in a new process."""
    process = start(
        "hf://owner/net",
        tmp_path / "ours",
        HF_ENDPOINT=web.address,
        HF_HOME=str(tmp_path / "home"),
    )
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.startswith("vgg16_timm: ")
    assert Path(out.splitlines()[-1]).is_relative_to(tmp_path / "home")
    assert 1 < len(err.splitlines()) <= 11 and "Traceback" not in err
