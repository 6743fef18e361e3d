"""Arrays as people have them: images, series, ids, targets; and broken archives."""

import io
import struct
import zipfile

import numpy as np
import pytest
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from kregkit.errors import DataError
from kregkit.study.data import archives
from kregkit.study.data.data import load, rows, split, told
from kregkit.study.file.config import DataConfig

COUNT = 60
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(COUNT, 4))
Y = np.arange(COUNT) % 3
GREY = RANDOM.integers(0, 256, (COUNT, 6, 5))
SERIES = RANDOM.normal(size=(COUNT, 6, 5)) * [1, 10, 100, 1e5, 1e-5] + 7
ONE_HOT = np.eye(5)[RANDOM.integers(0, 5, (COUNT, 6))]
IDS = RANDOM.integers(0, 900, (COUNT, 8))


def loaded(folder, x, y=Y, own_model=False, **options):
    np.savez(folder / "d.npz", x=x, y=y)
    config = DataConfig(file="d.npz", **options)
    return load(config, folder, own_model), config


def parts_of(data, config):
    own = split(data, config, 0)
    return rows(data, config, 0), (own.x_train, own.x_val, own.x_test)


def standardised(x, train):
    """By the last axis, as scikit-learn does it."""
    flat = x.reshape(-1, x.shape[-1]).astype("float64")
    learned = StandardScaler().fit(x[train].reshape(-1, x.shape[-1]))
    return learned.transform(flat).reshape(x.shape)


def divided(x, train):
    return x / np.abs(x[train].astype("float64")).max()


CHANNEL = GREY[..., None]
WHOLE_SERIES = GREY * 100
KINDS = {  # x, own model, scale, what it becomes, how it is scaled, in words
    "grey uint8": (GREY.astype("uint8"), 0, None, CHANNEL, divided, "image"),
    "grey int64": (GREY, 0, None, CHANNEL, divided, "image"),
    "grey int64, own": (GREY, 1, None, CHANNEL, divided, "image"),
    "grey floats": (GREY.astype("float32"), 0, None, CHANNEL, divided, "image"),
    "grey / 255": (GREY / 255, 1, None, CHANNEL / 255, divided, "image"),
    "grey / 255 float32": (
        (GREY / 255).astype("float32"),
        *(0, None, CHANNEL / 255, divided, "image"),
    ),
    "uint16": (
        (GREY * 200).astype("uint16"),
        *(1, "auto", CHANNEL * 200, divided, "image"),
    ),
    "channels": (SERIES[..., None], 0, None, SERIES[..., None], divided, "image"),
    "image by scale": (SERIES, 0, "image", SERIES[..., None], divided, "image"),
    "channels, standard": (
        *(SERIES[:, :, None], 0, "standard", SERIES[:, :, None], standardised),
        "channel",
    ),
    "series": (SERIES, 0, None, SERIES, standardised, "feature"),
    "series, own": (SERIES, 1, None, SERIES, standardised, "feature"),
    "series float32": (
        SERIES.astype("float32"),
        *(1, "auto", SERIES.astype("float32"), standardised, "feature"),
    ),
    "one-hot steps": (ONE_HOT, 1, None, ONE_HOT, standardised, "feature"),
    "true or false steps": (ONE_HOT > 0, 1, None, ONE_HOT, standardised, "feature"),
    "series by scale": (GREY, 1, "standard", GREY, standardised, "feature"),
    "whole series": (WHOLE_SERIES, 0, None, WHOLE_SERIES, standardised, "feature"),
    "whole series, own": (WHOLE_SERIES, 1, None, WHOLE_SERIES, None, "as they are"),
    "columns": (X, 1, None, X, standardised, "column"),
    "ids": (IDS, 0, None, IDS, standardised, "column"),
    "ids, own": (IDS, 1, None, IDS, None, "as they are"),
    "ids uint8, own": (IDS.astype("uint8"), 1, None, IDS % 256, None, "as they are"),
    "ids as floats, own": (IDS / 1.0, 1, "none", IDS, None, "as they are"),
    "ids standardised": (IDS, 1, "standard", IDS, standardised, "column"),
    "none": (X, 0, "none", X, None, "as they are"),
    "columns as pixels": (IDS, 1, "image", IDS, divided, "magnitude"),
}


