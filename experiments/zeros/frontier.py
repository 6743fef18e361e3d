"""How few weights of LeNet-300-100 are enough: accuracy against compression.

`KREGKIT_DATA=... python -m experiments.zeros.frontier mnist` writes
reports/frontier_mnist/; `fashion_mnist` likewise. Results are kept in
runs/frontier_<data>.jsonl as they come, and those that are there are not made again.

Every point is one `fit` of 40 epochs, Adam 1e-3 inside `Proximal`, batches of 100, with
`Consolidate`; in its last phase the learning rate falls by a cosine towards 1e-5.
5,000 of the 60,000 training rows are the validation part. One seed sweeps; on
Fashion-MNIST fewer points. For each of some floors of validation accuracy (98.4, 98.2,
98.0 and 97.8 %; on Fashion-MNIST 89.5 and 88.5 %) the most compressed point is trained
with two seeds more; only points of three seeds are to be compared with what others have
published. The test part chooses nothing.
"""

import functools
import math
import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import matplotlib as mpl
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from experiments.zeros._lenet import BATCH, KERNELS, images, lenet, resumed, scores
from kregkit.callbacks import Consolidate
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, MCP, HoyerSquare, LogSum, Penalty

EPOCHS, HEAL, RATE, LAST_RATE = 40, 14, 1e-3, 1e-5
SEEDS = (0, 1, 2)
FLOORS = {"mnist": (98.4, 98.2, 98.0, 97.8), "fashion_mnist": (89.5, 88.5)}
"""Of validation accuracy; the most compressed point above each is looked at closer."""
AIMED = {"mnist": (58, 98.2)}
"""Compression and test accuracy."""
AVERAGED = {"average": 12, "heal": HEAL}
RAMPED = {"average": 0, "heal": HEAL, "ramp": 16}

POINTS: dict[str, tuple[Penalty, dict[str, Any]]] = {
    **{f"L1 {s:g}": (L1(s), AVERAGED) for s in (1e-5, 2e-5, 5e-5, 1e-4, 2e-4)},
    **{f"MCP {s:g}": (MCP(s, 0.1), RAMPED) for s in (5e-4, 1e-3, 2e-3)},
    **{f"LogSum {s:g}": (LogSum(s, 0.1), RAMPED) for s in (1e-4, 2e-4)},
    **{
        f"HoyerSquare {d:g}": (HoyerSquare(1e-5), {**RAMPED, "ramp": 0, "density": d})
        for d in (0.1, 0.04)
    },
}
"""What the sweep trains. MCP's threshold and LogSum's epsilon are 0.1, the Hoyer square
has strength 1e-5 and the share of weights that stays is given."""

FEWER = ("L1 2e-05", "L1 5e-05", "L1 0.0001", "L1 0.0002")
FEWER += ("MCP 0.002", "LogSum 0.0001", "HoyerSquare 0.1")
SWEPT = {"mnist": tuple(POINTS), "fashion_mnist": FEWER}

PUBLISHED = {
    "mnist": {
        "Han 2015": (12, 98.41, "V"),
        "DNS 2016": (56, 98.01, "V"),
        "SWS 2017": (23, 98.06, "V"),
        "Sparse VD 2017": (68, 98.08, "V"),
        "Sparse momentum 2019, 5 %": (20, 98.47, "V"),
        "Sparse momentum 2019, 2 %": (50, 98.01, "V"),
        "DeepHoyer 2020, Hoyer": (44, 98.4, "R"),
        "DeepHoyer 2020, Hoyer-square": (54.5, 98.2, "R"),
    },
    "fashion_mnist": {},
}
"""Compression, accuracy, and how sure: V read in the authors' text, R recalled."""


def learning_rate(epoch: int) -> float:
    """Return the learning rate of an epoch."""
    share = max(epoch - (EPOCHS - HEAL), 0) / HEAL
    return LAST_RATE + (RATE - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share))


def trained(data: str, point: str, seed: int) -> dict[str, Any]:
    """Train one point with one seed."""
    begin = time.perf_counter()
    parts = images(data, seed)
    penalty, phases = POINTS[point]
    model = lenet(seed, Proximal(keras.optimizers.Adam(RATE)), penalty)
    model.fit(
        tf.constant(parts.x_train),
        tf.constant(parts.y_train),
        BATCH,
        EPOCHS,
        verbose=0,
        callbacks=[
            Consolidate(**phases),
            keras.callbacks.LearningRateScheduler(learning_rate),
        ],
    )
    layers = [layer for layer in model.layers if layer.weights]
    left = [int(np.count_nonzero(layer.kernel)) for layer in layers]
    seconds = time.perf_counter() - begin
    return {
        "left": left,
        "compression": KERNELS / max(sum(left), 1),
        "seconds": seconds,
        **scores(model, parts),
    }


def chosen(data: str, sweep: dict[str, dict[str, Any]]) -> list[str]:
    """Return for every floor of validation accuracy the point of most compression."""
    found = []
    for floor in FLOORS[data]:
        good = {name: row for name, row in sweep.items() if row["val"] >= floor}
        if good:
            found.append(max(good, key=lambda name: good[name]["compression"]))
    return list(dict.fromkeys(found))


