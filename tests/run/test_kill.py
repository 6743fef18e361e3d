"""`kill -9` at any moment: at most the unit under way is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal
from small_study import STUDY, assert_close_stores, trained, written

from kregkit.store import Store

WRITER = """
import sys
from pathlib import Path
from kregkit.store import Store

store = Store(Path(sys.argv[1]))
store.begin('name = "killed"')
done = len(store.finished())
for number in range(done, 100_000):
    trial = {"trial": f"{number:06d}"}
    rows = [trial | {"step": step, "layer": "a", "l1": 0.5} for step in range(200)]
    tensor = trial | {"layer": "a", "values": [0.25] * 50_000}
    store.write(rows, [trial | {"status": "done", "schema_version": 1}], [tensor])
    if number == done:
        print("ready", flush=True)
"""


def killed(command, when):
    """Start a process, kill it when `when(process)` returns; return its output."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        when(process)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_store_survives_being_killed_while_it_is_written(tmp_path):
    store = Store(tmp_path / "store")
    left_behind, before = 0, frozenset()
    for moment in range(12):

        def when(process, moment=moment):
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.013 * moment)

        killed(["-c", WRITER, store.path], when)
        contents = store.read()
        finished = frozenset(contents.finals["trial"])
        assert before <= finished == frozenset(contents.tensors["trial"])
        counts = contents.rows.group_by("trial").len()["len"]
        assert set(counts) == {200}
        assert set(contents.tensors["values"].list.len()) == {50_000}
        left_behind += len(list(store.path.glob("**/.writing-*")))
        before = finished
    assert left_behind > 0, "no kill came in the middle of a write: the test is idle"
    store.begin("")
    assert not list(store.path.glob("**/.writing-*"))
    assert store.finished() == before


STUDY_RUN = """
import sys
from pathlib import Path
from kregkit.study import engines
from kregkit.study.run import prepare, train

engines.MOST = 2
job = prepare(Path(sys.argv[1]), Path(sys.argv[2]))
train(job, lambda done, failed: None, sys.argv[3])
"""
"""What the command line does, with batches of two trials."""


@pytest.mark.parametrize(
    ("parts", "engine", "size"),
    [
        pytest.param(0, "fit", 1, marks=pytest.mark.long),
        (2, "batch", 2),
    ],
)
def test_a_killed_study_resumes_to_the_same_store(
    tmp_path, request, parts, engine, size
):
    """Killed before the first unit is stored, and after some are."""
    file = written(tmp_path, STUDY)
    folder = tmp_path / "store" / "parts"

    def when(process):
        while len(list(folder.glob("[!.]*"))) < parts or not folder.exists():
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.02)

    killed(["-c", STUDY_RUN, file, tmp_path, engine], when)
    stored = Store(tmp_path / "store").finished()
    assert parts * size <= len(stored) < 10
    assert len(stored) % size == 0
    left = 10 - len(stored)
    assert trained(file, tmp_path, engine=engine) == (left, 0)
    resumed = Store(tmp_path / "store").read()
    assert set(resumed.finals["engine"]) == {engine}
    if engine == "fit":
        whole = Store(request.getfixturevalue("fitted")[1] / "store").read()
        assert_frame_equal(resumed.rows, whole.rows, check_exact=True)
        assert_frame_equal(resumed.tensors, whole.tensors, check_exact=True)
    else:
        whole = Store(request.getfixturevalue("batched")[1] / "store").read()
        assert_close_stores(resumed, whole)
