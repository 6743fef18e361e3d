"""The command line: the only module that prints or reads argv.

A mistake of the user is one line and exit status 2, never a traceback. Exit status 0:
done; 1: the study finished with failed trials; 130: interrupted.
"""

import json
import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kregkit import __version__
from kregkit.errors import KregkitError, PartError, StoreError

app = typer.Typer(
    name="kregkit",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study file.")]


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kregkit {__version__}")
        raise typer.Exit


Version = typer.Option(
    "--version", callback=_tell_version, is_eager=True, help="Print it and end."
)


@app.callback()
def options(version: Annotated[bool, Version] = False) -> None:
    """What regularizers do to a Keras model: run studies, read their reports."""


class Engine(StrEnum):
    """How trials are trained."""

    auto = "auto"
    batch = "batch"
    fit = "fit"


@app.command()
def run(
    study: StudyFile,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for store and report; without it runs/NAME and reports/NAME.",
        ),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(
            help="batch: many trials as one program; fit: one by one by model.fit; "
            "auto: batch where it applies."
        ),
    ] = Engine.auto,
    workers: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Processes that share the work."),
    ] = 1,
    fresh: Annotated[
        bool,
        typer.Option("--fresh/--resume", help="Begin anew, or train what is missing."),
    ] = False,
) -> None:
    """Train a study, store every trial, and write the report."""
    from kregkit.report import check_out, load
    from kregkit.study.engines.workers import load_backend_quietly
    from kregkit.study.run import prepare, train

    job = prepare(study, out, fresh)
    check_out(job.report)
    done, total = len(job.trials) - len(job.waiting), len(job.trials)
    if done:
        typer.echo(f"{done} of {total} trials are stored already.")
    load_backend_quietly()
    try:
        with _progress(done, total) as (advance, say):
            failed = train(job, advance, engine.value, workers, say)
        page = (made := load(job.store.path)).write(job.report)
    except KeyboardInterrupt:
        again = "without --fresh" if fresh else "again"
        typer.echo(
            f"Interrupted. What is finished is stored: run it {again} to resume."
        )
        raise typer.Exit(130) from None
    typer.echo("\n".join((*made.answer, f"Report: {page}")))
    if failed:
        typer.echo(f"{failed} of {total} trials failed: the report says which.")
        raise typer.Exit(1)


@app.command()
def report(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Folders of stores.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where the report goes."),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="Leave out parts of the store with damaged files."
        ),
    ] = False,
) -> None:
    """Rebuild a report from a store, or make one over several; without Keras."""
    from kregkit.report import check_out, load, make_several

    if len(stores) > 1:
        out = out or Path("reports") / "several"
        typer.echo(f"Report: {make_several(stores, out)}")
        return
    store = stores[0]
    at = store.resolve()
    of_run = at.name == "store"
    out = out or (at.parent / "report" if of_run else Path("reports") / at.name)
    check_out(out)
    try:
        loaded = load(store, skip_unreadable)
    except PartError as error:
        raise StoreError(f"{error}; --skip-unreadable reports the rest") from None
    page = loaded.write(out)
    for part in loaded.left_out:
        typer.echo(f"Left out: {store / 'parts' / part} cannot be read.")
    typer.echo(f"Report: {page}")


