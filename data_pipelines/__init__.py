"""The data side: sources, training batches, evaluation examples.

Imports nothing of ppcjax but types; TensorFlow only while training batches are made.
"""

from data_pipelines.dense import make_train
from data_pipelines.examples import Example, make_eval
from data_pipelines.sources import Record, Source, make_source

__all__ = ["Example", "Record", "Source", "make_eval", "make_source", "make_train"]
