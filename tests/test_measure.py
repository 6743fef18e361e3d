"""Every measure against independent NumPy in float64."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from ml_dtypes import bfloat16

from kregkit import schema
from kregkit.measure import Axes, measure

DENSE = Axes(unit=(-1,), input=(-2,))
ACTIVATION = Axes(unit=(-1,))
EVERYWHERE = {
    "l1",
    "l2",
    "max_abs",
    "mean",
    "std",
    "zero_fraction",
    "near_zero_fraction",
    "hoyer",
}
KERNEL = {"unit_zero_fraction", "input_zero_fraction", "spectral_norm", "stable_rank"}

# TensorFlow's threads take subnormal numbers for zero, once it has started them.
NORMAL = st.floats(-10, 10, width=32, allow_subnormal=False)
ELEMENTS = NORMAL | st.sampled_from([0.0, 0.0, 1e-3, -1e-3, 2e-3])


def hoyer(w: np.ndarray) -> float:
    n, largest = w.size, np.abs(w).max(initial=0.0)
    if n < 2 or largest == 0:
        return float("nan")
    w = w / largest
    ratio = np.abs(w).sum() / np.sqrt((w**2).sum())
    return float((np.sqrt(n) - ratio) / (np.sqrt(n) - 1))


def expected(tensor: np.ndarray, role: str) -> dict[str, float]:
    """Return what every tensor has; norms per sample for activations."""
    wide = np.asarray(tensor, "float64")
    samples = [s.ravel() for s in (wide if role == "activation" else [wide])]
    hoyers = [h for h in map(hoyer, samples) if not np.isnan(h)]
    scale = max(np.abs(wide).max(), 1e-300)
    near = np.abs(tensor) <= np.asarray(1e-3, tensor.dtype)
    return {
        "l1": float(np.mean([np.abs(s).sum() for s in samples])),
        "l2": float(np.mean([np.linalg.norm(s / scale) for s in samples]) * scale),
        "max_abs": float(np.mean([np.abs(s).max() for s in samples])),
        "mean": float(wide.mean()),
        "std": float((wide / scale).std() * scale),
        "zero_fraction": float((wide == 0).mean()),
        "near_zero_fraction": float(near.mean()),
        "hoyer": float(np.mean(hoyers)) if hoyers else float("nan"),
    }


def expected_of_matrix(kernel: np.ndarray) -> dict[str, float]:
    """Return what a kernel `(..., input, unit)` has beside."""
    wide = np.asarray(kernel, "float64")
    units, inputs = range(wide.shape[-1]), range(wide.shape[-2])
    largest = np.linalg.svd(wide.reshape(-1, wide.shape[-1]))[1][0]
    ratio = np.linalg.norm(wide) / largest if largest > 0 else float("nan")
    return {
        "unit_zero_fraction": float(np.mean([not wide[..., u].any() for u in units])),
        "input_zero_fraction": float(
            np.mean([not wide[..., i, :].any() for i in inputs])
        ),
        "spectral_norm": float(largest),
        "stable_rank": float(ratio**2),
    }


def assert_measures(found: dict, wanted: dict[str, float], size: float) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].shape == ()
        # Where terms cancel, the error is one of their size; and what is below the
        # smallest normal number, TensorFlow sets to 0.
        least = float(np.finfo("float32").tiny)
        atol = max(1e-6 * float(size), least) if name in ("mean", "std") else 0.0
        atol = 3e-6 if name == "hoyer" else atol
        np.testing.assert_allclose(found[name], value, 2e-5, atol, err_msg=name)


def with_zero_lines(kernel: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    kernel = kernel.copy()
    kernel[..., random.random(kernel.shape[-1]) < 0.3] = 0.0
    kernel[..., random.random(kernel.shape[-2]) < 0.3, :] = 0.0
    return kernel


@pytest.mark.parametrize("rank", [2, 4])
@given(data=st.data())
def test_measures_of_a_kernel(rank: int, data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=rank, max_dims=rank, max_side=4))
    kernel = data.draw(hnp.arrays("float32", shape, elements=ELEMENTS))
    kernel = with_zero_lines(kernel, data.draw(st.integers(0, 9)))
    wanted = expected(kernel, "kernel") | expected_of_matrix(kernel)
    assert_measures(measure(kernel, "kernel", DENSE), wanted, np.abs(kernel).max())


@given(
    bias=hnp.arrays("float32", hnp.array_shapes(min_dims=1, max_dims=3, max_side=5))
    | hnp.arrays("float32", 4, elements=ELEMENTS)
)
def test_measures_of_a_bias(bias: np.ndarray) -> None:
    bias = np.clip(np.nan_to_num(bias), -1e6, 1e6)
    bias[np.abs(bias) < 1e-30] = 0.0
    found = measure(bias, "bias", Axes())
    assert_measures(found, expected(bias, "bias"), np.abs(bias).max())


@given(data=st.data())
def test_measures_of_an_activation_are_means_per_sample(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=4, max_side=4))
    active = data.draw(hnp.arrays("float32", shape, elements=ELEMENTS))
    random = np.random.default_rng(data.draw(st.integers(0, 9)))
    active[random.random(shape[0]) < 0.3] = 0.0
    active[..., random.random(shape[-1]) < 0.3] = 0.0
    dead = np.mean([not active[..., u].any() for u in range(shape[-1])])
    wanted = expected(active, "activation") | {"dead_unit_fraction": float(dead)}
    found = measure(active, "activation", ACTIVATION)
    assert_measures(found, wanted, np.abs(active).max())


def test_channels_first_units_of_an_activation() -> None:
    active = np.random.default_rng(0).normal(size=(5, 4, 3, 2)).astype("float32")
    active[:, 1] = 0.0
    found = measure(active, "activation", Axes(unit=(1,)))
    assert float(found["dead_unit_fraction"]) == 0.25


def test_all_zero_samples_do_not_count_in_hoyer() -> None:
    active = np.float32([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    assert float(measure(active, "activation", ACTIVATION)["hoyer"]) == 0.5


@pytest.mark.parametrize(
    "tensor",
    [np.zeros((3, 4)), np.ones((1, 1)), np.zeros((1, 1)), np.full((1, 1), -1e-30)],
    ids=["zeros", "one", "zero", "tiny"],
)
def test_hoyer_of_zeros_and_of_one_element_is_not_defined(tensor: np.ndarray) -> None:
    for role in ("kernel", "bias", "activation"):
        tensor = np.float32(tensor)
        one_each = tensor.reshape(-1, 1) if role == "activation" else tensor
        assert np.isnan(measure(one_each, role, Axes())["hoyer"])


def test_stable_rank_of_zeros_is_not_defined_and_nothing_else_is_nan() -> None:
    found = measure(np.zeros((3, 4), "float32"), "kernel", DENSE)
    nan = {name for name, value in found.items() if np.isnan(value)}
    assert nan == {"hoyer", "stable_rank"}
    assert float(found["spectral_norm"]) == 0.0
    assert float(found["unit_zero_fraction"]) == 1.0
    scalar = measure(np.float32(0.0), "alpha", Axes())
    assert {name for name, value in scalar.items() if np.isnan(value)} == {"hoyer"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_near_zero_includes_its_boundary(dtype: str) -> None:
    assert schema.NEAR_ZERO == 1e-3
    at = np.array(1e-3, dtype)
    over = np.nextafter(at, at + 1)
    w = np.array([at, -at, over, -over, 0.0], dtype)
    found = measure(w, "bias", Axes())
    np.testing.assert_allclose(found["near_zero_fraction"], 0.6, 1e-6)
    np.testing.assert_allclose(found["zero_fraction"], 0.2, 1e-6)


def test_hoyer_runs_from_equal_to_one_hot() -> None:
    assert float(measure(np.ones(16, "float32"), "bias", Axes())["hoyer"]) == 0.0
    one_hot = np.float32([0, -7, 0, 0])
    np.testing.assert_allclose(measure(one_hot, "bias", Axes())["hoyer"], 1.0, 1e-6)


@pytest.mark.parametrize("size", [1e30, 1e-30])
@pytest.mark.parametrize("role", ["kernel", "activation"])
def test_extreme_float32_is_measured_like_any_other(size: float, role: str) -> None:
    w = np.random.default_rng(0).normal(size=(5, 4)) * size
    w = w.astype("float32")
    if role == "kernel":
        wanted = expected(w, role) | expected_of_matrix(w)
        assert_measures(measure(w, role, DENSE), wanted, 0.0)
    else:
        wanted = expected(w, role) | {"dead_unit_fraction": 0.0}
        assert_measures(measure(w, role, ACTIVATION), wanted, 0.0)


@pytest.mark.parametrize("dtype", ["float16", bfloat16])
def test_half_precision_is_measured_in_float32(dtype: object) -> None:
    w = np.full((64, 64), 300.0).astype(dtype)
    found = measure(w, "kernel", DENSE)
    assert all(value.dtype == "float32" for value in found.values())
    wanted = expected(np.float32(w), "kernel") | expected_of_matrix(np.float32(w))
    assert_measures(found, wanted, 1.0)


def test_a_known_spectral_norm_is_used_as_it_is() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    found = measure(kernel, "kernel", DENSE, spectral_norm=tf.constant(10.0))
    assert float(found["spectral_norm"]) == 10.0
    np.testing.assert_allclose(found["stable_rank"], (kernel**2).sum() / 100, 1e-5)


@pytest.mark.parametrize(
    ("role", "axes", "shape"),
    [
        ("kernel", DENSE, (5, 4)),
        ("kernel", DENSE, (3, 3, 2, 4)),
        ("bias", Axes(), (4,)),
        ("activation", ACTIVATION, (6, 4)),
    ],
)
def test_a_vectorized_map_equals_the_loop(
    role: str, axes: Axes, shape: tuple[int, ...]
) -> None:
    stack = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    stack[1], stack[2, ..., 0] = 0.0, 0.0
    batch = tf.vectorized_map(lambda w: measure(w, role, axes), tf.constant(stack))
    for trial, w in enumerate(stack):
        alone = measure(w, role, axes)
        assert alone.keys() == batch.keys()
        for name, value in alone.items():
            np.testing.assert_allclose(batch[name][trial], value, 1e-5, 1e-6, name)


def test_each_role_has_its_columns_and_each_is_declared() -> None:
    w = np.ones((3, 4), "float32")
    columns = {
        "kernel": set(measure(w, "kernel", DENSE)),
        "bias": set(measure(w, "bias", Axes())),
        "gamma": set(measure(w, "gamma", Axes())),
        "activation": set(measure(w, "activation", ACTIVATION)),
        "unknown activation": set(measure(w, "activation", Axes())),
    }
    assert columns == {
        "kernel": EVERYWHERE | KERNEL,
        "bias": EVERYWHERE,
        "gamma": EVERYWHERE,
        "activation": EVERYWHERE | {"dead_unit_fraction"},
        "unknown activation": EVERYWHERE,
    }
    assert set().union(*columns.values()) == set(schema.MEASURES)
    assert schema.MEASURES.keys() <= schema.ROWS.keys()
    assert all(schema.ROWS[name] == "float" for name in schema.MEASURES)


def test_only_known_axes_are_measured() -> None:
    w = np.ones((3, 4), "float32")
    only_units = set(measure(w, "kernel", Axes(unit=(1,))))
    assert only_units == (EVERYWHERE | KERNEL) - {"input_zero_fraction"}
    only_inputs = set(measure(w, "kernel", Axes(input=(0,))))
    assert only_inputs == EVERYWHERE | {"input_zero_fraction"}
