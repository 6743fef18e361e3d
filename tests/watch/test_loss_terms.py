"""The data loss and the penalties in the logs of `fit`."""

import keras
import numpy as np
import pytest
from keras import layers

from helpers.models import KINDS, data, make
from kregkit import regularizers
from kregkit.callbacks import RegularizationLogger
from kregkit.watch.loss_terms import LossTerms

X, Y = data()


def fit(model, *callbacks, epochs=2, x=X, y=Y, **arguments):
    arguments.setdefault("validation_data", (x, y))
    return model.fit(
        x, y, epochs=epochs, batch_size=20, verbose=0, callbacks=callbacks, **arguments
    ).history


def penalties(history, epoch, prefix=""):
    return sum(
        values[epoch]
        for name, values in history.items()
        if name.startswith(f"{prefix}penalty/")
    )


@pytest.fixture(scope="module", params=KINDS)
def watched(request):
    """Return a kind of model, the model after a `fit` with a logger, its history."""
    model = make(request.param)
    stop = keras.callbacks.EarlyStopping("val_data_loss", mode="min", patience=9)
    history = fit(model, stop, RegularizationLogger(probe=X[:8]))
    return request.param, model, history


def test_loss_is_data_loss_plus_every_penalty(watched):
    *_, history = watched
    assert penalties(history, -1) > 0.01
    for prefix in ("", "val_"):
        for epoch in (0, 1):
            data_loss = history[f"{prefix}data_loss"][epoch]
            total = data_loss + penalties(history, epoch, prefix)
            assert total == pytest.approx(history[f"{prefix}loss"][epoch], rel=1e-5)


def test_val_data_loss_is_evaluate_without_regularizers(watched):
    kind, model, history = watched
    plain = make(kind, regularized=False)
    plain.set_weights(model.get_weights())
    loss = plain.evaluate(X, Y, batch_size=20, verbose=0, return_dict=True)["loss"]
    assert history["val_data_loss"][-1] == pytest.approx(loss, rel=1e-6)
    assert history["val_loss"][-1] > loss * 1.001


def two_outputs(regularized):
    keras.utils.set_random_seed(0)
    terms = {"activity_regularizer": regularizers.L2(0.1)} if regularized else {}
    inputs = keras.Input((6,))
    hidden = layers.Dense(5, activation="relu", name="hidden", **terms)(inputs)
    outputs = {name: layers.Dense(1, name=name)(hidden) for name in ("a", "b")}
    model = keras.Model(inputs, outputs)
    model.compile("adam", {"a": "mse", "b": "mae"}, loss_weights={"a": 0.3, "b": 2.0})
    return model


def test_val_data_loss_with_several_outputs_and_sample_weights():
    random = np.random.default_rng(1)
    y = {name: random.normal(size=(len(X), 1)) for name in ("a", "b")}
    weight = random.uniform(0.1, 3.0, len(X))
    model = two_outputs(True)
    history = fit(
        model,
        RegularizationLogger(),
        y=y,
        sample_weight={"a": weight, "b": weight},
        validation_data=(X, y, {"a": weight, "b": weight}),
    )
    plain = two_outputs(False)
    plain.set_weights(model.get_weights())
    loss = plain.evaluate(
        X,
        y,
        sample_weight={"a": weight, "b": weight},
        batch_size=20,
        verbose=0,
        return_dict=True,
    )["loss"]
    assert history["val_data_loss"][-1] == pytest.approx(loss, rel=1e-6)


def test_early_stopping_before_the_logger_sees_the_data_loss():
    stop = keras.callbacks.EarlyStopping(
        "val_data_loss", mode="min", min_delta=99.0, patience=2
    )
    history = fit(make("sequential"), stop, RegularizationLogger(), epochs=9)
    assert len(history["val_data_loss"]) == 3


def test_training_is_the_same_bit_for_bit(watched):
    kind, model, logged = watched
    alone = make(kind)
    history = fit(alone)
    for one, other in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {name: logged[name] for name in history} == history


def test_add_loss_is_data_loss_and_the_activity_is_a_penalty():
    model = make("subclassed")
    history = fit(model, RegularizationLogger(), epochs=1)
    assert {name for name in history if name.startswith("penalty/")} == {
        "penalty/own/activity",
        "penalty/own/dense/kernel",
        "penalty/own/dense/bias",
    }
    weights = model.own.dense.get_weights()
    y = X @ weights[0] + weights[1]
    activity = (0.01 * np.abs(y).sum() + 1e-3 * (y**2).sum()) / len(X)
    assert history["val_penalty/own/activity"][0] == pytest.approx(activity, rel=1e-5)
    kernel = 0.01 * np.abs(weights[0]).sum()
    assert history["val_penalty/own/dense/kernel"][0] == pytest.approx(kernel, rel=1e-5)


