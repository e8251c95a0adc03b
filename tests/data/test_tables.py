import csv
import io
import json

import pytest

from ppcjax.data_pipelines.sources.tables import read_table
from ppcjax.types import UserError
from tests.data.test_text import ENCODINGS, encoded

IDS = dict.fromkeys(("a", "b", "sub/c", "d"))
TAGS = {"a": ("cow",), "b": ("cow", "grass"), "sub/c": ("grass",), "d": ("cow",)}
FILES = {"a": "a.jpg", "b": "b.JPEG", "sub/c": "sub/c.png", "d": "d.jpg"}
HEADERS = {
    "none": None,
    "english": ("image", "tags"),
    "other words": ("filename", "label"),
    "german": ("Bild", "Schlagworte"),
    "japanese": ("画像", "タグ"),
    "unknown words": ("obraz", "etykiety"),
}
COLUMNS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
BETWEEN = {
    "space": " ",
    "comma": ",",
    "comma and space": ", ",
    "semicolon": ";",
    "bar": "|",
    "spaced bar": " | ",
    "slash": "/",
    "wide comma": "、",
}
LISTS = {
    "python": repr,
    "json": json.dumps,
    "bare": lambda names: f"[{', '.join(names)}]",
    "numpy": lambda names: f"[{' '.join(map(repr, names))}]",
    "tuple": lambda names: f"({', '.join(map(repr, names))},)",
    "set": lambda names: "{" + ", ".join(map(repr, names)) + "}",
}


def written(rows, delimiter=",", quoting=csv.QUOTE_MINIMAL):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows(rows)
    return out.getvalue()


def rows_of(header, cell):
    rows = [(FILES[key], cell(list(names))) for key, names in TAGS.items()]
    return ([header] if header else []) + rows


def table(tmp_path, content, ids=IDS, classes=()):
    file = tmp_path / "tags.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(file, ids, classes)


def tags(tmp_path, content, **options):
    return table(tmp_path, content, **options).tags


def refuses(tmp_path, message, content, **options):
    with pytest.raises(UserError) as caught:
        table(tmp_path, content, **options)
    assert message in str(caught.value) and "tags.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("between", BETWEEN)
def test_separators_and_headers(tmp_path, header, columns, between):
    rows = rows_of(HEADERS[header], BETWEEN[between].join)
    content = written(rows, COLUMNS[columns])
    assert tags(tmp_path, content) == TAGS
    assert tags(tmp_path, written(rows, COLUMNS[columns], csv.QUOTE_ALL)) == TAGS


@pytest.mark.parametrize("header", ("none", "english", "german"))
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings(tmp_path, header, columns, encoding):
    rows = rows_of(HEADERS[header], ";".join)
    rows = [tuple(c.replace("cow", "Kühe") for c in row) for row in rows]
    found = table(tmp_path, encoded(written(rows, COLUMNS[columns]), encoding))
    assert found.tags["b"] == ("Kühe", "grass")
    assert any("Windows" in w for w in found.warnings) == (encoding == "windows-1252")


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("columns", COLUMNS)
def test_lists_in_brackets(tmp_path, form, columns):
    content = written(rows_of(HEADERS["english"], LISTS[form]), COLUMNS[columns])
    assert tags(tmp_path, content) == TAGS


def test_lists_without_quotes_around_them(tmp_path):
    content = "a.jpg,[cow]\nb.jpg,[cow, grass]\nc.png,['grass']\nd.jpg,[]\n"
    assert tags(tmp_path, content) == {**TAGS, "d": ()}


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("1", "0"),
        ("1.0", "0.0"),
        ("true", "false"),
        ("TRUE", "FALSE"),
        ("yes", "no"),
        ("ja", "nein"),
        ("x", ""),
        ("1", ""),
        (" 1", " 0"),
    ],
)
@pytest.mark.parametrize("extra", [(), ("split",), ("width", "id")])
def test_a_column_per_class(tmp_path, yes, no, extra):
    rows = [("filename", "cow", "grass", *extra)]
    for key, names in {**TAGS, "d": ()}.items():
        cells = [yes if n in names else no for n in ("cow", "grass")]
        rows.append((FILES[key], *cells, *("7" for _ in extra)))
    nothing = ("background",) if no.strip() else ()
    assert tags(tmp_path, written(rows)) == {**TAGS, "d": nothing}


