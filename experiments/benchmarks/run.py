"""Runs every benchmark and writes `reports/benchmarks.md`.

From the repository's root, with TensorBoard installed beside kregkit:
`python -m experiments.benchmarks.run`. It takes about a quarter of an hour. Each
benchmark has a process of its own; the page has no clock, path or host name.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from experiments.benchmarks._interleave import Figure

NAMES = ("step", "logger", "resnet50", "imports")
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "reports" / "benchmarks.md"
HEAD = "| benchmark | target | median | quartiles | repetitions | met |"
INTRODUCTION = """# Benchmarks

What kregkit costs, measured by `python -m experiments.benchmarks.run`; the docstring
of each script under `experiments/benchmarks/` says what is compared and how. Arms take
turns and each ratio is of neighbouring runs. Figures without a target are controls
(two equal arms, which show the noise) or parts of the figures above them. A share is
what is added, in % of the time without it. A median near its target may fall on the
other side in the next run. It is called unsure where the control of the same run is
as far from equal as the median is from the target.
"""


def shown(kind: str, value: float) -> str:
    """Return a number with its unit."""
    if kind == "share":
        return f"{100 * value:.2f} %"
    if kind == "MiB":
        return f"{value:.0f} MiB"
    if kind == "seconds":
        return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.2f} ms"
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def line(found: Figure) -> str:
    """Return a figure as a line of the table."""
    target, met = "", ""
    if found.limit is not None:
        target = f"{'≥' if found.at_least else '≤'} {shown(found.kind, found.limit)}"
        met = {True: "yes", False: "**no**", None: "unsure"}[found.met]
    quartiles = ""
    if found.repetitions > 1:
        low, high = shown(found.kind, found.low), shown(found.kind, found.high)
        quartiles = f"{low} to {high}"
    median = shown(found.kind, found.median)
    cells = found.benchmark, target, median, quartiles, str(found.repetitions), met
    return f"| {' | '.join(cells)} |"


def measure(name: str) -> list[Figure]:
    """Run one benchmark in a process of its own and return its figures."""
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.benchmarks.{name}"],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    return [Figure(**json.loads(text)) for text in lines if text.startswith("{")]


def page(figures: Iterable[Figure], loads: Iterable[float]) -> str:
    """Return the page."""
    rule = "|" + "---|" * 6
    figures = list(figures)
    aimed = [line(found) for found in figures if found.limit is not None]
    others = [line(found) for found in figures if found.limit is None]
    packages = ", ".join(
        f"{words} {version(words.lower())}" for words in ("Keras", "TensorFlow")
    )
    cores = os.cpu_count()
    machine = f"{cores} cores, Python {platform.python_version()}, {packages}."
    parts = [
        INTRODUCTION,
        f"Measured on {machine}\n",
        "Processes that wanted a core, this benchmark's own among them, as each of "
        f"{', '.join(NAMES)} ended: {', '.join(f'{load:.1f}' for load in loads)}.\n",
        "## Targets\n",
        "\n".join([HEAD, rule, *aimed, ""]),
        "## Controls and parts\n",
        "\n".join([HEAD, rule, *others, ""]),
    ]
    return "\n".join(parts)


def main() -> None:
    """Run the benchmarks and write the page."""
    figures, loads = [], []
    for name in NAMES:
        print(f"{name} ...", flush=True)
        for found in measure(name):
            figures.append(found)
            print(line(found), flush=True)
        loads.append(os.getloadavg()[1])  # of the last five minutes
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(figures, loads), encoding="utf-8")


if __name__ == "__main__":
    main()
