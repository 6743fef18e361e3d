"""What the claims ask of a trained function, against NumPy's forward pass."""

import keras
import numpy as np
import pytest

from kregkit.measure import quantiles_above_zero
from kregkit.study import probes
from kregkit.study.answers import Answers
from kregkit.study.data import Split

INPUTS, HIDDEN = 6, 5
CONSTANT = 2  # an input that does not vary on the training part


def split(outputs, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(90, INPUTS)).astype("float32")
    x[:, 3] *= 4
    x[:, CONSTANT] = 1.0
    y = random.integers(0, outputs, 90)
    return Split(x[:40], y[:40], x[40:60], y[40:60], x[60:], y[60:])


def model(outputs, seed=0):
    keras.utils.set_random_seed(seed)
    layers = [
        keras.Input((INPUTS,)),
        keras.layers.Dense(HIDDEN, "tanh", bias_initializer="random_normal"),
        keras.layers.Dense(outputs, bias_initializer="random_normal"),
    ]
    return keras.Sequential(layers)


def forward(made, x):
    w, b, v, c = (variable.numpy().astype(np.float64) for variable in made.weights)
    return np.tanh(x @ w + b) @ v + c


def jacobian(made, x):
    """Return ∂outputs/∂x of one row, `(outputs, inputs)`, by hand."""
    w, b, v, _ = (variable.numpy().astype(np.float64) for variable in made.weights)
    slope = 1 - np.tanh(x @ w + b) ** 2
    return (w * slope @ v).T


def columns(made, part, classification, seed=0):
    asked = probes.inputs(part, seed)
    found = probes.ignored(probes.input_kernel(made).numpy(), asked)
    answers = Answers(made)
    moved = np.where(found.mask, asked.permuted, asked.x)
    outputs = [answers(x) for x in (asked.x, *asked.noisy, moved)]
    vectors = probes.directions(outputs[0].shape[1], classification, seed)
    squares = answers.squares(part.x_test, vectors)
    return asked, probes.columns(asked, found, classification, outputs, squares)


@pytest.mark.parametrize("classification", [True, False])
@pytest.mark.parametrize("outputs", [3, 1])
def test_columns_are_those_of_a_forward_pass_by_hand(outputs, classification):
    part, made = split(outputs), model(outputs)
    _, found = columns(made, part, classification)
    center = np.eye(outputs) - (1 / outputs if classification else 0)
    f = forward(made, part.x_test) @ center
    scale = np.sqrt(np.mean(np.sum(f**2, axis=1)))
    assert found["logit_scale"] == pytest.approx(scale, rel=1e-5, abs=1e-7)
    if outputs == 1 and classification:  # one class: f is 0 everywhere
        assert found["logit_norm_at_zero"] is None
        return
    at_zero = np.linalg.norm(forward(made, np.zeros(INPUTS)) @ center)
    assert found["logit_norm_at_zero"] == pytest.approx(at_zero / scale, rel=1e-5)
    squares = [np.sum((center @ jacobian(made, x)) ** 2) for x in part.x_test]
    expected = np.sqrt(np.mean(squares))
    assert found["jacobian_norm"] == pytest.approx(expected, rel=1e-5)


def test_the_noise_has_the_sizes_that_are_told():
    part = split(3)
    asked = probes.inputs(part, 0)
    deviation = part.x_train.std(axis=0)
    unit = np.sqrt(np.mean(np.delete(deviation, CONSTANT) ** 2))
    assert asked.sizes == pytest.approx([0.1 * unit, 0.3 * unit, unit])
    for noisy, size in zip(asked.noisy, asked.sizes, strict=True):
        assert (noisy[:-1] - part.x_test).std() == pytest.approx(size, rel=0.15)
        assert not noisy[-1].any()


def test_the_score_under_noise_is_of_the_noisy_rows():
    part, made = split(3), model(3)
    asked, found = columns(made, part, True)
    for noisy, score in zip(asked.noisy, found["score_under_noise"], strict=True):
        hits = forward(made, noisy[:-1]).argmax(axis=1) == part.y_test
        assert score == pytest.approx(hits.mean())


def test_r2_under_noise_is_that_of_scikit_learn():
    from sklearn.metrics import r2_score

    part, made = split(2), model(1)
    asked, found = columns(made, part, False)
    answers = forward(made, asked.noisy[1][:-1])[:, 0]
    expected = r2_score(part.y_test, answers)
    assert found["score_under_noise"][1] == pytest.approx(expected, rel=1e-5)


