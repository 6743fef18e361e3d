"""Units are stored when they are done, and halved when memory runs out."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from helpers.made_study import made
from helpers.small_study import OWN, STUDY, trained, written
from kregkit.errors import ModelError
from kregkit.store import Store
from kregkit.study.engines import schedule, training
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.protocol import Result
from kregkit.study.engines.schedule import WorkItem
from kregkit.study.engines.training import Training
from kregkit.study.plan import words

SHORT = STUDY.replace("epochs = 2", "epochs = 1")


@pytest.fixture
def study(tmp_path):
    return made(tmp_path, text=SHORT)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.begin()
    return store


@pytest.fixture
def limited(monkeypatch):
    """Return a function that puts in place a `Program` that trains nothing.

    Its memory runs out where it is asked for one trial too many. The function
    returns the list of the sizes that were tried.
    """

    def limited(most, error=None, failing=lambda trials: False):
        sizes = []

        class Idle:
            def __init__(self, study, mixed, trials):
                self.trials = trials

            def train(self, trials, progress):
                sizes.append(self.trials)
                assert len(trials) <= self.trials
                progress(0.25)
                if self.trials > most or failing(trials):
                    raise error or tf.errors.ResourceExhaustedError(None, None, "OOM")
                for _ in range(3):
                    progress(0.25)
                return [left(trial) for trial in trials]

        monkeypatch.setattr(training, "Program", Idle)
        return sizes

    return limited


def left(trial):
    """Return a result that can be stored."""
    final = {"trial": trial.id, "status": "done", "schema_version": 1}
    return Result([{"trial": trial.id, "step": 0}], final, [])


def parts(store):
    return len(list((store.path / "parts").iterdir()))


@pytest.mark.parametrize("error", [None, MemoryError()])
def test_what_runs_out_of_memory_is_halved_and_goes_on(study, store, limited, error):
    sizes, told = limited(3, error), []
    own = Training(study, store, study.trials)
    first, second = study.trials[:7], study.trials[7:]
    own.train(WorkItem("batch", first, 7), lambda *now: told.append(now))
    assert sizes == [7, 4, 2, 2, 2, 2]
    assert sum(done for done, _ in told) == pytest.approx(7)
    own.train(WorkItem("batch", second, 7), lambda *now: told.append(now))
    # What has run out of memory once is not tried again.
    assert sizes == [7, 4] + [2] * 6
    assert sum(done for done, _ in told) == pytest.approx(10)
    assert store.finished() == {trial.id for trial in study.trials}
    assert parts(store) == 6


def test_progress_never_says_more_than_what_is_done(study, store, limited):
    limited(2)
    told, stored = [0.0], []

    def progress(done, failed):
        assert failed == 0
        told.append(told[-1] + done)
        stored.append(len(store.finished()))

    unit = WorkItem("batch", study.trials[:4], 4)
    Training(study, store, study.trials).train(unit, progress)
    assert min(told) == pytest.approx(0, abs=1e-9)
    for done, finished in zip(told[1:], stored, strict=True):
        assert int(done + 1e-6) <= finished + 2
        assert (done + 1e-6 < 4) or finished == 4


@pytest.mark.parametrize("done", [0, 2])
def test_a_trial_that_alone_does_not_fit_is_named(study, store, limited, done):
    bad = study.trials[done]
    limited(256, failing=lambda trials: bad in trials)
    told = []
    unit = WorkItem("batch", study.trials[:5], 2)
    with pytest.raises(ModelError) as refused:
        Training(study, store, study.trials).train(unit, lambda *n: told.append(n))
    assert str(refused.value) == (
        f"trial {bad.id} ({words(bad)}) alone runs out of memory."
    )
    assert store.finished() == {trial.id for trial in study.trials[:done]}
    assert sum(share for share, _ in told) == pytest.approx(done)


def test_other_errors_are_not_taken_for_a_lack_of_memory(study, store, limited):
    sizes = limited(2, tf.errors.InvalidArgumentError(None, None, "something else"))
    unit = WorkItem("batch", study.trials[:4], 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="something else"):
        Training(study, store, study.trials).train(unit, lambda *now: None)
    assert sizes == [4]


def unnamed(shape, outputs):
    return keras.Sequential([keras.Input(shape), layers.Dense(outputs)])


def test_a_smaller_program_trains_what_the_larger_would_have(
    tmp_path, store, monkeypatch
):
    """And layers without names have the names that they have in `fit`."""
    text = SHORT.replace('["kernel", "activity"]', '["kernel"]')
    study, told = made(tmp_path, unnamed, text=text), []
    train = Program.train

    def checked(self, trials, progress):
        if self.trials > 1:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")
        return train(self, trials, progress)

    monkeypatch.setattr(Program, "train", checked)
    own = Training(study, store, study.trials)
    own.train(WorkItem("batch", study.trials[:2], 2), lambda *now: told.append(now))
    own.train(WorkItem("fit", study.trials[2:3], 1), lambda *now: told.append(now))
    assert sum(done for done, _ in told) == pytest.approx(3)
    contents = store.read()
    counts = contents.finals["engine"].value_counts().sort("engine").rows()
    assert counts == [("batch", 2), ("fit", 1)]
    rows = contents.rows.group_by("trial").agg("layer")
    names = {tuple(dict.fromkeys(row)) for row in rows["layer"].to_list()}
    assert names == {("dense", "")}


BUILDER = """\
import keras

calls = 0


def build(shape, outputs):
    global calls
    calls += 1
    hidden = keras.layers.Dense({} if calls > {} else 4, name="hidden")
    last = keras.layers.Dense(outputs, name="output")
    return keras.Sequential([keras.Input(shape), hidden, last])
"""


def test_a_builder_that_changes_its_mind_is_told_at_the_trial(
    tmp_path, engine, monkeypatch
):
    """Before training it is called 3 times, and for a batch's schedule 4 times more."""
    monkeypatch.setattr(schedule, "MOST", 5)
    name = f"changes_its_mind_{engine}"
    before = {"fit": 3, "batch": 7}[engine] + 1
    (tmp_path / f"{name}.py").write_text(BUILDER.format(5, before))
    file = written(tmp_path, OWN.format(name).replace("epochs = 2", "epochs = 1"))
    with pytest.raises(ModelError) as refused:
        trained(file, tmp_path, engine=engine)
    assert "seed 1" in str(refused.value)
    assert "another structure" in str(refused.value)
    # What was finished stays: the first baseline, or a batch of all trials of a seed.
    done = len(Store(tmp_path / "store").finished())
    assert done == {"fit": 1, "batch": 5}[engine]
