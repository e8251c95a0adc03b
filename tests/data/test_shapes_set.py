import hashlib
import itertools

import numpy as np
import pytest

from ppcjax.data_pipelines import make_source, shapes
from ppcjax.types import UserError

SCENES = [shapes.scene(0, "train", index, 96) for index in range(100)]


def test_bytes_never_change():
    digest = hashlib.sha256()
    for split in ("train", "val", "test"):
        for index in range(8):
            scene = shapes.scene(0, split, index, 96)
            digest.update(scene.image.tobytes() + scene.mask.tobytes())
    assert (
        digest.hexdigest()
        == "d92893020b556354893ce401ba4ca54d9f8dc3ac7d12735ca1cca02d94f1b02a"
    )


def test_splits_and_seeds_differ():
    one = shapes.scene(0, "train", 0, 64).image
    for other in ((0, "val", 0), (0, "train", 1), (1, "train", 0)):
        assert (shapes.scene(*other, 64).image != one).any()


def test_every_tagged_class_shows_a_small_part_of_a_large_body():
    for scene in SCENES:
        present = np.unique(scene.mask)[1:]
        assert 1 <= len(present) <= 3
        for class_id in present:
            whole = scene.mask == class_id
            share = (scene.part & whole).sum() / whole.sum()
            assert 0.04 < share < 0.4
        assert not (scene.part & (scene.mask == 0)).any()
    assert {c for s in SCENES for c in np.unique(s.mask)} == set(range(6))


def test_classes_differ_in_the_pattern_of_the_part_only():
    body = shapes._Body(0, 1, 768, 768, 480, 250, 5, 290, 9)
    window = shapes._window(body, 96)
    drawn = [
        shapes._draw_body(body._replace(class_id=c), window, 96) for c in range(1, 6)
    ]
    inside, on_part, _ = drawn[0]
    for other_inside, other_part, _ in drawn[1:]:
        np.testing.assert_array_equal(inside, other_inside)
        np.testing.assert_array_equal(on_part, other_part)
    for a, b in itertools.combinations([tone[on_part] for *_, tone in drawn], 2):
        assert 0.15 < (a != b).mean() < 0.85


def test_a_part_has_no_colour_of_its_own():
    """Its two tones lie around the body's colour and nearly average to it."""
    differences = []
    for scene in SCENES:
        for class_id in np.unique(scene.mask)[1:]:
            whole = scene.mask == class_id
            part = scene.image[whole & scene.part].mean(axis=0)
            rest = scene.image[whole & ~scene.part].mean(axis=0)
            differences.append(part - rest)
    differences = np.abs(differences).max(axis=1)
    assert differences.max() < shapes.PART_CONTRAST * 0.65
    assert np.median(differences) < 20


def test_bodies_are_long_and_the_part_is_near_an_end():
    assert shapes.BODY_LENGTH[0] > 1.5 * shapes.BODY_WIDTH[1]
    assert shapes.PART_OFFSET[0] > 1024 // 2
    body = shapes._Body(1, 0, 768, 768, 480, 250, 5, 290, 9)
    window = shapes._window(body, 96)
    inside, on_part, _ = shapes._draw_body(body, window, 96)
    places = np.argwhere(inside)
    lengths = np.sqrt(np.linalg.eigvalsh(np.cov(places.T)))
    assert lengths[1] > 1.5 * lengths[0]
    offset = np.linalg.norm(np.argwhere(on_part).mean(0) - places.mean(0))
    assert offset > lengths[1]


def test_untagged_bodies_are_background():
    """Some image has a region of body look, away from all objects, in its mask 0."""
    background = [s.image[s.mask == 0].reshape(-1, 3).std(0).sum() for s in SCENES]
    assert np.max(background) > 2 * np.min(background)


TEXTURED = [shapes.scene(0, "train", index, 96, "class") for index in range(100)]


