"""One compiled model for many trials: each ends as it would on a model of its own.

The oracle of every test is a trial trained alone, in a new `Trainer`.
"""

import importlib

import pytest

from helpers.small_study import OWN, STUDY, written
from kregkit.errors import ModelError
from kregkit.study.engines.fit import train_one
from kregkit.study.engines.fit.train_one import Trainer, deterministic, train
from kregkit.study.plan import words
from kregkit.study.problem.resolve import resolve
from kregkit.study.run import prepare

STRUCTURED = """
import keras
from keras import layers

def build(shape, outputs):
    return keras.Sequential([
        keras.Input(shape), layers.Dense(6), layers.BatchNormalization(),
        layers.Activation("relu"), layers.Dropout(0.3), layers.Dense(outputs),
    ])
"""

OWN_LAYER = """
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

TRACED = []

class Own(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.seen = {state}

    def call(self, x, training=False):
        if tf.inside_function():
            TRACED.append(training)
        {body}

def build(shape, outputs):
    return keras.Sequential(
        [keras.Input(shape), layers.Dense(6), Own(), layers.Dense(outputs)]
    )
"""

LAYERS = {
    "plain": ("None", "return x"),
    "keras_noise": (
        "None",
        "return x + keras.random.normal(ops.shape(x)) if training else x",
    ),
    "tensorflow_noise": (
        "None",
        "return x + tf.random.normal(tf.shape(x)) if training else x",
    ),
    "numpy_noise": (
        "lambda: np.random.normal(size=6).astype('float32')",
        "return x + tf.ensure_shape(tf.numpy_function(self.seen, [], tf.float32), [6])"
        " if training else x",
    ),
    "untracked": (
        "tf.Variable(0.0, trainable=False)",
        "return x + self.seen.assign_add(0.01) if training else x",
    ),
    "constant": ("np.random.normal(size=6).astype('float32')", "return x * self.seen"),
}
"""State and call of layers; of all but the first, a seed's trial is not decided by
Keras's variables alone."""

SWEEP = """
regularizer = ["L1L2"]
target = ["kernel"]
strength = [1e-3, 0.3]
ratio = [0.2, 0.9]
"""

HUGE = """
regularizer = ["L2"]
target = ["kernel"]
strength = [1e-3, 1e30]
"""


@pytest.fixture(autouse=True, scope="module")
def _bit_for_bit():
    deterministic()


def study_of(folder, text, sweep=SWEEP, **train):
    """Return a study of 3 epochs on iris with another sweep and other training."""
    head = text[: text.index("[[sweep]]")].replace("epochs = 2", "epochs = 3")
    for key, value in train.items():
        head += f"{key} = {value}\n"
    job = prepare(written(folder, f"{head}[[sweep]]{sweep}"), folder / "nowhere")
    return resolve(job.config, job.file)


def built_by(folder, module, source):
    """Return the text of a study whose builder is in a module of its own."""
    (folder / f"{module}.py").write_text(source)
    return OWN.format(module)


def own_layer(folder, name):
    state, body = LAYERS[name]
    source = OWN_LAYER.format(state=state, body=body)
    return built_by(folder, f"shared_{name}", source)


def chosen(study, *wanted):
    """Return trials by their seed, strength and, if there are several, ratio."""

    def facts(trial):
        return (trial.seed, trial.strength, *dict(trial.parameters).values())

    return [
        next(t for t in study.trials if facts(t) == facts_of) for facts_of in wanted
    ]


def assert_equal(one, other):
    # As text: a number has one text for its bits, and NaN equals NaN.
    assert repr(one.rows) == repr(other.rows)
    assert repr(one.tensors) == repr(other.tensors)
    alike = [{**r.final, "wall_seconds": 0} for r in (one, other)]
    assert alike[0] == alike[1]


def assert_as_alone(study, trainer, trials):
    """Train these in one trainer; return for each whether it had the last one's model.

    Those that come again are trained alone once.
    """
    alone = {trial.id: train(study, trial) for trial in trials}
    shared = []
    for trial in trials:
        before = trainer._shared
        assert_equal(trainer.train(trial), alone[trial.id])
        shared.append(before is not None and trainer._shared is before)
    assert len({repr(result.tensors) for result in alone.values()}) == len(alone)
    return shared


MIXED = [(0, 1e-3, 0.2), (1, 0.3, 0.2), (0, 0.3, 0.9)]

OPTIMIZERS = {
    "adam": {"optimizer": '"adam"'},
    "momentum": {"optimizer": '"sgd"', "momentum": 0.9},
    "nadam": {"optimizer": '"nadam"'},
}


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        ("mlp", "adam"),
        pytest.param("structured", "nadam", marks=pytest.mark.long),
        pytest.param("structured", "momentum", marks=pytest.mark.long),
    ],
)
def test_a_trial_on_a_shared_model_ends_as_it_does_alone(tmp_path, model, optimizer):
    text = STUDY
    if model != "mlp":
        text = built_by(tmp_path, "shared_structured", STRUCTURED)
    study = study_of(tmp_path, text, **OPTIMIZERS[optimizer])
    trials = chosen(study, *MIXED)
    assert assert_as_alone(study, Trainer(study), trials) == [False, True, True]