def test_trials_of_one_seed_are_asked_the_same_and_of_two_are_not():
    part = split(3)
    one, same, other = (probes.inputs(part, seed) for seed in (4, 4, 5))
    for name in ("permuted", "x"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    np.testing.assert_array_equal(one.noisy[2], same.noisy[2])
    assert (one.noisy[2] != other.noisy[2]).any()
    assert (one.permuted != other.permuted).any()


def test_every_input_is_permuted_over_the_rows():
    part = split(3)
    asked = probes.inputs(part, 0)
    moved = asked.permuted[:-1]
    np.testing.assert_array_equal(np.sort(moved, 0), np.sort(part.x_test, 0))
    varying = np.delete(np.arange(INPUTS), CONSTANT)
    changed = [(moved[:, i] != part.x_test[:, i]).any() for i in varying]
    assert all(changed)
    pairs = {tuple(np.argsort(moved[:, i])) for i in varying}
    assert len(pairs) == len(varying)  # each by a permutation of its own


def test_inputs_are_ignored_by_zero_weights_and_what_permuting_them_changes():
    part, made = split(3), model(3)
    kernel = made.layers[0].kernel.numpy()
    kernel[[0, CONSTANT]] = 0.0
    kernel[1] = 9e-4
    made.layers[0].kernel.assign(kernel)
    asked, found = columns(made, part, True)
    assert found["inputs_ignored"] == pytest.approx(1 / 5)  # of those that vary
    assert found["inputs_near_ignored"] == pytest.approx(2 / 5)
    moved = part.x_test.copy()
    moved[:, :2] = asked.permuted[:-1, :2]
    center = np.eye(3) - 1 / 3
    change = (forward(made, moved) - forward(made, part.x_test)) @ center
    expected = np.sqrt(np.mean(np.sum(change**2, 1))) / found["logit_scale"]
    assert found["permuted_change"] == pytest.approx(expected, rel=1e-3)
    assert found["permuted_change"] > 0


def test_nothing_is_permuted_where_no_input_is_ignored():
    _, found = columns(model(3), split(3), True)
    assert found["inputs_near_ignored"] == 0.0
    assert found["permuted_change"] is None


def test_the_jacobian_of_many_outputs_is_estimated():
    part, made = split(64), model(64)
    exact = np.sqrt(np.mean([np.sum(jacobian(made, x) ** 2) for x in part.x_test[:30]]))
    found = [columns(made, part, False, seed)[1]["jacobian_norm"] for seed in range(30)]
    squares = np.square(found)
    error = squares.std(ddof=1) / np.sqrt(len(squares))
    assert abs(squares.mean() - exact**2) < 4 * error
    assert error < 0.1 * exact**2


def dense_after(*layers):
    return keras.Sequential([keras.Input((4, 2)), *layers, keras.layers.Dense(3)])


def branching():
    inputs = keras.Input((4,))
    outputs = [keras.layers.Dense(3)(inputs) for _ in range(2)]
    return keras.Model(inputs, keras.layers.Add()(outputs))


class Subclassed(keras.Model):
    pass


@pytest.mark.parametrize(
    ("made", "known"),
    [
        (dense_after(keras.layers.Flatten()), True),
        (dense_after(keras.layers.Flatten(), keras.layers.Dropout(0.5)), True),
        (dense_after(keras.layers.Conv1D(3, 2), keras.layers.Flatten()), False),
        (dense_after(keras.layers.Flatten(), keras.layers.BatchNormalization()), False),
        (dense_after(), False),  # one kernel for several places
        (branching(), False),
        (Subclassed(), False),
    ],
)
def test_which_kernel_reads_the_inputs(made, known):
    assert (probes.input_kernel(made) is not None) == known


@pytest.mark.parametrize("zeros", [0, 1, 37, 49, 50])
def test_quantiles_are_those_of_numpy_above_zero(zeros):
    random = np.random.default_rng(zeros)
    values = random.normal(size=50).astype("float32")
    values[:zeros] = 0
    levels = (0.5, 0.9, 0.99)
    found = quantiles_above_zero([values[:20], values[20:].reshape(5, 6)], levels)
    above = np.abs(values[values != 0])
    if len(above) == 0:
        assert np.isnan(np.asarray(found)).all()
        return
    expected = np.quantile(above, levels)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)


@pytest.mark.parametrize("regularizer", ["L1", "L2"])
def test_an_sgd_step_subtracts_what_the_law_says(regularizer):
    from kregkit import regularizers
    from kregkit.study.protocol import STEPS

    rate, strength = 0.1, 0.03
    w = np.random.default_rng(0).normal(size=(INPUTS, 1)).astype("float32")
    part, after = split(2), []
    for penalty in (None, getattr(regularizers, regularizer)(strength)):
        made = keras.Sequential(
            [keras.Input((INPUTS,)), keras.layers.Dense(1, kernel_regularizer=penalty)]
        )
        made.layers[0].kernel.assign(w)
        made.compile(keras.optimizers.SGD(rate), "mse")
        made.train_on_batch(part.x_train, part.y_train[:, None].astype("float32"))
        after.append(made.layers[0].kernel.numpy())
    law = rate * strength * STEPS[regularizer](w)
    np.testing.assert_allclose(after[0] - after[1], law, atol=3e-7)
