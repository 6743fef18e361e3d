"""Which engine trains which trials, how many at a time, and the reason in words."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops, optimizers

from helpers.made_study import made
from helpers.small_study import STUDY
from kregkit.errors import ModelError
from kregkit.study.engines import schedule as scheduling
from kregkit.study.engines.schedule import MemoryEstimate, schedule

MIB = 2**20


@pytest.fixture
def study(tmp_path):
    return made(tmp_path)


@pytest.fixture
def ample(monkeypatch):
    """Let there be much memory, whatever this machine has."""
    monkeypatch.setattr(scheduling, "memory", lambda: 2**40)


def ids(units):
    return [[trial.id for trial in unit.trials] for unit in units]


def plain(shape, outputs, kind=keras.Sequential, extra=()):
    hidden = layers.Dense(4, activation="relu")
    return kind([keras.Input(shape), hidden, *extra, layers.Dense(outputs)])


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


class OwnLoss(keras.Sequential):
    def compute_loss(self, *arguments, **keywords):
        return 2 * super().compute_loss(*arguments, **keywords)


class Noisy(layers.Layer):
    def call(self, x):
        return x + tf.random.uniform(tf.shape(x))


class Counting(layers.Layer):
    def __init__(self):
        super().__init__()
        self.calls = tf.Variable(0.0, trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x * tf.minimum(self.calls, 1.0)


class Padded(layers.Layer):
    def call(self, x):
        return ops.pad(x, [[0, 0], [0, 1]], constant_values=1.0)


class GloballySeeded(layers.Layer):
    def call(self, x):
        return x + keras.random.normal(ops.shape(x))


class NoisyInAFunction(layers.Layer):
    @tf.function
    def call(self, x):
        return x + tf.random.normal(tf.shape(x))


class Constant(layers.Layer):
    """Multiplies by what NumPy drew when the layer was made."""

    def __init__(self):
        super().__init__()
        self.drawn = np.random.normal(size=1).astype("float32")  # noqa: NPY002 - seeded

    def call(self, x):
        return x * self.drawn


class Idle(layers.Layer):
    """Has a weight that it does not use."""

    def build(self, shape):
        self.idle = self.add_weight(shape=(2,), name="kernel")

    def call(self, x):
        return x


class Bins(layers.Layer):
    def call(self, x):
        return ops.cast(ops.clip(x + 4.0, 0.0, 7.0), "int32")


def embedded(shape, outputs):
    words = [Bins(), layers.Embedding(8, 3), layers.Flatten()]
    return keras.Sequential([keras.Input(shape), *words, layers.Dense(outputs)])


def patched(shape, outputs):
    model = plain(shape, outputs)
    model.train_step = model.train_step
    return model


STATEFUL = "the model is stateful beyond Keras's variables: "
MODELS = {
    "own_train_step": (
        lambda *given: plain(*given, kind=OwnStep),
        "the model has its own `train_step`",
    ),
    "own_compute_loss": (
        lambda *given: plain(*given, kind=OwnLoss),
        "the model has its own `compute_loss`",
    ),
    "patched_train_step": (patched, "the model has its own `train_step`"),
    "sparse_gradient": (
        embedded,
        "a gradient is sparse, such as the gradient of an embedding",
    ),
    "random_operation": (
        lambda *given: plain(*given, extra=[Noisy()]),
        f"{STATEFUL}RandomUniform",
    ),
    "padding_with_a_constant": (
        lambda *given: plain(*given, extra=[Padded()]),
        "TensorFlow's vectorized map pads with 0, whatever the constant is",
    ),
    "keras_without_a_seed": (
        lambda *given: plain(*given, extra=[GloballySeeded()]),
        "the model reads a variable that is not its own, such as a global seed",
    ),
    "random_operation_in_a_function": (
        lambda *given: plain(*given, extra=[NoisyInAFunction()]),
        f"{STATEFUL}RandomStandardNormal",
    ),
    "numbers_drawn_by_the_builder": (
        lambda *given: plain(*given, extra=[Constant()]),
        "the model has random constants that are not variables",
    ),
    "weight_without_a_gradient": (
        lambda *given: plain(*given, extra=[Idle()]),
        "the loss does not depend on a trained weight",
    ),
    "variable_outside_keras": (
        lambda *given: plain(*given, extra=[Counting()]),
        f"{STATEFUL}AssignAddVariableOp",
    ),
}

ELEMENT = "is not known to treat all elements alike"
RULES = {
    "lion": (optimizers.Lion, f"the optimizer Lion {ELEMENT}"),
    "lamb": (optimizers.Lamb, f"the optimizer Lamb {ELEMENT}"),
    "ftrl": (optimizers.Ftrl, f"the optimizer Ftrl {ELEMENT}"),
    "own_class": (
        type("OwnSGD", (optimizers.SGD,), {}),
        f"the optimizer OwnSGD {ELEMENT}",
    ),
    "moving_average": (
        lambda: optimizers.Adam(use_ema=True),
        "Adam keeps moving averages of the weights",
    ),
    "accumulation": (
        lambda: optimizers.SGD(gradient_accumulation_steps=4),
        "SGD accumulates gradients",
    ),
}


def check_falls_to_fit(study, reason):
    found = schedule(study, study.trials)
    assert found.reason == reason
    assert {unit.engine for unit in found.units} == {"fit"}
    assert len(schedule(study, study.trials, "auto", workers=3).units) >= 3
    with pytest.raises(ModelError) as refused:
        schedule(study, study.trials, "batch")
    assert str(refused.value) == f"the engine batch cannot train this study: {reason}."


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_cannot_be_batched_falls_to_fit(tmp_path, name):
    model, reason = MODELS[name]
    check_falls_to_fit(made(tmp_path, model=model), reason)


@pytest.mark.parametrize("name", RULES)
def test_an_optimizer_that_cannot_be_batched_falls_to_fit(tmp_path, name):
    rule, reason = RULES[name]
    check_falls_to_fit(made(tmp_path, rule=rule), reason)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_another_dtype_falls_to_fit(study, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        check_falls_to_fit(study, f"the dtype policy is {policy}, not float32")
    finally:
        keras.config.set_dtype_policy(before)


def test_another_backend_falls_to_fit(study, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    check_falls_to_fit(
        study, "Keras runs on torch, for which there is no stacked training"
    )


class Halved(layers.Layer):
    def call(self, x):
        self.add_loss(0.1 * ops.mean(x))
        return 0.5 * x


@pytest.mark.parametrize(
    "extra",
    [
        lambda: [layers.Dropout(0.3), layers.GaussianNoise(0.1)],
        lambda: [layers.BatchNormalization()],
        lambda: [Halved()],
    ],
)
@pytest.mark.parametrize("rule", [None, lambda: optimizers.Nadam(clipnorm=1.0)])
def test_what_keras_keeps_the_state_of_is_batched(tmp_path, extra, rule, ample):
    study = made(tmp_path, lambda *given: plain(*given, extra=extra()), rule)
    found = schedule(study, study.trials)
    assert found.reason == "up to 10 trials at a time"
    assert [(unit.engine, unit.size) for unit in found.units] == [("batch", 10)]
    assert ids(found.units) == [[trial.id for trial in study.trials]]


@pytest.mark.parametrize("more", ["", 'layers = "all"'])
def test_fit_groups_the_trials_that_share_a_compiled_model(tmp_path, more):
    study = made(tmp_path, text=STUDY + more)
    found = schedule(study, study.trials, "fit")
    assert found.reason == "the engine fit was requested"
    assert {(unit.engine, unit.size) for unit in found.units} == {("fit", 1)}
    kinds = [
        {(t.regularizer, t.target, t.layers, t.solver) for t in unit.trials}
        for unit in found.units
    ]
    assert [len(kind) for kind in kinds] == [1] * 5
    assert len(set.union(*kinds)) == 5
    for workers in (1, 2, 3, 10):
        units = schedule(study, study.trials, "fit", workers).units
        assert len(units) >= workers
        spread = [trial for unit in ids(units) for trial in unit]
        assert sorted(spread) == sorted(t.id for t in study.trials)


@pytest.mark.parametrize("engine", ["auto", "batch", "fit"])
def test_no_trials_make_no_units(study, engine):
    found = schedule(study, (), engine, workers=2)
    assert (found.units, found.reason) == ((), "nothing is left to train")


@pytest.mark.parametrize(
    ("most", "workers", "sizes"),
    [
        (256, 1, [10]),
        (4, 1, [4, 4, 2]),
        (5, 1, [5, 5]),
        (1, 1, [1] * 10),
        (256, 2, [5, 5]),
        (256, 3, [4, 4, 2]),
        (3, 2, [3, 3, 3, 1]),
        (256, 99, [1] * 10),
    ],
)
def test_batches_are_equal_ordered_by_seed_and_for_all_workers(
    study, monkeypatch, ample, most, workers, sizes
):
    monkeypatch.setattr(scheduling, "MOST", most)
    found = schedule(study, study.trials, workers=workers)
    assert found.reason == f"up to {sizes[0]} trials at a time"
    assert [len(unit.trials) for unit in found.units] == sizes
    assert {unit.size for unit in found.units} == {sizes[0]}
    together = [trial for unit in found.units for trial in unit.trials]
    assert {t.id for t in together} == {t.id for t in study.trials}
    if len(sizes) > 1:
        assert [trial.seed for trial in together] == [0] * 5 + [1] * 5


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("fit", [3, 4, 9])
def test_batches_are_sized_by_half_of_the_memory_of_all_workers(
    study, monkeypatch, fit, workers
):
    own = scheduling.need(study, study.trials)
    room = 2 * workers * fit * (own.trial + own.seed)
    for free, most in ((room, fit), (room - 2 * workers, fit - 1)):
        monkeypatch.setattr(scheduling, "memory", lambda free=free: free)
        units = schedule(study, study.trials, workers=workers).units
        count = max(-(-10 // most), workers)
        assert [unit.size for unit in units] == [-(-10 // count)] * len(units)


WORDS = (
    "trial {} (baseline, seed 0) alone needs about 10 MiB in a batch; 9 MiB may be used"
)


@pytest.mark.parametrize("engine", ["auto", "batch"])
def test_a_trial_that_alone_is_larger_than_the_memory_is_named(
    study, monkeypatch, engine
):
    monkeypatch.setattr(
        scheduling, "need", lambda *_: MemoryEstimate(7 * MIB, 3 * MIB, 9 * MIB, 1)
    )
    monkeypatch.setattr(scheduling, "memory", lambda: 2 * 2 * 9 * MIB)
    with pytest.raises(ModelError) as refused:
        schedule(study, study.trials, engine, workers=2)
    words = WORDS.format(study.trials[0].id)
    assert str(refused.value) == (
        f"{words}. Make the model or the batch smaller, or use fewer workers."
    )


def test_a_trial_that_only_a_batch_has_no_room_for_falls_to_fit(study, monkeypatch):
    monkeypatch.setattr(
        scheduling, "need", lambda *_: MemoryEstimate(7 * MIB, 3 * MIB, MIB, 1)
    )
    monkeypatch.setattr(scheduling, "memory", lambda: 2 * 2 * 9 * MIB)
    found = schedule(study, study.trials, workers=2)
    assert {unit.engine for unit in found.units} == {"fit"}
    assert found.reason == WORDS.format(study.trials[0].id)
    with pytest.raises(ModelError, match="alone needs about 10 MiB"):
        schedule(study, study.trials, "batch", workers=2)


def test_large_states_make_small_batches_but_not_below_sixteen():
    room = 2**50
    assert MemoryEstimate(1, 1, 1, 1).at_a_time(room) == scheduling.MOST
    assert MemoryEstimate(1, 1, 2 * MIB, 1).at_a_time(room) == 32
    assert MemoryEstimate(1, 1, 1, MIB // 2).at_a_time(room) == 40
    assert MemoryEstimate(1, 1, 2**40, 1).at_a_time(room) == 16
    assert MemoryEstimate(1, 1, 1, 2**40).at_a_time(room) == 16
    assert MemoryEstimate(2**20, 2**20, 1, 1).at_a_time(5 * 2**20) == 2
    assert MemoryEstimate(2**20, 2**20, 1, 1).at_a_time(2**20) == 0


def test_the_need_covers_state_data_and_what_a_pass_computes(tmp_path):
    text = STUDY.replace("hidden = [5]", "hidden = [500]")
    small, large = made(tmp_path), made(tmp_path, text=text)
    one, other = (scheduling.need(s, s.trials) for s in (small, large))
    split = small.split(0)
    data = sum(
        getattr(split, f"{side}_{part}").nbytes
        for side in "xy"
        for part in ("train", "val", "test")
    )
    assert one.seed == other.seed == 2 * data + split.x_test.nbytes
    # Adam: weights, two moments, two scalars.
    assert one.state == 4 * (3 * (4 * 5 + 5 + 5 * 3 + 3) + 2)
    assert other.state == 4 * (3 * (4 * 500 + 500 + 500 * 3 + 3) + 2)
    # Of a step: the hidden layer, its activation and the gradient of it; of the probe
    # the hidden layer of all its rows.
    assert other.trial >= 3 * other.state + 4 * 500 * max(3 * 16, 23)
    assert other.trial < 50 * (3 * other.state + 4 * 500 * 256)


def test_memory_is_a_part_of_what_the_machine_has():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert MIB < scheduling.memory() <= total
