"""Tables and other texts, damaged or written in another way."""

import json

from tests.data.mutations.base import COLOURED, LISTS, TABLES, Outcome, Table
from tests.data.scenes import SORTED, tag_rows, write_text

TEXTS = Table()
LISTED_HERE = (*LISTS, "binary")
TEXTED = (*TABLES, *LISTED_HERE, *COLOURED)
_HEADERS = (
    "filename,labels", "file,label", "Bild,Schlagwort", "image;tags", "path,class",
    "img_name,category", "\u753b\u50cf,\u30bf\u30b0", "fichier,\u00e9tiquettes",
    "Image,Tags", " image , tags ", '"image","tags"',
)  # fmt: skip


def _rows(place, between=" "):
    return tag_rows(place.good.scene, SORTED, between=between)


def _write(place, rows, encoding="utf-8"):
    write_text(place.text, "\n".join(rows) + "\n", encoding)


def _table(place, row, header="image,tags", between=" "):
    rows = [row(name, tags) for name, tags in _rows(place, between)]
    _write(place, [header, *rows])


@TEXTS.on(*TEXTED)
def text_in_another_encoding(place):
    how = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
    encoding = str(place.rng.choice(how))
    text = place.text.read_text()
    marked = encoding in ("utf-8-sig", "utf-16", "utf-32")
    place.text.write_bytes(text.encode(encoding))
    return place.exact() if marked else place.either(place.text.name)


@TEXTS.on(*TABLES, *LISTS)
def accents_of_windows(place):
    names = ("grass", "gr\u00fcn"), ("ant", "\u00e9t\u00e9")
    old, new = names[place.layout not in TABLES]
    text = place.text.read_text().replace(old, new)
    place.text.write_bytes(text.encode(str(place.rng.choice(["cp1252", "utf-8"]))))
    classes = tuple(new if c == old else c for c in place.good.classes)
    return place.exact(classes=classes)


@TEXTS.on(*TEXTED)
def other_line_ends(place):
    end = str(place.rng.choice(["\r\n", "\r"]))
    place.text.write_bytes(place.text.read_text().replace("\n", end).encode())
    return place.exact()


@TEXTS.on(*TEXTED)
def no_last_line_end(place):
    place.text.write_text(place.text.read_text().rstrip("\n"))
    return place.exact()


@TEXTS.on(*TEXTED)
def blank_lines_and_spaces(place):
    text = place.text.read_text()
    place.text.write_text("\n" + text.replace("\n", "  \n\n") + "\n \n\t\n")
    return place.exact()


@TEXTS.on(*TEXTED)
def text_that_is_binary(place):
    place.text.write_bytes(place.rng.integers(0, 256, 300, "u1").tobytes())
    return Outcome(refused=(place.text.name,))


@TEXTS.on(*TEXTED)
def text_with_nul_bytes(place):
    place.text.write_text(place.text.read_text() + "\0\0\0\0")
    return place.either(place.text.name)


@TEXTS.on(*TEXTED)
def empty_text(place):
    place.text.write_text(str(place.rng.choice(["", "\n", " \n\n"])))
    return Outcome(refused=(place.text.name,))


@TEXTS.on(*TABLES)
def header_only(place):
    place.text.write_text("image,tags\n")
    return Outcome(refused=("tags.csv",))


@TEXTS.on(*TABLES)
def no_header(place):
    _write(place, [f"{name},{tags}" for name, tags in _rows(place)])
    return place.exact()


@TEXTS.on(*TABLES)
def header_in_other_words(place):
    header = str(place.rng.choice(_HEADERS))
    mark = ";" if ";" in header else ","
    _table(place, lambda name, tags: f"{name}{mark}{tags}", header)
    return place.exact()


@TEXTS.on(*TABLES)
def other_columns_mark(place):
    mark = str(place.rng.choice([";", "\t", "|", ", ", "; "]))
    _table(place, lambda n, t: f"{n}{mark}{t}", f"image{mark}tags")
    return place.exact()


@TEXTS.on(*TABLES)
def other_marks_between_tags(place):
    between = str(place.rng.choice([";", "|", ", ", "; ", "/", " | "]))
    _table(place, lambda n, t: f'{n},"{t}"', between=between)
    return place.either("tags.csv") if between == "/" else place.exact()


@TEXTS.on(*TABLES)
def quoted_with_commas(place):
    _table(place, lambda n, t: f'"{n}","{t}"', between=",")
    return place.exact()


@TEXTS.on(*TABLES)
def tags_as_lists(place):
    form = int(place.rng.integers(3))

    def row(name, tags):
        parts = tags.split()
        inner = (str(parts), json.dumps(parts), f"[{', '.join(parts)}]")[form]
        return f'{name},"{inner.replace(chr(34), chr(34) * 2)}"'

    _table(place, row)
    return place.exact()


