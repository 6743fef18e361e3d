"""Heat maps against the rows of the store, and collapsed strengths in figures."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from helpers.two_seeds import SERIES, STRENGTHS, study_of
from kregkit import report
from kregkit.report.cells import whole
from kregkit.report.data.trajectories import courses
from kregkit.report.figures import layers
from kregkit.report.figures.frontier import frontier
from kregkit.report.figures.layers import layer_maps
from kregkit.report.figures.score import score
from kregkit.report.figures.trajectory import trajectory
from kregkit.report.page.canvas import PAPER
from kregkit.report.page.page import Figure
from kregkit.store import Store


def drawn(figure: Figure | None) -> Axes:
    assert figure is not None
    return figure.plot().axes[0]


def meshes(axes: Axes) -> list[np.ndarray]:
    """Return the maps of a figure: the baseline beside the strengths, in 0 to 1."""
    arrays = [np.ma.filled(mesh.get_array(), np.nan) for mesh in axes.collections]
    return [np.hstack(both) for both in zip(arrays[::2], arrays[1::2], strict=True)]


def by_hand(store: Path, measure: str) -> np.ndarray:
    """Return (layers, settings, seeds) of L1 on the kernel, from the rows alone."""
    contents = Store(store).read()
    last = contents.rows.filter(pl.col("role") == "kernel", pl.col("epoch") == 10)
    done = contents.finals.filter(pl.col("status") == "done")
    own = done.filter(regularizer="L1", target="kernel")
    strengths = sorted(own["strength"].unique())
    frames = [done.filter(pl.col("regularizer").is_null())]
    frames += [own.filter(strength=strength) for strength in strengths]
    layers = ("hidden_1", "hidden_2", "output")
    return np.array(
        [
            [
                frame.sort("seed")
                .join(last.filter(layer=layer), "trial", maintain_order="left")[measure]
                .to_numpy()
                for frame in frames
            ]
            for layer in layers
        ]
    )


def l1_on_kernels(store: Path) -> Figure | None:
    tables = report.load(store).tables
    return layer_maps(tables, next(iter(tables.strengths)), "k")


def test_maps_are_means_of_the_rows_and_norms_are_log_ratios(stores: Path) -> None:
    zero, near, hoyer, norm = meshes(drawn(l1_on_kernels(stores / "six")))
    for found, measure in (
        (zero, "zero_fraction"),
        (near, "near_zero_fraction"),
        (hoyer, "hoyer"),
    ):
        expected = by_hand(stores / "six", measure).mean(axis=2)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    l2 = by_hand(stores / "six", "l2")
    logs = np.log(l2 / l2[:, :1]).mean(axis=2)
    np.testing.assert_allclose(norm, 0.5 + logs / (2 * np.abs(logs).max()), rtol=1e-6)
    assert (norm[:, 0] == 0.5).all()


def test_exact_zeros_have_a_map_where_there_are_any(stores: Path) -> None:
    assert len(meshes(drawn(l1_on_kernels(stores / "six")))) == 4
    assert len(meshes(drawn(l1_on_kernels(stores / "three")))) == 3


def test_values_are_printed_where_there_are_few_and_told_in_any_case(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = by_hand(stores / "six", "near_zero_fraction").mean(axis=2)
    few = l1_on_kernels(stores / "six")
    assert few is not None
    printed = [text.get_text() for text in drawn(few).texts]
    assert len(printed) == 4 + 4 * near.size
    assert str(round(100 * near[1, 2])) in printed
    assert f"{100 * near[1, 2]:.1f} % at 1e-3" in few.alt
    monkeypatch.setattr(layers, "MOST_PRINTED", 10)
    many = l1_on_kernels(stores / "six")
    assert many is not None
    assert len(drawn(many).texts) == 4
    low, high = (f"{100 * x:.1f} %" for x in (near[:, 2].min(), near[:, 2].max()))
    assert f"{low} to {high} at 1e-3" in many.alt


def told(axes: Axes, about: str) -> list[tuple[float, float, str]]:
    """Return where a page tells something about this, and what."""
    gids = {str(line.get_gid()).removeprefix("told:"): line for line in axes.lines}
    gid = next(gid for gid in gids if gid.split("|")[0] == about)
    texts = gid.split("|")[1:]
    xs, ys = gids[gid].get_data()
    return list(zip(map(float, xs), map(float, ys), texts, strict=True))


def test_a_cell_tells_its_value_where_it_is_drawn(stores: Path) -> None:
    axes = drawn(l1_on_kernels(stores / "six"))
    near = by_hand(stores / "six", "near_zero_fraction").mean(axis=2)
    base, swept = axes.collections[2:4]
    for i, layer in enumerate(("hidden_1", "hidden_2", "output")):
        found = told(axes, f"{layer}: ∣W∣ ≤ 1e-3")
        wanted = [f"{100 * value:.1f} %" for value in near[i]]
        assert [text.split(" at ")[0] for *_, text in found] == wanted
        assert [text.split(" at ")[1] for *_, text in found] == ["none", "1e-4", "1e-3"]
        for j, (x, y, _) in enumerate(found):
            corners = (base if j == 0 else swept).get_coordinates()
            column = max(j - 1, 0)
            (left, top), (right, low) = (corners[i + d, column + d] for d in (0, 1))
            assert (x, y) == pytest.approx(((left + right) / 2, (top + low) / 2))


def test_a_bin_tells_its_share_where_it_is_drawn(stores: Path) -> None:
    loaded = report.load(stores / "six")
    tables = loaded.tables
    axes = drawn(loaded.figures["kernel-weights-1-l1"])
    baseline = [t.trial for t in tables.done(next(iter(tables.strengths)).baseline)]
    stored = tables.tensors.filter(pl.col("trial").is_in(baseline), role="kernel")
    values = stored["values"].explode().to_numpy()
    found = told(axes, "baseline")
    half = min(np.diff([x for x, *_ in found])) / 2
    for x, y, text in found:
        assert y == pytest.approx((np.abs(values - x) < half).mean(), rel=1e-3)
        match = re.fullmatch(r"(.*) % from (.*) to (.*)", text)
        assert match is not None
        share, low, high = (part.replace("−", "-") for part in match.groups())
        assert share in (f"{100 * y:.1f}", "<0.1")
        assert (float(low), float(high)) == pytest.approx((x - half, x + half), 0.01)


@pytest.mark.parametrize(
    ("value", "norm", "text"),
    [
        (0.0, False, "0"),
        (1e-9, False, "≈0"),
        (0.123, False, "12"),
        (0.9999, False, ">99"),
        (1.0, False, "100"),
        (np.nan, False, "–"),
        (np.log(0.5), True, "−50.0"),
    ],
)
def test_a_short_text_never_says_zero_or_all_of_what_is_not(
    value: float, norm: bool, text: str
) -> None:
    assert layers._brief(value, norm) == text


def test_collapsed_strengths_are_marked_and_do_not_set_the_scale(
    tmp_path: Path,
) -> None:
    tables = study_of(tmp_path, (0.9, 0.9, 0.9, 0.2))
    figure = layer_maps(tables, SERIES, "k")
    axes = drawn(figure)
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["none", "1e-4", "1e-3", "0.01", "0.1 †"]
    norm = meshes(axes)[-1]
    assert norm[:, :4].min() == pytest.approx(0.0)
    assert (norm[:, 4] < 0).any()
    assert figure is not None
    assert "Collapsed and marked †: L1 0.1." in figure.caption


def test_collapsed_strengths_are_hollow_in_the_score_figure(tmp_path: Path) -> None:
    tables = study_of(tmp_path, (0.9, 0.8, 0.3, 0.2))
    figure = score(tables, "k", [SERIES])
    axes = drawn(figure)
    points = [x for x in axes.lines if x.get_marker() == "o"]
    seeds = [line for line in points if line.get_linestyle() == "None"]
    found = [to_hex(line.get_markerfacecolor()) == PAPER for line in seeds]
    assert found == [False, False, True, True]
    labelled = [x for x in points if not str(x.get_label()).startswith("_")]
    assert to_hex(labelled[0].get_markerfacecolor()) != PAPER
    assert figure is not None
    assert " Collapsed and hollow" in figure.caption
    assert ": L1 0.01, 0.1." in figure.caption


def test_collapsed_strengths_are_not_on_the_frontier(tmp_path: Path) -> None:
    tables = study_of(tmp_path, (0.9, 0.8, 0.3, 0.2))
    figure = frontier(tables, "k", [SERIES], whole("kernel", "hoyer"))
    dots = [x for x in drawn(figure).lines if x.get_linestyle() == "None"]
    assert len(dots) == 3  # the baseline and two strengths
    assert figure is not None
    assert " Collapsed and not drawn" in figure.caption
    assert ": L1 0.01, 0.1." in figure.caption


def test_collapsed_strengths_have_no_course(tmp_path: Path) -> None:
    tables = study_of(tmp_path, (0.9, 0.8, 0.3, 0.2))
    figure = trajectory(tables, courses(tables), "k", [SERIES], "kernel", "l2")
    axes = drawn(figure)
    names = {str(line.get_label()) for line in axes.lines if len(line.get_xdata()) > 2}
    assert names == {"baseline", "L1 1e-4", "L1 1e-3"}
    assert figure is not None
    assert "Collapsed and not drawn: L1 0.01, 0.1." in figure.caption


def test_nothing_is_said_of_collapse_where_there_is_none(tmp_path: Path) -> None:
    tables = study_of(tmp_path, (0.9, 0.9, 0.9, 0.9))
    assert len(STRENGTHS) == len(tables.strengths[SERIES])
    for figure in (score(tables, "k", [SERIES]), layer_maps(tables, SERIES, "k")):
        assert figure is not None
        assert "ollapsed" not in figure.caption
