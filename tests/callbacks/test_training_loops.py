"""What a step is, whose results stay as they are, and which pass is which."""

import copy
import importlib
import io
import pickle

import joblib
import keras
import numpy as np
import pytest
from keras import layers, ops

from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ModelError
from kregkit.regularizers import L1, L2
from kregkit.store import Store
from kregkit.watch.loss_terms import LossTerms

RANDOM = np.random.default_rng(0)
N, BATCH = 40, 8
STEPS = N // BATCH
X = RANDOM.normal(size=(N, 5)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")
OTHER = X[:12] + 2.0, Y[:12]


def make(optimizer="sgd", metrics=None, **compiled):
    keras.utils.set_random_seed(0)
    layer = layers.Dense(2, kernel_regularizer=L2(0.1), name="d")
    model = keras.Sequential([keras.Input((5,)), layer], name="made")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=metrics, **compiled)
    return model


def fit(model, *callbacks, **arguments):
    given = {"x": X, "y": Y, "batch_size": BATCH, "epochs": 3, "verbose": 0}
    return model.fit(**{**given, **arguments, "callbacks": list(callbacks)}).history


def steps_of(log):
    """Return the steps of the log, having seen that each is one moment."""
    table = log.table().filter(tensor="kernel")
    points = table.select("step", "epoch", "layer").rows()
    steps = list(dict.fromkeys(table["step"].to_list()))
    assert len(points) == len(set(points))
    assert len(steps) * len({layer for *_, layer in points}) == len(points)
    assert steps == sorted(steps)
    return steps


# --- what a step is ---------------------------------------------------------------


class Pair(keras.Model):
    """Trains by two optimizers of its own."""

    def __init__(self):
        super().__init__()
        self.one = keras.Sequential(
            [keras.Input((5,)), layers.Dense(1, kernel_regularizer=L1(0.1))]
        )
        self.two = keras.Sequential(
            [keras.Input((5,)), layers.Dense(1, kernel_regularizer=L2(0.1))]
        )
        self.built = True

    def train_step(self, data):
        import tensorflow as tf

        x, _ = data
        loss = 0.0
        for net, optimizer in zip((self.one, self.two), self.optimizers, strict=True):
            with tf.GradientTape() as tape:
                loss = ops.mean(ops.square(net(x))) + sum(net.losses)
            gradients = tape.gradient(loss, net.trainable_variables)
            optimizer.apply(gradients, net.trainable_variables)
        return {"loss": loss}


def pair(compiled):
    model = Pair()
    model.optimizers = [keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)]
    model.compile(**compiled)
    return model


def skipping():
    """Return a model whose every update is skipped: its scaled loss overflows."""
    inner = keras.optimizers.SGD(0.1)
    scaled = keras.optimizers.LossScaleOptimizer(inner, initial_scale=3e38)
    return make(scaled, loss_weights=[1e9])


def accumulating(steps):
    return make(keras.optimizers.SGD(0.1, gradient_accumulation_steps=steps))


LOOPS = {
    "accumulation": lambda: accumulating(2),
    "an epoch shorter than the accumulation": lambda: accumulating(7),
    "a loss scale": skipping,
    "two optimizers": lambda: pair({}),
    "two optimizers, none": lambda: pair({"optimizer": None}),
    "eager": lambda: make(run_eagerly=True),
    "compiled": lambda: make(jit_compile=True),
}


@pytest.mark.parametrize(
    ("kind", "every"),
    [*((kind, 2) for kind in LOOPS), ("a loss scale", "epoch"), ("eager", "epoch")],
)
@pytest.mark.filterwarnings("ignore:RegularizationLogger. `data_loss` is null")
def test_a_step_is_a_batch_that_was_trained_on(kind, every):
    model, log = LOOPS[kind](), RegularizationLogger(every=every)
    fit(model, log)
    last = 3 * STEPS
    right = [0, *range(STEPS, last + 1, STEPS)]
    right = right if every == "epoch" else [*range(0, last, 2), last]
    assert steps_of(log) == right
    rows = log.table().filter(tensor="model")
    assert rows["step"].to_list() == [STEPS, 2 * STEPS, last]
    nets = [model.one, model.two] if isinstance(model, Pair) else [model]
    assert log.penalty() == pytest.approx(sum(float(net.losses[0]) for net in nets))


def test_a_loss_scale_did_skip_every_update():
    model = skipping()
    before = model.get_weights()
    fit(model, RegularizationLogger())
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def generator(batches):
    for i in range(batches):
        rows = slice(i * BATCH, (i + 1) * BATCH)
        yield X[rows], Y[rows]


