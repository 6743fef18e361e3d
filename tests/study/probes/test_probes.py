"""What claims need of a trained model, against NumPy, Keras and finite differences."""

import keras
import numpy as np
import pytest
from keras import layers

from kregkit import regularizers
from kregkit.kkt.negative_gradient import slope
from kregkit.schema import NEAR_ZERO, QUANTILES
from kregkit.study.plan import Trial
from kregkit.study.probes import probes
from kregkit.study.problem import models
from kregkit.study.problem.resolve import R2


def trial(regularizer, target, strength=0.1, solver="gradient", layers="all"):
    return Trial(
        "id",
        regularizer,
        target,
        layers,
        solver,
        strength,
        (),
        learning_rate=0.1,
        seed=0,
    )


def score(f, y, task):
    return 1 - probes.errors(f, y, task) / probes.most(y, task)


def test_the_score_is_that_of_the_metrics_of_studies():
    random = np.random.default_rng(0)
    f = random.normal(size=(50, 4)).astype("float32")
    f[:5] = 0.0  # a tie is the first class's
    y = random.integers(0, 4, size=50)
    metric = keras.metrics.SparseCategoricalAccuracy()
    metric.update_state(y, f)
    assert score(f, y, "classification") == pytest.approx(float(metric.result()))
    centred = probes.centred(f, "classification")
    np.testing.assert_allclose(centred.sum(axis=1), 0.0, atol=1e-12)
    assert score(centred, y, "classification") == score(f, y, "classification")
    targets = (f + random.normal(size=f.shape)).astype("float32")
    metric = R2(4)
    metric.update_state(targets, f)
    expected = float(metric.result())
    assert score(f, targets, "regression") == pytest.approx(expected, rel=1e-5)
    assert probes.centred(f, "regression").tolist() == f.tolist()
    assert probes.most(np.ones((5, 4)), "regression") == 0.0


def test_noise_is_measured_by_the_inputs_that_vary():
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 2, 3)) * [1.0, 2.0, 3.0]
    x[:, 0, 1] = 0.1  # whose variance is not 0 in floating point
    own = [x[:, i, j].std() for i in (0, 1) for j in (0, 1, 2) if (i, j) != (0, 1)]
    sizes = np.array([0.1, 0.3, 1.0]) * np.sqrt(np.mean(np.square(own)))
    np.testing.assert_allclose(probes.noise_sizes(x), sizes)
    assert probes.varying(x).tolist() == [True, False, True, True, True, True]
    assert probes.noise_sizes(np.ones((4, 2))).tolist() == [0.0, 0.0, 0.0]


def test_every_input_is_permuted_for_itself_and_by_the_seed():
    x = np.arange(400.0).reshape(50, 2, 4)
    found = probes.permuted(x, 3)
    orders = []
    for i, j in np.ndindex(2, 4):
        assert sorted(found[:, i, j]) == sorted(x[:, i, j])
        orders.append(((found[:, i, j] - x[0, i, j]) / 8).astype(int).tolist())
    assert len({tuple(order) for order in orders}) == 8
    assert found.tolist() == probes.permuted(x, 3).tolist()
    assert found.tolist() != probes.permuted(x, 4).tolist()
    # The same permutation whatever the values are.
    assert (2 * found).tolist() == probes.permuted(2 * x, 3).tolist()


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("outputs", [1, 2, 16, 17, 64])
def test_directions_give_the_norm_of_the_jacobian_of_f(outputs, task):
    random = np.random.default_rng(0)
    jacobian = random.normal(size=(300, outputs, 5)) * random.uniform(size=5)
    own = jacobian
    if task == "classification":
        own = jacobian - jacobian.mean(axis=1, keepdims=True)
    v = probes.directions(7, 300, outputs, task)
    assert len(v) == min(outputs, 16)
    found = np.square(np.einsum("mrk,rki->mri", v, jacobian)).sum() / 300
    expected = np.square(own).sum() / 300
    assert found == pytest.approx(expected, rel=1e-5 if outputs <= 16 else 0.03)
    assert np.array_equal(v, probes.directions(7, 300, outputs, task))
    other = np.array_equal(v, probes.directions(8, 300, outputs, task))
    assert other == (outputs <= 16)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def stacked(shape, *inner):
    return keras.Sequential([keras.Input(shape), *inner, layers.Dense(2, name="last")])


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 3)))
    return model


