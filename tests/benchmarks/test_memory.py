"""The fit of bytes finds what they were made of, and solves for batch and crop."""

import json

import pytest

from benchmarks import memory


def _points(fixed, linear, square, sizes=((2, 100), (4, 100), (2, 400))):
    return [
        {
            "batch": batch,
            "pixels": pixels,
            "crop": [round(pixels**0.5)] * 2,
            "bytes": fixed + batch * (linear * pixels + square * pixels**2),
        }
        for batch, pixels in sizes
    ]


@pytest.mark.parametrize("square", [0.0, 0.25])
def test_fit_and_what_it_solves_for(square):
    found = memory.fit(_points(1000, 3, square))
    assert found == pytest.approx((1000, 3, square), rel=1e-6, abs=1e-6)
    each = 3 * 100 + square * 100**2
    assert found.batch(100, 1000 + 7.5 * each) == 7
    assert found.batch(100, 900) == 0
    assert found.pixels(2, 1000 + 2 * each) == pytest.approx(100)
    assert found.pixels(2, 900) == 0


def test_a_square_below_zero_is_none():
    found = memory.fit(_points(1000, 3, -1e-4))
    assert found.square == 0 and found.linear > 0


def test_largest_sizes_in_the_table():
    found = memory.result("A step", "configs/a.py", _points(2**33, 2**20, 0))
    assert found["largest"]["8"] == {"batch": 0, "crop": None}
    assert found["largest"]["16"]["batch"] == 81
    assert found["worst"] == pytest.approx(0, abs=1e-9)
    lines = memory.table({"a": found}).splitlines()
    assert lines[2].startswith("| A step | 10 | 8,192 | 100 | 0; none | 81; 64 |")


def test_crops_keep_their_shape():
    assert memory.sides(473) == (473, 473)
    assert memory.sides((512, 1024), 0.5) == (256, 512)
    assert memory.text((512, 1024)) == "512 x 1024" and memory.text((64, 64)) == "64"


def test_what_the_file_holds_is_not_compiled_again(tmp_path, monkeypatch, capsys):
    file, asked = tmp_path / "memory.json", []

    def measure(config, classes):
        asked.append(config)
        return _points(2**30, 2**20, 0)

    monkeypatch.setattr(memory, "measure", measure)
    for names in (["ppc"], ["ppc", "pixpro"]):
        memory.main(["--method", *names, "--json", str(file)])
    assert asked == ["configs/ppc_voc.py", "configs/pixpro_imagenet.py"]
    assert set(json.loads(file.read_text())) == {"ppc", "pixpro"}
    assert "| PixPro, ResNet-50 |" in capsys.readouterr().out


@pytest.mark.slow
def test_a_step_is_compiled_at_three_sizes():
    first, second, third = memory.measure("configs/ppc_shapes.py:cam", 5)
    assert first["bytes"] < second["bytes"] < third["bytes"]
    assert third["pixels"] == 4 * first["pixels"]