@app.command()
def plan(
    study: StudyFile,
    engine: Annotated[Engine, typer.Option(help="As for `kregkit run`.")] = Engine.auto,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, help="As for `kregkit run`.")
    ] = 1,
) -> None:
    """Say what would be trained, how often, by which engine and why; train nothing."""
    from kregkit.study.engines.workers import load_backend_quietly
    from kregkit.study.run import planned

    config, _, trials = planned(study)
    load_backend_quietly()
    from kregkit.study.advice import advice
    from kregkit.study.data.data import told
    from kregkit.study.engines.estimate import estimate
    from kregkit.study.engines.schedule import schedule
    from kregkit.study.problem.resolve import resolve

    resolved = resolve(config, study)
    found = schedule(resolved, trials, engine.value, workers)
    several = len({t.learning_rate for t in trials}) > 1
    cells = Counter(
        (t.target or "-", t.regularizer or "baseline", t.layers or "-", t.solver)
        + ((f"{t.learning_rate:g}",) if several else ())
        for t in trials
    )
    heads = ("target", "regularizer", "layers", "solver", "learning rate")
    typer.echo(f"{config.name}: {len(trials)} trials, {config.seeds} seeds")
    for words, count in ((heads[: 4 + several], "trials"), *cells.items()):
        padded = map(str.ljust, words, (10, 16, 10, 10, 13))
        typer.echo(f"{' '.join(padded)} {count:>6}")
    typer.echo(_wrapped(f"{told(resolved.data, config.data)}{found}"))
    typer.echo(_wrapped(str(estimate(resolved, found, workers))))
    for line in advice(config):
        typer.echo(_wrapped(f"warning: {line}"))


@app.command()
def init(
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA_FILE", help="A .csv, .npz or .parquet file."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="STUDY.toml",
            help="The file to write; without it, named like the data.",
        ),
    ] = None,
) -> None:
    """Write a first study file, with comments, that runs as it is."""
    from kregkit.study.starter import write_starter

    file = write_starter(data, out)
    typer.echo(f"Study: {file}. Next: kregkit plan {file}")


@app.command("list")
def list_names() -> None:
    """List the regularizers, data sets and models that a study can name."""
    from kregkit import known, specs

    tables: dict[str, dict[str, str]] = {
        "regularizers": {name: spec.formula for name, spec in specs.SPECS.items()},
        "targets": known.TARGETS,
        "data sets": known.DATASETS,
        "models": {name: line for name, (line, _) in known.MODELS.items()},
        "optimizers": {n: ", ".join(sorted(o)) for n, o in known.OPTIMIZERS.items()},
    }
    names = max(len(name) for lines in tables.values() for name in lines)
    # Lines stay whole in a pipe, for what searches them.
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    for title, lines in tables.items():
        typer.echo(f"{title}:")
        for name, line in lines.items():
            first, rest = f"  {name:{names}} ", " " * (names + 3)
            told = textwrap.fill(
                line, columns, initial_indent=first, subsequent_indent=rest
            )
            typer.echo(told or first.rstrip())


@app.command()
def schema() -> None:
    """Print the JSON schema of a study file, for editors."""
    from kregkit.study.file.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@contextmanager
def _progress(
    done: int, total: int
) -> Iterator[tuple[Callable[[float, int], None], Callable[[str], None]]]:
    """Show trials done and time left: a bar, or without a terminal a few lines.

    Yields what advances it, and what says something above it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    console = Console(stderr=True)
    trained, failed, tenths = float(done), 0, done * 10 // total
    columns = (
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.fields[whole]}/{task.total:.0f} trials,"),
        Left(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[failed]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, completed=done, whole=done, failed="")

        def advance(trials: float, more_failed: int) -> None:
            nonlocal trained, failed, tenths
            trained, failed = trained + trials, failed + more_failed
            note = f"{failed} failed" if failed else ""
            # Sums of shares fall short of whole numbers by rounding.
            whole = int(trained + 1e-6)
            bar.update(task, completed=trained, whole=whole, failed=note)
            now = int(trained * 10 / total + 1e-6)
            if not console.is_terminal and now > tenths:
                tenths = now
                line = f"{whole} of {total} trials {note}"
                typer.echo(line.rstrip(), err=True)

        def say(words: str) -> None:
            console.print(_wrapped(words), highlight=False, markup=False)

        yield advance, say


def _wrapped(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(textwrap.fill(one, 80, subsequent_indent="  ") for one in lines)


def main() -> None:
    """Run the command line; the process ends with its exit status."""
    # TensorFlow reads this when it is loaded; a user's own choice stands.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app()
    except KregkitError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
