"""Studies by their names: each file here declares some."""

from benchmarks.studies import affinity, asgnet, frozen
from benchmarks.studies.base import Study

STUDIES: dict[str, Study] = {
    **frozen.STUDIES,
    **affinity.STUDIES,
    **asgnet.STUDIES,
}