def test_a_class_may_be_called_train(tmp_path):
    content = "image,train,cow\na.jpg,1,0\nb.jpg,0,1\n"
    assert tags(tmp_path, content) == {"a": ("train",), "b": ("cow",)}
    refuses(tmp_path, "which of the columns", "image,train,val,cow\na,1,0,1\nb,0,1,1\n")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.jpg,1,-1", "the column 'grass' holds '-1', neither 0 nor 1"),
        ("a.jpg,0.7,1", "the column 'cow' holds '0.7'"),
        ("a.jpg,1,", "line 2: the cell of 'grass' is empty while others say 0"),
        ("a.jpg,1", "line 2: the cell of 'grass' is empty while others say 0"),
    ],
)
def test_cells_that_are_neither_yes_nor_no(tmp_path, rows, message):
    refuses(tmp_path, message, f"image,cow,grass\n{rows}\nb.jpg,0,1\n")


@pytest.mark.parametrize(
    "content",
    [
        "a.jpg,cow\nb.jpg,cow,grass\nsub/c.png,grass\nd.jpg,cow\n",
        "image,tags\na.jpg,cow\nb.jpg,cow,grass\nsub/c.png,grass\nd.jpg,cow\n",
        "image,tag1,tag2\na,cow,\nb,cow,grass\nsub/c,,grass\nd,cow\n",
        "image,tags,,\na,cow,,\nb,cow,grass,\nsub/c,grass,,\nd,cow,,\n",
        ",image,tags\n0,a,cow\n1,b,cow grass\n2,sub/c,grass\n3,d,cow\n",
        "0,a.jpg,cow\n1,b.jpg,cow grass\n2,sub/c.jpg,grass\n3,d.jpg,cow\n",
        "tags,image\ncow,a.jpg\ncow grass,b.jpg\ngrass,c.jpg\ncow,d.jpg\n",
        "id,file,h,labels\n7,a,64,cow\n8,b,64,cow grass\n9,c,64,grass\n9,d,64,cow\n",
        "image,class\na,cow\nb,cow\nb,grass\nsub/c,grass\nd,cow\nd,cow\n",
        "# my table\n\n# image,tags\na,cow\n\nb,cow grass\n# c,dog\nc,grass\nd,cow\n",
        "sep=;\nimage;tags\na;cow\nb;cow grass\nc;grass\nd;cow\n",
        '"a.jpg,cow"\n"b.jpg,cow grass"\n"c.jpg,grass"\n"d.jpg,cow"\n',
        "a.jpg cow\nb.jpg cow grass\nc.png grass\nd.jpg cow",
        'a,cow\nb,"cow\ngrass"\nc,grass\nd,cow\n',
        "image,tags\na,cow\nimage,tags\nb,cow grass\nc,grass\nd,cow\n",
        "path,x1,y1,x2,y2,class\na,1,2,3,4,cow\nb,1,2,3,4,cow\nb,2,2,3,4,grass\n"
        "sub/c,1,2,3,4,grass\nd,1,2,3,4,cow\nd,1,2,3,4,cow\n",
    ],
)
def test_other_forms(tmp_path, content):
    assert tags(tmp_path, content) == TAGS


def test_names_of_two_words(tmp_path):
    unquoted = "image,tags\na,traffic light\nb,cow\nd,traffic light fire hydrant\n"
    listed = ("traffic light", "fire hydrant", "cow")
    expected = {"a": listed[:1], "b": ("cow",), "d": listed[:2]}
    assert tags(tmp_path, unquoted, classes=listed) == expected
    quoted = 'image,tags\na,"traffic light"\nb,cow\nd,"fire hydrant"\n'
    found = table(tmp_path, quoted)
    assert found.tags == {**expected, "d": ("fire hydrant",)}
    assert "traffic light" in found.warnings[0]
    for between in (";", "|", ", "):
        content = f'a,traffic light\nb,cow\nd,"traffic light{between}fire hydrant"\n'
        assert tags(tmp_path, content) == expected
    assert tags(tmp_path, "a,traffic_light\nb,cow\n")["a"] == ("traffic_light",)
    words = table(tmp_path, unquoted)
    assert words.tags["a"] == ("traffic", "light")
    assert any("traffic light" in w and "one name" in w for w in words.warnings)