def test_a_model_that_was_traced_before_logs_from_the_next_fit_on():
    model = make("sequential")
    assert "data_loss" not in fit(model, epochs=1)
    model.evaluate(X, Y, verbose=0)
    assert "val_data_loss" in fit(model, RegularizationLogger(), epochs=1)


def test_the_model_is_given_back_as_it_was():
    model = make("sequential")
    fit(model, epochs=1)
    before = set(model.__dict__)
    held = [layer.activity_regularizer for layer in model.layers]
    fit(model, RegularizationLogger(), epochs=1)
    assert set(model.__dict__) == before
    assert [m.name for m in model.metrics] == ["loss", "compile_metrics"]
    for layer, regularizer in zip(model.layers, held, strict=True):
        assert layer.activity_regularizer is regularizer
    assert "data_loss" not in fit(model, epochs=1)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def test_a_fit_after_an_interrupted_one_logs_and_cleans_up():
    model = make("sequential")
    with pytest.raises(KeyboardInterrupt):
        fit(model, RegularizationLogger(), Interrupt())
    history = fit(model, RegularizationLogger(), epochs=1)
    assert penalties(history, 0) + history["data_loss"][0] == pytest.approx(
        history["loss"][0], rel=1e-5
    )
    assert "compute_loss" not in model.__dict__


def test_an_interrupted_fit_leaves_nothing_to_the_next_logger():
    """The next one sees the regularizers of its own fit, frozen layers left out."""
    model, first = make("sequential"), RegularizationLogger()
    with pytest.raises(KeyboardInterrupt):
        fit(model, first, Interrupt())
    model.get_layer("hidden").trainable = False
    model.get_layer("norm").gamma.regularizer = regularizers.L2(0.3)
    model.compile("adam", model.loss)
    with pytest.warns(UserWarning, match="'hidden/kernel' has L1, but it is not"):
        history = fit(model, RegularizationLogger(), epochs=1)
    names = {name for name in history if name.startswith("penalty/")}
    assert "penalty/norm/gamma" in names
    assert "penalty/hidden/kernel" not in names


def test_detach_takes_the_terms_off_after_an_interrupted_fit():
    model, log = make("sequential"), RegularizationLogger()
    with pytest.raises(KeyboardInterrupt):
        fit(model, log, Interrupt())
    assert "data_loss" in fit(model, epochs=1)
    log.detach()
    assert "data_loss" not in fit(model, epochs=1)
    log.detach()


def test_a_probe_that_does_not_fit_leaves_the_model_alone():
    model = make("sequential")
    with pytest.raises(ValueError, match="incompatible"):
        fit(model, RegularizationLogger(probe=X[:, :3]))
    log = RegularizationLogger()
    assert LossTerms.held_by(model) is None or fit(model, log)
    assert "data_loss" not in fit(model, epochs=1)


def test_regularizers_without_a_scalar_are_summed_as_keras_does():
    def build():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6,))
        y = layers.Dense(
            4,
            kernel_regularizer=lambda w: 0.1 * abs(w),
            activity_regularizer=lambda y: 0.1 * keras.ops.sum(y**2, axis=0),
        )(inputs)
        model = keras.Model(inputs, layers.Dense(3)(y))
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        return model

    logged, alone = build(), build()
    history = fit(logged, RegularizationLogger(probe=X[:8]))
    assert history["loss"] == fit(alone)["loss"]
    total = history["data_loss"][-1] + penalties(history, -1)
    assert total == pytest.approx(history["loss"][-1], rel=1e-5)


class Total(layers.Layer):
    """Passes its input on; an inner layer returns a scalar."""

    def __init__(self):
        super().__init__()
        self.sum = layers.Lambda(keras.ops.sum, output_shape=lambda _: ())
        self.sum.activity_regularizer = regularizers.L2(1e-4)

    def call(self, x):
        self.sum(x)
        return x


def test_a_scalar_output_is_penalised_without_a_batch():
    def build():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6,))
        model = keras.Model(inputs, layers.Dense(3)(Total()(inputs)))
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        return model

    history = fit(build(), RegularizationLogger(probe=X[:8]))
    assert history["loss"] == fit(build())["loss"]