@pytest.mark.long
def test_a_trial_of_another_learning_rate_ends_as_where_train_names_it(tmp_path):
    """The models of all learning rates are one, and set back."""
    rates = SWEEP.replace("0.2, 0.9", "0.2") + "learning_rate = [1e-2, 5e-2]\n"
    study = study_of(tmp_path, STUDY, rates.replace("[1e-3, 0.3]", "[1e-3]"))
    trials = [t for t in study.trials if t.regularizer and t.seed == 0]
    trials += trials[:1]
    assert [t.learning_rate for t in trials] == [1e-2, 5e-2, 1e-2]
    trainer = Trainer(study)
    assert assert_as_alone(study, trainer, trials) == [False, True, True]
    text = STUDY.replace("learning_rate = 1e-2", "learning_rate = 5e-2")
    of_train = study_of(tmp_path, text)
    same = next(t for t in of_train.trials if t.id == trials[1].id)
    assert_equal(train(of_train, same), train(study, trials[1]))


@pytest.mark.parametrize(
    "model", ["mlp", pytest.param("structured", marks=pytest.mark.long)]
)
def test_a_trial_after_one_that_diverged_ends_as_it_does_alone(tmp_path, model):
    text = STUDY
    if model != "mlp":
        text = built_by(tmp_path, "shared_structured", STRUCTURED)
    study = study_of(tmp_path, text, HUGE, **OPTIMIZERS["momentum"])
    diverging, *others = chosen(study, (0, 1e30), (0, 1e-3), (1, 1e-3))
    trainer = Trainer(study)
    assert trainer.train(diverging).failed
    assert assert_as_alone(study, trainer, others) == [True, True]


def test_a_trial_after_one_that_was_interrupted_ends_as_it_does_alone(
    tmp_path, monkeypatch
):
    study = study_of(tmp_path, STUDY)
    first, second = chosen(study, *MIXED[:2])
    trainer = Trainer(study)
    trainer.train(first)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train_one._StopAtNonFinite, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            trainer.train(second)
    assert assert_as_alone(study, trainer, [second, first]) == [False, True]


@pytest.mark.long
def test_baselines_and_other_targets_have_models_of_their_own(tmp_path):
    several = SWEEP.replace('["kernel"]', '["kernel", "activity"]')
    study = study_of(tmp_path, STUDY, several)
    baseline = study.trials[0]
    kernel, activity = (
        next(t for t in study.trials if t.target == target)
        for target in ("kernel", "activity")
    )
    trials = [baseline, kernel, activity, kernel]
    assert assert_as_alone(study, Trainer(study), trials) == [False] * 4


def test_a_group_is_traced_once(tmp_path):
    study = study_of(tmp_path, own_layer(tmp_path, "plain"))
    traced = importlib.import_module("shared_plain").TRACED
    trainer = Trainer(study)
    first, *others = chosen(study, *MIXED)
    study.build()
    traced.clear()
    study.build()
    of_a_build = len(traced)
    traced.clear()
    trainer.train(first)
    assert traced.count(True) == 1
    traced.clear()
    for trial in others:
        trainer.train(trial)
    assert len(traced) == of_a_build  # the second seed's initial weights


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(name, marks=[pytest.mark.long] * (name != "untracked"))
        for name in sorted(set(LAYERS) - {"plain"})
    ],
)
def test_a_model_that_cannot_be_set_back_is_not_shared(tmp_path, layer):
    study = study_of(tmp_path, own_layer(tmp_path, layer))
    first, second = chosen(study, *MIXED[:2])
    trainer = Trainer(study)
    trainer.train(first)
    assert assert_as_alone(study, trainer, [second]) == [False]


def test_a_builder_that_returns_another_structure_is_refused(tmp_path):
    source = (
        "import keras\nfrom keras import layers\nimport random\n\n"
        "def build(shape, outputs):\n"
        "    wide = 3 + random.getstate()[1][1] % 9\n"
        "    return keras.Sequential([\n"
        '        keras.Input(shape), layers.Dense(wide, name="hidden"),\n'
        '        layers.Dense(outputs, name="last"),\n    ])\n'
    )
    study = study_of(tmp_path, built_by(tmp_path, "shared_not_alike", source))
    first, second = chosen(study, *MIXED[:2])
    trainer = Trainer(study)
    trainer.train(first)
    with pytest.raises(ModelError) as refused:
        trainer.train(second)
    assert str(refused.value) == (
        f"trial {second.id} ({words(second)}): shared_not_alike:build must return the "
        "same structure at every call; it returned another structure, in "
        "sequential/hidden/bias, sequential/hidden/kernel, sequential/last/kernel."
    )
