"""What people have reported, by kind: how the data came, and what must come out.

REPORTS: kind -> members, functions that write a folder and say what must be read. The
first member of a kind is as reported, the others are of the same kind.
"""

from tests.data.reports import classes, layouts, masks, photos, tags
from tests.data.reports.four import Member

__all__ = ["REPORTS", "Member"]

REPORTS: dict[str, dict[str, Member]] = {
    **classes.KINDS,
    **layouts.KINDS,
    **masks.KINDS,
    **photos.KINDS,
    **tags.KINDS,
}
