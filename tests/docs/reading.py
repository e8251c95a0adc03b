"""What stands in commands and snippets: options, and texts that may name files."""

import ast
from collections.abc import Iterator, Sequence


def texts_of(node: ast.AST) -> Iterator[str]:
    """Texts that a call is given, or a name, and that may name files."""
    if isinstance(node, ast.Call | ast.Assign):
        if isinstance(node, ast.Call):
            given = [*node.args, *(word.value for word in node.keywords)]
        else:
            given = [node.value]
        for one in given:
            items = one.elts if isinstance(one, ast.List | ast.Tuple) else [one]
            for item in items:
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    yield item.value


def joined(words: Sequence[str]) -> list[str]:
    """Arguments in which a value stands behind "=", as "--config=FILE"."""
    found: list[str] = []
    for word in words:
        if not word.startswith("--"):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Options with their values, and the words that belong to none."""
    found: dict[str, str] = {}
    others: list[str] = []
    last = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found[name.replace("-", "_")] = value
            last = "" if equals else name.replace("-", "_")
        elif last:
            found[last], last = word, ""
        else:
            others.append(word)
    if "ppcjax" in others:  # the word behind it, too
        return found, others[others.index("ppcjax") + 2 :]
    return found, others[1:]
