"""What `import ppcjax` gives: names, examples in the docstrings, types, mistakes."""

import doctest
import importlib
import inspect
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ppcjax
from ppcjax import fewshot
from ppcjax.predict import photos, supports
from ppcjax.predict.masks import as_masks
from ppcjax.predict.photos import Segmentation
from ppcjax.report.palette import voc_palette
from ppcjax.types import IGNORE, UserError
from tests.predict import toy

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = (
    "ppcjax.predict.photos",
    "ppcjax.predict.supports",
    "ppcjax.evaluate.scoring.scoring",
)


def test_every_public_name_is_there_and_documented():
    assert set(ppcjax.__all__) <= set(dir(ppcjax))
    for name in ppcjax.__all__:
        found = getattr(ppcjax, name)
        assert name == "__version__" or inspect.getdoc(found), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ppcjax.nothing


def test_names_for_type_checkers_are_those_that_are_given():
    source = Path(ppcjax.__file__).read_text()
    for name, module in ppcjax._LATER.items():
        assert getattr(importlib.import_module(module), name) is getattr(ppcjax, name)
        assert f"from {module} import" in source and f'    "{name}",' in source
    assert (Path(ppcjax.__file__).parent / "py.typed").is_file()


def test_importing_brings_no_jax():
    script = "import sys, ppcjax; dir(ppcjax); print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr


@pytest.fixture(scope="module")
def run():
    return toy.few_shot()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_in_docstrings_run(name, run, monkeypatch):
    """With RUN a run that takes no time; opening one is tested elsewhere."""
    module = importlib.import_module(name)
    monkeypatch.setattr(photos, "open_model", lambda path: toy.segmenter())
    runs = {"ppcjax.predict.photos": "runs/x", "ppcjax.predict.supports": run}
    globs = {**vars(module), "np": np, "RUN": runs.get(name)}
    tests = doctest.DocTestFinder().find(module, globs=globs)
    tests = [test for test in tests if test.examples]
    assert tests
    for test in tests:
        said: list[str] = []
        failed, tried = doctest.DocTestRunner().run(test, out=said.append)
        assert tried and not failed, "".join(said)


def scene(value=1, background=0, dtype=np.uint8):
    """A photo with a red square, and its mask."""
    image = np.full((30, 44, 3), (20, 20, 200), np.uint8)
    image[5:20, 8:30] = (200, 20, 20)
    mask = np.where(image[..., 0] == 200, value, background).astype(dtype)
    return image, mask


def forms(folder):
    """A photo and its mask in every form that is taken."""
    image, mask = scene()
    palette = Image.fromarray(mask)
    palette.putpalette(voc_palette().tobytes())
    colours = np.zeros((*mask.shape, 3), np.uint8)
    colours[mask == 1] = voc_palette()[1]
    Image.fromarray(image).save(folder / "photo.png")
    palette.save(folder / "mask.png")
    np.save(folder / "mask.npy", mask)
    photo_forms = (image, Image.fromarray(image), folder / "photo.png")
    mask_forms = {
        "bool": mask.astype(bool),
        "white": mask * 255,
        "float": mask.astype(np.float32),
        "int64": mask.astype(np.int64),
        "list": mask.tolist(),
        "grey": Image.fromarray(mask),
        "bits": Image.fromarray(mask.astype(bool)),
        "deep": Image.fromarray(mask.astype(np.uint16)),
        "real": Image.fromarray(mask.astype(np.float32)),
        "palette": palette,
        "colours": Image.fromarray(colours),
        "path": folder / "mask.png",
        "text": str(folder / "mask.png"),
        "npy": folder / "mask.npy",
    }
    return photo_forms, mask_forms


def test_examples_come_in_any_form_and_say_the_same(run, tmp_path):
    photo_forms, mask_forms = forms(tmp_path)
    _, mask = scene()
    wanted = None
    for name, form in mask_forms.items():
        np.testing.assert_array_equal(as_masks([form], ["thing"])[0], mask, name)
    for photo in photo_forms:
        found = ppcjax.fewshot([photo], [tmp_path / "mask.png"], run=run).arrays
        wanted = wanted or found
        np.testing.assert_array_equal(found["prototypes"], wanted["prototypes"])


