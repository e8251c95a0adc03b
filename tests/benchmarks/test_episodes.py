"""The benchmark of episodes runs."""

import json

import pytest

from benchmarks import config, episodes


@pytest.mark.slow
def test_speeds_are_printed(tmp_path, capsys):
    settings = config.load("configs/panet_shapes.py")
    settings["method"]["backbone_settings"] = {"width": 4}
    settings["data"] |= {"size": 32, "train_size": 60, "crop": 32, "shot": 1}
    settings["data"] |= {"long_side": (32, 32), "least_shot": 0, "batch_size": 2}
    settings["eval"]["shots"] = (1,)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))
    episodes.main(["--config", str(path), "--batches", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["input", "training", "1-shot"]
    assert all(float(line.split("episodes/s")[0].split()[-1]) > 0 for line in lines)
