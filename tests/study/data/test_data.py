import io
import pickle

import numpy as np
import polars as pl
import pytest

from kregkit.errors import DataError
from kregkit.known import DATASETS
from kregkit.study.data.data import load, rows, split
from kregkit.study.data.sources import LOADERS
from kregkit.study.file.config import DataConfig
from kregkit.study.file.tables import OWN_TEST

BUNDLED = [name for name in DATASETS if name not in OWN_TEST]
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4))
Y = np.arange(60) % 3


def saved(folder, **arrays):
    np.savez(folder / "d.npz", **arrays)
    return load(DataConfig(file="d.npz"), folder)


def refused(folder, config):
    with pytest.raises(DataError) as caught:
        load(config, folder)
    message = str(caught.value)
    assert "\n" not in message
    prefix = f"{folder / config.file}: "
    assert message.startswith(prefix)
    return message.removeprefix(prefix)


def refused_npz(folder, **arrays):
    np.savez(folder / "d.npz", **arrays)
    return refused(folder, DataConfig(file="d.npz"))


def refused_csv(folder, text):
    (folder / "d.csv").write_text(text)
    return refused(folder, DataConfig(file="d.csv", label="y"))


def keras_layout(folder, name, shape, count=50):
    x = RANDOM.integers(0, 200, (count, *shape)).astype("uint8")
    y = np.arange(count).astype("uint8") % 10
    np.savez(
        folder / f"{name}.npz",
        x_train=x,
        y_train=y[:, None] if name == "cifar10" else y,
        x_test=x[:20] + 55,
        y_test=y[:20],
    )


def test_every_data_set_of_the_schema_has_a_loader():
    assert set(LOADERS) == set(DATASETS)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_data_loads_as_its_line_says(name, tmp_path):
    data = load(DataConfig(name=name), tmp_path)
    assert data.name == name
    assert str(len(data.x)) in DATASETS[name]
    assert (data.task == "regression") == (name == "diabetes")
    if data.task == "classification":
        assert f"{data.outputs} classes" in DATASETS[name]
        assert sorted(set(data.y.tolist())) == list(range(data.outputs))
    else:
        assert data.outputs == 1
    assert data.image == (name == "digits")
    assert data.x_test is None
    if name == "digits":
        assert data.x.shape == (1797, 8, 8, 1)


