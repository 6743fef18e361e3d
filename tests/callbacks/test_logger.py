"""What `RegularizationLogger` measures, when, and what it keeps."""

import keras
import numpy as np
import polars as pl
import pytest

from helpers.models import CLASSES, KINDS, data, make
from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ModelError, ParameterError, StoreError, UnknownNameError
from kregkit.schema import MEASURES, ROWS
from kregkit.store import Store
from kregkit.weights import walk

X, Y = data()
PROBE = X[:16]


def fit(model, log, *others, epochs=2, **arguments):
    arguments.setdefault("validation_data", (X, Y))
    callbacks = [*others, log]
    model.fit(
        X, Y, epochs=epochs, batch_size=20, verbose=0, callbacks=callbacks, **arguments
    )
    return log.table()


@pytest.fixture(scope="module", params=KINDS)
def trained(request):
    model = make(request.param)
    return model, fit(model, RegularizationLogger(probe=PROBE, score="accuracy"))


def test_every_weight_has_a_row_at_every_epoch_with_its_numpy_norms(trained):
    model, table = trained
    for weight in walk(model):
        rows = table.filter(layer=weight.layer_path, tensor=weight.name)
        assert rows["epoch"].to_list() == [0, 1, 2]
        assert rows["step"].to_list() == [0, 5, 10]
        w = keras.ops.convert_to_numpy(weight.variable.value).astype("float64")
        last = rows.row(-1, named=True)
        assert last["l1"] == pytest.approx(np.abs(w).sum(), rel=1e-5)
        assert last["l2"] == pytest.approx(np.linalg.norm(w), rel=1e-5)
        assert last["zero_fraction"] == pytest.approx((w == 0).mean())
        assert last["size"] == w.size
        moved = rows["l2"][0] != rows["l2"][2]
        assert moved or np.all(w == rows["max_abs"][0])


def outputs_of(model, name):
    """Return what the layers called `name` give on the probe, by Keras's own call."""
    found = []
    for layer in model._flatten_layers():
        if layer.name == name:
            original = layer.call

            def record(*args, original=original, **kwargs):
                found.append(original(*args, **kwargs))
                return found[-1]

            layer.call = record
    model(PROBE, training=False)
    return [keras.ops.convert_to_numpy(output).astype("float64") for output in found]


def test_every_activation_has_its_numpy_norms_per_sample(trained):
    model, table = trained
    last = table.filter(pl.col("role") == "activation", epoch=2)
    names = last["layer"].to_list()
    assert names
    for row in last.iter_rows(named=True):
        short = row["layer"].split("/")[-1]
        if sum(name.split("/")[-1] == short for name in set(names)) > 1:
            continue  # two layers of one name: told apart by the test of paths
        index = int(row["tensor"].partition("#")[2] or 1) - 1
        y = outputs_of(model, short)[index].reshape(len(PROBE), -1)
        norm = np.linalg.norm(y, axis=1).mean()
        assert row["l1"] == pytest.approx(np.abs(y).sum(1).mean(), rel=1e-4)
        assert row["l2"] == pytest.approx(norm, rel=1e-4)
        assert row["zero_fraction"] == pytest.approx((y == 0).mean())
        assert row["size"] == y.shape[1]


def test_penalties_of_the_rows_are_those_of_the_final_weights(trained):
    model, table = trained
    last = table.filter(pl.col("layer") != "", epoch=2)
    weights = last.filter(pl.col("role") != "activation")
    expected = sum(
        float(weight.variable.regularizer(weight.variable.value))
        for weight in walk(model)
        if weight.variable.regularizer is not None
    )
    assert weights["penalty"].sum() == pytest.approx(expected, rel=1e-5)
    assert last.filter(role="activation")["penalty"].sum() > 0


def test_the_row_of_the_model_holds_losses_and_scores(trained):
    model, table = trained
    rows = table.filter(tensor="model")
    assert rows["epoch"].to_list() == [1, 2]
    last = rows.row(-1, named=True)
    assert last["loss"] == pytest.approx(last["data_loss"] + last["penalty"], rel=1e-5)
    evaluated = model.evaluate(X, Y, batch_size=20, verbose=0, return_dict=True)
    assert last["val_loss"] == pytest.approx(evaluated["loss"], rel=1e-5)
    assert last["val_score"] == pytest.approx(evaluated["accuracy"])


def test_the_columns_are_the_schema_whatever_was_logged(trained):
    _, table = trained
    assert table.columns == [name for name in ROWS if name != "trial"]
    assert set(MEASURES) <= set(table.columns)
    floats = table.select(pl.selectors.float())
    assert not floats.select(pl.any_horizontal(pl.all().is_nan())).to_series().any()


