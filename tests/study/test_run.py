"""Studies from file to store: numbers, seeds, resuming, failures."""

import shutil

import keras
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers.small_study import STUDY, assert_close_stores, trained, written
from kregkit.errors import StoreError, StudyError, VersionError
from kregkit.store import Store
from kregkit.study.engines import schedule
from kregkit.study.engines.fit.train_one import attach, order
from kregkit.study.engines.training import Training
from kregkit.study.problem.resolve import resolve
from kregkit.study.run import prepare
from kregkit.weights import walk


def read(out):
    return Store(out / "store").read()


def assert_same_stores(one, other):
    one, other = read(one), read(other)
    assert_frame_equal(one.rows, other.rows, check_exact=True)
    assert_frame_equal(one.tensors, other.tensors, check_exact=True)
    drop = "wall_seconds"
    assert_frame_equal(one.finals.drop(drop), other.finals.drop(drop), check_exact=True)


def study_of(file):
    job = prepare(file, file.parent / "nowhere")
    return resolve(job.config, file), job.trials


def logits(tensors, trial, x):
    """The network of the study, in NumPy, from its stored weights."""
    own = tensors.filter(trial=trial)
    w = {
        (r["layer"], r["tensor"]): np.array(r["values"]).reshape(r["shape"])
        for r in own.iter_rows(named=True)
    }
    hidden = np.maximum(x @ w["hidden_1", "kernel"] + w["hidden_1", "bias"], 0)
    return hidden, hidden @ w["output", "kernel"] + w["output", "bias"]


def test_scores_and_losses_are_those_of_the_stored_weights(small, engine):
    file, out = small
    study, _ = study_of(file)
    contents = read(out)
    assert contents.finals["engine"].to_list() == [engine] * 10
    assert contents.finals["input_shape"].to_list() == [[4]] * 10
    for final in contents.finals.iter_rows(named=True):
        split = study.split(final["seed"])
        for part in ("train", "val", "test"):
            x, y = getattr(split, f"x_{part}"), getattr(split, f"y_{part}")
            hidden, z = logits(contents.tensors, final["trial"], x.astype("float64"))
            shifted = z - z.max(1, keepdims=True)
            logp = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
            loss = -logp[np.arange(len(y)), y].mean()
            assert final[f"{part}_data_loss"] == pytest.approx(loss, rel=1e-5)
            accuracy = (z.argmax(1) == y).mean()
            assert final[f"{part}_score"] == pytest.approx(accuracy)
            if part == "val":
                l1, l2 = np.abs(hidden).sum(1).mean(), (hidden**2).sum(1).mean()
                val_hidden = {"L1": l1, "L1L2": 0.5 * l1 + 0.5 * l2, None: 0.0}
        if final["target"] != "kernel":
            expected = 1e-2 * val_hidden[final["regularizer"]]
            assert final["penalty"] == pytest.approx(expected, rel=1e-4)
        majority = np.bincount(split.y_train).argmax()
        assert final["majority_score"] == pytest.approx(
            (split.y_test == majority).mean()
        )


def test_the_last_row_agrees_with_the_final(small):
    contents = read(small[1])
    last = contents.rows.filter(epoch=2, tensor="model")
    joined = last.join(contents.finals, on="trial", suffix="_final")
    assert joined.height == 10
    np.testing.assert_allclose(
        joined["val_data_loss"], joined["val_data_loss_final"], rtol=1e-5
    )
    np.testing.assert_allclose(joined["val_score"], joined["val_score_final"])


def test_a_trial_is_what_a_plain_keras_fit_gives(small):
    """The oracle is Keras alone: its model, its own L1, its fit, the same batches."""
    file, out = small
    study, trials = study_of(file)
    trial = next(t for t in trials if (t.regularizer, t.target) == ("L1", "kernel"))
    split = study.split(trial.seed)
    keras.utils.set_random_seed(trial.seed)
    penalty = keras.regularizers.L1(1e-2)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu", kernel_regularizer=penalty),
            keras.layers.Dense(3, kernel_regularizer=penalty),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    for rows in order(trial.seed, 2, len(split.x_train)):
        model.fit(
            split.x_train[rows],
            split.y_train[rows],
            batch_size=16,
            shuffle=False,
            verbose=0,
        )
    stored = read(out).tensors.filter(trial=trial.id)["values"].to_list()
    for values, weight in zip(stored, model.get_weights(), strict=True):
        np.testing.assert_allclose(values, weight.ravel(), rtol=1e-5, atol=1e-7)


