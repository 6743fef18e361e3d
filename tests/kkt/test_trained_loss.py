"""`optimality` is of the loss that is trained, by one tape over all rows at once."""

import keras
import numpy as np
import pytest
import scipy.sparse
from keras import layers, ops

import kregkit
from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ModelError, ParameterError
from kregkit.regularizers import L1, L2
from kregkit.weights import walk

RANDOM = np.random.default_rng(0)
N, STEPS = 50, 5
X = RANDOM.normal(size=(N, 4)).astype("float32")
Y = RANDOM.normal(size=(N, 3)).astype("float32")
W = RANDOM.uniform(0.1, 3.0, N).astype("float32")
CLASSES = RANDOM.integers(0, 3, N)
# The number of kept steps differs from row to row, and so from batch to batch.
TOKENS = RANDOM.integers(1, 9, (N, STEPS)) * (
    np.arange(STEPS) < np.sort(RANDOM.integers(1, STEPS + 1, N))[:, None]
)
SERIES = (TOKENS[..., None] * RANDOM.normal(size=(N, STEPS, 4))).astype("float32")
SERIES_Y = RANDOM.normal(size=(N, STEPS, 3)).astype("float32")
SERIES_W = RANDOM.uniform(0.1, 3.0, (N, STEPS)).astype("float32")


