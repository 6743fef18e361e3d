"""The commands, on good input."""

import json
import re
import sys

import pytest

from helpers.commands import run
from kregkit.known import DATASETS, MODELS
from kregkit.specs import SPECS

STUDY = """\
name = "quick"
title = "A <script>alert(1)</script> study"
seeds = 2
[data]
name = "iris"
[model]
name = "linear"
[train]
epochs = 1
learning_rate = 0.1
optimizer = "sgd"
[[sweep]]
regularizer = "L2"
target = "kernel"
strength = [1e-3, 1e9]
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(STUDY)
    return tmp_path


def without_advice(text):
    """Return the lines without the estimate and the warnings of a small study."""
    told = ("takes about ", "warning: ")
    return [line for line in text.splitlines() if not line.startswith(told)]


def assert_progress(err, total):
    """Assert that the lines never say less than before, and end with all trials.

    The first two say by which engine they are trained, and why.
    """
    form = re.compile(rf"(\d+) of {total} trials(?: (\d+) failed)?")
    engine, reason, *lines = without_advice(err)
    assert re.fullmatch(rf"engine (batch|fit): {total} trials in \d+ units?", engine)
    assert reason.startswith("because: ")
    said = [form.fullmatch(line) for line in lines]
    assert all(said), err
    counts = [int(match[1]) for match in said]
    assert counts == sorted(counts)
    assert counts[-1] == total
    # All of them are done only when that is said for the first and last time.
    assert counts.count(total) == 1
    failures = [int(match[2] or 0) for match in said]
    assert failures == sorted(failures)


@pytest.mark.parametrize(
    "engine", ["batch", pytest.param("fit", marks=pytest.mark.long)]
)
def test_run_resumes_and_report_rebuilds_the_same_bytes(
    study, monkeypatch, capfd, engine
):
    assert run(monkeypatch, "run", "quick.toml", "--engine", engine) == 1
    out, err = capfd.readouterr()
    assert "2 of 6 trials failed: the report says which." in out
    assert out.startswith("Without a regularizer: test accuracy ")
    assert "\nReport: reports/quick/index.html\n" in out
    assert_progress(err, 6)
    assert err.endswith("6 of 6 trials 2 failed\n")
    page = (study / "reports" / "quick" / "index.html").read_bytes()
    assert b"<script>alert" not in page

    assert run(monkeypatch, "run", "quick.toml") == 1
    assert "6 of 6 trials are stored already." in capfd.readouterr().out
    assert (study / "reports" / "quick" / "index.html").read_bytes() == page

    assert run(monkeypatch, "report", "runs/quick", "-o", "again") == 0
    assert capfd.readouterr().out == "Report: again/index.html\n"
    assert (study / "again" / "index.html").read_bytes() == page


def test_plan_counts_the_trials_and_trains_nothing(study, monkeypatch, capfd):
    assert run(monkeypatch, "plan", "quick.toml") == 0
    out = without_advice(capfd.readouterr().out)
    assert out[0] == "quick: 6 trials, 2 seeds"
    assert [line.split()[-1] for line in out[2:4]] == ["2", "4"]
    assert out[4:] == ["engine batch: 6 trials in 1 unit", *BATCHED]
    assert run(monkeypatch, "plan", "quick.toml", "--workers", "2") == 0
    out = without_advice(capfd.readouterr().out)
    assert out[4] == "engine batch: 6 trials in 2 units"
    assert run(monkeypatch, "plan", "quick.toml", "--engine", "fit") == 0
    out = without_advice(capfd.readouterr().out)
    expected = [
        "engine fit: 6 trials in 2 units",
        "because: the engine fit was requested",
    ]
    assert out[4:] == expected
    assert sorted(path.name for path in study.iterdir()) == ["quick.toml"]


def test_plan_tells_learning_rates_apart(study, monkeypatch, capfd):
    text = STUDY.replace("[1e-3, 1e9]", "1e-3\nlearning_rate = [0.1, 0.03]")
    (study / "quick.toml").write_text(text)
    assert run(monkeypatch, "plan", "quick.toml") == 0
    out = without_advice(capfd.readouterr().out)
    assert [line.split() for line in out[1:6]] == [
        ["target", "regularizer", "layers", "solver", "learning", "rate", "trials"],
        ["-", "baseline", "-", "gradient", "0.1", "2"],
        ["-", "baseline", "-", "gradient", "0.03", "2"],
        ["kernel", "L2", "all", "gradient", "0.1", "2"],
        ["kernel", "L2", "all", "gradient", "0.03", "2"],
    ]
    assert len({len(line) for line in out[1:6]}) == 1
    assert out[6] == "engine batch: 8 trials in 1 unit"


BATCHED = ["because: up to 6 trials at a time"]

BUILDER = """\
import keras
import tensorflow as tf