@pytest.mark.parametrize(
    ("x", "own", "scale", "becomes", "by", "words"), KINDS.values(), ids=KINDS
)
def test_inputs_are_told_apart_and_scaled(x, own, scale, becomes, by, words, tmp_path):
    data, config = loaded(tmp_path, x, own_model=bool(own), scale=scale)
    assert data.x.shape == becomes.shape
    which, parts = parts_of(data, config)
    expected = becomes if by is None else by(becomes, which[0])
    for own_rows, part in zip(which, parts, strict=True):
        np.testing.assert_allclose(part, expected[own_rows], rtol=2e-5, atol=1e-5)
    assert words in data.notes
    assert told(data, config) == f"inputs: {data.notes}\n"


@pytest.mark.parametrize(
    ("shape", "first"),
    [
        ((3, 8, 8), True),
        ((1, 28, 28), True),
        ((8, 8, 3), False),
        ((3, 3, 3), False),
        ((3, 8, 16), False),
        ((8, 8, 8), False),
    ],
)
def test_channels_that_come_first_are_noted(shape, first, tmp_path):
    data, _ = loaded(tmp_path, np.ones((60, *shape), "uint8"))
    told_so = "; looks like channels first, which Keras wants last" in data.notes
    assert told_so == first


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "uint16"])
def test_integers_stay_integers_for_a_model_of_ones_own(kind, tmp_path):
    own, _ = loaded(tmp_path, (IDS % 200).astype(kind), own_model=True)
    parts = split(own, DataConfig(file="d.npz"), 0)
    assert parts.x_train.dtype == np.int32
    built_in, config = loaded(tmp_path, (IDS % 200).astype(kind))
    assert split(built_in, config, 0).x_train.dtype == np.float32


@pytest.mark.parametrize("changed", ["x_train", "x_test"])
def test_parts_of_two_kinds_are_trained_as_one(changed, tmp_path):
    arrays = {"x_train": IDS, "y_train": Y, "x_test": IDS, "y_test": Y}
    np.savez(tmp_path / "d.npz", **arrays | {changed: IDS + 0.5})
    config = DataConfig(file="d.npz", scale="none")
    own = split(load(config, tmp_path, True), config, 0)
    assert own.x_train.dtype == own.x_test.dtype == np.float32
    np.testing.assert_array_equal(own.x_test, IDS + 0.5 * (changed == "x_test"))


SCALES = [1e-320, 1e-300, 1e-160, 1e-20, 1.0, 1e20, 1e154, 1e200, 1e307]


