"""`kill -9` at any moment: at most the unit under way is lost."""

import os
import signal
import subprocess
import sys

import pytest
from polars.testing import assert_frame_equal

from helpers import ROOT
from helpers.small_study import STUDY, assert_close_stores, trained, written
from kregkit.store import Store

PAUSE = """
import sys

def pause():
    print("ready", flush=True)
    sys.stdin.read()  # until it is killed
"""
"""What a process does at the moment at which it is to be killed."""

WRITER = (
    PAUSE
    + """
import os
from pathlib import Path
import polars as pl
from kregkit.store import Store

path, moment = Path(sys.argv[1]), int(sys.argv[2])
passed = 0

def passes():
    global passed
    if passed == moment:
        pause()
    passed += 1

def halves(frame, file):
    whole(frame, file)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    passes()
    file.write_bytes(content)
    passes()

def replaced(*paths):
    passes()
    replace(*paths)
    passes()

whole, pl.DataFrame.write_parquet = pl.DataFrame.write_parquet, halves
replace, os.replace = os.replace, replaced
store = Store(path)
store.begin('name = "killed"')
done = len(store.finished())
for number in range(done, 100_000):
    trial = {"trial": f"{number:06d}"}
    rows = [trial | {"step": step, "layer": "a", "l1": 0.5} for step in range(200)]
    tensor = trial | {"layer": "a", "values": [0.25] * 50_000}
    store.write(rows, [trial | {"status": "done", "schema_version": 1}], [tensor])
"""
)
"""Pauses in the middle and at the end of each file, and around each renaming."""

MOMENTS = 2 * 8 + 4
"""A study file is renamed; of a trial there are three files and a renaming."""


def killed(*command):
    """Start a Python process and kill it where it pauses."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        told = list(iter(process.stdout.readline, "ready\n"))
        assert process.poll() is None, "".join(told)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_store_survives_being_killed_while_it_is_written(tmp_path):
    store = Store(tmp_path / "store")
    left_behind, before = 0, frozenset()
    for moment in reversed(range(MOMENTS)):
        killed("-c", WRITER, store.path, moment)
        contents = store.read()
        finished = frozenset(contents.finals["trial"])
        assert before <= finished == frozenset(contents.tensors["trial"])
        counts = contents.rows.group_by("trial").len()["len"]
        assert set(counts) <= {200}
        assert set(contents.tensors["values"].list.len()) <= {50_000}
        left_behind += len(list(store.path.glob("**/.writing-*")))
        before = finished
    assert left_behind > MOMENTS / 2, "few kills came in the middle of a write"
    assert before
    store.begin("")
    assert not list(store.path.glob("**/.writing-*"))
    assert store.finished() == before


STUDY_RUN = (
    PAUSE
    + """
from pathlib import Path
from kregkit.store import Store
from kregkit.study.engines import schedule
from kregkit.study.run import prepare, train

parts = int(sys.argv[4])

def counted(store, *tables):
    global parts
    if parts == 0:
        pause()
    parts -= 1
    write(store, *tables)

write, Store.write = Store.write, counted
schedule.MOST = 2
job = prepare(Path(sys.argv[1]), Path(sys.argv[2]))
train(job, lambda done, failed: None, sys.argv[3])
"""
)
"""What the command line does, with batches of two trials, up to a number of parts."""


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
    killed("-c", STUDY_RUN, file, tmp_path, engine, parts)
    stored = Store(tmp_path / "store").finished()
    assert len(stored) == parts * size < 10
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
