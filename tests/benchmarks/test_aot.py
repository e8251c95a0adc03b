"""Compiles for TPUs that are not there: what is read, kept, and told."""

import json
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks.aot import __main__ as aot
from benchmarks.aot import collectives, jobs, rows, table
from benchmarks.step import batch_shapes
from ppcjax.types import UserError
from tests import batches

ROOT = Path(__file__).resolve().parents[2]
# Shortened lines of programs that the TPU's compiler made.
PROGRAM = """HloModule jit_update, entry_computation_layout={()->f32[]}

%sum.1 (a.1: f32[], b.1: f32[]) -> f32[] {
  ROOT %add.1 = f32[] add(%a.1, %b.1)
}

%fused.1 (p.1: f32[64,8]) -> f32[8] {
  %all-reduce.9 = f32[64]{0:T(128)} all-reduce(%p.1), channel_id=9, to_apply=%sum.1
  ROOT %slice.1 = f32[8]{0:T(128)} dynamic-slice(%all-reduce.9, %i.1)
}

%body.1 (t.1: (s32[], u32[4,4])) -> (s32[], u32[4,4]) {
  %all-reduce.7 = u32[4,4]{1,0:T(4,128)} all-reduce(%x.1), to_apply=%sum.1
}

%test.1 (t.2: (s32[], u32[4,4])) -> pred[] {
  ROOT %less.1 = pred[] compare(%i.2, %n.2), direction=LT
}

%body.2 (t.3: (s32[], f32[8])) -> (s32[], f32[8]) {
  %all-reduce.6 = f32[8]{0:T(128)} all-reduce(%x.2), to_apply=%sum.1
}

%test.2 (t.4: (s32[], f32[8])) -> pred[] {
  %constant.3 = s32[]{:T(128)} constant(5)
  ROOT %less.2 = pred[]{:T(512)} compare(%i.3, %constant.3), direction=LT, metadata={}
}

%dead.1 (p.2: f32[2]) -> f32[2] {
  %all-reduce.8 = f32[2]{0} all-reduce(%p.2), to_apply=%sum.1
}

ENTRY %main.1 (p.3: f32[8]) -> f32[] {
  %all-reduce.1 = (f32[16]{0:T(128)}, /*index=1*/bf16[3,3]{1,0:T(8,128)(2,1)}) \
all-reduce(%a, %b), channel_id=1, to_apply=%sum.1, metadata={op_name="jit(update)/sum"}
  %all-reduce-start.1 = f32[] all-reduce-start(%c), to_apply=%sum.1
  %all-reduce-done.1 = f32[] all-reduce-done(%all-reduce-start.1)
  %all-gather-start.1 = (f32[2,4]{1,0}, f32[16,4]{1,0}) all-gather-start(%d)
  %all-gather-done.1 = f32[16,4]{1,0} all-gather-done(%all-gather-start.1)
  %collective-permute.1 = pred[1,5]{1,0:T(1,128)S(1)} collective-permute(%e)
  %while.1 = (s32[], u32[4,4]{1,0}) while(%t), condition=%test.1, body=%body.1, \
backend_config={"known_trip_count":{"n":"16"}}
  %while.2 = (s32[], f32[8]{0}) while(%u), condition=%test.2, body=%body.2
  ROOT %fusion.1 = f32[8]{0} fusion(%f), kind=kCustom, calls=%fused.1
}
"""


def test_collectives_are_counted_and_weighed():
    assert collectives.count(PROGRAM) == {
        "all-reduce": {
            "count": 1 + 1 + 16 + 5 + 1,
            "bytes": 16 * 4 + 9 * 2 + 4 + 16 * 16 * 4 + 5 * 8 * 4 + 64 * 4,
        },
        "all-gather": {"count": 1, "bytes": 16 * 4 * 4},
        "collective-permute": {"count": 1, "bytes": 5},
    }


def test_a_program_of_one_device_moves_nothing():
    compiled = jax.jit(lambda x: x @ x.T).lower(np.ones((2, 3))).compile()
    assert collectives.count(compiled.as_text()) == {}


@pytest.fixture
def job():
    return jobs.Job("configs/ppc_voc.py:seam", "v5e:4x4", 21, 2, -1.0)


def _found(record):
    return lambda job, limit: dict(record)


def _fails(job, limit):
    raise jobs.Failed(f"not compiled in {limit:.0f} s")


def test_results_are_kept(job, tmp_path):
    file = job.file(tmp_path / "results")
    assert file.name == "ppc_voc_seam-v5e_4x4.json"
    assert not jobs.is_done(job, file, 10)
    record = jobs.run(
        job, file, limit=10, command="that", compile_in=_found({"flop": 3.0})
    )
    assert json.loads(file.read_text()) == record and record["flop"] == 3.0
    assert record["command"] == "that" and record["limit_s"] == 10
    assert jobs.is_done(job, file, 1000)
    other = jobs.Job(job.config, job.topology, 21, 4, -1.0)
    assert not jobs.is_done(other, file, 10)


def test_a_failure_is_a_result_until_there_is_more_time(job, tmp_path):
    file = job.file(tmp_path)
    record = jobs.run(job, file, limit=10, command="that", compile_in=_fails)
    assert record["failed"] == "not compiled in 10 s"
    assert jobs.is_done(job, file, 10) and not jobs.is_done(job, file, 20)


