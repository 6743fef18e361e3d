"""The layer that adds a penalty by a reduction of its own, against NumPy and `fit`."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from helpers.gradients import numpy
from kregkit import regularizers
from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ParameterError
from kregkit.layers import ActivityRegularization
from kregkit.regularizers import L1, L2, DeCov

pytestmark = pytest.mark.torch

RANDOM = np.random.default_rng(0)
H = np.float32(RANDOM.normal(size=(4, 5, 3)))
KEPT = np.arange(5) < np.array([[5], [2], [0], [3]])


def added(reduction: str, regularizer: Any, h: Any = H, mask: Any = None) -> float:
    """Return what a call adds to the loss."""
    layer = ActivityRegularization(regularizer, reduction)
    np.testing.assert_array_equal(numpy(layer(h, mask=mask)), h)
    (loss,) = layer.losses
    return float(numpy(loss))


@pytest.mark.parametrize("regularizer", [L2(0.3), keras.regularizers.L2(0.3)])
def test_what_a_reduction_divides_by(regularizer: Any) -> None:
    total = 0.3 * np.sum(np.float64(H) ** 2)
    masked = 0.3 * np.mean(np.float64(H)[KEPT] ** 2)
    assert added("sample", regularizer) == pytest.approx(total / 4, 1e-6)
    assert added("sum", regularizer) == pytest.approx(total, 1e-6)
    assert added("mean", regularizer) == pytest.approx(total / 60, 1e-6)
    assert added("masked", regularizer, mask=KEPT) == pytest.approx(masked, 1e-6)
    assert added("masked", regularizer, mask=np.zeros_like(KEPT)) == 0.0
    assert added("mean", regularizer, H[:0]) == 0.0


MASKABLE = [own.__name__ for own in regularizers.classes() if own.maskable]


@pytest.mark.parametrize("name", MASKABLE)
def test_what_the_mask_drops_is_as_if_it_were_not_there(name: str) -> None:
    penalty = regularizers.make(name, 0.3)
    h = np.abs(H) if name == "EntropyPenalty" else H
    there = float(numpy(penalty(h[KEPT])))
    found = added("masked", penalty, h, KEPT)
    assert found == pytest.approx(there / (10 * 3), 1e-6)
    broken = np.where(KEPT[..., None], h, np.nan)
    layer = ActivityRegularization(penalty, "masked")
    assert float(numpy(layer.reduced(broken, KEPT))) == pytest.approx(found, 1e-6)


OTHERS = [
    cls.__name__ for cls in regularizers.classes() if cls.__name__ not in MASKABLE
]


@pytest.mark.parametrize("name", OTHERS)
def test_a_penalty_that_is_no_sum_over_outputs_is_not_masked(name: str) -> None:
    penalty = regularizers.make(name, 0.1)
    with pytest.raises(ParameterError) as caught:
        ActivityRegularization(penalty, "masked")
    assert str(caught.value) == (
        "ActivityRegularization: `regularizer` must be "
        f"{', '.join(MASKABLE)}, for the reduction 'masked'; received "
        f"{penalty!r}."
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ActivityRegularization(L1(0.1), "batch"),
            "`reduction` must be 'masked', 'mean', 'sample', 'sum'; received 'batch'.",
        ),
        (
            lambda: ActivityRegularization(None),
            "`regularizer` must be a regularizer; received None.",
        ),
        (
            lambda: ActivityRegularization(L1(0.1), "masked")(H),
            "`mask` must be given with the input, for the reduction 'masked'; received "
            "None.",
        ),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        make()
    assert message in str(caught.value)


def model_of(*middle: Any, **hidden: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.Masking(),
            layers.Dense(4, activation="tanh", name="hidden", **hidden),
            *middle,
            layers.Dense(1, name="last"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def test_per_sample_it_trains_as_an_activity_regularizer() -> None:
    x, y = H, RANDOM.normal(size=(4, 5, 1))
    own = model_of(ActivityRegularization(L2(0.5)))
    keras_own = model_of(activity_regularizer=L2(0.5))
    plain = model_of()
    for model in (own, keras_own, plain):
        model.fit(x, y, epochs=3, batch_size=2, verbose=0, shuffle=False)
    for found, expected, without in zip(
        own.get_weights(), keras_own.get_weights(), plain.get_weights(), strict=True
    ):
        np.testing.assert_allclose(found, expected, 1e-5, 1e-6)
        assert np.abs(found - without).max() > 1e-3


def test_the_mask_of_a_model_reaches_it_and_padding_changes_nothing() -> None:
    model = model_of(ActivityRegularization(L1(0.5), "masked"))
    x = np.where(KEPT[..., None], H, 0.0)
    hidden = numpy(model.get_layer("hidden")(x))[KEPT]
    longer = np.pad(x, ((0, 0), (0, 7), (0, 0)))
    for given in (x, longer):
        model(given)
        (loss,) = model.losses
        expected = 0.5 * np.abs(hidden).mean()
        assert float(numpy(loss)) == pytest.approx(expected, 1e-5)


def test_the_logger_counts_it_as_a_penalty() -> None:
    model = model_of(ActivityRegularization(L1(0.5), "mean", name="penalised"))
    y = RANDOM.normal(size=(4, 5, 1))
    plain = model_of()
    loss = plain.evaluate(H, y, verbose=0)
    hidden = numpy(model.get_layer("hidden")(H))
    for _ in range(2):  # and is left as it was
        model.set_weights(plain.get_weights())
        own = model.fit(
            H, y, batch_size=4, verbose=0, callbacks=[RegularizationLogger()]
        )
        logs = {name: values[0] for name, values in own.history.items()}
        assert logs["data_loss"] == pytest.approx(loss, 1e-5)
        expected = 0.5 * np.abs(hidden).mean()
        assert logs["penalty/penalised/activity"] == pytest.approx(expected, 1e-5)
        assert logs["loss"] == pytest.approx(loss + expected, 1e-5)


@pytest.mark.parametrize("regularizer", [DeCov(0.1 / 3), keras.regularizers.L1(0.1)])
def test_it_is_saved_and_cloned(regularizer: Any, tmp_path: Path) -> None:
    model = model_of(ActivityRegularization(regularizer, "sum", name="penalised"))
    model.save(tmp_path / "model.keras")
    for other in (
        keras.saving.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ):
        layer = other.get_layer("penalised")
        assert type(layer) is ActivityRegularization
        assert layer.reduction == "sum"
        assert type(layer.regularizer) is type(regularizer)
        assert layer.regularizer.get_config() == regularizer.get_config()


def test_under_mixed_precision_the_loss_is_float32() -> None:
    layer = ActivityRegularization(L1(1.0), "mean", dtype="mixed_float16")
    layer(np.full((300, 300), 2.0))
    (loss,) = layer.losses
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(numpy(loss)) == 2.0


@pytest.mark.parametrize("reduction", ["sample", "sum", "mean"])
def test_a_penalty_of_keras_is_summed_in_float32(reduction: str) -> None:
    h = np.full((64, 2048), 0.01, "float16")
    found = []
    for regularizer in (L1(0.01), keras.regularizers.L1(0.01)):
        layer = ActivityRegularization(regularizer, reduction, dtype="float16")
        found.append(float(layer.reduced(h)))
    np.testing.assert_allclose(*found, 1e-6)
    assert 0 < found[0] < np.inf