def test_float64_models_log_in_float64():
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    try:
        log = RegularizationLogger(probe=X[:8])
        history = fit(make("sequential"), log)
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")
    total = history["data_loss"][-1] + penalties(history, -1)
    assert total == pytest.approx(history["loss"][-1], rel=1e-5)
    assert log.table().filter(role="kernel")["spectral_norm"].null_count() == 0


def test_an_output_called_data_is_told_apart():
    inputs = keras.Input((6,))
    outputs = {name: layers.Dense(1, name=name)(inputs) for name in ("data", "b")}
    model = keras.Model(inputs, outputs, name="two")
    model.compile("sgd", {"data": "mse", "b": "mse"})
    y = {"data": Y[:, None], "b": Y[:, None]}
    with pytest.warns(UserWarning, match="has an output 'data'"):
        fit(model, RegularizationLogger(), y=y, validation_data=None)


class Evaluates(keras.callbacks.Callback):
    """Evaluates the model on other data at the end of every epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.evaluate(X + 1.0, Y, verbose=0)


@pytest.mark.parametrize("every", [1, 2])
def test_a_callback_that_evaluates_changes_no_penalty(every):
    alone = fit(make("sequential"), RegularizationLogger(), validation_freq=every)
    beside = fit(
        make("sequential"), Evaluates(), RegularizationLogger(), validation_freq=every
    )
    assert beside == alone
    assert len(alone["val_penalty/hidden/activity"]) == 2 // every


def test_callbacks_after_the_logger_see_the_penalties():
    stop = keras.callbacks.EarlyStopping(
        "val_penalty/hidden/activity", mode="min", min_delta=99.0, patience=2
    )
    history = fit(make("sequential"), RegularizationLogger(), stop, epochs=9)
    assert len(history["val_data_loss"]) == 3


def test_two_loggers_in_one_fit_agree():
    first, second = RegularizationLogger(), RegularizationLogger()
    model = make("sequential")
    fit(model, first, second)
    assert first.table().equals(second.table())
    assert "compute_loss" not in model.__dict__


class OwnStep(keras.Model):
    def train_step(self, *args):
        return super().train_step(*args)


def test_an_own_train_step_leaves_the_columns_null_and_warns():
    inputs = keras.Input((6,))
    model = OwnStep(inputs, layers.Dense(3)(inputs), name="custom")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    log = RegularizationLogger()
    with pytest.warns(UserWarning, match="data_loss") as warned:
        history = fit(model, log)
    assert [str(w.message) for w in warned] == [
        "RegularizationLogger: `data_loss` is null: model 'custom' has its own "
        "`train_step`."
    ]
    assert "data_loss" not in history
    table = log.table().filter(tensor="model")
    assert table["data_loss"].null_count() == table.height == 2
    assert table["loss"].null_count() == 0


def test_checkpoints_written_while_training_hold_the_regularizers(tmp_path):
    model = make("sequential")
    file = tmp_path / "model.keras"
    fit(model, RegularizationLogger(), keras.callbacks.ModelCheckpoint(file), epochs=1)
    loaded = keras.models.load_model(file)
    hidden = loaded.get_layer("hidden")
    assert hidden.activity_regularizer.get_config() == {
        "kregkit": 1,
        "l1": 1e-2,
        "l2": 1e-3,
    }
    assert hidden.kernel_regularizer.get_config() == {"kregkit": 1, "strength": 1e-2}
    again = loaded.evaluate(X, Y, verbose=0, return_dict=True)
    assert again == model.evaluate(X, Y, verbose=0, return_dict=True)


@pytest.mark.parametrize(
    ("policy", "jit"), [("mixed_float16", True), ("mixed_bfloat16", False)]
)
def test_mixed_precision_logs_finite_terms(policy, jit):
    keras.config.set_dtype_policy(policy)
    try:
        log = RegularizationLogger(probe=X[:8])
        history = fit(make("sequential", jit_compile=jit), log)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["val_data_loss"]).all()
    assert penalties(history, -1) > 0.01
    total = history["data_loss"][-1] + penalties(history, -1)
    assert total == pytest.approx(history["loss"][-1], rel=1e-3)


def test_steps_per_execution_and_eager_log_the_same_terms():
    plain = fit(make("sequential"), RegularizationLogger())
    many = fit(make("sequential", steps_per_execution=3), RegularizationLogger())
    eager = fit(make("sequential", run_eagerly=True), RegularizationLogger())
    for name in plain:
        np.testing.assert_allclose(many[name], plain[name], rtol=1e-5)
        np.testing.assert_allclose(eager[name], plain[name], rtol=1e-4)