def test_255_is_a_class_only_where_no_mask_holds_another():
    white, ones = scene(255)[1], scene(1)[1]
    assert (as_masks([white], ["a"])[0] == ones).all()
    found = as_masks([white, ones], ["a"])
    assert set(np.unique(found[0])) == {0, IGNORE} and (found[1] == ones).all()
    with pytest.raises(UserError, match="mask 0.npy: all 1 masks hold 0 and 255 only"):
        as_masks([white], ["a", "b"])
    scribble = np.full((4, 4), 255)
    scribble[0, 0], scribble[3, 3] = 1, 0
    np.testing.assert_array_equal(as_masks([scribble], ())[0], scribble)


def test_fewshot_finds_and_says_what_it_found(run):
    image, mask = scene()
    found = ppcjax.fewshot([image], [mask], names=["thing"], run=run)
    assert isinstance(found, ppcjax.Prototypes)
    assert found.classes == ("background", "thing")
    one = found.segment(image)
    assert isinstance(one, Segmentation) and one.tags == ("thing",)
    np.testing.assert_array_equal(found.predict(image), one.mask)
    np.testing.assert_array_equal(one.scores[..., 1:].max(-1) > 0.5, one.mask == 1)
    assert (one.mask == mask).mean() > 0.9
    empty = found.segment(np.full((9, 12, 3), (20, 20, 200), np.uint8))
    assert empty.tags == () and not empty.mask.any()
    several = found.segment(photo for photo in (image, image[:9]))
    assert [part.mask.shape for part in several] == [(30, 44), (9, 44)]
    with pytest.raises(UserError, match="predict takes one photo; segment"):
        found.predict([image])


def test_the_old_ways_lead_to_the_same(run, tmp_path):
    image, mask = scene()
    assert (fewshot.fit, fewshot.load) == (supports.fit, supports.load)
    found = fewshot.fit((image,), iter([mask]), run=run)
    assert found.names == ("1",)
    found.save(tmp_path / "found.npz")
    again = fewshot.load(tmp_path / "found.npz", run=run)
    np.testing.assert_array_equal(again.predict(image), found.predict(image))


def test_without_a_run_the_shipped_network_is_opened_once(monkeypatch):
    opened = []

    def open_untrained(config):
        opened.append(config["name"])
        return toy.few_shot()

    monkeypatch.setattr(supports, "open_untrained", open_untrained)
    supports.usual_network.cache_clear()
    image, mask = scene()
    for _ in range(2):
        ppcjax.fewshot([image], [mask])
    supports.usual_network.cache_clear()
    assert opened == ["panet_folder"]


