"""ImageNet as a folder of class folders and as TFDS records, both faked."""

import itertools

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ppcjax.data_pipelines import imagenet_builder, make_source, make_train
from ppcjax.types import UserError
from tests.data import fake_data

STREAM = {
    "source": "imagenet",
    "batch_size": 2,
    "crop": 16,
    "ratio": (0.75, 1.3333),
    "train_split": "train",
}


class FakeImages(tfds.core.GeneratorBasedBuilder):
    """Two splits of small pictures; the manual directory must hold the archives."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "none"

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
        features = tfds.features.FeaturesDict(
            {"image": image, "label": tfds.features.ClassLabel(num_classes=3)}
        )
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        assert (dl_manager.manual_dir / imagenet_builder.TARS[0]).exists()
        return {"train": self._generate_examples(5), "validation": self._pictures(2)}

    def _generate_examples(self, count):
        return self._pictures(count)

    def _pictures(self, count):
        for number in range(count):
            image = np.ascontiguousarray(fake_data.picture(seed=number))
            yield number, {"image": image, "label": number % 3}


def test_class_folders(tmp_path):
    for name in ("train/n01/a.JPEG", "train/n02/b.JPEG", "val/n01/c.JPEG"):
        path = tmp_path / name
        fake_data.write_image(path.with_suffix(".jpg")).rename(path)
    config = {**STREAM, "root": str(tmp_path)}
    source = make_source(config, "train")
    assert source.ids == ("n01/a.JPEG", "n02/b.JPEG")
    (batch,) = itertools.islice(make_train(config, source, reads="views", seed=0), 1)
    assert batch["image"].shape == (2, 2, 16, 16, 3)
    with pytest.raises(UserError, match="has no folder test; give the folder that"):
        make_source(config, "test")
    with pytest.raises(UserError, match="config.data.root is empty; give the folder"):
        make_source(STREAM, "train")


def test_prepared_records(tmp_path):
    with pytest.raises(UserError, match=r"has no ILSVRC2012_img_train.tar; download"):
        imagenet_builder.prepare(str(tmp_path), str(tmp_path / "records"))
    for name in imagenet_builder.TARS:
        (tmp_path / name).touch()
    records = tmp_path / "records"
    imagenet_builder.prepare(str(tmp_path), str(records), builder="fake_images")
    config = {**STREAM, "tfds_dir": str(records)}
    source = make_source(config, "train")
    assert source.ids == tuple(f"train_{i}" for i in range(5))
    assert source.record(0).photo(0).pixels.shape == (20, 30, 3)
    batches = list(
        itertools.islice(make_train(config, source, reads="views", seed=0), 3)
    )
    assert all(batch["image"].shape == (2, 2, 16, 16, 3) for batch in batches)
    assert len(make_source(config, "validation")) == 2
    with pytest.raises(UserError, match="no split 'val'; there are train, validation"):
        make_source(config, "val")
    with pytest.raises(UserError, match="no prepared data set; give the folder"):
        make_source({**config, "tfds_dir": str(tmp_path / "none")}, "train")