def test_textures_of_classes_change_nothing_but_tagged_bodies():
    for any_texture, of_class in zip(SCENES, TEXTURED, strict=True):
        np.testing.assert_array_equal(any_texture.mask, of_class.mask)
        np.testing.assert_array_equal(any_texture.part, of_class.part)
        changed = (any_texture.image != of_class.image).any(-1)
        assert changed.any() and not changed[of_class.mask == 0].any()
        for class_id in np.unique(of_class.mask)[1:]:
            body = of_class.mask == class_id
            means = [s.image[body].mean(0) for s in (any_texture, of_class)]
            assert np.abs(means[0] - means[1]).max() < shapes.TEXTURE_STRENGTH[1]


def _roughness(scene, class_id):
    """How unlike pixels 1, 2, ... 6 apart are, without the amplitude of it."""
    grey = scene.image.astype(float).mean(-1)
    body = (scene.mask == class_id) & ~scene.part
    found = []
    for lag in (1, 2, 3, 4, 6):
        both = [body[lag:] & body[:-lag], body[:, lag:] & body[:, :-lag]]
        apart = [grey[lag:] - grey[:-lag], grey[:, lag:] - grey[:, :-lag]]
        found.append(
            np.mean(
                np.concatenate([d[b] for d, b in zip(apart, both, strict=True)]) ** 2
            )
        )
    found.append(grey[body].var())
    return np.log(np.array(found) / sum(found))


def _told(scenes):
    """Share of bodies whose roughness is most like that of others of their class."""
    looks, ids = [], []
    for scene in scenes:
        for class_id in np.unique(scene.mask)[1:]:
            looks.append(_roughness(scene, class_id))
            ids.append(class_id)
    looks, ids = np.array(looks), np.array(ids)
    apart = np.abs(looks[:, None] - looks[None]).sum(-1)
    np.fill_diagonal(apart, np.inf)
    return (ids[np.argmin(apart, 1)] == ids).mean()


def test_textures_tell_a_class_only_where_they_are_of_classes():
    assert _told(SCENES) < 0.4 and _told(TEXTURED) > 0.8


def test_bytes_of_textures_of_classes_never_change():
    digest = hashlib.sha256()
    for split in ("train", "val", "test"):
        for index in range(8):
            digest.update(shapes.scene(0, split, index, 96, "class").image.tobytes())
    assert (
        digest.hexdigest()
        == "b78511cbbe96e064e2146433da11ea5dde5b526a739a149c8d8c86e5675821d6"
    )


@pytest.mark.parametrize("size", [32, 64, 97])
@pytest.mark.parametrize("textures", ["any", "class"])
def test_other_sizes(size, textures):
    scene = shapes.scene(3, "val", 5, size, textures)
    assert scene.image.shape == (size, size, 3) and scene.mask.max() > 0


def test_source_has_masks_and_their_tags():
    source = make_source({"source": "shapes", "val_size": 5}, "val")
    assert len(source) == 5 and source.classes == shapes.CLASSES
    record = source.record(3)
    expected = shapes.scene(0, "val", 3, 96)
    np.testing.assert_array_equal(record.photo().pixels, expected.image)
    np.testing.assert_array_equal(record.mask(), expected.mask)
    np.testing.assert_array_equal(
        np.flatnonzero(record.tags()), np.union1d([0], expected.mask)
    )


def test_source_draws_textures_of_classes():
    fields = {"source": "shapes", "val_size": 5, "textures": "class"}
    pixels = make_source(fields, "val").record(3).photo().pixels
    np.testing.assert_array_equal(pixels, shapes.scene(0, "val", 3, 96, "class").image)


@pytest.mark.parametrize(
    ("split", "fields", "message"),
    [
        ("dev", {}, "no split 'dev' in shapes"),
        ("val", {"val_size": 0}, "config.data.val_size=0"),
        ("val", {"root": "photos"}, "reads no files"),
        ("val", {"size": 8.5}, "config.data.size=8.5"),
        ("val", {"textures": "some"}, "config.data.textures='some'"),
    ],
)
def test_wrong_settings(split, fields, message):
    with pytest.raises(UserError, match=message):
        make_source({"source": "shapes", **fields}, split)