@pytest.mark.parametrize("name", sorted(OWN_TEST))
def test_keras_data_comes_from_the_folder_first(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KREGKIT_DATA", str(tmp_path))
    shape = (32, 32, 3) if name == "cifar10" else (28, 28)
    keras_layout(tmp_path, name, shape)
    config = DataConfig(name=name)
    data = load(config, tmp_path)
    assert data.image
    assert data.x.shape == (50, *shape, 1)[:4]
    assert data.y.shape == (50,)
    assert data.outputs == 10
    first, second = (split(data, config, seed) for seed in (0, 1))
    np.testing.assert_array_equal(first.x_test, second.x_test)
    assert not np.array_equal(first.x_train, second.x_train)
    assert len(first.x_train) == 40
    assert len(first.x_val) == 10


@pytest.mark.parametrize("name", sorted(OWN_TEST))
@pytest.mark.parametrize("folder", ["unset", "without the file"])
def test_keras_data_without_network_names_both_ways(
    name, folder, tmp_path, monkeypatch
):
    import keras

    def load_data():
        raise Exception("URL fetch failure on https://h/f: None -- [Errno -2] no")

    monkeypatch.delenv("KREGKIT_DATA", raising=False)
    if folder != "unset":
        monkeypatch.setenv("KREGKIT_DATA", str(tmp_path))
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", load_data)
    with pytest.raises(DataError) as caught:
        load(DataConfig(name=name), tmp_path)
    assert str(caught.value) == (
        f"{name}: could not be downloaded by keras.datasets (URL fetch failure on "
        "https://h/f: None -- [Errno -2] no); connect to the network, or set "
        f"KREGKIT_DATA to a folder that holds {name}.npz (x_train, y_train, x_test, "
        "y_test)."
    )


def test_keras_data_comes_from_keras_without_the_folder(tmp_path, monkeypatch):
    import keras

    x, y = np.arange(40 * 4).reshape(40, 2, 2).astype("uint8"), np.arange(40) % 2
    monkeypatch.delenv("KREGKIT_DATA", raising=False)
    monkeypatch.setattr(
        keras.datasets.mnist, "load_data", lambda: ((x, y), (x[:10], y[:10]))
    )
    data = load(DataConfig(name="mnist"), tmp_path)
    np.testing.assert_array_equal(data.x[..., 0], x)
    assert len(data.x_test) == 10


@pytest.mark.parametrize("name", BUNDLED)
def test_parts_are_disjoint_whole_stratified_and_seeded(name, tmp_path):
    config = DataConfig(name=name, test_fraction=0.25, validation_fraction=0.2)
    data = load(config, tmp_path)
    parts = rows(data, config, 3)
    count = len(data.x)
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    assert len(parts[2]) == round(0.25 * count)
    assert len(parts[1]) == round(0.2 * count)
    if data.task == "classification":
        whole = np.bincount(data.y) / count
        for part in parts:
            share = np.bincount(data.y[part], minlength=data.outputs) / len(part)
            np.testing.assert_allclose(share, whole, atol=1.01 / len(part))
    for part, again in zip(parts, rows(data, config, 3), strict=True):
        np.testing.assert_array_equal(part, again)
    for part, other in zip(parts, rows(data, config, 4), strict=True):
        assert not np.array_equal(part, other)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_split_is_scaled_float32_and_the_same_every_time(name, tmp_path):
    config = DataConfig(name=name)
    data = load(config, tmp_path)
    train, val, test = rows(data, config, 1)
    own, again = split(data, config, 1), split(data, config, 1)
    for part, name_of_part in ((train, "train"), (val, "val"), (test, "test")):
        x, y = (getattr(own, f"{axis}_{name_of_part}") for axis in "xy")
        assert x.dtype == np.float32
        assert len(x) == len(y) == len(part)
        np.testing.assert_array_equal(x, getattr(again, f"x_{name_of_part}"))
        if data.task == "classification":
            assert y.dtype == np.int64
            np.testing.assert_array_equal(y, data.y[part])
        else:
            assert y.dtype == np.float32
            assert y.shape == (len(part), 1)
            low, high = data.y[train].mean(), data.y[train].std()
            np.testing.assert_allclose(y, (data.y[part] - low) / high, rtol=1e-5)
        if data.image:
            expected = data.x[part] / data.x[train].max()
        else:
            mean, deviation = data.x[train].mean(axis=0), data.x[train].std(axis=0)
            expected = (data.x[part] - mean) / deviation
        np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("image", [False, True])
def test_what_is_not_for_training_has_no_influence_on_scaling(image, tmp_path):
    config = DataConfig(file="d.npz")
    x = np.abs(X[..., None, None] * np.ones((4, 1))) if image else X
    data = saved(tmp_path, x=x, y=Y)
    _, val, test = rows(data, config, 0)
    changed = x.copy()
    changed[np.concatenate([val, test])] *= 1000
    other = split(saved(tmp_path, x=changed, y=Y), config, 0)
    own = split(data, config, 0)
    np.testing.assert_array_equal(own.x_train, other.x_train)
    assert np.abs(other.x_test).max() > 100


def test_regression_targets_outside_training_do_not_influence_it(tmp_path):
    config = DataConfig(file="d.npz")
    y = X @ np.ones(4)
    data = saved(tmp_path, x=X, y=y)
    assert data.task == "regression"
    _, val, _ = rows(data, config, 0)
    changed = y.copy()
    changed[val] += 1000
    own = split(data, config, 0)
    other = split(saved(tmp_path, x=X, y=changed), config, 0)
    np.testing.assert_array_equal(own.y_train, other.y_train)
    assert own.y_train.std() == pytest.approx(1, abs=1e-6)


def test_columns_constant_in_training_become_zero_everywhere(tmp_path):
    config = DataConfig(file="d.npz")
    _, _, test = rows(saved(tmp_path, x=X, y=Y), config, 0)
    x = X.copy()
    x[:, 1] = 0.1
    x[test, 1] = 7.0
    own = split(saved(tmp_path, x=x, y=Y), config, 0)
    assert not own.x_train[:, 1].any()
    assert not own.x_val[:, 1].any()
    assert not own.x_test[:, 1].any()
    assert own.x_test[:, 0].any()


def test_black_images_stay_zero(tmp_path):
    data = saved(tmp_path, x=np.zeros((60, 2, 2)), y=Y)
    assert not split(data, DataConfig(file="d.npz"), 0).x_train.any()


def test_signed_images_are_divided_by_the_largest_magnitude(tmp_path):
    x = np.full((60, 2, 2, 1), -128, dtype="int8")
    own = split(saved(tmp_path, x=x, y=Y), DataConfig(file="d.npz"), 0)
    assert (own.x_train == -1).all()


def test_image_gets_a_channel_axis(tmp_path):
    x = np.ones((60, 3, 4), "uint8")
    assert saved(tmp_path, x=x, y=Y).x.shape == (60, 3, 4, 1)
    assert saved(tmp_path, x=np.ones((60, 3, 4, 2)), y=Y).x.shape == (60, 3, 4, 2)


def test_a_test_part_of_its_own_stays(tmp_path):
    config = DataConfig(file="d.npz", test_fraction=0.9)
    data = saved(tmp_path, x_train=X[:45], y_train=Y[:45], x_test=X[45:], y_test=Y[45:])
    train, val, test = rows(data, config, 0)
    assert (len(train), len(val), len(test)) == (36, 9, 0)
    own = split(data, config, 0)
    np.testing.assert_array_equal(own.y_test, Y[45:])
    mean, deviation = X[train].mean(axis=0), X[train].std(axis=0)
    np.testing.assert_allclose(own.x_test, (X[45:] - mean) / deviation, rtol=1e-5)


@pytest.mark.parametrize("kind", ["int32", "uint8", "float16", "float64", "bool"])
def test_labels_are_numbered_in_sorted_order(kind, tmp_path):
    y = (Y > 0) if kind == "bool" else (Y * 2 + 3).astype(kind)
    data = saved(tmp_path, x=X, y=y)
    np.testing.assert_array_equal(data.y, Y > 0 if kind == "bool" else Y)
    assert data.labels == ((0, 1) if kind == "bool" else (3, 5, 7))
    assert data.task == "classification"


def test_task_decides_what_whole_numbers_mean(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=np.arange(60))
    config = DataConfig(file="d.npz", task="regression")
    assert load(config, tmp_path).task == "regression"
    config = DataConfig(file="d.npz", task="classification")
    np.savez(tmp_path / "d.npz", x=X, y=Y + 0.5)
    message = "labels that are not integers; number the classes 0, 1, ..., or set "
    assert refused(tmp_path, config) == message + "task = 'regression'."


def test_csv_and_parquet_are_read_alike(tmp_path):
    table = pl.DataFrame(X, schema=list("abcd")).with_columns(y=pl.Series(Y))
    table.write_csv(tmp_path / "d.csv")
    table.write_parquet(tmp_path / "d.parquet")
    for name in ("d.csv", "d.parquet"):
        data = load(DataConfig(file=name, label="y"), tmp_path)
        assert data.name == name
        np.testing.assert_allclose(data.x, X)
        np.testing.assert_array_equal(data.y, Y)


class TestBadFiles:
    def test_missing(self, tmp_path):
        for name in ("d.npz", "d.csv", "d.parquet"):
            config = DataConfig(file=name, label=None if name == "d.npz" else "y")
            assert refused(tmp_path, config) == "no such file."

    @pytest.mark.parametrize("cut", [0, 1, 100, 1500])
    def test_truncated_npz(self, cut, tmp_path):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, x=X, y=Y)
        (tmp_path / "d.npz").write_bytes(buffer.getvalue()[:cut])
        message = refused(tmp_path, DataConfig(file="d.npz"))
        assert message == "damaged, or not an .npz file."

    def test_npz_with_a_changed_byte(self, tmp_path):
        buffer = io.BytesIO()
        np.savez(buffer, x=X, y=Y)
        content = bytearray(buffer.getvalue())
        content[500] ^= 1
        (tmp_path / "d.npz").write_bytes(content)
        message = refused(tmp_path, DataConfig(file="d.npz"))
        assert message == "damaged, or not an .npz file."

    def test_one_array_without_a_name(self, tmp_path):
        with (tmp_path / "d.npz").open("wb") as file:
            np.save(file, X)
        message = refused(tmp_path, DataConfig(file="d.npz"))
        assert message == "damaged, or not an .npz file."

    def test_pickle(self, tmp_path):
        (tmp_path / "d.npz").write_bytes(pickle.dumps({"x": 1}))
        message = refused(tmp_path, DataConfig(file="d.npz"))
        assert message == "damaged, or not an .npz file."

    def test_objects(self, tmp_path):
        y = np.array([0, "a", None] * 20, dtype=object)
        message = (
            "y holds Python objects, which are not loaded; save numbers, or words by "
            "astype(str); of a sparse matrix save toarray()."
        )
        assert refused_npz(tmp_path, x=X, y=y) == message

    def test_objects_that_are_not_needed_are_never_loaded(self, tmp_path):
        names = np.array([None, "b"], dtype=object)
        assert saved(tmp_path, x=X, y=Y, names=names).outputs == 3

    @pytest.mark.parametrize(
        ("arrays", "holds"),
        [
            ({"x": X}, "x"),
            ({"inputs": X, "y": Y}, "inputs, y"),
            ({"x": X, "y": Y, "x_test": X}, "x, x_test, y"),
            ({"x_train": X, "y_train": Y}, "x_train, y_train"),
            ({}, "nothing"),
        ],
    )
    def test_wrong_arrays(self, arrays, holds, tmp_path):
        message = (
            f"must hold x and y, or x_train, y_train, x_test and y_test; holds {holds}."
        )
        assert refused_npz(tmp_path, **arrays) == message

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite(self, value, tmp_path):
        x, y = X.copy(), X[:, 0].copy()
        x[4, 1] = x[9, 0] = y[2] = value
        many = f"2 values that are NaN or infinite, the first, {value}, in"
        one = f"1 value that is NaN or infinite, the first, {value}, in"
        place = "row 5 of column 2."
        assert refused_npz(tmp_path, x=x, y=Y) == f"x has {many} {place}"
        assert refused_npz(tmp_path, x=X, y=y) == f"y has {one} row 3."
        test = {"x_test": x, "y_test": Y}
        message = refused_npz(tmp_path, x_train=X, y_train=Y, **test)
        assert message == f"x_test has {many} {place}"

    def test_different_lengths(self, tmp_path):
        message = refused_npz(tmp_path, x=X, y=Y[1:])
        assert message == "x has 60 rows and y has 59."
        parts = {"x_train": X, "y_train": Y, "x_test": X[:9], "y_test": Y[:8]}
        message = refused_npz(tmp_path, **parts)
        assert message == "x_test has 9 rows and y_test has 8."

    def test_different_columns(self, tmp_path):
        parts = {"x_train": X, "y_train": Y, "x_test": X[:, :3], "y_test": Y}
        message = "rows of x_test are (3,), but rows of x_train are (4,)."
        assert refused_npz(tmp_path, **parts) == message

    def test_one_class_only(self, tmp_path):
        message = refused_npz(tmp_path, x=X, y=Y * 0 + 7)
        assert message == "has one class only: 7."
        message = refused_npz(tmp_path, x=X, y=Y * 0 + 7.5)
        assert message == "has one target value only: 7.5."

    def test_label_of_the_test_part_alone(self, tmp_path):
        parts = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1}
        message = "y_test has the label 3, which y_train does not have."
        assert refused_npz(tmp_path, **parts) == message

    def test_words(self, tmp_path):
        words = np.full((60, 2), "a")
        message = "x must hold numbers; holds <U1."
        assert refused_npz(tmp_path, x=words, y=Y) == message

    @pytest.mark.parametrize("shape", [(60,), (60, 0), (60, 2, 2, 2, 1), (0, 4)])
    def test_shape_of_x(self, shape, tmp_path):
        message = (
            "x must be (rows, columns), a series (rows, steps, features), or images "
            "(rows, height, width) or (rows, height, width, channels), none of them 0; "
            f"received {shape}."
        )
        assert refused_npz(tmp_path, x=np.zeros(shape), y=Y) == message

    def test_shape_of_y(self, tmp_path):
        message = "y must hold one label, or several numbers, for each row; received "
        assert (
            refused_npz(tmp_path, x=X, y=np.ones((60, 3, 2))) == message + "(60, 3, 2)."
        )

    def test_csv_label_that_is_not_there(self, tmp_path):
        message = "column: unknown 'y'. Known: a, b."
        assert refused_csv(tmp_path, "a,b\n1,2\n") == message

    def test_csv_without_another_column(self, tmp_path):
        assert refused_csv(tmp_path, "y\n1\n") == "has no column except 'y'."

    def test_csv_with_a_hole(self, tmp_path):
        message = refused_csv(tmp_path, "a,y\n1,0\n,1\n,1\n")
        assert message == (
            "column 'a' has 2 missing values, the first in row 2. Set missing = "
            "'impute' or 'indicator' for missing values."
        )

    def test_csv_with_nan(self, tmp_path):
        message = (
            "column 'a' has 1 missing value, 'NaN' in row 2. Set missing = 'impute' or "
            "'indicator' for missing values."
        )
        assert refused_csv(tmp_path, "a,y\n1,0\nNaN,1\n") == message

    def test_csv_that_is_empty(self, tmp_path):
        assert refused_csv(tmp_path, "") == "is empty."

    def test_csv_with_a_long_row(self, tmp_path):
        message = refused_csv(tmp_path, "a,y\n1,0\n1,2,3,4\n")
        assert message == "row 2 has 4 values, and the first line names 2 columns."

    def test_parquet_that_is_damaged(self, tmp_path):
        config = DataConfig(file="d.parquet", label="y")
        pl.DataFrame({"a": [1, 2], "y": [0, 1]}).write_parquet(tmp_path / "d.parquet")
        content = (tmp_path / "d.parquet").read_bytes()
        for damaged in (b"", content[:50], content[:-1], b"PAR1" * 9):
            (tmp_path / "d.parquet").write_bytes(damaged)
            assert refused(tmp_path, config).startswith("cannot be read: ")