@TEXTS.on(*TABLES)
def a_column_per_class(place):
    order = place.rng.permutation(3)
    names = [SORTED[i] for i in order]
    yes, no = place.rng.choice([["1", "0"], ["True", "False"], ["x", ""]])

    def row(name, tags):
        return ",".join([name, *(yes if c in tags.split() else no for c in names)])

    _table(place, row, ",".join(["filename", *names]))
    return place.exact() if yes != "x" else place.either("tags.csv")


@TEXTS.on(*TABLES)
def a_row_per_tag(place):
    rows = [f"{n},{tag}" for n, tags in _rows(place) for tag in tags.split()]
    _write(place, ["image,tag", *rows])
    return place.either("tags.csv")


@TEXTS.on(*TABLES)
def columns_shuffled(place):
    _table(place, lambda name, tags: f"{tags},{name}", "tags,image")
    return place.either("tags.csv")


@TEXTS.on(*TABLES)
def a_column_of_numbers_first(place):
    rows = [f"{i},{n},{t}" for i, (n, t) in enumerate(_rows(place))]
    _write(place, [",image,tags", *rows])
    return place.either("tags.csv")


@TEXTS.on(*TABLES)
def a_column_of_remarks(place):
    _table(place, lambda n, t: f"{n},{t},seen twice", "image,tags,remark")
    return place.either("tags.csv")


@TEXTS.on(*TABLES)
def commas_behind(place):
    _table(place, lambda n, t: f"{n},{t},,", "image,tags,,")
    return place.exact()


@TEXTS.on(*TABLES)
def rows_shuffled(place):
    rows = [f"{name},{tags}" for name, tags in _rows(place)]
    place.rng.shuffle(rows)
    _write(place, ["image,tags", *rows])
    return place.exact()


@TEXTS.on(*TABLES)
def separator_line(place):
    rows = [f"{name};{tags}" for name, tags in _rows(place)]
    _write(place, ["sep=;", "image;tags", *rows])
    return place.either("tags.csv")


@TEXTS.on(*TABLES)
def one_tag_in_other_case(place):
    text = place.text.read_text()
    place.text.write_text(text.replace("grass", "Grass", 1))
    return place.exact("Grass")


@TEXTS.on(*TABLES)
def background_in_other_case(place):
    text = place.text.read_text()
    word = str(place.rng.choice(["Background", "BACKGROUND", "background "]))
    place.text.write_text(text.replace("background", word))
    return place.exact()


@TEXTS.on(*TABLES)
def names_in_other_case(place):
    text = place.text.read_text()
    place.text.write_text(text.replace("p1.png", "P1.PNG"))
    return place.either("tags.csv")


@TEXTS.on(*TABLES)
def names_with_paths(place):
    below = place.base.photo.format("X").removesuffix("X.png")
    way = str(place.rng.choice([below, f"./{below}", f"{place.root}/{below}"]))
    windows = place.rng.random() < 0.3
    way = way.replace("/", "\\") if windows else way
    _table(place, lambda name, tags: f"{way}{name},{tags}")
    own = str(place.root) in way or windows
    return place.either("tags.csv") if own else place.exact()


@TEXTS.on(*TABLES)
def row_twice(place):
    text = place.text.read_text()
    again = text.splitlines()[int(place.rng.integers(1, 5))]
    place.text.write_text(f"{text}{again}\n")
    return place.either("tags.csv")


@TEXTS.on(*TABLES)
def rows_that_contradict(place):
    name = f"{place.pick()}.png"
    tags = dict(_rows(place))[name].split()
    other = next(c for c in SORTED if c not in tags)
    place.text.write_text(f"{place.text.read_text()}{name},{other}\n")
    return Outcome(refused=("tags.csv",))


@TEXTS.on(*TABLES)
def row_of_no_photo(place):
    place.text.write_text(f"{place.text.read_text()}p77.png,cow\n")
    return place.either("tags.csv", said=("tags.csv",))


@TEXTS.on(*TABLES)
def row_removed(place):
    name = place.pick()
    rows = [f"{n},{tags}" for n, tags in _rows(place) if n != f"{name}.png"]
    _write(place, ["image,tags", *rows])
    tags = {n: () if n == name else place.good.tags_of(n) for n in place.good.scene}
    return place.either(name, tags=tags)


@TEXTS.on(*TABLES)
def row_without_tag(place):
    name = place.pick()
    _table(place, lambda n, tags: f"{n},{'' if n == f'{name}.png' else tags}")
    tags = {n: () if n == name else place.good.tags_of(n) for n in place.good.scene}
    return place.either(name, tags=tags)


@TEXTS.on(*TABLES)
def tags_shifted_by_a_row(place):
    """Most photos then have the tags of others, which their masks contradict."""
    names, tags = zip(*_rows(place), strict=True)
    shifted = (*tags[1:], tags[0])
    _write(place, ["image,tags", *map(",".join, zip(names, shifted, strict=True))])
    return Outcome(refused=("masks", "tags.csv"))
