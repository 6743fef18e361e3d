"""What `kregkit report` costs: of the default study, and of 10,000 trials.

Two synthetic stores of the layout of a study: 215 trials of 41 moments, and 10,000
trials of 25 seeds, 21 regularizers and 19 strengths with 10 million rows. Nothing is
trained: norms, scores and weights are random, and fall with strength. Each report is
made by the command line in a process of its own, which gives its seconds, start-up
included, and the most memory that it ever held.
"""

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from experiments.benchmarks._interleave import emit, figure
from kregkit.schema import FINALS, QUANTILES, ROWS, SCHEMA_VERSION, TENSORS
from kregkit.store import frame

EPOCHS, PART = 40, 100
LAYERS = {f"dense_{i}": (24, 24) for i in range(8)}
DEFAULT = {"hidden_1": (64, 64), "hidden_2": (64, 32), "output": (32, 10)}
TARGETS = ("kernel", "bias", "activity")
ROLES = ("kernel", "bias", "activation")
MEASURED = [
    name
    for name, kind in ROWS.items()
    if kind == "float" and not name.startswith(("loss", "data", "val", "score"))
]
VERSIONS = {
    "kregkit_version": "0.1.0",
    "keras_version": "3.14.1",
    "backend": "tensorflow",
    "backend_version": "2.20.0",
    "schema_version": SCHEMA_VERSION,
}
Setting = tuple[str | None, str | None, str | None, float | None]


def settings(regularizers: int, strengths: int) -> Iterator[Setting]:
    """Yield the baseline and target, regularizer, solver and strength of the rest."""
    yield None, None, "gradient", None
    names = ("L1", "L2", "L1L2", "HuberL1", "MCP", "SCAD", "LogSum")[:regularizers]
    for target, name in product(TARGETS, names):
        for strength in np.logspace(-6, -1, strengths):
            yield target, name, "gradient", float(strength)


