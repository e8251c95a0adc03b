"""Studies by their names: each file here declares some."""

from benchmarks.studies import (
    affinity,
    asgnet,
    contrast,
    frozen,
    pixpro,
    prototypes,
    shapes,
)
from benchmarks.studies.base import Study

_FILES = (shapes, prototypes, frozen, affinity, asgnet, contrast, pixpro)
STUDIES: dict[str, Study] = {
    name: study for file in _FILES for name, study in file.STUDIES.items()
}
