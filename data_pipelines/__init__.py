"""The data side: sources, training batches, evaluation examples.

Imports nothing of ppcjax but types; TensorFlow only while training batches are made.
"""

from collections.abc import Iterator
from typing import Any

from data_pipelines import dense, episodes, settings
from data_pipelines.examples import Example, make_eval
from data_pipelines.sources import Record, Source, make_source

__all__ = ["Example", "Record", "Source", "make_eval", "make_source", "make_train"]


def make_train(data: Any, source: Source, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Endless training batches: episodes where config.data has a `way`, else photos.

    Args:
        data: config.data.
        source: what make_source made.
        **arguments: of dense.make_train and episodes.make_train.
    """
    kind = episodes if "way" in settings.fields(data) else dense
    return kind.make_train(data, source, **arguments)