def write(folder: Path, layers: dict, regularizers: int, strengths: int, seeds: int):
    """Write a store; return how many trials and rows it has."""
    trials = [
        (hashlib.sha256(str(i).encode()).hexdigest()[:16], *setting, seed)
        for i, (setting, seed) in enumerate(
            product(settings(regularizers, strengths), range(seeds))
        )
    ]
    rows = 0
    for number in range(-(-len(trials) // PART)):
        some = trials[number * PART : (number + 1) * PART]
        part = folder / "parts" / f"{number:016x}"
        part.mkdir(parents=True)
        random = np.random.default_rng(number)
        measured = rows_of(some, layers, random)
        rows += measured.height
        measured.write_parquet(part / "rows.parquet")
        finals_of(some, random).write_parquet(part / "finals.parquet")
        tensors_of(some, layers, random).write_parquet(part / "tensors.parquet")
    return len(trials), rows


def rows_of(trials: list, layers: dict, random: np.random.Generator) -> pl.DataFrame:
    """Return the rows of some trials: every role of every layer at every moment."""
    places = [(name, role) for name in layers for role in ROLES]
    one = pl.DataFrame(
        {
            "layer": [name for name, _ in places] + [""],
            "role": [role for _, role in places] + ["model"],
        }
    ).with_columns(
        tensor=pl.col("role"),
        size=pl.when(pl.col("role") != "model").then(pl.lit(100)),
    )
    moments = pl.DataFrame({"epoch": range(EPOCHS + 1)}).with_columns(
        step=pl.col("epoch") * 36
    )
    ids = pl.DataFrame({"trial": [trial[0] for trial in trials]})
    whole = ids.join(moments, how="cross").join(one, how="cross")
    noise = random.uniform(0.2, 1.0, (whole.height, len(MEASURED)))
    layer = pl.col("role") != "model"
    columns = [
        pl.when(layer).then(pl.Series(name, noise[:, i])).alias(name)
        for i, name in enumerate(MEASURED)
    ]
    whole = whole.with_columns(
        *columns,
        *(
            pl.when(~layer).then(pl.Series(noise[:, 0])).alias(name)
            for name in ("loss", "data_loss", "val_loss", "val_data_loss")
        ),
    )
    empty = frame((), ROWS)
    return pl.concat([empty, whole], how="diagonal_relaxed").select(empty.columns)


def finals_of(trials: list, random: np.random.Generator) -> pl.DataFrame:
    """Return the finals of some trials; the strongest strengths cost half a score."""
    made = []
    for trial, target, name, solver, strength, seed in trials:
        lost = 0.05 * (strength or 0.0) ** 0.5 + 0.5 * ((strength or 0.0) > 0.06)
        score = 0.96 - lost + 0.004 * random.normal()
        numbers = random.uniform(0.1, 0.5, 12).tolist()
        made.append(
            {"study": "synthetic", "trial": trial, "status": "done", "data": "digits"}
            | {"task": "classification", "model": "mlp", "regularizer": name}
            | {"target": target, "layers": name and "all", "solver": solver}
            | {"strength": strength, "parameters": "{}", "seed": seed}
            | {"epochs": EPOCHS, "n_train": 1149, "n_val": 288, "n_test": 360}
            | {"split_redrawn": True, "train_score": score + 0.02, "val_score": score}
            | {"test_score": score - 0.005, "majority_score": 0.1}
            | {"train_data_loss": numbers[0], "val_data_loss": 0.5 + numbers[1] + lost}
            | {"test_data_loss": 0.5 + numbers[2] + lost, "kkt_residual": numbers[3]}
            | {"logit_norm_at_zero": numbers[4], "logit_scale": 5.0}
            | {"score_under_noise": [score, score - numbers[5] / 10, score / 2]}
            | {"noise_sizes": [0.1, 0.3, 1.0], "jacobian_norm": numbers[6]}
            | {"inputs_ignored": 0.0, "inputs_near_ignored": numbers[7] / 5}
            | {f"{r}_quantiles": sorted(numbers[: len(QUANTILES)]) for r in ROLES}
            | {"step_law_error": 1e-7, "engine": "batch", "wall_seconds": 1.0}
            | {"dtype_policy": "float32", "learning_rate": 1e-3, **VERSIONS}
        )
    return frame(made, FINALS)


def tensors_of(trials: list, layers: dict, random: np.random.Generator) -> pl.DataFrame:
    """Return the final weights, and u, of some trials."""
    made = []
    for trial, *_ in trials:
        for layer, shape in layers.items():
            for role, own in (("kernel", shape), ("bias", shape[1:])):
                w, u = random.normal(0, 0.1, (2, int(np.prod(own)))).astype(np.float32)
                made.append(
                    {"trial": trial, "layer": layer, "tensor": role, "role": role}
                    | {"shape": list(own), "size": w.size, "values": w, "u": u}
                    | {"sampled": False}
                )
    return frame(made, TENSORS)


def report(store: Path, out: Path) -> dict[str, float]:
    """Make the report of a store by the command line; return what it cost."""
    begin = time.perf_counter()
    code = (
        "import resource, sys\n"
        "from kregkit.cli import main\n"
        "try:\n    main()\n"
        "finally:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)\n"
    )
    command = [sys.executable, "-c", code, "report", str(store), "--out", str(out)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - begin
    page = (out / "index.html").stat().st_size / 2**20
    peak = float(done.stdout.splitlines()[-1])
    return {"seconds": seconds, "peak": peak, "page": page}


def main() -> None:
    """Measure and print the figures."""
    sizes = (
        ("default study", DEFAULT, 2, 7, 5, 3, (10.0, None, 5.0)),
        ("10,000 trials", LAYERS, 7, 19, 25, 1, (60.0, 2048.0, 10.0)),
    )
    for name, layers, regularizers, strengths, seeds, repetitions, limits in sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "store"
            trials, rows = write(store, layers, regularizers, strengths, seeds)
            print(f"{name}: {trials} trials, {rows} rows", file=sys.stderr)
            found = [
                report(store, Path(folder) / f"report{i}") for i in range(repetitions)
            ]
        words = f"report of {name}"
        for what, unit, limit in zip(
            ("seconds", "peak", "page"), ("seconds", "MiB", "MiB"), limits, strict=True
        ):
            values = [one[what] for one in found]
            label = {"seconds": words, "peak": f"{words}, peak memory"}
            emit(figure(label.get(what, f"{words}, page"), unit, values, limit))


if __name__ == "__main__":
    main()
