"""Studies by their names: each file here declares some."""

from benchmarks.studies import contrast, frozen, pixpro
from benchmarks.studies.base import Study

STUDIES: dict[str, Study] = {
    **frozen.STUDIES,
    **contrast.STUDIES,
    **pixpro.STUDIES,
}
