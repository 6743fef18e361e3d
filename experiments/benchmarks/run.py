"""Runs every benchmark and writes `reports/benchmarks.md`.

From the repository's root, with what the extra `benchmarks` names installed beside
kregkit: `python -m experiments.benchmarks.run`. It takes about forty minutes. Each
benchmark has a process of its own; the page has no clock, path or host name. With
names (`... run study scale`) the others' figures are those of `benchmarks.json`.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from experiments.benchmarks._interleave import Figure

NAMES = (
    "study",
    "kinds",
    "scale",
    "logged",
    "step",
    "proximal",
    "proximal_resnet50",
    "penalties",
    "logger",
    "resnet50",
    "imports",
    "reporting",
)
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "reports" / "benchmarks.md"
KEPT = PAGE.with_suffix(".json")
HEAD = """| benchmark | target | median | quartiles | repetitions | met |
|---|---|---|---|---|---|"""
INTRODUCTION = """# Benchmarks

What kregkit costs, measured by `python -m experiments.benchmarks.run`; the docstring
of each script under `experiments/benchmarks/` says what is compared and how. Arms take
turns and each ratio is of neighbouring runs. Figures without a target are controls
(two equal arms, which show the noise), parts of the figures above them, or given for
comparison. A share is what is added, in % of the time without it, unless a whole is
named. A median near its target may fall on the other side in the next run. It is
called unsure where the control of the same run is as far from equal as the median is
from the target.
"""


@dataclass(frozen=True)
class Run:
    """What one benchmark gave: its figures, and where it ran."""

    machine: str
    load: float
    figures: tuple[Figure, ...]


def shown(kind: str, value: float) -> str:
    """Return a number with its unit."""
    if kind == "share":
        return f"{100 * value:.2f} %"
    if kind in ("MiB", "trials"):
        return f"{value:.0f} {kind}"
    if kind == "GFLOP/s":
        return f"{value:.2f} {kind}"
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


def measured(name: str) -> Run:
    """Run one benchmark in a process of its own."""
    print(f"{name} ...", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.benchmarks.{name}"],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = [text for text in done.stdout.splitlines() if text.startswith("{")]
    figures = tuple(Figure(**json.loads(text)) for text in told)
    print("\n".join(line(found) for found in figures), flush=True)
    return Run(machine(), os.getloadavg()[1], figures)  # load of the last five minutes


def machine() -> str:
    """Return what figures depend on."""
    packages = ", ".join(
        f"{words} {version(words.lower())}" for words in ("Keras", "TensorFlow")
    )
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def page(runs: Mapping[str, Run]) -> str:
    """Return the page."""
    figures = [found for run in runs.values() for found in run.figures]
    aimed = [line(found) for found in figures if found.limit is not None]
    others = [line(found) for found in figures if found.limit is None]
    names: dict[str, list[str]] = {}
    for name, run in runs.items():
        names.setdefault(run.machine, []).append(name)
    places = [f"{', '.join(own)} on {where}." for where, own in names.items()]
    loads = ", ".join(f"{name} {run.load:.1f}" for name, run in runs.items())
    parts = [
        INTRODUCTION,
        f"Measured: {' '.join(places)}\n",
        f"Processes that wanted a core, its own among them, as each ended: {loads}.\n",
        "## Targets\n",
        "\n".join([HEAD, *aimed, ""]),
        "## Controls and parts\n",
        "\n".join([HEAD, *others, ""]),
    ]
    return "\n".join(parts)


def kept() -> dict[str, Run]:
    """Return what was measured before."""
    if not KEPT.exists():
        return {}
    return {
        name: Run(
            run["machine"], run["load"], tuple(Figure(**f) for f in run["figures"])
        )
        for name, run in json.loads(KEPT.read_text(encoding="utf-8")).items()
    }


def main() -> None:
    """Run the benchmarks that are named, or all, and write the page."""
    if unknown := sorted(set(sys.argv[1:]) - set(NAMES)):
        sys.exit(f"no benchmark is called {', '.join(unknown)}: {', '.join(NAMES)}")
    for name in sys.argv[1:] or NAMES:
        runs = kept() | {name: measured(name)}
        runs = {name: runs[name] for name in NAMES if name in runs}
        told = {name: asdict(run) for name, run in runs.items()}
        KEPT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
