"""PASCAL-5i: five classes held out, three more to choose checkpoints on."""

# One class of each fold; those of the other folds are validation classes of a fold.
_VALIDATION = ("aeroplane", "bus", "diningtable", "pottedplant")


def hold_out(c, fold):
    """Sets the held-out classes of a VOC config; returns it.

    The published tables learn all 15 classes of the other folds and choose by the
    five; --config.data.validation_classes="()" learns all 15.
    """
    c.data.novel = (f"pascal-5i:{fold}",)
    c.data.validation_classes = tuple(
        name for number, name in enumerate(_VALIDATION) if number != int(fold)
    )
    return c