def test_quotes_around_all_cells_say_nothing(tmp_path):
    for content in (
        '"a","traffic light"\n"b","cow"\n',
        'a,"traffic light"\nb,"cow"\n',
    ):
        assert tags(tmp_path, content)["a"] == ("traffic", "light")


@pytest.mark.parametrize(
    "content",
    [
        'a,"cow grass"\nb,cow\nd,grass\n',
        "a,cow grass\nb,cow,grass\n",
        "a,cow;grass\nb,grass cow\n",
    ],
)
def test_one_name_or_two(tmp_path, content):
    refuses(tmp_path, "may be one name or several", content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,black/white\nb,cow\n", "the tag 'black/white' holds '/'"),
        ("a,cow:1\nb,cow\n", "the tag 'cow:1' holds ':'"),
        ('a,cow;grass\nb,"cow,tree"\n', "separated by semicolons in one place and by"),
        ('a,"{""x"": [""cow""]}"\nb,cow\n', "is no list of names"),
        ("image,label\na,0\nb,1\n", "line 2: the tags are numbers, such as 0"),
        ("image,label\na,1\nb,2\n", "the tags are numbers"),
        ("a,1,0\nb,0,1\n", "has columns of 0 and 1 but no header"),
        ("image,foo,bar\na,cow,x\nb,cow,y\n", "which of the columns 'image', 'foo'"),
        ("image,tags,width\na,cow,grass,64\n", "line 2: has 4 columns"),
        ("image,tags\na\nb,cow\n", "line 2: has 1 columns; write image,tags"),
        ("image\na.jpg\nb.jpg\n", "has 1 columns"),
        ("image,tags\n", "holds no row"),
        ("", "holds no row"),
        ("\n\n# nothing\n", "holds no row"),
        ('a,cow\nb,"grass\n', "line 2: a quote begins here and never ends"),
        ("a,cow\nb,grass\nd,gra", "the tag 'gra' may be 'grass' cut off"),
        ("a,cow\nb,gr\0ss\n", "is no text"),
        (f"a,{'cow' * 100}\nb,cow\n", "is too long for a name"),
        (f"a,{'x' * 300000}\nb,cow\n", "is too long for a name"),
    ],
)
def test_what_is_refused(tmp_path, content, message):
    refuses(tmp_path, message, content)


@pytest.mark.parametrize("word", ["none", "Nothing", "empty", "nan", "null", "void"])
def test_words_that_may_mean_nothing(tmp_path, word):
    content = f"image,tags\na,cow\nb,{word}\n"
    refuses(tmp_path, f"line 3: the tag {word!r} may be a class or none", content)
    assert tags(tmp_path, content, classes=("cow", word))["b"] == (word,)
    hot = f"image,cow,{word}\na,1,0\nb,0,1\n"
    refuses(tmp_path, f"the tag {word!r} may be a class or none", hot)


@pytest.mark.parametrize(
    "word", ["background", "Background", "BG", "__background__", "Hintergrund", "背景"]
)
def test_words_for_the_background(tmp_path, word):
    content = f"image,tags\na,cow\nb,{word}\n"
    assert tags(tmp_path, content)["b"] == ("background",)
    assert tags(tmp_path, content, classes=("cow", word))["b"] == (word,)


def test_case_is_merged(tmp_path):
    content = "image,tags\na,Cow\nb,cow\nc,cow grass\nd,COW cow\n"
    found = table(tmp_path, content)
    assert found.tags["a"] == found.tags["d"] == ("cow",)
    assert found.warnings == (
        "tags.csv: COW, Cow, cow differ only by case and are read as cow",
    )
    assert tags(tmp_path, content, classes=("Cow", "grass"))["sub/c"] == (
        "Cow",
        "grass",
    )


def test_rows_of_one_image(tmp_path):
    found = table(tmp_path, "a,cow\na,cow\nb,cow grass\n")
    assert found.tags == {"a": ("cow",), "b": ("cow", "grass")}
    assert found.warnings == ("tags.csv: rows that are there twice count once: 1",)
    refuses(tmp_path, "line 2: a second row for 'a'", "a,cow\na,grass\nb,cow\n")
    refuses(tmp_path, "a second row", "a,cow\na,tree\nb,cow grass\nb,cow\n")
