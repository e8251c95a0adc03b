"""Against the libraries of requirements-formats.txt, where they are installed."""

import io

import numpy as np
import pytest
from PIL import Image

from ppcjax.data_pipelines.formats import WRITERS, Exported, coco_runs, raster
from ppcjax.evaluate.masks.files import mask_bytes
from tests.data.formats.scenes import CLASSES, masks


@pytest.mark.parametrize("seed", range(6))
def test_polygons_and_runs_are_those_of_pycocotools(seed):
    tool = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    for _ in range(200):
        height, width = (int(n) for n in rng.integers(1, 70, 2))
        corners = rng.uniform(-0.2, 1.2, (rng.integers(3, 12), 2)) * (width, height)
        corners = np.round(corners, (0, 1, 8)[seed % 3])
        mask = np.zeros((height, width), np.int32)
        raster.fill_polygon(mask, corners, 1)
        runs = tool.frPyObjects([corners.ravel().tolist()], height, width)
        np.testing.assert_array_equal(mask, tool.decode(runs)[..., 0])
        text = runs[0]["counts"].decode()
        lengths = coco_runs.runs(mask == 1)
        assert coco_runs.encode(lengths) == text
        assert coco_runs.decode(text, "") == lengths


def test_opencv_reads_ids_of_grey_files_and_colours_of_palettes(tmp_path):
    cv2 = pytest.importorskip("cv2")
    found = masks()
    photos = [Exported(k, f"{k}.png", lambda m=m: m) for k, m in found.items()]
    grey = dict(WRITERS["png_grey"](photos, dict(enumerate(CLASSES, 1))))
    for key, mask in found.items():
        data = grey[f"masks/{key}.png"]
        read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(read, mask)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), mask)
    (tmp_path / "a.png").write_bytes(mask_bytes(found["holes"]))
    colours = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert colours.shape == (*found["holes"].shape, 3)
    assert colours[1, 1].tolist() == [0, 0, 128]  # blue, green, red of class 1
