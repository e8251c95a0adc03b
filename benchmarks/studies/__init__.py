"""Studies by their names: each file here declares some."""

from benchmarks.studies import contrast, frozen, pixpro, prototypes, shapes
from benchmarks.studies.base import Study

STUDIES: dict[str, Study] = {
    **shapes.STUDIES,
    **prototypes.STUDIES,
    **frozen.STUDIES,
    **contrast.STUDIES,
    **pixpro.STUDIES,
}
