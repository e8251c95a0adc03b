"""Names of classes as words: their spelling, and those that mean no class."""

import re
import unicodedata
from collections.abc import Mapping

# Words for what is none of the classes. Such a word is compared without case,
# spaces, hyphens, accents and underscores, so that __Back-Ground__ is among them.
_BACKGROUND = frozenset(
    (
        *("background", "bg", "bkg", "bgd", "backgrnd", "hintergrund", "fond"),
        *("arriereplan", "fondo", "sfondo", "fundo", "achtergrond", "bakgrund"),
        *("bakgrunn", "baggrund", "tausta", "tło", "pozadi", "pozadie", "hatter"),
        *("arkaplan", "фон", "φοντο", "背景", "배경"),
    )
)
_VOID = frozenset(
    (
        *("void", "unlabelled", "unlabeled", "unlabel", "ignore", "ignored"),
        *("ignorelabel", "ignoreregion", "dontcare", "don'tcare"),
    )
)
_UNCLEAR = frozenset(
    (
        *("none", "nothing", "empty", "nan", "null", "na", "n/a", "", "?", "nil"),
        *("noobject", "noobjects", "nolabel", "notag", "unknown", "todo", "undefined"),
    )
)
# What stands above a list or a column of names.
_HEADINGS = frozenset(
    (
        *("name", "names", "class", "classes", "classname", "classnames", "label"),
        *("labels", "labelname", "category", "categories", "categoryname", "tag"),
        *("tags", "title", "species", "klasse", "klassen", "kategorie", "kategorien"),
        *("bezeichnung", "klassenname", "etikett", "clase", "clases", "categoria"),
        *("categorias", "etiqueta", "etiquetas", "nombre", "nome", "nomi", "classe"),
        *("classi", "nom", "noms", "categorie", "etiquette", "etiquettes", "naam"),
        *("klass", "klasy", "klasa", "nazwa", "класс", "классы", "название", "类别"),
        *("标签", "名称", "クラス", "ラベル", "名前", "클래스"),
    )
)
# What stands there beside them, above numbers and colours.
_BESIDE = frozenset(
    (
        *("id", "ids", "index", "idx", "nr", "no", "number", "value", "pixel", "r"),
        *("g", "b", "red", "green", "blue", "rgb", "color", "colour", "hex", "farbe"),
    )
)


def clean(name: str) -> str:
    """A name without surrounding or doubled spaces, its accents composed (NFC)."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def same(name: str) -> str:
    """What names share that differ by case only."""
    return clean(name).casefold()


def _plain(name: str) -> str:
    text = unicodedata.normalize("NFKD", name).casefold()
    # Only Latin accents go: in other scripts such marks make other letters.
    text = re.sub("[\u0300-\u036f]", "", text)
    return unicodedata.normalize("NFC", re.sub(r"[\s_\-]", "", text))


def is_background(name: str) -> bool:
    """Whether a name means none of the classes, in some language."""
    return _plain(name) in _BACKGROUND


def is_void(name: str) -> bool:
    """Whether a name means pixels of which nothing is known."""
    return _plain(name) in _VOID


def is_unclear(name: str) -> bool:
    """Whether a word may mean the background, a class, or that nobody looked."""
    return _plain(name) in _UNCLEAR


def is_heading(line: str) -> bool:
    """Whether a line may stand above a list of names and be none of them."""
    parts = [_plain(part) for part in re.split(r"[\s,;:|_]+", line) if part]
    known = _HEADINGS | _BESIDE
    return bool(_HEADINGS.intersection(parts)) and all(p in known for p in parts)


def usual(counts: Mapping[str, int]) -> str:
    """The spelling of a name that differs by case only: the most frequent one.

    Where several are as frequent, the one with the fewest capitals, then the first.

    Args:
        counts: how often each spelling is there.
    """
    return min(counts, key=lambda n: (-counts[n], sum(map(str.isupper, n)), n))
