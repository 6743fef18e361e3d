"""Digits by a published script: which weights are zero, by gradient and by prox.

`python -m experiments.zeros.digits_published` runs the study of
experiments/zeros/digits_published.toml in build/digits_published, and writes
reports/digits_published/report.md. A run that was stopped goes on where it was.

The protocol is that of Scardapane, Comminiello, Hussain and Uncini 2017
(arXiv:1607.00485): a 64-40-20-10 network, Adam 1e-3, batches of 300, 1500 epochs, every
strength 10^-3.5, biases free; a weight "rounds to zero" where |w| < 5e-4, and an input
or neuron is active where not all of its outgoing weights do. Two things differ: pixels
are divided by 16, not scaled column by column, and 5 % of the rows are set aside as
this project's studies do, so that 70 % are trained on, not 75 %; 25 % are the test.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from kregkit.store import Store

STUDY = Path("experiments/zeros/digits_published.toml")
OUT = Path("build/digits_published")
REPORT = Path("reports/digits_published/report.md")
NAMES = {
    (None, "gradient"): "none",
    ("L2", "gradient"): "L2",
    ("L1", "gradient"): "L1",
    ("GroupLasso", "gradient"): "Group L1",
    ("SparseGroupLasso", "gradient"): "Sparse group L1",
    ("L1", "proximal"): "L1, `Proximal`",
    ("GroupLasso", "proximal"): "Group L1, `Proximal`",
    ("SparseGroupLasso", "proximal"): "Sparse group L1, `Proximal`",
}

PUBLISHED = """
## The script's own protocol

The script of the authors, run again in NumPy with all of its protocol (every column
scaled to 0 to 1, 75 % of the rows trained on), 10 splits, by gradient:

| | test, % | rounds to zero, % | active in/h1/h2 | exactly zero, % |
|---|---|---|---|---|
| none | 96.7 ± 0.6 | 0.1 | 64/40/20 | 0 |
| L2 | 97.2 ± 0.6 | 10.7 | 60.5/38.4/18.9 | 0 |
| L1 | 96.6 ± 0.8 | 74.2 | 52.9/33.3/17.8 | 0 |
| Group L1 | 96.8 ± 0.9 | 44.0 | 48.1/31.5/18.2 | 0 |
| Sparse group L1 | 96.7 ± 0.8 | 70.7 | 48.9/27.9/17.2 | 0 |

Test accuracies of both tables are within what the split makes of them (0.4 to 0.9
points). No gradient row has a weight that is exactly zero, of 3,560 and after 1500
epochs; what "rounds to zero" there is a matter of when one stops.
"""


def main() -> None:
    """Run the study, and write the table."""
    command = [sys.executable, "-m", "kregkit", "run", str(STUDY), "--out", str(OUT)]
    subprocess.run(command, check=True)
    tables = Store(OUT / "store").read()
    kernels = tables.tensors.filter(pl.col("tensor") == "kernel")
    lines = [
        "# Digits by a published script",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "Mean ± sd over 10 splits. *Active* counts inputs, first and second hidden\n"
        "neurons; *exactly zero* is of the three kernels in order.",
        "",
        "| | test, % | rounds to zero, % | active in/h1/h2 of 64/40/20 "
        "| exactly zero, % |",
        "|---|---|---|---|---|",
    ]
    for (regularizer, solver), name in NAMES.items():
        finals = tables.finals.filter(
            pl.col("regularizer").eq_missing(pl.lit(regularizer)),
            pl.col("solver") == solver,
        )
        trials = [
            [np.array(own["values"]).reshape(own["shape"]) for own in group.to_dicts()]
            for _, group in kernels.filter(
                pl.col("trial").is_in(finals["trial"].implode())
            ).group_by("trial", maintain_order=True)
        ]
        rounded = [
            100 * np.mean(np.concatenate([np.abs(w).ravel() < 5e-4 for w in own]))
            for own in trials
        ]
        active = np.mean(
            [[(np.abs(w) >= 5e-4).any(axis=1).sum() for w in own] for own in trials],
            axis=0,
        )
        zero = np.mean([[100 * np.mean(w == 0) for w in own] for own in trials], axis=0)
        test = 100 * finals["test_score"]
        cells = [
            f"{test.mean():.1f} ± {test.std():.1f}",
            f"{np.mean(rounded):.1f} ± {np.std(rounded, ddof=1):.1f}",
            "/".join(f"{count:.1f}" for count in active),
            "/".join(f"{share:.1f}" for share in zero),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n" + PUBLISHED)


if __name__ == "__main__":
    main()
