"""Losses that a study names, against formulas in NumPy."""

import numpy as np
import pytest
from keras import ops

from kregkit.errors import StudyError
from kregkit.known import LOSSES
from kregkit.study.file import config
from kregkit.study.problem.losses import check_loss, made

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(7, 3)).astype("float32")
LABELS = RANDOM.integers(0, 3, 7)
TARGETS = (3 * RANDOM.normal(size=(7, 3))).astype("float32")
APART = np.float64(LOGITS) - TARGETS
SIZE = np.abs(APART)


def cross_entropy():
    powers = np.exp(np.float64(LOGITS))
    return -np.log(powers[np.arange(7), LABELS] / powers.sum(axis=1)).mean()


BY_HAND = {
    "huber": lambda: np.where(SIZE <= 1, SIZE**2 / 2, SIZE - 0.5).mean(),
    "log_cosh": lambda: np.log(np.cosh(APART)).mean(),
    "mean_absolute_error": lambda: SIZE.mean(),
    "mean_squared_error": lambda: (SIZE**2).mean(),
    "sparse_categorical_crossentropy": cross_entropy,
}


def test_the_table_is_of_every_loss():
    assert set(BY_HAND) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_a_named_loss_is_its_formula(name, tmp_path):
    task = LOSSES[name]
    y = LABELS if task == "classification" else TARGETS
    check_loss(name, tmp_path, task, y, 3)
    assert float(made(name, tmp_path)(y, LOGITS)) == pytest.approx(
        BY_HAND[name](), 1e-5
    )
    other = {"classification": "regression", "regression": "classification"}[task]
    with pytest.raises(StudyError) as caught:
        check_loss(name, tmp_path, other, y, 3)
    assert str(caught.value) == f"is for {task}; this study is a {other}."


OWN = """
from keras import ops

def cubed(y, outputs):
    return ops.mean(ops.abs(outputs - y) ** 3, axis=-1)

def whole(y, outputs):
    return ops.mean(ops.abs(outputs - y))

def broken(y, outputs):
    return outputs["a"]
"""


def test_a_function_of_the_user_is_the_mean_of_its_rows(tmp_path):
    (tmp_path / "own_losses.py").write_text(OWN)
    check_loss("own_losses:cubed", tmp_path, "regression", TARGETS, 3)
    loss = made("own_losses:cubed", tmp_path)
    found = float(loss(ops.convert_to_tensor(TARGETS), ops.convert_to_tensor(LOGITS)))
    assert found == pytest.approx((SIZE**3).mean(), 1e-5)


REFUSED = {
    "whole": "must return a number for each row, of shape (3,) for 3 rows; rec",
    "broken": "raised ",
    "nothing": "module 'own_losses' has no 'nothing'.",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_function_that_cannot_be_trained_on_is_refused(name, tmp_path):
    (tmp_path / "own_losses.py").write_text(OWN)
    with pytest.raises(StudyError) as caught:
        check_loss(f"own_losses:{name}", tmp_path, "regression", TARGETS, 3)
    assert REFUSED[name] in str(caught.value)


STUDY = """
name = "a"
seeds = 1
[data]
name = "iris"
[model]
name = "mlp"
[train]
epochs = 1
loss = "{}"
[[sweep]]
regularizer = "L1"
target = "kernel"
strength = 1e-3
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hubert", "unknown 'hubert'. Did you mean 'huber'? Known: huber, log_cosh, "),
        ("a:b:c", "must be a loss of Keras's, or like 'package.module:function'; rec"),
    ],
)
def test_a_loss_that_is_none_is_one_located_line(name, message):
    with pytest.raises(StudyError) as caught:
        config.parse(STUDY.format(name), "s.toml")
    assert str(caught.value).startswith(f"s.toml:10: train.loss: {message}")


TYPED = """
import keras
from keras import ops

def typed(y, outputs):
    if keras.backend.standardize_dtype(y.dtype) != "float32":
        raise TypeError(f"labels of {y.dtype}")
    return ops.sum(outputs, axis=-1) - y
"""


def test_a_function_is_tried_with_the_targets_that_keras_trains_it_with(tmp_path):
    """Keras makes float32 of labels too."""
    (tmp_path / "typed_losses.py").write_text(TYPED)
    given = ops.convert_to_tensor(LABELS), ops.convert_to_tensor(LOGITS)
    found = float(made("typed_losses:typed", tmp_path)(*given))
    assert found == pytest.approx((LOGITS.sum(axis=1) - LABELS).mean(), 1e-5)
    check_loss("typed_losses:typed", tmp_path, "classification", LABELS, 3)
