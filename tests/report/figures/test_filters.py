"""First-layer weights as images, against loops over pixels."""

from pathlib import Path

import numpy as np
import pytest

from helpers import report_store
from kregkit.report import load
from kregkit.report.analysis.operating import Operating
from kregkit.report.cells import Setting
from kregkit.report.figures.filters import first_layer, images, mosaic


@pytest.mark.parametrize("shape", [(8, 8, 1), (2, 3, 3)])
def test_a_dense_kernel_acts_on_the_flattened_image(shape: tuple[int, ...]) -> None:
    w = np.random.default_rng(0).normal(size=(int(np.prod(shape)), 5))
    found = images(w.ravel().tolist(), w.shape, shape)
    assert found is not None
    assert found.shape == (5, *shape)
    for unit in range(5):
        for i, place in enumerate(np.ndindex(*shape)):
            assert found[(unit, *place)] == w[i, unit]


def test_a_kernel_of_a_convolution_is_its_window() -> None:
    w = np.random.default_rng(0).normal(size=(3, 2, 1, 4))
    found = images(w.ravel().tolist(), w.shape, (8, 8, 1))
    assert found is not None
    for place in np.ndindex(*w.shape):
        assert found[place[3], place[0], place[1], place[2]] == w[place]


@pytest.mark.parametrize(
    "kernel", [(63, 4), (1, 1, 1, 4), (3, 3, 2, 4), (64,), (3, 1, 4)]
)
def test_a_kernel_that_is_not_on_pixels_has_no_images(kernel: tuple[int, ...]) -> None:
    assert images([0.0] * int(np.prod(kernel)), kernel, (8, 8, 1)) is None


def test_zero_is_grey_near_zero_white_and_signs_have_colours() -> None:
    found = np.zeros((5, 2, 2, 1))
    found[0, :, :, 0] = [[0.0, 1e-9], [1.0, -1.0]]
    picture = mosaic(found, span=1.0)
    assert picture.shape == (6, 12, 4)
    (zero, near), (red, blue) = picture[:2, :2, :3]
    assert zero.max() < 0.65
    assert near.min() > 0.95
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert (picture[2, :, 3] == 0).all()  # the gap between rows of images
    assert (picture[3:5, :2, :3] == zero).all()  # the fifth unit begins the second row


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    swept = report_store.cells((1e-4, 1e-3), ("kernel",))
    path = tmp_path_factory.mktemp("exact")
    return report_store.write_study(path, swept, seeds=2, exact=True)


def kernel(store: Path, setting: Setting) -> np.ndarray:
    loaded = load(store)
    (trial,) = [t.trial for t in loaded.tables.done(setting) if t.seed == 0]
    tensors = loaded.tables.tensors.filter(trial=trial, layer="hidden_1")
    return np.array(tensors.filter(role="kernel")["values"][0]).reshape(64, 64)


def test_each_grid_shows_the_units_that_are_largest_in_the_baseline(
    exact: Path,
) -> None:
    tables = load(exact).tables
    series = list(tables.strengths)
    points = [Operating(one, 1e-3, True) for one in series]
    figure = first_layer(tables, points, "k")
    assert figure is not None
    base = kernel(exact, series[0].baseline)
    largest = sorted(range(64), key=lambda unit: -np.linalg.norm(base[:, unit]))[:16]
    grids = [
        kernel(exact, setting)[:, largest].T.reshape(16, 8, 8, 1)
        for setting in (series[0].baseline, *(point.setting for point in points))
    ]
    span = max(np.abs(grid).max() for grid in grids)
    axes = figure.plot().axes[0]
    (image,) = axes.images
    drawn = np.asarray(image.get_array())
    for text, grid in zip(axes.texts, grids, strict=True):
        left, below = text.get_position()
        top = int(below + 1)
        part = drawn[top : top + 36, int(left + 0.5) : int(left + 0.5) + 36]
        np.testing.assert_allclose(part, mosaic(grid, span))
    assert [text.get_text() for text in axes.texts] == [
        "baseline",
        "L1 1e-3",
        "L2 1e-3",
    ]
    zeros = 100 * (grids[1] == 0).mean()
    assert zeros > 1
    assert f"L1 1e-3: {zeros:.1f} % of them exactly zero" in figure.alt


def test_a_point_that_is_not_reached_is_left_out(exact: Path) -> None:
    tables = load(exact).tables
    one, other = tables.strengths
    points = [Operating(one, None, False), Operating(other, 1e-4, False)]
    figure = first_layer(tables, points, "k")
    assert figure is not None
    names = [text.get_text() for text in figure.plot().axes[0].texts]
    assert names == ["baseline", "L2 1e-4"]
    assert first_layer(tables, points[:1], "k") is None


@pytest.mark.parametrize("shape", [None, [64], [64, 1, 1], [8, 4, 1]])
def test_other_data_and_older_stores_have_no_images(
    shape: list[int] | None, tmp_path: Path
) -> None:
    swept = report_store.cells((1e-4,), ("kernel",))
    finals = {"input_shape": shape}
    path = report_store.write_study(tmp_path, swept, seeds=1, finals=finals)
    assert not [name for name in load(path).figures if "first-layer" in name]
