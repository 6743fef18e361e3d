"""One small study, and how to run it without its report."""

from pathlib import Path

from polars.testing import assert_frame_equal

from kregkit.study.run import prepare, train

STUDY = """\
name = "small"
seeds = 2

[data]
name = "iris"

[model]
name = "mlp"
hidden = [5]

[train]
epochs = 2
batch_size = 16
learning_rate = 1e-2

[[sweep]]
regularizer = ["L1", "L1L2"]
target = ["kernel", "activity"]
strength = [1e-2]
"""

OWN = STUDY.replace('name = "mlp"\nhidden = [5]', 'build = "{}:build"')
"""The study with a builder in a module, whose name is still to be given."""


def written(folder: Path, text: str = STUDY) -> Path:
    file = folder / "study.toml"
    file.write_text(text)
    return file


def trained(
    file: Path, out: Path, fresh: bool = False, engine: str = "auto", workers: int = 1
) -> tuple[float, int]:
    """Run a study without its report; return the sums of what `progress` was told."""
    told: list[tuple[float, int]] = []
    job = prepare(file, out, fresh)
    failed = train(job, lambda *now: told.append(now), engine, workers)
    done, failed_now = (sum(column) for column in zip((0.0, 0), *told, strict=True))
    assert failed >= failed_now
    return round(done, 6), failed_now


def assert_close_stores(one, other, rel=1e-4):
    """Assert the same trials, places and columns, and values but for rounding."""
    drop = ["wall_seconds", "engine"]
    assert_frame_equal(
        one.finals.drop(drop), other.finals.drop(drop), rel_tol=rel, abs_tol=1e-6
    )
    # A histogram's counts move with the last bit of a value.
    drop = ["histogram"]
    assert_frame_equal(
        one.tensors.drop(drop), other.tensors.drop(drop), rel_tol=rel, abs_tol=1e-5
    )
    assert_frame_equal(one.rows, other.rows, rel_tol=rel, abs_tol=1e-5)
