"""YAML without what no data set needs: aliases, depth, keys that are there twice.

All values are texts, so that a class may be called `on` or `1_0`.
"""

from collections import Counter
from typing import Any

import yaml

_DEEPEST = 30  # lists and tables in each other
_LONGEST = 200_000  # letters, ten times what 1,000 classes need


class _Loader(yaml.BaseLoader):
    """Lists, tables and texts, and errors for all else."""

    depth = 0

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it has aliases (*), which no list of classes needs")
        self.depth += 1
        if self.depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} lists or tables in each other")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node, deep=False):
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            keys = Counter(str(key.value) for key, _ in node.value)
            raise ValueError(f"{max(keys, key=keys.get)[:40]!r} is there twice")
        return found


def parse(text: str) -> Any:
    """Lists, tables and texts.

    Raises:
        ValueError: the text is no such YAML.
        yaml.YAMLError: it is no YAML at all.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"more than {_LONGEST:,} letters")
    return yaml.load(text, Loader=_Loader)
