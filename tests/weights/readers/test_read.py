"""One reader for all formats: told by content, exact, and in one line where refused."""

import tracemalloc

import numpy as np
import pytest

from ppcjax.types import UserError
from ppcjax.weights.readers import not_finite, read
from tests.weights.readers.files import (
    ARRAYS,
    FILES,
    npz_bytes,
    numpy_pickle_bytes,
    onnx_bytes,
    safetensors_bytes,
)
from tests.weights.readers.pickling import FORMS, state_dict_bytes, zip_bytes


def write(tmp_path, data, name="net.weights"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def check_equal(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def refused(path):
    with pytest.raises(UserError) as error:
        read(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and len(text) - len(str(path)) < 250
    assert "\n" not in text
    return text


@pytest.mark.parametrize("kind", FILES)
def test_arrays_come_back_bit_for_bit(tmp_path, kind):
    data, arrays = FILES[kind]
    check_equal(read(write(tmp_path, data)), arrays)


@pytest.mark.parametrize("kind", FILES)
def test_the_suffix_says_nothing(tmp_path, kind):
    data, arrays = FILES[kind]
    for name in ("a.pth", "a.PTH", "a.pth.tar", "a.safetensors", "a.h5", "a"):
        assert list(read(write(tmp_path, data, name))) == list(arrays)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_cut_anywhere_is_refused(tmp_path, kind):
    data, _ = FILES[kind]
    for length in {0, 1, 5, 100, *range(7, len(data) - 1, 211), len(data) - 300}:
        cut = write(tmp_path, data[: max(length, 0)])
        try:
            found = read(cut)
        except UserError:
            refused(cut)
        else:  # zeros at the end of a tar archive
            check_equal(found, FILES[kind][1])


@pytest.mark.parametrize("kind", FILES)
def test_changed_bytes_never_end_in_a_traceback(tmp_path, kind):
    """Flipped, overwritten, removed, repeated and appended bytes, seeded."""
    data, arrays = FILES[kind]
    rng = np.random.default_rng(sum(map(ord, kind)))
    largest = 8 * len(data) + (1 << 21)
    for _ in range(250):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(changed)))
            size = int(rng.integers(1, 9))
            noise = rng.integers(0, 256, size, np.uint8).tobytes()
            match rng.integers(5):
                case 0:
                    changed[at] ^= 1 << int(rng.integers(8))
                case 1:
                    changed[at : at + size] = noise[: len(changed[at : at + size])]
                case 2:
                    del changed[at : at + size]
                case 3:
                    changed[at:at] = changed[at : at + size]
                case 4:
                    changed += noise
        path = write(tmp_path, bytes(changed))
        try:
            found = read(path, finite=False)
        except UserError as error:
            assert "\n" not in str(error)
            continue
        assert sum(array.nbytes for array in found.values()) <= largest
        assert all(isinstance(array, np.ndarray) for array in found.values())


@pytest.mark.parametrize(
    "data, says",
    [
        (b"", "is empty; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        (b"<!DOCTYPE html><html><head>", "is a web page, not weights"),
        (b"\n <HTML>404", "is a web page, not weights"),
        (b'{"error": "Repository not found"}', "is JSON.*Repository not found"),
        (b'{"metadata": {}, "weight_map": {"a": "b"}}', "checkpoint in several files"),
        (b"Not Found", "is a text, not weights"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
        (bytes(80) + bytes.fromhex("57fb808b247547db"), "index of a TensorFlow"),
        (b'model_checkpoint_path: "model.ckpt-1"', "list of a TensorFlow checkpoint"),
        (b"\x08\x01\x12\x00" + bytes(99), "TensorFlow SavedModel"),
        (b"GGUF" + bytes(99), "GGUF"),
        (b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite"),
        (b"\x1f\x8b\x08" + bytes(99), "gzip; unpack it"),
        (b"\x93NUMPY\x01\0" + bytes(99), "one array without a name"),
        (b"\x81\xa6params" + bytes(99), "msgpack"),
        (bytes(200), "unknown format; what is read: PyTorch"),
        (zip_bytes({"net.pth": b"x"}, folder=""), "zip archive.*file inside.*net.pth"),
        (zip_bytes({}), "zip archive"),
        (zip_bytes({"model.weights.h5": b"x"}), "Keras"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, data, says):
    path = write(tmp_path, data)
    with pytest.raises(UserError, match=says):
        read(path)
    refused(path)


def test_no_file(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.pth")
    assert "is a folder; give a file" in refused(tmp_path)
    assert "no plain file" in refused("/dev/null")


WRITERS = {
    **{
        form: lambda arrays, form=form: state_dict_bytes(form, arrays) for form in FORMS
    },
    "safetensors": safetensors_bytes,
    "npz": npz_bytes,
    "onnx": onnx_bytes,
    "pickle": numpy_pickle_bytes,
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_numbers_that_are_none_are_named(tmp_path, kind, value, dtype):
    if dtype == "bfloat16" and kind in ("npz", "pickle"):
        pytest.skip("the format has no such type")
    bad = np.ones(6, ARRAYS["brain"].dtype if dtype == "bfloat16" else dtype)
    bad[2:4] = value
    path = write(tmp_path, WRITERS[kind]({"good": np.ones(2), "bad": bad}))
    text = refused(path)
    assert "hold NaN or infinite numbers: " in text and "bad (2 of 6)" in text
    assert "2 of 6" in not_finite(read(path, finite=False))


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_thousands_of_arrays(tmp_path, kind):
    """A hundred thousand in the format that is quick to write."""
    count = 100_000 if kind == "safetensors" else 2_000
    value = np.zeros(1, np.float32)
    path = write(tmp_path, WRITERS[kind]({f"layer{i}": value for i in range(count)}))
    assert len(read(path)) == count


@pytest.mark.parametrize("kind", WRITERS)
def test_memory_is_twice_the_file(tmp_path, kind):
    size = 8 << 20
    arrays = {f"layer{i}": np.zeros(size // 16, np.float32) for i in range(4)}
    data = WRITERS[kind](arrays)
    path = write(tmp_path, data)
    del arrays
    tracemalloc.start()
    found = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 4
    # The pickle of NumPy's arrays holds them as text, which is decoded first.
    assert peak < (4 if kind == "pickle" else 2.2) * len(data) + (1 << 20)