def test_trials_of_one_seed_begin_alike_and_seeds_differ(small):
    contents = read(small[1])
    first = contents.rows.filter(epoch=0, layer="hidden_1", tensor="kernel")
    norms = first.join(contents.finals, on="trial").group_by("seed")
    assert norms.agg(pl.col("l2").n_unique())["l2"].to_list() == [1, 1]
    assert first["l2"].n_unique() == 2


def test_every_epoch_sees_every_row_once_in_an_order_of_its_own():
    orders = order(7, 3, 50)
    assert (np.sort(orders, axis=1) == np.arange(50)).all()
    assert len({tuple(rows) for rows in orders}) == 3
    np.testing.assert_array_equal(order(7, 5, 50)[:3], orders)
    assert (order(8, 3, 50) != orders).any()


def test_the_same_study_gives_the_same_numbers(batched, tmp_path):
    """Of the engine `fit` the test of resuming says so."""
    assert trained(written(tmp_path), tmp_path, engine="batch") == (10, 0)
    assert_same_stores(batched[1], tmp_path)


def test_resuming_trains_what_is_missing_and_ends_the_same(fitted, tmp_path):
    file, out = fitted
    shutil.copytree(out / "store", tmp_path / "store")
    assert trained(file, tmp_path, engine="fit") == (0, 0)
    parts = sorted((tmp_path / "store" / "parts").iterdir())
    assert len(parts) == 10
    for part in parts[::2]:
        shutil.rmtree(part)
    assert trained(file, tmp_path, engine="fit") == (5, 0)
    assert_same_stores(out, tmp_path)


def test_what_fit_began_a_batch_of_any_size_ends(fitted, tmp_path, monkeypatch):
    shutil.copytree(fitted[1] / "store", tmp_path / "store")
    parts = sorted((tmp_path / "store" / "parts").iterdir())
    for part in parts[3:]:
        shutil.rmtree(part)
    # 7 trials are left: two batches of 3 and the first of them, which is not full.
    monkeypatch.setattr(schedule, "MOST", 3)
    job = prepare(fitted[0], tmp_path)
    study = resolve(job.config, job.file)
    unit = schedule.schedule(study, job.waiting, "batch").units[0]
    Training(study, job.store, job.waiting).train(unit, lambda done, failed: None)
    assert len(job.store.finished()) == 6
    monkeypatch.setattr(schedule, "MOST", 256)
    assert trained(fitted[0], tmp_path) == (4, 0)
    contents, expected = read(tmp_path), read(fitted[1])
    engine_counts = contents.finals["engine"].value_counts().sort("engine")
    assert engine_counts.rows() == [("batch", 7), ("fit", 3)]
    assert_close_stores(contents, expected)


def test_more_seeds_keep_the_finished_trials(fitted, tmp_path):
    shutil.copytree(fitted[1] / "store", tmp_path / "store")
    file = written(tmp_path, STUDY.replace("seeds = 2", "seeds = 3"))
    assert len(prepare(file, tmp_path).waiting) == 5


def test_a_changed_study_is_refused_and_fresh_begins_anew(batched, tmp_path):
    shutil.copytree(batched[1] / "store", tmp_path / "store")
    text = STUDY.replace("epochs = 2", "epochs = 1").replace("seeds = 2", "seeds = 1")
    file = written(tmp_path, text)
    with pytest.raises(StoreError) as refused:
        prepare(file, tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / 'store'}: holds 10 trials that {file} does not plan: its data, "
        "model or training changed. Use --fresh to start again, or --out for another "
        "folder"
    )
    assert trained(file, tmp_path, fresh=True) == (5, 0)
    assert read(tmp_path).finals["epochs"].unique().to_list() == [1]
    assert read(tmp_path).study == text


@pytest.mark.parametrize("fresh", [False, True])
def test_a_store_of_another_study_is_refused(batched, tmp_path, fresh):
    shutil.copytree(batched[1] / "store", tmp_path / "store")
    file = written(tmp_path, STUDY.replace('"small"', '"other"'))
    with pytest.raises(StoreError) as refused:
        prepare(file, tmp_path, fresh)
    assert str(refused.value) == (
        f"{tmp_path / 'store'}: holds the study 'small', not 'other'. Use --out for "
        "another folder"
    )