class Adds(layers.Layer):
    """Adds a loss of its input."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def call(self, h):
        self.add_loss(self.what(h))
        return h


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return ops.mean(ops.square(y - y_pred) * sample_weight[:, None]) + 3.0


def dense(terms, *, adds=None, model=keras.Model, inputs=(4,)):
    inputs = keras.Input(inputs)
    h = layers.Dense(6, "tanh", **terms)(inputs)
    h = h if adds is None else Adds(adds)(h)
    return model(inputs, layers.Dense(3)(h))


def tokens(terms):
    inputs = keras.Input((STEPS,), dtype="int32")
    h = layers.Embedding(9, 4, mask_zero=True)(inputs)
    return keras.Model(inputs, layers.Dense(3, **terms)(h))


def series(terms):
    inputs = keras.Input((STEPS, 4))
    h = layers.SimpleRNN(3, return_sequences=True, **terms)(layers.Masking()(inputs))
    return keras.Model(inputs, layers.Dense(3)(h))


def two(terms):
    """Return a model with an output of masked steps and one of rows."""
    inputs = keras.Input((STEPS,), dtype="int32")
    h = layers.Embedding(9, 4, mask_zero=True)(inputs)
    last = layers.GlobalAveragePooling1D()(h)
    return keras.Model(
        inputs,
        {"each": layers.Dense(3, **terms)(h), "all": layers.Dense(3)(last)},
    )


def mse(reduction="sum_over_batch_size"):
    return keras.losses.MeanSquaredError(reduction)


def own(y, outputs):
    return ops.mean(ops.abs(y - outputs), axis=-1)


def crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")
# What builds the model, the arguments of `compile`, x, y and weights.
LOSSES = {
    **{
        f"{kind.__name__}, {reduction}, {'weights' if w is not None else 'none'}": (
            kind,
            {"loss": mse(reduction)},
            x,
            y,
            w,
        )
        for kind, x, y, weights in (
            (dense, X, Y, W),
            (tokens, TOKENS, SERIES_Y, SERIES_W),
            (series, SERIES, SERIES_Y, SERIES_W),
        )
        for reduction in REDUCTIONS
        for w in (None, weights)
        if kind is not series or (reduction == REDUCTIONS[1]) == (w is None)
    },
    "classes": (dense, {"loss": crossentropy()}, X, CLASSES, None),
    "a function": (dense, {"loss": own}, X, Y, W),
    "a function that returns a mean": (
        dense,
        {"loss": lambda y, p: ops.mean(ops.abs(y - p))},
        X,
        Y,
        None,
    ),
    "loss weights": (
        two,
        {"loss": {"each": "mse", "all": "mae"}, "loss_weights": {"each": 3, "all": 2}},
        TOKENS,
        {"each": SERIES_Y, "all": Y},
        {"each": SERIES_W, "all": W},
    ),
    "several reductions": (
        two,
        {"loss": {"each": mse(), "all": mse("sum")}},
        TOKENS,
        {"each": SERIES_Y, "all": Y},
        None,
    ),
    "a mean that a layer adds": (
        lambda terms: dense(terms, adds=lambda h: 0.3 * ops.mean(h**2)),
        {"loss": "mse"},
        X,
        Y,
        W,
    ),
    "a sum that a layer adds": (
        lambda terms: dense(terms, adds=lambda h: 0.3 * ops.sum(h**2)),
        {"loss": "mse"},
        X,
        Y,
        None,
    ),
    "a loss of the model's own": (
        lambda terms: dense(terms, model=OwnLoss),
        {},
        X,
        Y,
        W,
    ),
}


def built(name, terms):
    kind, compiled, x, y, weights = LOSSES[name]
    keras.utils.set_random_seed(1)
    model = kind(terms)
    model.compile("sgd", **compiled)
    return model, x, y, weights


def by_one_tape(name):
    """Return −∂(data loss)/∂w by Keras alone, of a model without penalties."""
    import tensorflow as tf

    model, x, y, weights = built(name, {})
    tensors = keras.tree.map_structure(ops.convert_to_tensor, (x, y))
    variables = [weight.variable.value for weight in walk(model)]
    with tf.GradientTape() as tape:
        outputs = model(tensors[0], training=False)
        loss = model.compute_loss(tensors[0], tensors[1], outputs, weights)
    return [
        -ops.convert_to_numpy(tf.convert_to_tensor(g))
        for g in tape.gradient(loss, variables)
    ]


@pytest.mark.parametrize("name", LOSSES)
def test_u_is_that_of_all_rows_at_once_whatever_the_batch_size(name):
    terms = {"kernel_regularizer": L1(0.3), "bias_regularizer": L2(0.2)}
    model, x, y, weights = built(name, terms)
    right = by_one_tape(name)
    assert max(np.abs(u).max() for u in right) > 1e-3
    for batch_size in (7, N):
        found = kregkit.optimality(model, x, y, batch_size, sample_weight=weights)
        for tensor, u in zip(found.tensors, right, strict=True):
            scale = np.abs(u).max()
            np.testing.assert_allclose(tensor.u, u, rtol=0, atol=1e-5 * scale + 1e-7)


@pytest.mark.parametrize("targets", [CLASSES, CLASSES[:, None], np.eye(3)[CLASSES]])
def test_class_weights_are_those_of_fit(targets):
    """A step of gradient descent by `fit` itself, over all rows."""
    loss = crossentropy() if targets.shape[-1] != 3 else "mse"
    weights, models = {0: 4.0, 2: 0.5}, []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        models.append(dense({}))
        models[-1].compile(keras.optimizers.SGD(1.0), loss)
    before = models[0].get_weights()
    models[0].fit(X, targets, N, verbose=0, class_weight=weights)
    moved = [now - w for now, w in zip(models[0].get_weights(), before, strict=True)]
    for batch_size in (8, N):
        found = kregkit.optimality(
            models[1], X, targets, batch_size, class_weight=weights
        )
        for tensor, u in zip(found.tensors, moved, strict=True):
            np.testing.assert_allclose(tensor.u, u, rtol=0, atol=2e-6)


def test_a_given_loss_takes_weights_too():
    model = dense({})
    right = model.get_weights()
    for loss in (own, keras.losses.MeanAbsoluteError()):
        found = kregkit.optimality(model, X, Y, 8, loss=loss, sample_weight=W)
        h = np.tanh(X @ right[0] + right[1])
        slope = W[:, None] * np.sign(Y - h @ right[2] - right[3]) / (3 * N)
        np.testing.assert_allclose(found.tensors[3].u, slope.sum(axis=0), atol=1e-6)
        np.testing.assert_allclose(found.tensors[2].u, h.T @ slope, atol=1e-6)


def test_the_logger_takes_weights_as_a_third():
    name = "dense, sum_over_batch_size, weights"
    model, x, y, w = built(name, {"kernel_regularizer": L1(0.3)})
    log = RegularizationLogger(optimality=(x, y, w))
    model.fit(x, y, sample_weight=w, verbose=0, callbacks=[log])
    found = kregkit.optimality(model, x, y, sample_weight=w)
    logged = log.table().filter(layer=found.tensors[0].layer, tensor="kernel")
    expected = found.tensors[0].kkt_residual
    assert logged["kkt_residual"][-1] == pytest.approx(expected, rel=1e-6)
    plain = kregkit.optimality(model, x, y).tensors[0].kkt_residual
    assert plain != pytest.approx(expected, rel=1e-3)


class Doubled(keras.Model):
    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return ops.mean(ops.square(y - y_pred)) * (2.0 if training else 1.0)


@pytest.mark.parametrize("batch_size", [7, N])
def test_a_loss_of_the_models_own_is_that_of_inference(batch_size):
    model, plain = dense({}, model=Doubled), dense({})
    plain.set_weights(model.get_weights())
    model.compile("sgd")
    plain.compile("sgd", "mse")
    found, right = (kregkit.optimality(m, X, Y, batch_size) for m in (model, plain))
    for one, other in zip(found.tensors, right.tensors, strict=True):
        np.testing.assert_allclose(one.u, other.u, rtol=0, atol=1e-6)


def frames():
    import pandas as pd

    table = pd.DataFrame(X, columns=list("abcd"))
    return {
        "a sparse matrix": (scipy.sparse.csr_matrix(X), Y),
        "a sparse matrix by columns": (scipy.sparse.csc_array(X), Y),
        "coordinates": (scipy.sparse.coo_matrix(X), scipy.sparse.coo_matrix(Y)),
        "a frame": (table, pd.DataFrame(Y)),
        "float64": (X.astype("float64"), Y.astype("float64")),
        "tensors": (ops.convert_to_tensor(X), ops.convert_to_tensor(Y)),
    }


@pytest.fixture(scope="module")
def of_arrays():
    model, *_ = built("dense, sum, none", {"kernel_regularizer": L1(0.3)})
    found = {rows: kregkit.optimality(model, X, Y, rows) for rows in (7, N)}
    return {rows: own.tensors[0].u for rows, own in found.items()}


@pytest.mark.parametrize("kind", frames())
@pytest.mark.filterwarnings("ignore:.*sparse.*")
def test_optimality_and_the_probe_take_what_fit_takes(kind, of_arrays):
    x, y = frames()[kind]
    model, *_ = built("dense, sum, none", {"kernel_regularizer": L1(0.3)})
    log = RegularizationLogger(probe=x, optimality=(x, y))
    for rows in (7, N):
        found = kregkit.optimality(model, x, y, rows).tensors[0].u
        np.testing.assert_array_equal(found, of_arrays[rows])
    model.fit(X, Y, verbose=0, callbacks=[log])
    assert log.table().filter(tensor="activation")["l2"].null_count() == 0


def test_a_series_is_a_column_as_in_fit():
    import pandas as pd

    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    given = {"loss": lambda y, outputs: ops.abs(y - outputs)}  # broadcasts a vector
    found = kregkit.optimality(model, X, pd.Series(Y[:, 0]), **given)
    right = kregkit.optimality(model, X, Y[:, :1], **given)
    np.testing.assert_array_equal(found.tensors[0].u, right.tensors[0].u)


def refused():
    import pandas as pd
    import tensorflow as tf

    rule = "must be an array, or a list or dictionary of arrays; received"
    words = pd.DataFrame({"age": [1.0] * N, "town": ["Rome"] * N})
    return {
        "a list of numbers": (
            Y.tolist(),
            f"`y` {rule} a list of numbers: convert it with np.array.",
        ),
        "a dataset": (
            tf.data.Dataset.from_tensor_slices(Y),
            f"`y` {rule} tensorflow.python.data.ops.from_tensor_slices_op."
            "_TensorSliceDataset.",
        ),
        "a generator": ((y for y in Y), f"`y` {rule} builtins.generator."),
        "a number": (3.0, None),
        "words in a frame": (
            words,
            "`y` must be numbers; received column 'town' of str.",
        ),
        "objects": (
            np.array([None] * N),
            "`y` must be numbers; received numpy.ndarray of object.",
        ),
        "too few rows": (
            Y[:9],
            "`y` must be of as many rows as `x`, at least one; received [9, 50].",
        ),
        "one of several": (
            {"a": Y, "b": Y.tolist()},
            f"`y` {rule} a list of numbers: convert it with np.array.",
        ),
    }


@pytest.mark.parametrize("kind", refused())
def test_other_data_are_refused_in_words(kind):
    data, message = refused()[kind]
    model, *_ = built("dense, sum, none", {})
    with pytest.raises(ParameterError) as found:
        kregkit.optimality(model, X, data)
    if message is not None:
        assert str(found.value) == f"optimality: {message}"


def test_a_probe_is_refused_when_it_is_given():
    with pytest.raises(ParameterError) as found:
        RegularizationLogger(probe=X.tolist())
    assert str(found.value) == (
        "RegularizationLogger: `probe` must be an array, or a list or dictionary of "
        "arrays; received a list of numbers: convert it with np.array."
    )


def test_what_is_no_mean_or_sum_over_rows_is_refused_beyond_one_batch():
    spread = dense({}, adds=lambda h: ops.sum(ops.var(h, axis=0)))
    spread.compile("sgd", "mse")
    spread.name = "spread"
    kregkit.optimality(spread, X, Y, N)
    with pytest.raises(ParameterError) as found:
        kregkit.optimality(spread, X, Y, 20)
    start, middle, end = str(found.value).partition(" is neither a mean nor a sum over")
    assert start == "optimality: the layers' `add_loss` (1) of model 'spread'"
    assert middle
    assert end.endswith(
        "Pass at most 20 rows, or a `batch_size` of at least the number of rows."
    )


@pytest.mark.parametrize("kind", ["within a batch", "of a function"])
def test_a_loss_that_compares_rows_is_refused(kind):
    def contrast(y, outputs):
        return ops.square(outputs - ops.mean(outputs, axis=0))

    model = dense({})
    given = {"loss": contrast} if kind == "of a function" else {}
    model.compile("sgd", contrast)
    with pytest.raises(ParameterError, match="neither a mean nor a sum over rows"):
        kregkit.optimality(model, X, Y, 20, **given)


def test_what_has_no_value_for_each_row_cannot_be_weighted():
    model = dense({})

    def mean(y, outputs):
        return ops.mean(ops.abs(y - outputs))

    with pytest.raises(ParameterError) as found:
        kregkit.optimality(model, X, Y, loss=mean, sample_weight=W)
    assert str(found.value) == (
        "optimality: `loss` must be a function that returns a value for each row, for "
        f"the weights; received {mean!r}."
    )


def test_a_loss_without_a_reduction_is_refused():
    model = dense({})
    model.name = "bare"
    model.compile("sgd", keras.losses.MeanSquaredError(reduction=None, name="each"))
    with pytest.raises(ModelError) as found:
        kregkit.optimality(model, X, Y)
    assert str(found.value) == (
        "optimality: the loss 'each' of model 'bare' has `reduction=None`: it returns "
        "a value for each row, so the trained loss is not defined. Give it a reduction."
    )


def test_both_kinds_of_weights_are_refused():
    model, *_ = built("classes", {})
    with pytest.raises(ParameterError, match="`sample_weight` must be None if there"):
        kregkit.optimality(model, X, CLASSES, sample_weight=W, class_weight={0: 2.0})
    with pytest.raises(ParameterError, match="`y` must be one array of classes"):
        kregkit.optimality(model, X, {"a": CLASSES}, class_weight={0: 2.0})
