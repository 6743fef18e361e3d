"""The trials of a study, in order, each with an id; no Keras.

The one rule: an id is a hash of what determines a trial's result and of nothing
else, so that a store can say which trials are finished whatever has changed around
them: title, number of seeds, order of sweeps, engine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kregkit.errors import DataError
from kregkit.study.config import Cell, StudyConfig
from kregkit.study.values import Parameter


@dataclass(frozen=True)
class Trial:
    """One training: a cell of a sweep, or the baseline (regularizer None), a seed."""

    id: str
    regularizer: str | None
    target: str | None
    layers: str | None
    solver: str
    strength: float | None
    parameters: tuple[tuple[str, Parameter], ...]
    seed: int

    @property
    def structure(self) -> tuple[tuple[str, str], ...]:
        """The structural parameters, in which trials traced as one do not differ."""
        return tuple((n, v) for n, v in self.parameters if isinstance(v, str))


def plan(config: StudyConfig, digest: str) -> tuple[Trial, ...]:
    """Return every trial: the baselines first, then sweep by sweep.

    `digest` is that of the data file, from `digest`; "" for a named data set.
    """
    study = _determining(config, digest)
    cells = [cell for sweep in config.sweep for cell in sweep.cells()]
    return tuple(
        _trial(study, cell, seed)
        for cell in (None, *cells)
        for seed in range(config.seeds)
    )


def words(trial: Trial) -> str:
    """Return a trial in words, for messages."""
    if trial.regularizer is None:
        return f"baseline, seed {trial.seed}"
    return (
        f"{trial.regularizer} on {trial.target} at {trial.strength:g}, "
        f"seed {trial.seed}"
    )


def digest(config: StudyConfig, folder: Path) -> str:
    """Return the SHA-256 of the study's data file, "" for a named data set."""
    if config.data.file is None:
        return ""
    file = folder / config.data.file
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(f"{file}: no such file.") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from None


def _determining(config: StudyConfig, digest: str) -> dict[str, Any]:
    return {
        "data": config.data.model_dump(exclude_none=True),
        "digest": digest,
        "model": {
            "name": config.model.name,
            "build": config.model.build,
            **config.model.options,
        },
        "train": config.train.model_dump(exclude_none=True),
    }


def _trial(study: Mapping[str, Any], cell: Cell | None, seed: int) -> Trial:
    fields: dict[str, Any] = {
        "regularizer": None,
        "target": None,
        "layers": None,
        "solver": "gradient",
        "strength": None,
        "parameters": (),
    }
    fields |= asdict(cell) if cell else {}
    content = {**study, "trial": {**fields, "seed": seed}}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    name = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    return Trial(id=name, **fields, seed=seed)
