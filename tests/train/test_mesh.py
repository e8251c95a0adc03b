"""Joining several processes: what the environment has to say."""

import contextlib

import pytest

from ppcjax.train import mesh
from ppcjax.types import UserError

CLUSTERS = (
    "SLURM_STEP_NODELIST",
    "OMPI_COMM_WORLD_SIZE",
    "KUBERNETES_SERVICE_HOST",
    "JAX_COORDINATOR_ADDRESS",
    "JAX_NUM_PROCESSES",
    "JAX_PROCESS_ID",
)


@pytest.fixture
def calls(monkeypatch):
    """Arguments with which the processes would have been joined."""
    for name in CLUSTERS:
        monkeypatch.delenv(name, raising=False)
    made = []

    def initialize(*, heartbeat_timeout_seconds, shutdown_timeout_seconds, **named):
        assert heartbeat_timeout_seconds <= shutdown_timeout_seconds <= 60
        made.append(named)

    monkeypatch.setattr("jax.distributed.initialize", initialize)
    monkeypatch.setattr("jax.config.update", lambda name, value: None)
    monkeypatch.setattr("ppcjax.train.peers.joining", contextlib.nullcontext)
    return made


def test_one_process_joins_nothing(calls):
    mesh.maybe_distributed()
    assert calls == []


def test_explicit_addresses_are_passed_on(calls, monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "localhost:1234")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    mesh.maybe_distributed()
    expected = {
        "coordinator_address": "localhost:1234",
        "num_processes": 2,
        "process_id": 1,
    }
    assert calls == [expected]


def test_half_given_or_wrong_addresses_are_user_errors(calls, monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "localhost:1234")
    with pytest.raises(UserError, match="JAX_NUM_PROCESSES and JAX_PROCESS_ID"):
        mesh.maybe_distributed()
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "2")
    with pytest.raises(UserError, match="JAX_PROCESS_ID='2'"):
        mesh.maybe_distributed()
    assert calls == []


def test_slurm_counts_only_inside_a_step_of_several_tasks(calls, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")  # a batch script sees this as well
    mesh.maybe_distributed()
    assert calls == []
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[1-4]")
    mesh.maybe_distributed()
    assert calls == [{}]


@pytest.mark.parametrize(
    ("seen", "tasks", "more", "taken"),
    [
        ("0,1,2,3", "8", {}, None),  # JAX takes that of the task's number
        ("0", "8", {}, [0]),
        ("0,1,2,3", "2", {}, [0, 1, 2, 3]),
        ("0,1,2,3", "2", {"JAX_LOCAL_DEVICE_IDS": "1"}, None),
        ("", "2", {}, None),
    ],
)
def test_gpus_of_a_task_of_slurm(calls, monkeypatch, seen, tasks, more, taken):
    slurm = {"NTASKS": tasks, "STEP_NODELIST": "node[1-2]", "STEP_NUM_NODES": "2"}
    slurm |= {"STEP_NUM_TASKS": tasks}
    given = {f"SLURM_{name}": value for name, value in slurm.items()} | more
    for name, value in {**given, "CUDA_VISIBLE_DEVICES": seen}.items():
        monkeypatch.setenv(name, value)
    mesh.maybe_distributed()
    assert calls == [{} if taken is None else {"local_device_ids": taken}]


@pytest.mark.parametrize(
    "address", ["localhost", "localhost:", ":1", "localhost:99999", "a:b", "-:1:x"]
)
def test_an_address_that_cannot_be_is_a_user_error(calls, monkeypatch, address):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", address)
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    with pytest.raises(UserError, match="HOST:PORT"):
        mesh.maybe_distributed()
    assert calls == []