def branched():
    given = keras.Input((4,))
    first, second = (layers.Dense(2, name=name)(given) for name in ("a", "b"))
    return keras.Model(given, layers.Dense(2)(layers.Add()([first, second])))


def skipping():
    given = keras.Input((4,))
    return keras.Model(given, given + layers.Dense(4, name="a")(given))


def reshaped_by_an_operation():
    given = keras.Input((2, 2))
    return keras.Model(given, layers.Dense(3)(keras.ops.reshape(given, (-1, 4))))


def called_again():
    model = models.mlp((4,), 2, (3,))
    model(keras.Input((4,)))
    return model


FIRST = {
    "linear": (lambda: models.linear((4,), 2), "output"),
    "mlp of images": (lambda: models.mlp((2, 3, 1), 2, (5,)), "hidden_1"),
    "autoencoder": (lambda: models.autoencoder((2, 2), 4, (3,)), "code"),
    "called again": (called_again, "hidden_1"),
    "dropout": (
        lambda: stacked((4,), layers.Dropout(0.1), layers.GaussianNoise(0.1)),
        "last",
    ),
    "reshaped": (lambda: stacked((2, 3), layers.Reshape((6,))), "last"),
    "frozen": (lambda: stacked((4,), layers.Dense(3, name="a", trainable=False)), "a"),
    "cnn": (lambda: models.cnn((4, 4, 1), 2, (3,), ()), None),
    "recurrent": (lambda: stacked((4, 2), layers.LSTM(3)), None),
    "pixel by pixel": (
        lambda: stacked((2, 2), layers.Dense(3), layers.Flatten()),
        None,
    ),
    "in another order": (
        lambda: stacked((2, 3), layers.Permute((2, 1)), layers.Flatten()),
        None,
    ),
    "channels put last": (
        lambda: stacked((2, 3, 4), layers.Flatten(data_format="channels_first")),
        None,
    ),
    "normalised": (lambda: stacked((4,), layers.BatchNormalization()), None),
    "nested": (lambda: stacked((4,), models.linear((4,), 3)), None),
    "two readers": (branched, None),
    "skipping": (skipping, None),
    "an operation": (reshaped_by_an_operation, None),
    "subclassed": (subclassed, None),
}


@pytest.mark.parametrize("name", FIRST)
def test_the_kernel_that_reads_the_inputs_is_found_or_not_known(name):
    build, expected = FIRST[name]
    found = probes.first_kernel(build())
    assert (None if found is None else found.layer.name) == expected
    if found is not None:
        assert found.role == "kernel"


def test_an_input_is_ignored_when_every_weight_is_zero_or_near():
    kernel = np.array([[0, 0], [0, NEAR_ZERO], [-NEAR_ZERO, 0], [0, -2e-3], [0, -0.0]])
    kernel = kernel.astype("float32")
    assert probes.ignored(kernel, False).tolist() == [1, 0, 0, 0, 1]
    assert probes.ignored(kernel, True).tolist() == [1, 1, 1, 0, 1]


def test_quantiles_are_of_all_magnitudes_above_zero():
    arrays = [np.array([[-3.0, 0.0], [1.0, 0.0]]), np.array([2.0, -4.0, 5.0, 0.0])]
    found = probes.quantiles(arrays)
    # Linear between the sorted magnitudes 1 to 5, with level q at 1 + 4q.
    np.testing.assert_allclose(found, [1 + 4 * q for q in QUANTILES], rtol=1e-6)
    assert probes.quantiles([np.zeros(3)]) is None
    assert probes.quantiles([]) is None


