"""The error that is the user's to mend; it stands apart so that it costs no import."""

from collections.abc import Iterator


class UserError(Exception):
    """A mistake that the user can mend; the command line prints it as one line.

    The text says what was wrong, where, and what to do.
    """


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it came from, the newest first.

    Each comes once: nothing keeps libraries from raising an error from itself.

    Args:
        error: any.
    """
    seen: list[BaseException] = []
    last: BaseException | None = error
    while last is not None and not any(last is one for one in seen):
        yield last
        seen.append(last)
        hidden = last.__suppress_context__
        last = last.__cause__ or (None if hidden else last.__context__)
