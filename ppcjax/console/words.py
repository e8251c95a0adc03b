"""Words of lines that people read."""


def counted(count: int, one: str, many: str = "") -> str:
    """A number with what is counted, as 1 photo, 2 photos.

    Args:
        count: the number.
        one: what follows 1.
        many: what follows any other number; "": the same with an s.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"