def test_what_breaks_off_leaves_no_result(job, tmp_path):
    def broken(job, limit):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jobs.run(job, job.file(tmp_path), limit=1, command="", compile_in=broken)
    assert not list(tmp_path.iterdir())


def test_a_process_ends_at_its_limit(job, monkeypatch):
    def run(command, *, timeout, **_):
        assert f"--topology={job.topology}" in command
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(jobs.Failed, match="not compiled in 5 s"):
        jobs.in_process(job, 5)


def test_the_reason_of_a_failure_is_one_line():
    text = (
        "Traceback:\n  File x\njax.errors.JaxRuntimeError: RESOURCE: too large\nhint\n"
    )
    assert jobs.why(text, 1) == "jax.errors.JaxRuntimeError: RESOURCE: too large"
    assert jobs.why("", -9) == "the process ended with -9"


class TestCommand:
    def test_settings_are_those_of_the_row(self):
        options = aot.arguments().parse_args(["--config", "configs/ppc_voc.py:seam"])
        job = aot.job_of(options.config, "v5e:4x4", options)
        assert (job.classes, job.batch_per_chip) == (21, 2)
        assert "ppc_voc.py:seam --topology v5e:4x4" in aot.command_of(job, options)

    def test_another_config_has_its_own_batch(self):
        words = ["--config", "configs/ppc_shapes.py", "--num_classes", "5"]
        options = aot.arguments().parse_args(words)
        job = aot.job_of(options.config, "v5e:4x4", options)
        assert job.classes == 5 and job.batch_per_chip > 0

    def test_a_wrong_topology_is_one_line(self):
        options = aot.arguments().parse_args(["--config", "configs/ppc_voc.py"])
        with pytest.raises(UserError, match="must be like v5e:16x16"):
            aot.job_of(options.config, "v5e", options)

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--config", "configs/ppc_voc.py", "--effort", "2"], "from -1 to 1"),
            (["--published", "--batch_per_chip", "0"], "above 0"),
            (["--table", "--again"], "has no other option"),
        ],
    )
    def test_options_that_cannot_be(self, words, told, monkeypatch):
        monkeypatch.setattr(aot.importlib.util, "find_spec", lambda name: name)
        with pytest.raises(UserError, match=told):
            aot.main(words)

    def test_results_are_not_made_again(self, monkeypatch, tmp_path, capsys):
        made = []
        monkeypatch.setattr(jobs, "RESULTS", tmp_path)
        monkeypatch.setattr(aot.importlib.util, "find_spec", lambda name: name)

        def compiled(job, limit):
            made.append(limit)
            raise jobs.Failed("no")

        monkeypatch.setattr(jobs, "in_process", compiled)
        words = ["--config", "configs/ppc_voc.py", "--topology", "v5e:1x1"]
        for more in ([], [], ["--again"], ["--limit", "7200"]):
            aot.main([*words, *more])
        assert made == [3600, 3600, 7200]
        assert "ppc_voc-v5e_1x1: has a result" in capsys.readouterr().out

    def test_without_the_compiler(self, monkeypatch):
        monkeypatch.setattr(aot.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UserError, match="pip install"):
            aot.main(["--published"])


@pytest.mark.parametrize(
    ("reads", "data"),
    [
        ("dense", {"with_masks": True, "saliency": ""}),
        ("views", {"ratio": (0.75, 1.33)}),
        ("episodes", {"way": 1, "shot": 2, "query": 1}),
    ],
)
def test_shapes_are_those_of_batches(reads, data):
    data |= {"crop": batches.SIDE}
    found = batch_shapes(data, num_classes=batches.CLASSES, rows=batches.ROWS)
    expected = {k: (v.shape, v.dtype) for k, v in batches.KINDS[reads]().items()}
    assert {k: (v.shape, v.dtype) for k, v in found.items()} == expected


def test_published_rows_are_configs():
    for row in rows.PUBLISHED:
        options = aot.arguments().parse_args(["--published"])
        job = aot.job_of(row.path, "v5e:1x1", options)
        assert (job.classes, job.batch_per_chip) == (row.classes, row.each)


def test_table_tells_what_is_missing(job, tmp_path):
    sizes = {"argument": 2**20, "output": 2**20, "temp": 2**22, "alias": 2**20}
    good = {
        "bytes": sizes,
        "flop": 2e12,
        "compile_s": 61.2,
        "collectives": {"all-reduce": {"count": 3, "bytes": 2**21}},
    }
    for topology, compile_in in (("v5e:16x16", _found(good)), ("v5e:4x4", _fails)):
        one = jobs.Job(job.config, topology, 21, 2, -1.0)
        jobs.run(one, one.file(tmp_path), limit=9, command="", compile_in=compile_in)
    text = table.markdown(tmp_path)
    assert (
        "| `ppc_voc:seam` | 2 | – / – / 5 | – / – / 2.00 | 3 of 2.0 MiB | none | "
        "– / – / 61 s |" in text
    )
    assert "- `ppc_voc:seam`: no result yet on 1 chip\n" in text
    assert "- `ppc_voc:seam` on 16 chips: not compiled in 9 s" in text
    assert "- `ppc_voc`: no result yet on 1, 16 and 256 chips" in text


def test_the_table_of_the_docs_is_that_of_the_results():
    page = (ROOT / "docs/performance.md").read_text()
    wanted = table.markdown(jobs.RESULTS)
    assert wanted in page, "put what `python -m benchmarks.aot --table` prints there"