def figure(rows: dict[str, Any], best: dict[str, Any], data: str) -> Figure:
    """Return the picture of the frontier."""
    mpl.rcParams.update({"svg.hashsalt": "kregkit", "font.size": 9})
    fig = Figure((7.2, 4.4), layout="constrained")
    axes = fig.add_subplot()
    for kind, marker in zip(
        ("L1", "MCP", "LogSum", "HoyerSquare"), "os^D", strict=True
    ):
        own = [row for name, row in rows.items() if name.split()[0] == kind]
        if not own:
            continue
        own.sort(key=lambda row: row["compression"])
        x, y = [[row[key] for row in own] for key in ("compression", "test")]
        axes.plot(x, y, marker=marker, lw=1, ms=4, alpha=0.8, label=f"{kind}, one seed")
    for number, own in enumerate(best.values()):
        axes.errorbar(
            own["compression"][0],
            own["test"][0],
            own["test"][1],
            own["compression"][1],
            fmt="*",
            color="black",
            ms=8,
            capsize=2,
            label="chosen on validation" if number == 0 else None,
        )
    for number, (name, (x, y, _)) in enumerate(PUBLISHED[data].items()):
        label = "published" if number == 0 else None
        axes.plot(x, y, "x", color="0.45", ms=6, label=label)
        # On the left where the axis ends; some are close to one another.
        left, below = x > 40, x < 52
        axes.annotate(
            name,
            (x, y),
            (-5 if left else 5, -8 if below else 4),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=6.5,
        )
    axes.set(xscale="log", xlabel="compression: all weights / weights left")
    axes.set_xlim(5, 90)
    axes.set_ylabel("test accuracy, %")
    ticks = [5, 10, 20, 40, 80]
    axes.set_xticks(ticks, [f"{tick}x" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=7)
    return fig


def told(mean: float, sd: float | None, digits: int) -> str:
    """Return a mean with its standard deviation, where there is one."""
    return f"{mean:.{digits}f}" + (f" ± {sd:.{digits}f}" if sd is not None else "")


def report(data: str, found: dict[str, dict[str, Any]]) -> None:
    """Write what there is so far: results by point and seed."""
    sweep = {
        point: found[f"{point}, seed {SEEDS[0]}"]
        for point in SWEPT[data]
        if f"{point}, seed {SEEDS[0]}" in found
    }
    best: dict[str, dict[str, Any]] = {}
    for point in chosen(data, sweep):
        names = [f"{point}, seed {seed}" for seed in SEEDS]
        rows = [found[name] for name in names if name in found]
        best[point] = {"seeds": len(rows)}
        for key in ("compression", "val", "test"):
            own = [row[key] for row in rows]
            sd = statistics.stdev(own) if len(own) > 1 else None
            best[point][key] = statistics.mean(own), sd
    minutes = sum(row["seconds"] for row in found.values()) / 60
    folder = Path(f"reports/frontier_{data}")
    folder.mkdir(parents=True, exist_ok=True)
    picture = figure(sweep, best, data)
    picture.savefig(folder / "frontier.svg", metadata={"Date": None})
    title = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}[data]
    lines = [
        f"# LeNet-300-100 on {title}: accuracy against compression",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        f"All trainings together took {minutes:.0f} minutes, on a core that other work "
        "used too.",
        "",
        "![Test accuracy against compression](frontier.svg)",
        "",
        "## Chosen on validation",
        "",
        f"Mean ± sd over seeds. Compression is {KERNELS:,} weights over those that are "
        "not exactly zero; biases are not counted.",
        "",
        "| | seeds | compression | weights left, % | validation, % | test, % |",
        "|---|---|---|---|---|---|",
    ]
    for name, own in sorted(best.items(), key=lambda item: item[1]["compression"][0]):
        ratio = own["compression"]
        size = f"{own['seeds']} | {told(*ratio, 1)} | {100 / ratio[0]:.2f}"
        lines.append(f"| {name} | {size} | {told(*own['val'], 2)} | ")
        lines[-1] += f"{told(*own['test'], 2)} |"
    if data in AIMED:
        far = max(sweep.values(), key=lambda row: row["compression"])
        ratio, aim = AIMED[data]
        lines += [
            "",
            f"The aim was {aim:g} % at {ratio:g} times. The most compressed point of "
            f"the sweep has {far['test']:.2f} % at {far['compression']:.0f} times, one "
            "seed. All points have one schedule of 40 epochs; longer averaging made "
            "more zeros at the same strength when that was looked into on the "
            "validation part, and was not followed up.",
        ]
    lines += [
        "",
        "## The sweep, one seed",
        "",
        "| | compression | left per layer | validation, % | test, % |",
        "|---|---|---|---|---|",
    ]
    for name, row in sweep.items():
        left = "-".join(map(str, row["left"]))
        cells = f"{row['compression']:.1f} | {left} | {row['val']:.2f}"
        lines.append(f"| {name} | {cells} | {row['test']:.2f} |")
    if PUBLISHED[data]:
        lines += ["", "## Published", "", "| | compression | test, % | |"]
        lines += ["|---|---|---|---|"]
        words = {"V": "read in the authors' text", "R": "recalled, not checked"}
        for name, (ratio, test, mark) in PUBLISHED[data].items():
            lines.append(f"| {name} | {ratio:g} | {test:.2f} | {words[mark]} |")
    (folder / "report.md").write_text("\n".join(lines) + "\n")


def main(data: str) -> None:
    """Train what is missing, and write the report after every training."""
    file = Path(f"runs/frontier_{data}.jsonl")
    found: dict[str, dict[str, Any]] = {}

    def made(names: Iterable[str], seed: int) -> None:
        for point in names:
            name = f"{point}, seed {seed}"
            job = functools.partial(trained, data, point, seed)
            found.update(resumed(file, {name: job}))
            report(data, found)

    made(SWEPT[data], SEEDS[0])
    sweep = {name: found[f"{name}, seed {SEEDS[0]}"] for name in SWEPT[data]}
    for seed in SEEDS[1:]:
        made(chosen(data, sweep), seed)


if __name__ == "__main__":
    main(sys.argv[1])
