"""One small study, and how to run it without its report."""

from pathlib import Path

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


def written(folder: Path, text: str = STUDY) -> Path:
    file = folder / "study.toml"
    file.write_text(text)
    return file


def trained(file: Path, out: Path, fresh: bool = False) -> list[bool]:
    """Run a study without its report; return what `progress` was told."""
    told: list[bool] = []
    train(prepare(file, out, fresh), told.append)
    return told
