"""The data side: sources, training batches, evaluation examples.

Imports nothing of ppcjax but types; TensorFlow only while training batches are made.
"""

from collections.abc import Iterator
from typing import Any

from ppcjax.data_pipelines import dense, episodes, settings, views
from ppcjax.data_pipelines.examples import Example, make_eval
from ppcjax.data_pipelines.sources import Record, Source, make_source

__all__ = ["Example", "Record", "Source", "make_eval", "make_source", "make_train"]


def make_train(data: Any, source: Source, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Endless training batches, whose kind a field of config.data tells.

    Episodes where it has a `way`, pairs of views where it has a `ratio`, else photos.

    Args:
        data: config.data.
        source: what make_source made.
        **arguments: of dense.make_train, which the other two share.
    """
    kinds = {"dense": dense, "episodes": episodes, "views": views}
    return kinds[settings.kind(data)].make_train(data, source, **arguments)
