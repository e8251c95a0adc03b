"""Studies by their names: each file here declares some."""

from benchmarks.studies import frozen, prototypes, shapes
from benchmarks.studies.base import Study

STUDIES: dict[str, Study] = {
    **shapes.STUDIES,
    **prototypes.STUDIES,
    **frozen.STUDIES,
}
