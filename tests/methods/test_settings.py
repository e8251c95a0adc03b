"""Settings of a method that cannot be meant end in one line at launch."""

import pytest

from ppcjax import methods
from ppcjax.types import UserError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"background": 4}, "background=4: there are 4 channels"),
        ({"background": -2}, "background=-2"),
        ({"maps": "raw"}, "maps='raw'"),
        ({"jitter": (0.3,)}, "jitter="),
        ({"temperature": 0.0}, "above 0"),
        ({"dtype": "float99"}, "float99"),
        ({"backbone_settings": {"widht": 4}}, "widht"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(UserError, match=message):
        methods.make({"name": "ppc", "backbone": "small_resnet"} | settings, 4)


def test_unknown_method_and_too_few_classes():
    with pytest.raises(UserError, match="choose one of .*ppc"):
        methods.make({"name": "pcc"}, 4)
    with pytest.raises(UserError, match="at least one more class"):
        methods.make({"name": "ppc"}, 1)
