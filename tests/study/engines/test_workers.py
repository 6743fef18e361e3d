"""Several processes: the same store, one message when one fails, none left behind."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.small_study import OWN, STUDY, assert_close_stores, trained, written
from kregkit import errors
from kregkit.errors import ModelError
from kregkit.store import Store
from kregkit.study.advice import advice
from kregkit.study.engines import workers
from kregkit.study.file.config import load
from kregkit.study.run import prepare

SMALLER = (
    STUDY.replace('"mlp"\nhidden = [5]', '"linear"')
    .replace('["L1", "L1L2"]', '["L1"]')
    .replace('["kernel", "activity"]', '["kernel"]')
)

BUILDER = """\
import keras, os
from pathlib import Path

here = Path(__file__).parent


def build(shape, outputs):
    parent = os.getpid() == int((here / "parent").read_text())
    built = len(list(here.glob(f"built{os.getpid()}_*")))
    (here / f"built{os.getpid()}_{built}").touch()
    # A worker resolves the study, by three models, before it trains.
    hidden = keras.layers.Dense(4 if parent or built < 3 else built, name="hidden")
    return keras.Sequential([keras.Input(shape), hidden, keras.layers.Dense(outputs)])
"""
"""A builder that in a worker, but not in its parent, always returns another model."""

SPREAD = """\
from pathlib import Path
from kregkit.errors import KregkitError
from kregkit.store import Store
from kregkit.study.engines import workers