class TestSplitsThatCannotBe:
    def refused(self, folder, y, **fractions):
        config = DataConfig(file="d.npz", **fractions)
        np.savez(folder / "d.npz", x=np.ones((len(y), 2)), y=y)
        data = load(config, folder)
        with pytest.raises(DataError) as caught:
            split(data, config, 0)
        return str(caught.value)

    def test_nothing_left_to_train_on(self, tmp_path):
        message = self.refused(
            tmp_path, Y[:9], test_fraction=0.5, validation_fraction=0.6
        )
        assert message == (
            "d.npz: 5 rows for validation and 4 for testing leave none of the 9 to "
            "train on."
        )

    def test_class_with_too_few_rows(self, tmp_path):
        message = self.refused(tmp_path, np.array([4] * 30 + [9] * 2))
        assert message == (
            "d.npz: class 9 has 2 rows, too few for a row in each of 3 parts; for "
            "targets that are no classes, set task = 'regression'."
        )

    def test_part_with_too_few_rows_for_the_classes(self, tmp_path):
        message = self.refused(tmp_path, Y[:12], validation_fraction=0.1)
        assert message == (
            "d.npz: a part of 1 row cannot hold a row of each of 3 classes."
        )

    def test_class_that_a_part_misses(self, tmp_path):
        message = self.refused(tmp_path, np.array([0] * 57 + [1] * 3))
        assert message.startswith("d.npz: the ")
        assert message.endswith(
            " part of seed 0 has no row of class 1, which has too few rows."
        )

    def test_targets_of_a_part_that_do_not_differ(self, tmp_path):
        y = X[:, 0]
        message = self.refused(tmp_path, y[:12], validation_fraction=0.1)
        assert message == (
            "d.npz: the targets of the validation part of seed 0 (1 row) do not "
            "differ, so that R² is not defined."
        )
        parts = {"x_train": X[:45], "y_train": y[:45]}
        for test, count in (([45], "1 row"), ([45, 45, 45], "3 rows")):
            data = saved(tmp_path, **parts, x_test=X[test], y_test=y[test])
            with pytest.raises(DataError) as caught:
                split(data, DataConfig(file="d.npz"), 0)
            assert str(caught.value) == (
                f"d.npz: the targets of the test part ({count}) do not differ, so "
                "that R² is not defined."
            )
        both = np.stack([y, y], axis=1)
        data = saved(
            tmp_path,
            x_train=X[:45],
            y_train=both[:45],
            x_test=X[45:47],
            y_test=np.stack([y[[45, 45]], y[[45, 46]]], axis=1),
        )
        assert len(split(data, DataConfig(file="d.npz"), 0).y_test) == 2

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_value_that_the_training_part_cannot_scale(self, seed, tmp_path):
        config, x = DataConfig(file="d.npz"), X.copy()
        _, _, test = rows(saved(tmp_path, x=X, y=Y), config, seed)
        x[test[3], 2] = 1e300
        data = saved(tmp_path, x=x, y=Y)
        with pytest.raises(DataError) as caught:
            split(data, config, seed)
        assert str(caught.value) == (
            f"d.npz: the value 1e+300 in row {test[3] + 1} of column 3 of x is too "
            f"large to be scaled by the training part of seed {seed}."
        )