class Own(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


class Stateful(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.calls = tf.Variable(0.0, trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        x += tf.random.uniform(tf.shape(x)) + tf.random.normal(tf.shape(x))
        x += tf.cast(tf.random.uniform(tf.shape(x), 0, 2, "int32"), "float32")
        return x + tf.random.gamma(tf.shape(x), 1.0) + tf.random.truncated_normal([1])


def own_step(shape, outputs):
    return Own([keras.Input(shape), keras.layers.Dense(outputs, name="d" * 300)])


def stateful(shape, outputs):
    dense = keras.layers.Dense(outputs)
    return keras.Sequential([keras.Input(shape), Stateful(), dense])
"""

STATES = """\
because: the model is stateful beyond Keras's variables: AssignAddVariableOp,
  RandomGamma, RandomStandardNormal, RandomUniform, RandomUniformInt,
  TruncatedNormal"""


@pytest.mark.parametrize(
    ("builder", "reason"),
    [
        ("own_step", "because: the model has its own `train_step`"),
        ("stateful", STATES),
    ],
)
def test_plan_says_why_a_model_is_trained_by_fit(
    study, monkeypatch, capfd, builder, reason
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (study / "only_fit.py").write_text(BUILDER)
    text = STUDY.replace('name = "linear"', f'build = "only_fit:{builder}"')
    (study / "quick.toml").write_text(text)
    assert run(monkeypatch, "plan", "quick.toml") == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert without_advice(out)[4:] == [
        "engine fit: 6 trials in 2 units",
        *reason.splitlines(),
    ]
    assert max(map(len, out.splitlines())) <= 80
    assert sorted(path.name for path in study.iterdir()) == [
        "only_fit.py",
        "quick.toml",
    ]


@pytest.mark.parametrize("engine", ["batch", "fit"])
def test_an_interrupted_run_says_how_to_resume(study, monkeypatch, capfd, engine):
    from kregkit.study.engines import schedule
    from kregkit.study.engines.batch.program import Program
    from kregkit.study.engines.fit.train_one import Trainer

    monkeypatch.setattr(schedule, "MOST", 3)
    kind, calls = {"batch": Program, "fit": Trainer}[engine], []
    train = kind.train

    def interrupted(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return train(*arguments)

    monkeypatch.setattr(kind, "train", interrupted)
    assert run(monkeypatch, "run", "quick.toml", "--engine", engine) == 130
    out, err = capfd.readouterr()
    assert "Interrupted. What is finished is stored: run it again to resume." in out
    assert "Traceback" not in out + err
    assert len(list((study / "runs" / "quick" / "parts").iterdir())) == 1
    assert "6 of 6" not in err


def test_list_names_everything_that_a_study_can_name(monkeypatch, capfd):
    assert run(monkeypatch, "list") == 0
    words = capfd.readouterr().out.split()
    assert {*SPECS, *DATASETS, *MODELS} <= set(words)


def test_schema_is_json_that_names_every_section(monkeypatch, capfd):
    assert run(monkeypatch, "schema") == 0
    schema = json.loads(capfd.readouterr().out)
    assert {"name", "seeds", "data", "model", "train", "sweep"} <= set(
        schema["properties"]
    )