def test_a_store_of_other_versions_is_not_resumed(fitted, tmp_path):
    shutil.copytree(fitted[1] / "store", tmp_path / "store")
    parts = sorted((tmp_path / "store" / "parts").iterdir())
    shutil.rmtree(parts[0])
    for part in parts[1:]:
        file = part / "finals.parquet"
        older = pl.lit("3.0.0").alias("keras_version")
        pl.read_parquet(file).with_columns(older).write_parquet(file)
    with pytest.raises(VersionError) as refused:
        trained(fitted[0], tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / 'store'}: trials of different versions cannot be compared: "
        f"keras_version is '3.0.0' and '{keras.__version__}'"
    )


def test_a_builder_that_returns_one_model_twice_is_refused(tmp_path):
    source = (
        "import functools, keras\n\n@functools.cache\ndef build(shape, outputs):\n"
        "    last = keras.layers.Dense(outputs)\n"
        "    return keras.Sequential([keras.Input(shape), last])\n"
    )
    (tmp_path / "builds_one_model.py").write_text(source)
    old = 'name = "mlp"\nhidden = [5]'
    text = STUDY.replace(old, 'build = "builds_one_model:build"')
    with pytest.raises(StudyError) as refused:
        study_of(written(tmp_path, text))
    assert str(refused.value).endswith(
        "model.build: builds_one_model:build must return a new model at every call; it "
        "returned the same weights twice."
    )


def test_a_trial_that_diverges_is_recorded_and_the_others_go_on(tmp_path, engine):
    text = (
        STUDY.replace("seeds = 2", "seeds = 1")
        .replace("learning_rate = 1e-2", 'learning_rate = 0.1\noptimizer = "sgd"')
        .replace("epochs = 2", "epochs = 3")
        .replace("strength = [1e-2]", "strength = [1e-2, 1e9]")
        .replace('["L1", "L1L2"]', '["L2"]')
        .replace('["kernel", "activity"]', '["kernel"]')
    )
    assert trained(written(tmp_path, text), tmp_path, engine=engine) == (3, 1)
    contents = read(tmp_path)
    failed = contents.finals.filter(strength=1e9).row(0, named=True)
    assert (failed["status"], failed["failed_epoch"]) == ("failed", 1)
    assert failed["test_score"] is None
    others = contents.finals.filter(pl.col("trial") != failed["trial"])
    assert others["status"].to_list() == ["done", "done"]
    assert others["test_score"].null_count() == 0


@pytest.mark.parametrize(
    ("data", "model"), [("diabetes", "linear"), ("wine", "autoencoder")]
)
def test_regression_and_autoencoders_are_scored_by_r2(tmp_path, data, model, engine):
    text = STUDY.replace('"iris"', f'"{data}"').replace('"mlp"', f'"{model}"')
    text = text.replace("seeds = 2", "seeds = 1").replace('["L1", "L1L2"]', '["L2"]')
    text = text.replace('["kernel", "activity"]', '["kernel"]')
    text = text.replace("hidden = [5]\n", "" if model == "linear" else "hidden = [5]\n")
    file = written(tmp_path, text)
    assert trained(file, tmp_path, engine=engine) == (2, 0)
    finals = read(tmp_path).finals
    study, _ = study_of(file)
    y, mean = study.split(0).y_test, study.split(0).y_train.mean(axis=0)
    r2 = 1 - ((y - mean) ** 2).sum() / ((y - y.mean(axis=0)) ** 2).sum()
    assert finals["majority_score"].to_list() == pytest.approx([r2, r2], abs=1e-4)
    error = finals["test_data_loss"] * y.shape[1]
    variance = ((y - y.mean(axis=0)) ** 2).sum() / len(y)
    np.testing.assert_allclose(finals["test_score"], 1 - error / variance, atol=1e-4)
    assert set(finals["task"]) == {"regression"}


@pytest.mark.parametrize("target", ["kernel", "bias", "activity"])
def test_attach_puts_the_penalty_where_the_trial_says(tmp_path, target):
    text = STUDY.replace('["kernel", "activity"]', f'["{target}"]')
    file = written(tmp_path, text)
    study, trials = study_of(file)
    model = study.build()
    attach(model, study, trials[-1])
    on_weights = {w.path for w in walk(model) if w.variable.regularizer is not None}
    on_outputs = {ly.name for ly in model.layers if ly.activity_regularizer is not None}
    both = {"hidden_1", "output"}
    expected = set() if target == "activity" else {f"{name}/{target}" for name in both}
    assert on_weights == expected
    assert on_outputs == ({"hidden_1"} if target == "activity" else set())