@pytest.mark.parametrize("size", SCALES)
@pytest.mark.parametrize("kind", ["columns", "series", "images", "targets"])
def test_no_size_of_numbers_is_lost(size, kind, tmp_path):
    shape = {"columns": (4,), "series": (3, 4), "images": (3, 4, 1), "targets": (4,)}
    plain = np.clip(RANDOM.normal(size=(COUNT, *shape[kind])), -9, 9)
    if size == 1e-320:
        plain = np.rint(plain * 100)  # subnormal numbers have no more digits
    results = []
    for x in (plain, plain * size):
        if kind == "targets":
            task = {"task": "regression"}
            data, config = loaded(tmp_path, X, x[:, 0], **task)
            results.append(split(data, config, 0).y_train)
        else:
            data, config = loaded(tmp_path, x)
            results.append(split(data, config, 0).x_train)
    assert results[1].any()
    np.testing.assert_allclose(results[1], results[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("indicator", [False, True])
def test_missing_values_are_imputed_by_the_median_of_training(indicator, tmp_path):
    x = X.copy()
    x[::7, 1] = np.nan
    missing = "indicator" if indicator else "impute"
    data, config = loaded(tmp_path, x, missing=missing)
    (train, _, test), (own, _, other) = parts_of(data, config)
    filled = np.where(np.isnan(x), np.nanmedian(x[train], axis=0), x)
    flags = np.isnan(x[:, 1:2])[:, : int(indicator)]
    filled = standardised(np.hstack([filled, flags]), train)
    np.testing.assert_allclose(own, filled[train], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(other, filled[test], rtol=1e-5, atol=1e-6)
    assert "missing values of 'x[:, 1]' imputed" in data.notes


WORDS = np.array(["b", "a", "a word"])
CLASSES = {
    "words": (WORDS[Y], ("a", "a word", "b")),
    "bytes": (WORDS.astype("S")[Y], ("a", "a word", "b")),
    "numbers in words": (np.array(["10", "9", "2"])[Y], ("10", "2", "9")),
    "gaps": (np.array([5, 0, 2])[Y], (0, 2, 5)),
    "beyond 2**53": (np.array([2**62, 2**62 + 1, -1])[Y], (-1, 2**62, 2**62 + 1)),
    "one-hot": (np.eye(3)[Y], (0, 1, 2)),
    "one-hot integers": (np.eye(3, dtype=int)[Y], (0, 1, 2)),
    "a column": (Y[:, None], (0, 1, 2)),
}


@pytest.mark.parametrize(("y", "labels"), CLASSES.values(), ids=CLASSES)
def test_classes_are_numbered_in_the_order_of_their_labels(y, labels, tmp_path):
    data, _ = loaded(tmp_path, X, y)
    assert data.task == "classification"
    assert data.labels == labels
    first = {
        label: y[c == Y][0]
        for c in range(3)
        for label in (data.labels[int(data.y[c])],)
    }
    for label, raw in first.items():
        raw = raw.argmax() if np.ndim(raw) and len(raw) > 1 else np.ravel(raw)[0]
        assert (raw.decode() if isinstance(raw, bytes) else raw) == label


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("whole", [False, True])
def test_several_targets_are_a_regression_each_standardised(count, whole, tmp_path):
    y = X @ RANDOM.normal(size=(4, count)) * 10.0 ** np.arange(count)
    y = np.rint(y * 10).astype(int) if whole else y
    task = {"task": "regression"} if whole else {}
    data, config = loaded(tmp_path, X, y, **task)
    assert (data.task, data.outputs) == ("regression", count)
    train, _, test = rows(data, config, 0)
    own = split(data, config, 0)
    scale = StandardScaler().fit(y[train])
    np.testing.assert_allclose(
        own.y_train, scale.transform(y[train]), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        own.y_test, scale.transform(y[test]), rtol=1e-4, atol=1e-5
    )


REFUSED = {
    "words as inputs": (
        {"x": np.full((COUNT, 2), "1"), "y": Y},
        "x must hold numbers; holds <U1.",
    ),
    "labels that are missing": (
        {"x": X, "y": np.where(Y == 1, "nan", "b")},
        "y has 20 missing labels, the first, 'nan', in row 2.",
    ),
    "several whole numbers": (
        {"x": X, "y": GREY[:, :2, 0]},
        "y must hold one label for each row, or one-hot rows; received (60, 2); or "
        "set task = 'regression'.",
    ),
    "a target that is constant": (
        {"x": X, "y": np.c_[X[:, 0], np.ones(COUNT)]},
        "column 2 of y has one target value only: 1.",
    ),
    "labels beyond int64": (
        {"x": X, "y": Y.astype("uint64") + 2**63},
        "y has the label 9.22337e+18 in row 1, too large to be exact; "
        "number the classes 0, 1, ..., or set task = 'regression'.",
    ),
    "labels beyond 2**53 in floats": (
        {"x": X, "y": Y + 2.0**53},
        "y has the label 9.0072e+15 in row 1, too large to be exact; "
        "number the classes 0, 1, ..., or set task = 'regression'.",
    ),
    "an infinite pixel": (
        {"x": np.where(SERIES[3, 2, 1] == SERIES, np.inf, SERIES), "y": Y},
        "x has 1 value that is NaN or infinite, the first, inf, in row 4 at [2, 1].",
    ),
    "sparse": (
        {"x": sparse.csr_array(X), "y": Y},
        "x holds Python objects, which are not loaded; save numbers, or words by "
        "astype(str); of a sparse matrix save toarray().",
    ),
}


@pytest.mark.parametrize(("arrays", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_one_line(arrays, message, tmp_path):
    np.savez(tmp_path / "d.npz", **arrays)
    assert refused(tmp_path) == message


def refused(folder):
    with pytest.raises(DataError) as caught:
        load(DataConfig(file="d.npz"), folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message.removeprefix(f"{folder / 'd.npz'}: ")


def test_a_sparse_matrix_of_scipy_is_refused_in_words(tmp_path):
    sparse.save_npz(tmp_path / "d.npz", sparse.csr_matrix(X))
    assert refused(tmp_path) == (
        "must hold x and y, or x_train, y_train, x_test and y_test; holds data, "
        "format, indices, indptr, shape (a sparse matrix of SciPy: save x.toarray() "
        "and y by numpy.savez)."
    )


def header(shape, descr="<f8", version=1):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"
    width = "<H" if version == 1 else "<I"
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack(width, len(text))
        + text.encode()
    )


def archive(folder, *chunks):
    with zipfile.ZipFile(folder / "d.npz", "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("x.npy", "w") as opened:
            for chunk in chunks:
                opened.write(chunk)
        labels = io.BytesIO()
        np.save(labels, Y)
        file.writestr("y.npy", labels.getvalue())


NINES = "9" * 4000
SHAPES = {
    "(60, 5)": "damaged: x of shape (60, 5) and float64 takes 2400 bytes; the file "
    "holds 1920.",
    "(60, 400000000000)": "damaged: x of shape (60, 400000000000) and float64 takes "
    "192000000000000 bytes; the file holds 1920.",
    "(-60, -4)": "damaged: x of shape (-60, -4) and float64 takes 1920 bytes; the file "
    "holds 1920.",
    f"({NINES}, 4)": f"damaged: x of shape ({'9' * 38}…) and float64 takes "
    f"31{'9' * 37}…8 bytes; the file holds 1920.",
    "(60.0, 4)": "damaged, or not an .npz file.",
    "(" * 3000: "damaged, or not an .npz file.",
    "9" * 5000: "damaged, or not an .npz file.",
}


@pytest.mark.parametrize(("shape", "message"), SHAPES.items(), ids=range(len(SHAPES)))
def test_a_false_shape_is_one_line_and_nothing_is_read(
    shape, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(np, "load", None)
    archive(tmp_path, header(shape), X.tobytes())
    assert refused(tmp_path) == message


def test_an_archive_that_is_larger_than_the_memory_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "memory", lambda: 16 << 20)
    monkeypatch.setattr(np, "load", None)
    row = b"\0" * (1 << 20)
    archive(tmp_path, header(f"(32, {len(row) // 8})"), *[row] * 32)
    assert (tmp_path / "d.npz").stat().st_size < 1 << 20
    message = "x and y need 32 MiB of memory; 16 MiB are left."
    assert refused(tmp_path) == message


@pytest.mark.parametrize(
    "start", [b"\x93NUMPY\x09\x00", b"\x93NUMPY\x02\x00\xff\xff\xff\xff"]
)
def test_a_header_that_is_none_is_one_line(start, tmp_path):
    archive(tmp_path, start, b"a" * 1000)
    assert refused(tmp_path) == "damaged, or not an .npz file."
