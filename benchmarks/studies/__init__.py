"""Studies by their names: each file here declares some."""

from benchmarks.studies import frozen, shapes
from benchmarks.studies.base import Study

STUDIES: dict[str, Study] = {**frozen.STUDIES, **shapes.STUDIES}
