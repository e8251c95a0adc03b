"""Evaluates a checkpoint: scores, masks and a report."""


def main(argv: list[str]) -> None:
    """Evaluates what the arguments name."""
    from ppcjax.evaluate import command  # after the libraries were told to be quiet

    command.main(argv)
