"""Settings of a method that cannot be meant end in one line at launch."""

import pytest

from ppcjax import methods
from ppcjax.fields import check, fields_of
from ppcjax.types import UserError
from tests.small_methods import FACTORIES, NAMES, make
from tests.wrong_values import allows, wrong_values

FIELDS = [
    (name, field)
    for name, factory in FACTORIES.items()
    for field in fields_of(factory, without=("num_classes",))
]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_value_that_is_not_declared_is_refused(name, field):
    _, hint, default, text, group = fields_of(FACTORIES[name])[field]
    wrong = wrong_values(hint)
    assert wrong and (text or not group)
    assert allows(hint, default)
    for i, value in enumerate(wrong):
        with pytest.raises(UserError, match=rf"config\.method\.{field}=.*: give"):
            if i == 0:  # the whole way, which takes its time
                make(name, **{field: value})
            check(hint, value, f"config.method.{field}")


def test_a_field_of_a_module_that_is_not_there_is_named():
    for name in NAMES:
        declared = fields_of(FACTORIES[name], without=("num_classes",))
        for field in declared:
            if allows(declared[field].hint, {"sizze": 1}):
                with pytest.raises(UserError, match=rf"method\.{field}\.sizze"):
                    make(name, **{field: {"sizze": 1}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"background": 4}, "background=4: there are 4 channels"),
        ({"backbone_settings": {"widht": 4}}, "widht"),
    ],
)
def test_settings_that_do_not_fit_each_other(settings, message):
    with pytest.raises(UserError, match=message):
        methods.make({"name": "ppc", "backbone": "small_resnet"} | settings, 4)


def test_unknown_method_and_too_few_classes():
    with pytest.raises(UserError, match="choose one of .*ppc"):
        methods.make({"name": "pcc"}, 4)
    with pytest.raises(UserError, match="at least one more class"):
        methods.make({"name": "ppc"}, 1)
