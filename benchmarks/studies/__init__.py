"""Studies by their names: each file here declares some."""

from benchmarks.studies import frozen, prototypes
from benchmarks.studies.base import Study

STUDIES: dict[str, Study] = {**frozen.STUDIES, **prototypes.STUDIES}
