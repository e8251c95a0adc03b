import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.train import optim, schedules
from ppcjax.types import UserError

COSINE = {"name": "warmup_cosine"}


def test_the_published_run():
    rate = schedules.warmup_cosine(4.0, steps=125_100, warmup=6255)
    at = jnp.array([0, 1, 3127, 6255, 6256, 62550, 100000, 125099, 130000])
    expected = [0.04, 0.0406330935, 2.0196834532, 4.0, 3.9999999993, 2.1651591497]
    expected += [0.4243212145, 1.0007e-6, 1e-6]
    np.testing.assert_allclose(jax.vmap(rate)(at), expected, rtol=1e-5, atol=1e-8)


def test_batch_rules():
    def rate(rule, batch, base):
        return schedules.for_batch(1.0, batch_size=batch, base_batch=base, rule=rule)

    assert rate("linear", 1024, 256) == 4.0
    assert rate("sqrt", 256, 1024) == 0.5
    assert rate("none", 0, 0) == 1.0


@pytest.mark.parametrize("name", ["sgd", "adamw", "lars"])
def test_every_optimizer_takes_schedule_and_batch_rule(name):
    settings = {"momentum": 0.0} if name == "sgd" else {}
    optimizer = optim.make(
        name=name,
        steps=10,
        lr=1.0,
        batch_rule="linear",
        batch_size=512,
        weight_decay=0.0,
        schedule={"name": "warmup_cosine", "warmup": 5, "start": 0.5, "end": 0.0},
        **settings,
    )
    params = {"b": jnp.ones(2)}
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    np.testing.assert_allclose(updates["b"], -1.0, rtol=1e-5)  # 2 * 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "config.optim.power is missing"),
        ({"schedule": {"name": "cosine"}}, "name='cosine': give one of warmup_cosine,"),
        ({"schedule": {"warmup": 1}}, "config.optim.schedule.name=None: give one of"),
        ({"schedule": 3}, "config.optim.schedule=3: give settings by name"),
        ({"schedule": COSINE}, "schedule.warmup is missing; .* give a whole number"),
        (
            {"schedule": COSINE | {"warmup": 10}},
            "schedule.warmup=10: give fewer updates than config.steps=10",
        ),
        ({"schedule": COSINE | {"warmup": -1}}, "schedule.warmup=-1: give a whole num"),
        ({"schedule": COSINE | {"warm": 1}}, "schedule.warm is not a setting of sched"),
        ({"schedule": COSINE, "power": 0.9}, "power and config.optim.drops do not go"),
        ({"schedule": COSINE, "drops": (3,)}, "power and config.optim.drops do not go"),
        ({"power": 0.9, "batch_rule": "cube"}, "batch_rule='cube': give one of none,"),
        ({"power": 0.9, "batch_rule": "sqrt"}, "needs config.optim.batch_size"),
    ],
)
def test_user_errors(settings, message):
    with pytest.raises(UserError, match=message) as caught:
        optim.make(name="adamw", steps=10, lr=1.0, weight_decay=0.0, **settings)
    assert "\n" not in str(caught.value)