def dataset(batches):
    """Return a dataset of so many batches that does not know how many."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH).take(batches)
    return data.filter(lambda x, y: True)


@pytest.mark.filterwarnings("ignore:.*ran out of data")
@pytest.mark.parametrize(
    ("several", "every"), [(1, 1), (2, 1), (3, 1), (7, 1), (3, "epoch")]
)
def test_several_steps_per_execution_are_counted(several, every):
    """In epochs that such executions do not divide, of known and unknown length."""
    for data in (
        {},
        {"x": dataset(STEPS), "y": None, "batch_size": None, "shuffle": False},
    ):
        log = RegularizationLogger(every=every)
        fit(make(steps_per_execution=several), log, **data)
        found = log.table().filter(tensor="model")["step"].to_list()
        assert found == [STEPS, 2 * STEPS, 3 * STEPS]
        within = [min(i, STEPS) for i in range(several, STEPS + several, several)]
        right = [0] + [epoch * STEPS + i for epoch in range(3) for i in within]
        assert steps_of(log) == ([0, *found] if every == "epoch" else right)


@pytest.mark.filterwarnings("ignore:.*ran out of data")
@pytest.mark.parametrize("every", [1, 2, STEPS, "epoch"])
def test_the_last_batch_of_an_epoch_ends_it_of_known_and_unknown_length(every):
    tables = []
    for data in ({}, {"x": dataset(STEPS), "y": None, "batch_size": None}):
        log = RegularizationLogger(every=every)
        fit(make(), log, **data, shuffle=False)
        tables.append(log.table().select("step", "epoch", "layer", "tensor"))
    ends = tables[0].filter(tensor="model")
    assert ends["epoch"].to_list() == [1, 2, 3]
    for table in tables:
        assert table.equals(tables[0])
        for step, epoch in ends.select("step", "epoch").iter_rows():
            assert {*table.filter(step=step)["epoch"]} == {epoch}


class Ends(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.each = []

    def on_epoch_begin(self, epoch, logs=None):
        self.each.append(0)

    def on_train_batch_end(self, batch, logs=None):
        self.each[-1] += 1


@pytest.mark.filterwarnings("ignore:.*ran out of data")
@pytest.mark.parametrize("every", ["epoch", 1])
def test_data_that_end_early_have_no_further_steps(every):
    """An update of the optimizer is counted by Keras where the data have ended."""
    log, ends = RegularizationLogger(every=every), Ends()
    given = {"x": generator(4), "y": None, "batch_size": None, "shuffle": False}
    fit(make(), log, ends, **given, steps_per_epoch=3, epochs=4)
    assert ends.each[:2] == [3, 1]
    right = np.cumsum([0, *ends.each]).tolist()
    assert steps_of(log) == (right if every == "epoch" else [*range(right[-1] + 1)])


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen == STEPS + 2:
            self.model.stop_training = True


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize("every", ["epoch", 3])
def test_a_fit_that_stops_within_an_epoch_ends_at_its_last_batch(every):
    log = RegularizationLogger(every=every)
    fit(make(), Stop(), log, validation_data=(X, Y))
    assert steps_of(log)[-1] == STEPS + 2
    assert log.table()["epoch"].max() == 2


def test_steps_go_on_after_an_initial_epoch():
    log = RegularizationLogger(every=3)
    fit(make(), log, initial_epoch=1)
    assert steps_of(log) == [5, 6, 9, 12, 15]
    assert log.table().filter(tensor="kernel")["epoch"].to_list() == [1, 1, 1, 2, 3]


@pytest.mark.filterwarnings("ignore:.*ran out of data")
def test_steps_before_that_are_not_known_are_warned_of():
    log = RegularizationLogger()
    data = {"x": dataset(STEPS), "y": None, "batch_size": None, "shuffle": False}
    with pytest.warns(UserWarning, match="the number of steps in earlier epochs is"):
        fit(make(), log, initial_epoch=1, **data)
    assert steps_of(log) == [0, STEPS, 2 * STEPS]


def test_steps_that_cannot_be_counted_are_refused():
    model = pair({"steps_per_execution": 2})
    data = {"x": dataset(STEPS), "y": None, "batch_size": None, "shuffle": False}
    with (
        pytest.warns(UserWarning, match="`data_loss` is null"),
        pytest.raises(ModelError, match="cannot be counted"),
    ):
        fit(model, RegularizationLogger(), **data)


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("first", ["backup", "log"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_fit_that_is_backed_up_goes_on_at_its_step(tmp_path, first, epoch):
    def run(*others):
        model, log = make(), RegularizationLogger()
        backup = keras.callbacks.BackupAndRestore(tmp_path)
        order = [backup, log] if first == "backup" else [log, backup]
        fit(model, *order, *others)
        return model, log

    with pytest.raises(KeyboardInterrupt):
        run(Interrupt(epoch))
    _, log = run()
    assert steps_of(log) == [STEPS * e for e in range(epoch, 4)]
    epochs = log.table().filter(tensor="kernel")["epoch"].to_list()
    assert epochs == list(range(epoch, 4))


# --- whose results stay as they are -----------------------------------------------


class Looks(keras.callbacks.Callback):
    """Calls everything that a callback may call of a model, at three moments."""

    def __init__(self):
        super().__init__()
        self.found = []

    def look(self):
        model = self.model
        x, y = OTHER
        tensors = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
        loss = model.compute_loss(*tensors, model(tensors[0], training=False))
        self.found += [
            model.evaluate(*OTHER, verbose=0),
            model.evaluate(*OTHER, verbose=0, return_dict=True),
            [metric.name for metric in model.metrics],
            list(model.metrics_names),
            sorted(model.get_metrics_result()),
            model.test_on_batch(*OTHER),
            model.test_on_batch(*OTHER, return_dict=True),
            model.train_on_batch(*OTHER),
            model.train_on_batch(*OTHER, return_dict=True),
            model.predict(x, verbose=0),
            float(ops.convert_to_numpy(loss)),
            [float(ops.convert_to_numpy(loss)) for loss in model.losses],
            model.get_metrics_result(),
            model.get_weights(),
        ]

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if epoch == 1:
            self.look()

    def on_train_batch_end(self, batch, logs=None):
        self.found.append(dict(logs))
        if (self.epoch, batch) == (0, 1):
            self.look()

    def on_test_batch_end(self, batch, logs=None):
        self.found.append(dict(logs))

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.look()


@pytest.mark.filterwarnings("ignore:::torch")  # its compiler's own
@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize(
    ("way", "metrics"),
    [
        ("graph", None),
        ("graph", ["accuracy"]),
        pytest.param("jit", ["accuracy"], marks=pytest.mark.long),
        ("eager", ["accuracy"]),
    ],
)
def test_what_a_callback_calls_returns_what_it_does_without_a_logger(way, metrics):
    compiled = {"run_eagerly": way == "eager", "jit_compile": way == "jit"}
    found = []
    for logged in (False, True):
        if way == "jit" and keras.backend.backend() == "torch":
            # After eight compilations of a function PyTorch runs it uncompiled, which
            # rounds otherwise: both runs begin with none.
            importlib.import_module("torch").compiler.reset()
        looks = Looks()
        log = [RegularizationLogger(probe=X[:4])] if logged else []
        model = make("adam", metrics, **compiled)
        fit(model, *log, looks, epochs=2, validation_data=(X[:16], Y[:16]))
        looks.look()  # the fourth moment
        found.append(looks.found)
    for one, other in zip(*found, strict=True):
        keras.tree.map_structure(np.testing.assert_array_equal, one, other)


class Sees(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.logs = set(logs)


@pytest.mark.jax
@pytest.mark.torch
def test_every_callback_sees_all_terms_wherever_it_is_listed():
    before, after = Sees(), Sees()
    history = fit(make(), before, RegularizationLogger(), after, validation_data=(X, Y))
    terms = {"data_loss", "penalty/d/kernel"}
    assert {f"{v}{term}" for v in ("", "val_") for term in terms} <= before.logs
    assert before.logs == after.logs == set(history)


def test_a_metric_of_the_same_name_is_refused():
    class Mine(keras.metrics.Mean):
        def update_state(self, y, outputs, sample_weight=None):
            super().update_state(0.0)

    with pytest.raises(ModelError) as found:
        fit(make(metrics=[Mine(name="data_loss")]), RegularizationLogger())
    assert str(found.value) == (
        "RegularizationLogger: model 'made' reports 'data_loss' itself; give that "
        "metric another name."
    )


# --- which pass is which ----------------------------------------------------------


def passes(what):
    def call(model):
        {
            "evaluate": lambda: model.evaluate(*OTHER, verbose=0),
            "evaluate as many rows": lambda: model.evaluate(
                X[: 2 * BATCH], Y[: 2 * BATCH], verbose=0
            ),
            "test_on_batch": lambda: model.test_on_batch(*OTHER),
            "predict": lambda: model.predict(X, verbose=0),
            "reset_metrics": model.reset_metrics,
        }[what]()

    return call


class At(keras.callbacks.Callback):
    """Calls something of a model at one moment of each epoch."""

    def __init__(self, moment, call):
        super().__init__()
        setattr(self, moment, self.react)
        self.call = call

    def react(self, at, logs=None):
        if at <= 1:
            self.call(self.model)


MOMENTS = ("on_epoch_begin", "on_train_batch_end", "on_test_batch_end", "on_epoch_end")
WHATS = (
    *("evaluate", "evaluate as many rows", "test_on_batch", "predict"),
    "reset_metrics",
)
WATCHED = {"validation_data": (X[:24], Y[:24]), "shuffle": False, "epochs": 2}


@pytest.fixture(scope="module")
def undisturbed():
    return fit(make(), RegularizationLogger(), **WATCHED)


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize(
    ("moment", "what", "order"),
    [
        (moment, what, (i + j) % 2)  # every call, and moment, before and after it
        for i, moment in enumerate(MOMENTS)
        for j, what in enumerate(WHATS)
    ],
)
def test_a_pass_of_a_callback_is_in_no_term(moment, what, order, undisturbed):
    callbacks = [RegularizationLogger()]
    callbacks.insert(order, At(moment, passes(what)))
    found = fit(make(), *callbacks, **WATCHED)
    assert found.keys() == undisturbed.keys()
    for name, values in undisturbed.items():
        assert found[name] == pytest.approx(values, rel=1e-6), name


@pytest.mark.jax
@pytest.mark.torch
def test_the_terms_are_those_of_numpy():
    """At a learning rate of 0, with a pass in each epoch."""
    model = make(keras.optimizers.SGD(0.0))
    kernel, bias = model.get_weights()

    def loss(x, y):
        logits = (x @ kernel + bias).astype("float64")
        lots = np.log(np.exp(logits).sum(axis=1))
        return (lots - logits[np.arange(len(y)), y]).mean()

    at = At("on_train_batch_end", passes("evaluate"))
    validation = X[:20], Y[:20]
    history = fit(model, at, RegularizationLogger(), validation_data=validation)
    penalty = 0.1 * np.square(kernel).sum()
    for epoch in range(3):
        for prefix, data in (("", (X, Y)), ("val_", validation)):
            expected = {
                "data_loss": loss(*data),
                "penalty/d/kernel": penalty,
                "loss": loss(*data) + penalty,
            }
            for name, value in expected.items():
                found = history[prefix + name][epoch]
                assert found == pytest.approx(value, rel=1e-5), (prefix, name)


@pytest.mark.parametrize(
    "arguments",
    [
        {"validation_freq": 2},
        {"validation_freq": [1, 3]},
        {"validation_steps": 1},
        {"validation_split": 0.4, "validation_data": None},
    ],
)
def test_val_terms_are_there_when_validation_is(arguments):
    given = {"validation_data": (X, Y), **arguments}
    history = fit(make(), RegularizationLogger(), **given)
    assert len(history["val_data_loss"]) == len(history["val_loss"])
    for name in ("", "val_"):
        terms = zip(
            history[f"{name}data_loss"], history[f"{name}penalty/d/kernel"], strict=True
        )
        assert history[f"{name}loss"] == pytest.approx(list(map(sum, terms)), rel=1e-5)


def test_two_models_train_in_turn_with_one_logger():
    models, log = [make(), make("adam")], RegularizationLogger()
    for _ in range(2):
        for model in models:
            history = fit(model, log, epochs=1)
            assert log.penalty() == pytest.approx(float(model.losses[0]))
            assert "data_loss" in history
            assert LossTerms.held_by(model) is None


# --- copies -----------------------------------------------------------------------


def dumped(log):
    file = io.BytesIO()
    joblib.dump(log, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.parametrize(
    ("copied", "every"),
    [
        (copy.deepcopy, 2),
        (copy.copy, "epoch"),
        (lambda log: pickle.loads(pickle.dumps(log)), "epoch"),
        (dumped, 2),
    ],
)
def test_a_logger_can_be_copied_before_between_and_after_fits(copied, every, tmp_path):
    store = tmp_path / "store"
    log = RegularizationLogger(
        probe=X[:4], every=every, optimality=(X, Y), store=store, score="loss"
    )
    log, model = copied(log), make()
    fit(model, log)
    again = copied(log)
    assert again.table().equals(log.table())
    assert again.penalty() == log.penalty()
    assert again.model is None
    fit(model, again)
    assert steps_of(again)[-1] == 3 * STEPS
    assert len(Store(store).finished()) == 2


class Copies(keras.callbacks.Callback):
    def __init__(self, log):
        super().__init__()
        self.log = log

    def on_epoch_end(self, epoch, logs=None):
        self.copy = pickle.loads(pickle.dumps(self.log))


def test_a_logger_can_be_copied_within_a_fit():
    log = RegularizationLogger(probe=X[:4])
    copies = Copies(log)
    fit(make(), log, copies)
    assert steps_of(copies.copy) == steps_of(log)
