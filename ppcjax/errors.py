"""The error that is the user's to mend; it stands apart so that it costs no import."""


class UserError(Exception):
    """A mistake that the user can mend; the command line prints it as one line.

    The text says what was wrong, where, and what to do.
    """