IMAGE, MASK = scene()
MISTAKES = [
    ((IMAGE, [MASK], {}), r"images is one ndarray; give a list, such as \[image\]"),
    (("a.jpg", [MASK], {}), "images is one str; give a list"),
    ((Image.fromarray(IMAGE), [MASK], {}), "images is one Image; give a list"),
    ((7, [MASK], {}), "images is one int"),
    (({"a": IMAGE}, [MASK], {}), "images is one dict"),
    (([IMAGE], MASK, {}), r"masks is one ndarray; give a list, such as \[mask\]"),
    (([IMAGE], "mask.png", {}), "masks is one str"),
    (([], [], {}), "0 photos and 0 masks"),
    (([IMAGE, IMAGE], [MASK], {}), "2 photos and 1 masks"),
    (([IMAGE[..., 0]], [MASK], {}), "support 0 is uint8"),
    (([IMAGE / 255], [MASK], {}), "support 0 is float64"),
    (([None], [MASK], {}), "support 0 is object"),
    ((["no.jpg"], [MASK], {}), "no.jpg"),
    (([IMAGE], [MASK[:9]], {}), r"its mask has shape \(9, 44\), the photo"),
    (([IMAGE], [MASK * 0], {}), "no mask shows a class"),
    (([IMAGE], [MASK * 0 + 255], {}), "no mask shows a class"),
    (([IMAGE], [MASK * 3], {"names": ["a"]}), "holds class 3, and 1 names are given"),
    (([IMAGE], [MASK * 3], {}), "no mask shows class 1"),
    (([IMAGE], [MASK * 0.5], {}), "mask 0.npy: holds values that are not whole"),
    (([IMAGE], [MASK * np.nan], {}), "mask 0.npy: holds values that are not whole"),
    (([IMAGE], [-MASK.astype(int)], {}), "mask 0.npy: holds class id -1"),
    (([IMAGE], [IMAGE], {}), r"mask 0 is uint8 \[30, 44, 3\]; give whole numbers"),
    (([IMAGE], [None], {}), "mask 0 is object"),
    (([IMAGE], [MASK[:0]], {}), "mask 0 is uint8"),
    (([IMAGE], ["no.png"], {}), "no.png: cannot be read as a mask"),
    (([IMAGE], [Image.fromarray(IMAGE)], {}), "mask 0.png: is a RGB picture"),
    (([IMAGE], [MASK], {"names": "thing"}), r"names='thing': give a list"),
    (([IMAGE], [MASK], {"names": ["a", "a"]}), "names: 'a' is empty, there twice"),
    (([IMAGE], [MASK], {"names": [" "]}), "names: ' ' is empty"),
    (([IMAGE], [MASK], {"names": ["background", "a"]}), "names: 'background'"),
    (([IMAGE], [MASK], {"names": [3]}), "names: 3 is empty, there twice, no text"),
    (([IMAGE], [MASK], {"names": ["a", "b"]}), r"no mask shows class 2 \(b\)"),
    (([IMAGE], [MASK], {"run": "runs/none"}), "runs/none"),
    (([IMAGE], [MASK], {"run": toy.segmenter()}), "does not learn from examples"),
]


@pytest.mark.parametrize(("given", "message"), MISTAKES)
def test_mistakes_are_one_line(run, given, message):
    images, masks, more = given
    with pytest.raises(UserError, match=message) as caught:
        ppcjax.fewshot(images, masks, **({"run": run} | more))
    said, made = str(caught.value), os.path.join(tempfile.gettempdir(), "tmp")
    assert "\n" not in said and made not in said


def test_a_list_an_iterator_or_one_photo_of_a_run():
    predictor = ppcjax.Predictor(toy.segmenter(), 0.5)
    image = scene()[0]
    one = predictor.predict(image)
    assert isinstance(one, Segmentation) and one.mask.shape == (30, 44)
    for several in ([image] * 2, (image, image), iter([image, image])):
        found = predictor.predict(several)
        assert [part.mask.shape for part in found] == [(30, 44)] * 2
    assert predictor.predict([]) == []
    with pytest.raises(UserError, match="photo 1 is float64"):
        predictor.predict([image, image / 255])
    with pytest.raises(UserError, match="the photo is object"):
        predictor.predict(None)


SCRIPT = ROOT / "tests" / "predict" / "typed_script.py"


@pytest.mark.slow
def test_a_script_passes_a_strict_type_checker(tmp_path):
    """As of an installed package: only what the script sees is judged."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path), str(SCRIPT)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import ppcjax\nx: int = ppcjax.load('r').predict('p').mask\n")
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path), str(wrong)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "Incompatible types" in done.stdout, done.stdout


def test_threads_may_share_a_predictor():
    predictor, image = ppcjax.Predictor(toy.segmenter(), 0.5), scene()[0]
    photos_ = [np.roll(image, shift, 1) for shift in range(8)]
    alone = [predictor.predict(photo).mask for photo in photos_]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(predictor.predict, photos_))
    for one, mask in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one.mask, mask)