if __name__ == "__main__":
    given = [b"unit" * 2**15] * 9, (), None, Path("s.toml"), Store(Path("store")), 2
    try:
        workers.spread(*given, lambda done, failed: None)
    except KregkitError as error:
        print(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        print("interrupted")
"""
"""More units than fit into a pipe, for two workers that only load TensorFlow."""


def children(pid):
    """Return the workers of a process: what it spawned, but for a helper of Python."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if parent == pid and b"spawn_main" in command:
            found.append(int(folder.name))
    return found


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def until(fact, seconds=60.0):
    """Wait until a fact is so; return whether it came to be so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fact():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def started(tmp_path):
    """Return a function that starts Python; it waits for two workers, returns them."""
    processes = []

    def started(*arguments):
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        assert until(lambda: len(children(process.pid)) == 2), process.communicate()
        return process, children(process.pid)

    yield started
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # none of its group is left
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def idle(started, tmp_path):
    """Return a run whose workers wait for ever, or do what `tensorflow` is given."""

    def idle(tensorflow="import time; time.sleep(600)"):
        (tmp_path / "tensorflow.py").write_text(tensorflow)
        (tmp_path / "script.py").write_text(SPREAD)
        return started("script.py")

    return idle


needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")


@needs_proc
@pytest.mark.parametrize(
    "engine", ["batch", pytest.param("fit", marks=pytest.mark.long)]
)
def test_two_workers_give_what_one_process_gives(engine, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    file, seen, stop = written(tmp_path, SMALLER), [], threading.Event()

    def watch():
        while not stop.wait(0.1):
            seen.append(len(children(os.getpid())))

    watching = threading.Thread(target=watch)
    watching.start()
    told = trained(file, tmp_path / "two", engine=engine, workers=2)
    stop.set()
    watching.join()
    assert told == (4, 0)
    assert max(seen) == 2
    assert children(os.getpid()) == []
    assert trained(file, tmp_path / "one", engine=engine) == (4, 0)
    one, two = (Store(tmp_path / name / "store").read() for name in ("one", "two"))
    assert two.finals["engine"].to_list() == [engine] * 4
    assert_close_stores(two, one)


@needs_proc
def test_what_a_worker_raises_ends_the_run(tmp_path):
    (tmp_path / "other_in_workers.py").write_text(BUILDER)
    (tmp_path / "parent").write_text(str(os.getpid()))
    file = written(tmp_path, OWN.format("other_in_workers"))
    with pytest.raises(ModelError) as raised:
        trained(file, tmp_path, engine="batch", workers=2)
    assert "another structure" in str(raised.value)
    assert children(os.getpid()) == []


@pytest.mark.parametrize("kind", [ModelError, errors.StoreError, errors.VersionError])
def test_an_error_arrives_as_it_was_raised(kind):
    arrived = pickle.loads(pickle.dumps(kind("a: `b` must be c; received 'd'.")))
    assert type(arrived) is kind
    assert str(arrived) == "a: `b` must be c; received 'd'."


KILLED = (
    "ModelError: a worker ended with exit status {}. "
    "Finished trials are stored: run it again with fewer workers.\n"
)


@needs_proc
def test_a_worker_that_is_killed_ends_the_run(idle):
    process, own = idle()
    os.kill(own[1], signal.SIGKILL)
    # That it ends is a test too: units that nobody took must not be waited for.
    assert process.communicate(timeout=60) == (
        KILLED.format("-9, killed, as happens when memory runs out"),
        "",
    )
    assert process.returncode == 0
    assert not any(alive(pid) for pid in own)


@needs_proc
def test_a_worker_that_fails_otherwise_shows_how(idle):
    process, own = idle("import time; time.sleep(1); 1 / 0")
    out, err = process.communicate(timeout=60)
    assert out == KILLED.format("1; its error is shown above")
    assert "ZeroDivisionError" in err
    assert not any(alive(pid) for pid in own)


@needs_proc
def test_ctrl_c_does_not_reach_a_worker_however_young(idle, tmp_path):
    """It is sent while Python itself is still starting in the workers."""
    slow = "import sys, time\n'spawn_main' in str(sys.orig_argv) and time.sleep(2)\n"
    (tmp_path / "sitecustomize.py").write_text(slow)
    process, own = idle()
    for pid in own:  # before the parent can end them
        os.kill(pid, signal.SIGINT)
    time.sleep(0.5)
    assert all(alive(pid) for pid in own)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("interrupted\n", "")
    assert not any(alive(pid) for pid in own)


@needs_proc
def test_a_killed_run_leaves_no_worker(idle):
    """Not even for the rest of a unit: who resumes would train the same trials."""
    process, own = idle()
    # Workers that watch their parent have a second thread.
    assert until(lambda: all(len(os.listdir(f"/proc/{p}/task")) > 1 for p in own))
    process.kill()
    process.wait()
    assert until(lambda: not any(alive(pid) for pid in own), 5)


@needs_proc
def test_ctrl_c_keeps_what_workers_have_finished(started, tmp_path):
    file = written(tmp_path, SMALLER.replace("seeds = 2", "seeds = 400"))
    options = ("--out", tmp_path, "--workers", 2, "--engine", "fit")
    process, own = started("-m", "kregkit", "run", file, *options)
    parts = tmp_path / "store" / "parts"
    assert until(lambda: len(list(parts.glob("[!.]*"))) > 2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    again = "Interrupted. What is finished is stored: run it again to resume.\n"
    assert out == again
    assert "Traceback" not in err
    engine, reason, *rest = err.splitlines()
    assert (engine, reason) == (
        "engine fit: 800 trials in 2 units",
        "because: the engine fit was requested",
    )
    told = " ".join(line.strip() for line in rest if not line.endswith(" trials"))
    advised = " ".join(f"warning: {line}" for line in advice(load(file)[0]))
    assert told == advised
    assert not any(alive(pid) for pid in own)
    job = prepare(file, tmp_path)
    assert 2 < len(job.trials) - len(job.waiting) < 800


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a share of cores")
@pytest.mark.parametrize(
    ("cores", "count", "shares"),
    [
        ({0, 1}, 2, [{0}, {1}]),
        ({2, 3, 5, 7}, 2, [{2, 3}, {5, 7}]),
        ({4}, 2, [{4}, {4}]),
        ({0, 1, 2}, 2, [{0}, {1}]),
        ({0, 1}, 3, [{0}, {1}, {0}]),
    ],
)
def test_workers_share_the_cores(monkeypatch, cores, count, shares):
    taken = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: cores)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, own: taken.append(own))
    for number in range(count):
        workers._take_share(number, count)
    assert taken == shares