def test_the_last_spectral_norm_is_exact():
    model = make("sequential")
    table = fit(model, RegularizationLogger())
    kernel = model.get_layer("hidden").get_weights()[0]
    row = table.filter(layer="hidden", tensor="kernel", epoch=2).row(0, named=True)
    largest = np.linalg.svd(kernel, compute_uv=False)[0]
    assert row["spectral_norm"] == pytest.approx(largest, rel=1e-6)
    stable = np.linalg.norm(kernel) ** 2 / largest**2
    assert row["stable_rank"] == pytest.approx(stable, rel=1e-5)


def test_restored_weights_do_not_overwrite_the_last_epoch():
    restore = keras.callbacks.EarlyStopping(
        "val_loss", mode="max", patience=2, restore_best_weights=True
    )
    log = RegularizationLogger()
    model = make("sequential")
    table = fit(model, log, restore, epochs=4)
    kernel = table.filter(layer="hidden", tensor="kernel")
    now = np.linalg.norm(model.get_layer("hidden").get_weights()[0])
    assert kernel["l2"][1] == pytest.approx(now, rel=1e-6)
    assert kernel["l2"][-1] != pytest.approx(now, rel=1e-4)


@pytest.mark.parametrize(("per_execution", "third"), [(1, 8), (2, 9)])
def test_every_n_steps_logs_what_reaches_a_multiple_and_the_end(per_execution, third):
    model = make("sequential", steps_per_execution=per_execution)
    log = RegularizationLogger(probe=PROBE, every=4)
    table = fit(model, log, epochs=2, validation_data=None)
    weights = table.filter(pl.col("layer") != "")
    assert weights["step"].unique().sort().to_list() == [0, 4, third, 10]
    assert table.filter(tensor="model")["epoch"].to_list() == [1, 2]


