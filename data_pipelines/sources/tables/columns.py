"""Which column of a table is what: the photo, its tags, or one column per class."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ppcjax.data_pipelines.images import IMAGE_SUFFIXES
from ppcjax.data_pipelines.sources.tables.flags import are_flags, is_flag
from ppcjax.data_pipelines.sources.tables.rows import Row, Rows
from ppcjax.types import UserError

_PHOTO_WORDS = frozenset(
    "image images img imgs file files filename file_name name path filepath file_path "
    "image_id image_name imagename image_path img_path img_name imageid photo photos "
    "picture pictures pic bild bilder datei dateiname fichier archivo imagen imagem "
    "immagine foto fotos 画像 图像 图片 ファイル ファイル名 文件名 key sample".split()
)
_TAG_WORDS = frozenset(
    "tag tags label labels class classes class_name classname label_name labelname "
    "category categories category_name species keyword keywords object objects "
    "object_name schlagwort schlagworte klasse klassen kategorie etikett etiquette "
    "etiquettes étiquette étiquettes etiqueta etiquetas classe clase categoria "
    "categoría catégorie タグ ラベル クラス 标签 类别 annotation annotations".split()
)
_BOX_WORDS = frozenset(
    "xmin ymin xmax ymax x_min y_min x_max y_max x1 y1 x2 y2 bbox x y".split()
)
_OTHER_WORDS = _BOX_WORDS | frozenset(
    "index id idx nr no number width height w h depth size split set subset fold "
    "is_train is_val is_test train val valid validation test date time author url "
    "source score confidence area comment note notes license md5 sha256 breite "
    "höhe".split()
)
# Those of them that may be classes, where their columns hold 0 and 1.
_SPLITS = frozenset("train val valid validation test".split())
_MAYBE = _SPLITS | frozenset("x y date time size area source note author".split())
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
ADVICE = "write image,tags with the tags separated by spaces"


class Columns(NamedTuple):
    """What the columns of a table are.

    photo: index of the column of photos.
    tags: indices of the columns that hold tags, or of those of the classes.
    names: name of the class of each of `tags` in a table of a column per class;
        empty in any other.
    boxes: whether the other columns are boxes, so that a photo may have many rows.
    header: whether the first row is a header.
    passed: headers, or numbers from 1, of columns that are passed over.
    unknown: whether the header has no word that is known, so that it is a guess.
    """

    photo: int
    tags: tuple[int, ...]
    names: tuple[str, ...]
    boxes: bool
    header: bool
    passed: tuple[str, ...] = ()
    unknown: bool = False


def word(cell: str) -> str:
    """A cell of a header as it is looked up."""
    return re.sub(r"[\s\-]+", "_", cell.strip("#\ufeff \"'").casefold())


def find(
    file: Path,
    table: Rows,
    is_photo: Callable[[str], bool],
    classes: Sequence[str] = (),
) -> Columns:
    """Finds out which column of a table is what.

    Args:
        file: the table, for errors.
        table: its rows, the header among them where there is one.
        is_photo: whether a cell names a photo that there is.
        classes: names that are known.

    Raises:
        UserError: it cannot be said which column is what.
    """
    rows, comment = table.rows, table.comment
    photo = _photo_column(rows, is_photo)
    header = _is_header(rows, photo, is_photo)
    body = rows[1:] if header else rows
    if not body:
        raise UserError(f"{file}: holds no row; write one row a photo, image,tags")
    heads = list(rows[0].cells) if header else []
    width = max(len(row.cells) for row in body)
    commented = comment is not None and len(comment.cells) == width > 1
    if not header and commented and {word(c) for c in comment.cells} & _PHOTO_WORDS:
        heads = list(comment.cells)
    if width < 2:
        raise UserError(
            f"{file} line {body[0].line}: has 1 columns; write image,tags, with a "
            "comma, semicolon, tab or bar between the columns"
        )
    if heads and len(heads) != 2:
        _check_width(file, body, len(heads))
    others = [i for i in range(max(width, len(heads))) if i != photo]
    others = [i for i in others if any(_column(body, i)) or any(heads[i : i + 1])]
    if not others:
        return Columns(photo, (1 - photo,), (), False, header)
    if len(heads) > 2 or (heads and width == 2):
        names = {word(name) for name in classes}
        found = _by_header(file, heads, body, photo, others, names)
    else:
        found = _without_header(file, body, photo, others)
    known = _PHOTO_WORDS | _TAG_WORDS | _OTHER_WORDS
    guessed = header and not any(word(h) in known for h in heads)
    return found._replace(header=header, unknown=guessed and not found.names)


def _column(body: Sequence[Row], index: int) -> list[str]:
    try:
        return [row.cells[index] for row in body]  # twice as fast
    except IndexError:
        pass
    return [row.cells[index] if index < len(row.cells) else "" for row in body]


def _photo_column(rows: Sequence[Row], is_photo) -> int:
    """The column whose cells name photos, those with a suffix before others."""
    step = max(len(rows) // 500, 1)
    sample = rows[::step]
    known: dict[str, bool] = {}
    width = max((len(row.cells) for row in rows), default=0)
    scores = []
    for index in range(min(width, 1000)):
        cells = _column(sample, index)
        for cell in cells:
            if cell not in known:
                known[cell] = bool(cell) and is_photo(cell)
        files = sum(known[c] and _is_file(c) for c in cells)
        named = word(cells[0]) in _PHOTO_WORDS
        hits = sum(known[c] for c in cells)
        alike = sum(map(_is_file, cells)) if not hits else 0
        scores.append((files, hits, alike, named, -index))
    return scores.index(max(scores)) if scores else 0


def _is_file(cell: str) -> bool:
    return cell.lower().endswith(IMAGE_SUFFIXES)


def _is_header(rows: Sequence[Row], photo: int, is_photo) -> bool:
    """Whether the first row is a header.

    Known words in two columns make one even where a photo is called "image". A row
    whose first cell looks like the name of a file is none, nor one whose tags are
    those of other rows: it names a photo that is missing.
    """
    if not rows:
        return False
    cells = rows[0].cells
    cell = cells[photo] if photo < len(cells) else ""
    known = [word(c) in _PHOTO_WORDS | _TAG_WORDS for c in cells]
    if word(cell) in _PHOTO_WORDS and sum(known) > 1:
        return True
    if _is_file(cell) or is_photo(cell):
        return False
    if any(known) or all(word(c) in _OTHER_WORDS for c in cells if c):
        return True
    rest = {c for row in rows[1:] for i, c in enumerate(row.cells) if i != photo}
    own = {c for i, c in enumerate(cells) if i != photo and c}
    return not (own & rest) and not re.search(r"\d", cell) and len(rows) > 1


def _check_width(file: Path, body: Sequence[Row], width: int) -> None:
    for row in body:
        if len(row.cells) > width and any(row.cells[width:]):
            raise UserError(
                f"{file} line {row.line}: has {len(row.cells)} columns and the header "
                f"has {width}; quote the cell that holds a separator"
            )


def _is_index(name: str, cells: list[str]) -> bool:
    """Whether a column only counts the rows, as pandas writes them."""
    counts = all(c.isdecimal() for c in cells)
    numbers = [int(c) for c in cells] if counts else []
    steps = {b - a for a, b in zip(numbers, numbers[1:], strict=False)}
    return counts and (not name or name.startswith("unnamed")) and steps <= {1}


def _by_header(file, heads, body, photo, others, classes: set[str]) -> Columns:
    words = [word(h) for h in heads] + [""] * len(body[0].cells)
    others = [i for i in others if not _is_index(words[i], _column(body, i))]
    boxes = len({words[i] for i in others} & _BOX_WORDS) > 3
    named = [i for i in others if words[i] in _TAG_WORDS]
    texts = [i for i in named if not _are_numbers(_column(body, i))]
    # tag, tag.1, tag_2, and columns without a name behind a column of tags
    row_of = [
        i
        for i in others
        if re.sub(r"[_.]?\d+$", "", words[i]) in _TAG_WORDS or not words[i]
    ]
    flags = [i for i in others if _may_be_class(words[i], _column(body, i), classes)]
    hot = [i for i in flags if are_flags(_column(body, i))]
    if len({words[i] for i in hot} & _SPLITS) > 1:
        hot = []

    def columns(tags, names=()):
        passed = tuple(heads[i] for i in others if i not in tags and i < len(heads))
        return Columns(photo, tuple(tags), tuple(names), boxes, True, passed)

    if len(texts) == 1 and set(row_of) <= {*texts, *range(texts[0], len(words))}:
        return columns(sorted({*texts, *row_of}))
    if (
        len(texts) > 1
        and len({words[i] for i in texts}) == 1
        or (len(row_of) > 1 and len(texts) <= 1 and set(named) <= set(row_of))
    ):
        return columns(row_of)
    if not texts and hot and hot == flags and not (len(hot) == 1 and named):
        return columns(hot, [heads[i] for i in hot])
    rest = [i for i in others if words[i] not in _OTHER_WORDS]
    if not named and len(rest) == 1 and not _are_numbers(_column(body, rest[0])):
        return columns(rest)
    if len(others) == 1:
        return columns(others)
    raise UserError(_unclear(file, heads, body, flags, hot))


def _may_be_class(head: str, cells: list[str], classes: set[str]) -> bool:
    """Whether a column may be that of a class, such as train, which is also a split."""
    if head in classes:
        return True
    named = head in _OTHER_WORDS and not (head in _MAYBE and are_flags(cells))
    return bool(head) and not named


def _unclear(file, heads, body, flags, hot) -> str:
    """What is wrong with columns that cannot be told."""
    for i in flags:
        cells = _column(body, i)
        odd = next((n for n, c in enumerate(cells) if not is_flag(c)), None)
        if i not in hot and odd is not None and _are_numbers(cells):
            return (
                f"{file} line {body[odd].line}: the column {heads[i]!r} holds "
                f"{cells[odd]!r}, neither 0 nor 1; write 1 where the photo shows the "
                "class and 0 where not"
            )
    shown = ", ".join(repr(h) for h in heads[:8]) + (", ..." if len(heads) > 8 else "")
    return (
        f"{file}: it is not clear which of the columns {shown} holds the tags; call "
        "it tags, or write one column per class with 0 and 1"
    )


def _without_header(file, body, photo, others) -> Columns:
    if photo != 0 and max(len(row.cells) for row in body) > 2:
        counted = [i for i in others if _is_index("", _column(body, i))]
        others = [i for i in others if i not in counted]
    numbers = [i for i in others if _are_numbers(_column(body, i))]
    texts = [i for i in others if i not in numbers]
    if numbers and (len(others) > 1 or not texts):
        if all(are_flags(_column(body, i)) for i in others) and len(others) > 1:
            raise UserError(
                f"{file}: has columns of 0 and 1 but no header that names their "
                "classes; begin it with a line such as image,cow,grass"
            )
        if len(texts) != 1 and len(others) > 1:
            raise UserError(
                f"{file} line {body[0].line}: has {len(others) + 1} columns, some of "
                f"numbers, and no header; {ADVICE}"
            )
    passed = tuple(str(i + 1) for i in numbers if texts)
    tags = tuple(texts or others)
    return Columns(photo, tags, (), len(numbers) > 3, False, passed)


def _are_numbers(cells: list[str]) -> bool:
    """Whether there are cells, and all are numbers."""
    found = set(cells) - {""}
    return bool(found) and all(map(_NUMBER.fullmatch, found))
