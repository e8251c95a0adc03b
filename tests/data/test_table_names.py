"""Which image a row of a table of tags names."""

import time

import pytest

from tests.data.test_tables import IDS, refuses, tags


@pytest.mark.parametrize(
    "name",
    [
        "sub/c.png",
        "c",
        "C.PNG",
        "sub\\c.tif",
        "./sub/c",
        "images/sub/c.png",
        "/home/me/photos/sub/c.png",
        "C:\\Users\\me\\sub\\C.png",
        "https://host/sub/c.png",
    ],
)
def test_names_of_images(tmp_path, name):
    assert tags(tmp_path, f"image,tags\na.jpg,cow\n{name},grass\n")["sub/c"] == (
        "grass",
    )


def test_accents_composed_or_not(tmp_path):
    ids = {"\u00fc": 0, "o\u0308": 1}
    content = "u\u0308.jpg,Ku\u0308he\n\u00f6.jpg,K\u00fche\n"
    assert tags(tmp_path, content, ids=ids) == {
        "\u00fc": ("K\u00fche",),
        "o\u0308": ("K\u00fche",),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "x.jpg,cow\nb.jpg,cow\nc.jpg,cow\n",
            "line 1: 'x.jpg' is the name of no image",
        ),
        ("image,tags\nx,cow\ny,cow\nb,cow\n", "of other photos: 2 of its 3 rows"),
        ("x/1.jpg,cow\ny/1.jpg,grass\n", "would be the same image '1'"),
        ("e.jpg,cow\n1.jpg,cow\n", "line 1: 'e.jpg' is the name of several images"),
    ],
)
def test_names_of_no_image(tmp_path, content, message):
    ids = dict.fromkeys((*IDS, "1", "p/e", "q/e"))
    refuses(tmp_path, message, content, ids=ids)


def test_many_rows_are_fast(tmp_path):
    ids = {f"folder/IMG_{n:06d}": n for n in range(20_000)}
    lines = [f"IMG_{n:06d}.JPG,cow tag{n % 90} grass" for n in range(20_000)]
    start = time.process_time()
    found = tags(tmp_path, "image,tags\n" + "\n".join(lines), ids=ids)
    assert len(found) == 20_000
    assert found["folder/IMG_000091"] == ("cow", "tag1", "grass")
    assert time.process_time() - start < 5  # about 0.4 s