def test_one_logging_point_is_one_transfer(monkeypatch):
    transfers = []
    convert = keras.ops.convert_to_numpy

    def counted(x):
        if not isinstance(x, keras.Variable):  # the sums of the loss terms
            transfers.append(x)
        return convert(x)

    class Count(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            transfers.clear()

    monkeypatch.setattr(keras.ops, "convert_to_numpy", counted)
    fit(make("sequential"), RegularizationLogger(probe=PROBE), Count(), epochs=3)
    # Before training, three epochs, once more at the end, and the exact norms then.
    assert len(transfers) == 6


def test_frozen_weights_are_measured_and_not_penalised():
    model = make("sequential")
    model.get_layer("hidden").trainable = False
    model.compile("sgd", model.loss)
    log = RegularizationLogger()
    with pytest.warns(UserWarning, match="'hidden/kernel' has L1, but it is not tra"):
        table = fit(model, log)
    hidden = table.filter(layer="hidden", tensor="kernel")
    assert hidden["l2"].n_unique() == 1
    model_row = table.filter(tensor="model").row(-1, named=True)
    total = model_row["data_loss"] + model_row["penalty"]
    assert total == pytest.approx(model_row["loss"], rel=1e-5)


def test_a_store_is_written_for_every_fit(tmp_path):
    log = RegularizationLogger(probe=PROBE, store=tmp_path / "mine", score="accuracy")
    model = make("sequential")
    first = fit(model, log)
    fit(model, log, epochs=1)
    contents = Store(tmp_path / "mine").read()
    assert contents.study is None
    assert contents.finals["trial"].to_list() == ["fit-001", "fit-002"]
    assert contents.finals["epochs"].to_list() == [2, 1]
    assert contents.rows.filter(trial="fit-001").drop("trial").equals(first)
    kernel = contents.tensors.filter(trial="fit-002", layer="hidden", tensor="kernel")
    weights = model.get_layer("hidden").get_weights()[0]
    np.testing.assert_array_equal(kernel["values"][0], weights.ravel())
    assert sum(kernel["histogram"][0]) == weights.size


def test_plot_and_repr_show_what_was_logged():
    log = RegularizationLogger(probe=PROBE)
    assert "0 tensors at 0 steps" in repr(log)
    assert log.plot().get_suptitle() == "nothing was logged"
    fit(make("sequential"), log)
    figure = log.plot()
    roles = ["kernel", "bias", "gamma", "beta", "activation"]
    titles = [axis.get_title() for axis in figure.axes]
    assert [title for title in titles if title] == 2 * roles
    losses = figure.axes[0].get_lines()
    model = log.table().filter(layer="")
    assert losses[0].get_label() == "loss"
    np.testing.assert_array_equal(losses[0].get_ydata(), model["loss"])
    norms, zeros = (axis for axis in figure.axes if axis.get_title() == "kernel")
    table = log.table().filter(role="kernel")
    for axis, measure in ((norms, "l2"), (zeros, "zero_fraction")):
        own = table.filter(layer="hidden")[measure].to_numpy()
        if measure == "l2":
            own = np.log(own / own[0])
        drawn = axis.collections[0].get_array()
        assert drawn.shape == (table["layer"].n_unique(), 3) == (2, 3)
        np.testing.assert_allclose(drawn[0], own, rtol=1e-6)
    assert repr(log) == (
        "<RegularizationLogger: 9 tensors at 3 steps; see .table() and .plot()>"
    )
    assert "near_zero_fraction" in log._repr_html_()


@pytest.mark.parametrize("every", ["step", 0, -3, True, 1.5, None])
def test_an_unknown_every_is_refused(every):
    with pytest.raises(ParameterError) as refused:
        RegularizationLogger(every=every)
    assert str(refused.value) == (
        'RegularizationLogger: `every` must be "epoch" or a positive number of steps; '
        f"received {every!r}."
    )


def test_a_layer_with_a_call_of_its_own_keeps_it():
    model = make("sequential")
    layer = model.get_layer("hidden")
    original = layer.call
    layer.call = lambda x, **arguments: 2.0 * original(x)
    own = layer.call
    fit(model, RegularizationLogger(probe=PROBE), epochs=1)
    assert layer.__dict__["call"] is own
    assert "call" not in model.get_layer("output").__dict__


class Rowwise(keras.layers.Layer):
    """Calls its dense layer in a loop of the backend."""

    def __init__(self):
        super().__init__(name="rowwise")
        self.dense = keras.layers.Dense(CLASSES, name="dense")
        self.dense.build((None, 6))

    def call(self, x):
        return keras.ops.map(lambda row: self.dense(row[None])[0], x)


def test_layers_called_in_a_loop_have_no_activation_row():
    model = keras.Sequential([keras.Input((6,)), Rowwise()])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    table = fit(model, RegularizationLogger(probe=PROBE), epochs=1)
    assert table.filter(layer="rowwise/dense")["tensor"].unique().sort().to_list() == [
        "bias",
        "kernel",
    ]


def test_frozen_weights_have_no_penalty_in_the_rows():
    model = make("sequential")
    model.get_layer("hidden").trainable = False
    model.compile("sgd", model.loss)
    with pytest.warns(UserWarning, match="'hidden/kernel' has L1, but it is not tra"):
        table = fit(model, RegularizationLogger())
    assert table.filter(layer="hidden", tensor="kernel")["penalty"].null_count() == 3
    assert table.filter(layer="output", tensor="kernel")["penalty"].null_count() == 0


def test_a_diverged_fit_is_stored_as_failed_with_its_epoch(tmp_path):
    model = make("sequential")
    model.compile(keras.optimizers.SGD(1e30), model.loss)
    log = RegularizationLogger(probe=PROBE, store=tmp_path)
    fit(model, log, epochs=3)
    final = Store(tmp_path).read().finals.row(0, named=True)
    assert (final["status"], final["failed_epoch"]) == ("failed", log.failed_epoch)
    assert 1 <= log.failed_epoch <= 2


def test_initial_epoch_counts_the_epochs_that_went_before():
    table = fit(make("sequential"), RegularizationLogger(), epochs=5, initial_epoch=3)
    assert table["epoch"].unique().sort().to_list() == [3, 4, 5]


def test_an_unknown_score_is_refused_at_the_first_epoch():
    with pytest.raises(UnknownNameError) as refused:
        fit(make("sequential"), RegularizationLogger(score="acuracy"))
    assert str(refused.value).startswith(
        "RegularizationLogger: unknown 'acuracy'. Did you mean 'accuracy'? Known: "
    )


def test_a_studys_store_is_refused(tmp_path):
    Store(tmp_path).begin('name = "study"')
    with pytest.raises(StoreError) as refused:
        RegularizationLogger(store=tmp_path)
    assert str(refused.value) == f"{tmp_path}: holds a study; choose another folder"


def unbuilt():
    model = keras.Sequential([keras.layers.Dense(CLASSES, name="only")], name="late")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_a_model_without_an_input_shape_is_built_from_the_probe():
    table = fit(unbuilt(), RegularizationLogger(probe=PROBE))
    assert table.filter(layer="only", tensor="kernel")["epoch"].to_list() == [0, 1, 2]
    assert table.filter(tensor="model")["data_loss"].null_count() == 0


def test_a_model_without_an_input_shape_or_a_probe_is_refused():
    with pytest.raises(ModelError) as refused:
        fit(unbuilt(), RegularizationLogger())
    assert str(refused.value) == (
        "RegularizationLogger: model 'late' has no weights before its first step. "
        "Begin it with `keras.Input`, or give a `probe`."
    )


def test_measuring_leaves_batch_statistics_and_dropout_alone():
    logged, alone = make("sequential"), make("sequential")
    fit(logged, RegularizationLogger(probe=PROBE, every=1), epochs=1)
    alone.fit(X, Y, epochs=1, batch_size=20, verbose=0)
    for one, other in zip(logged.variables, alone.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert logged.predict(X, verbose=0).shape == (len(X), CLASSES)
