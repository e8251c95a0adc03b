"""What pages say to clusters is read as they read it."""

import pytest

from tests.docs import blocks, clusters
from tests.docs.blocks import Block
from tests.docs.checks import check
from tests.docs.networks import Networks

SSH = "gcloud compute tpus tpu-vm ssh pod"
POD = """
template:
  containers:
  - name: train
    image: ppcjax:gpu
    args: [train, --config, ppc_shapes, --config.{field}=3]
    env: [{{name: JAX_NUM_PROCESSES, value: "2"}}]
"""


def command(text):
    (found,) = blocks.commands_of(Block("page.md", 1, "", text))
    return found


def test_the_command_on_all_hosts_of_a_pod_is_checked():
    right = f'{SSH} --worker=all --command="ppcjax train --config ppc_shapes"'
    check(command(right), Networks())
    for wrong, why in (
        (right.replace("ppc_shapes", "ppc_shape"), "ppc_shape"),
        (right.replace("=all", "=0"), "--worker=all"),
        (right.replace("--worker", "--workers"), "no option"),
    ):
        with pytest.raises(AssertionError, match=why):
            check(command(wrong), Networks())


@pytest.mark.parametrize("field", ["steps", "stepz"])
def test_the_command_of_a_container_is_checked(field):
    block = Block("page.md", 1, "yaml", POD.format(field=field))
    (found,) = clusters.commands_of(block)
    assert found.environment == {"JAX_NUM_PROCESSES": "2"}
    if field == "steps":
        check(found, Networks())
        return
    with pytest.raises(AssertionError, match="no such field"):
        check(found, Networks())


def test_options_of_a_batch_job_are_known():
    clusters.check_sbatch(Block("page.md", 1, "bash", "#SBATCH --nodes=2"))
    with pytest.raises(AssertionError, match="--node that"):
        clusters.check_sbatch(Block("page.md", 1, "bash", "#SBATCH --node=2"))
