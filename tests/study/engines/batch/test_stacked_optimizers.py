"""An optimizer of many trials takes, for each, the steps that Keras's takes for one."""

import functools

import keras
import numpy as np
import pytest
from keras import optimizers

from kregkit.optimizers import KNOWN
from kregkit.study.engines.batch.optimizer import Stacked, obstacle
from kregkit.watch.measuring import compiled

TRIALS, STEPS = 3, 6
CLIPS = ({}, {"clipnorm": 0.5}, {"clipvalue": 0.1}, {"global_clipnorm": 0.7})
OPTIONS = {
    optimizers.AdamW: [{}, {"weight_decay": 0.2}],
    optimizers.Adam: [{}, {"amsgrad": True}],
    optimizers.RMSprop: [{}, {"momentum": 0.8}, {"centered": True}],
    optimizers.SGD: [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
}
CASES = [
    (kind, {**option, **CLIPS[(index + number) % len(CLIPS)]})
    for index, kind in enumerate(KNOWN)
    for number, option in enumerate(OPTIONS.get(kind, [{}]))
] + [(optimizers.SGD, clip) for clip in CLIPS[1:]]


RATES = np.array([0.01, 0.1, 0.3], "float32")
DECAYS = np.array([0.0, 0.5, 2.0], "float32")


def falling():
    return optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)


def layer():
    built = keras.layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(1.0))
    built.build((None, 4))
    return built


def gradients():
    """Return gradients of `(steps, trials, ...)`; those of the first trial are 0."""
    random = np.random.default_rng(0)
    sizes = np.array([0.0, 1.0, 30.0])[:, None]
    return [
        (random.normal(size=(STEPS, TRIALS, n)) * sizes).astype("float32")
        for n in (12, 3)
    ]


def by_keras(optimizer, weights, grads):
    model = keras.Sequential([keras.Input((4,)), layer()])
    model.set_weights(weights)
    if not isinstance(optimizer, optimizers.AdamW):
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(model.trainable_variables)
    for step in range(STEPS):
        own = [keras.ops.convert_to_tensor(g[step]) for g in grads]
        optimizer.apply(own, model.trainable_variables)
    return model.get_weights()


@pytest.mark.parametrize("rates", [None, RATES], ids=["schedule", "rates"])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_every_trial_takes_the_steps_of_its_own_optimizer(kind, options, rates):
    assert_steps_are_those_of_keras(kind, options, rates, None)


@pytest.mark.parametrize("rates", [None, RATES], ids=["schedule", "rates"])
@pytest.mark.parametrize("kind", [k for k in KNOWN if k is not optimizers.AdamW])
def test_every_trial_decays_the_kernel_by_its_own_strength(kind, rates):
    assert_steps_are_those_of_keras(kind, {}, rates, DECAYS)


def assert_steps_are_those_of_keras(kind, options, rates, decays):
    random = np.random.default_rng(1)
    shapes = [(4, 3), (3,)]
    weights = [random.normal(size=(TRIALS, *s)).astype("float32") for s in shapes]
    grads = [
        g.reshape((STEPS, TRIALS, *s)) for g, s in zip(gradients(), shapes, strict=True)
    ]
    model = keras.Sequential([keras.Input((4,)), layer()])
    shared = kind(falling() if rates is None else 0.05, **options)
    assert obstacle(shared) is None
    stacked = Stacked(shared, model, TRIALS)
    apply = compiled(
        functools.partial(stacked.apply, proxes={}, decays=[decays, None], rates=rates)
    )
    now = [keras.ops.convert_to_tensor(w) for w in weights]
    slots = [keras.ops.convert_to_tensor(s) for s in stacked.start]
    for step in range(STEPS):
        own = [keras.ops.convert_to_tensor(g[step]) for g in grads]
        now, slots = apply(slots, own, now)
    found = [keras.ops.convert_to_numpy(w) for w in now]
    for trial in range(TRIALS):
        decay = {} if decays is None else {"weight_decay": float(decays[trial])}
        own = options | decay
        expected = by_keras(
            kind(falling() if rates is None else float(rates[trial]), **own),
            [w[trial] for w in weights],
            [g[:, trial] for g in grads],
        )
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[trial], other, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(found[0][1], weights[0][1])


@pytest.mark.parametrize(
    ("optimizer", "why"),
    [
        (
            optimizers.Lion(),
            "the optimizer Lion is not known to treat all elements alike",
        ),
        (
            optimizers.Adam(use_ema=True),
            "Adam keeps moving averages of the weights",
        ),
        (
            optimizers.SGD(gradient_accumulation_steps=2),
            "SGD accumulates gradients",
        ),
    ],
)
def test_what_cannot_be_stacked_is_told(optimizer, why):
    assert obstacle(optimizer) == why