@pytest.mark.parametrize("scale", [1e-30, 1.0, [1e3, 1e-3, 1.0, 1.0]])
def test_usage_is_the_share_of_rows_in_which_a_unit_is_active(scale):
    code = np.float32(
        [
            [10.0, 1.01, 0.99, 0.0],
            [-10.0, 1.01, 0.5, 0.0],
            [0.0, 0.0, 1e-6, 0.0],
            [0.0, 0.0, 0.0, 0.0],
        ]
    )
    kernel = np.float32([[3, 4], [0, -5], [5, 0], [4, 3]])
    scaled = kernel / np.reshape(np.float32(scale), (-1, 1))
    found = probes.usage(code * np.float32(scale), scaled)
    assert found.tolist() == [0.5, 0.5, 0.25, 0.0]


@pytest.mark.parametrize(
    "own",
    [
        trial(None, None, None),
        trial("L1", "activity"),
        trial("L1", "kernel", solver="proximal"),
        trial("L1L2", "kernel"),
        trial("MCP", "bias"),
    ],
)
def test_other_trials_have_no_law_of_a_step(own):
    assert probes.step_law_error(own, None, None, None) is None


LAWS = {"L1": np.sign, "L2": lambda w: 2 * w}


def penalised(regularizer, target, strength):
    """Return a model of which only the kernel or the bias has a penalty."""
    keras.utils.set_random_seed(5)
    given = getattr(regularizers, regularizer)(strength) if regularizer else None
    layer = layers.Dense(
        3,
        bias_initializer="normal",
        kernel_regularizer=given if target == "kernel" else None,
        bias_regularizer=given if target == "bias" else None,
        name="output",
    )
    return keras.Sequential([keras.Input((4,)), layer])


@pytest.mark.parametrize("target", ["kernel", "bias"])
@pytest.mark.parametrize("regularizer", LAWS)
def test_a_step_of_gradient_descent_subtracts_the_law(regularizer, target):
    rate, strength = 0.1, 0.3
    random = np.random.default_rng(0)
    x, y = random.normal(size=(8, 4)), random.normal(size=(8, 3))
    after = []
    for name in (None, regularizer):
        model = penalised(name, target, strength)
        before = {v.name: v.numpy() for v in model.trainable_variables}
        model.compile(keras.optimizers.SGD(rate), "mse")
        model.train_on_batch(x, y)
        after.append({v.name: v.numpy() for v in model.trainable_variables})
    free, held = after
    law = strength * LAWS[regularizer](before[target])
    np.testing.assert_allclose(free[target] - held[target], rate * law, atol=2e-7)
    other = {"kernel": "bias", "bias": "kernel"}[target]
    np.testing.assert_array_equal(free[other], held[other])


@pytest.mark.parametrize("target", ["kernel", "bias"])
@pytest.mark.parametrize("regularizer", LAWS)
def test_the_law_of_a_step_is_compared_with_the_attached_penalty(regularizer, target):
    strength = 0.3
    model = penalised(regularizer, target, strength)
    (variable,) = (v for v in model.trainable_variables if v.name == target)
    variable.assign(variable * [1.0, 0.0, -1.0])

    def error(own, strength_of=lambda g: g):
        return probes.step_law_error(
            own,
            model,
            keras.ops.convert_to_numpy,
            lambda v: strength_of(
                keras.ops.convert_to_numpy(slope(v.regularizer, v.value))
            ),
        )

    assert error(trial(regularizer, target, strength)) < 1e-6
    largest = np.abs(LAWS[regularizer](variable.numpy())).max()
    other = error(trial(regularizer, target, strength), lambda g: 1.5 * g)
    assert other == pytest.approx(0.5 * largest, rel=1e-5)
