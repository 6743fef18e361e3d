"""The trials of a study, in order, each with an id; without Keras.

An id is a hash of everything that determines a trial's result, and of nothing else. A
finished trial thus stays finished when title, number of seeds, order of sweeps or
engine change. Metrics are part of the id, since a trial that is finished without them
lacks them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from kregkit.errors import DataError
from kregkit.known import DECOUPLED
from kregkit.study.data.archives import shape_of_x
from kregkit.study.data.features import MAX_LEVELS
from kregkit.study.file.config import StudyConfig
from kregkit.study.file.types import Parameter

_DEFAULTS: Final = {"scale": "auto", "missing": "refuse", "max_levels": MAX_LEVELS}


@dataclass(frozen=True)
class Trial:
    """One training: a cell of a sweep, or the baseline (no regularizer), and a seed."""

    id: str
    regularizer: str | None
    target: str | None
    layers: str | None
    solver: str
    strength: float | None
    parameters: tuple[tuple[str, Parameter], ...]
    learning_rate: float
    seed: int

    @property
    def structure(self) -> tuple[tuple[str, str], ...]:
        """The structural parameters, which are the same for trials traced together."""
        return tuple((n, v) for n, v in self.parameters if isinstance(v, str))

    @property
    def decay(self) -> float:
        """The decoupled weight decay; 0 for a baseline and for a penalty."""
        return self.strength or 0.0 if self.regularizer == DECOUPLED else 0.0


def plan(config: StudyConfig, digest: str) -> tuple[Trial, ...]:
    """Return all trials: the baselines first, then sweep by sweep.

    There are baselines for each learning rate of a sweep. `digest` is the result of
    `digest` for the data file.
    """
    study = _determining(config, digest)
    own = config.train.learning_rate
    cells = [cell for sweep in config.sweep for cell in sweep.cells(own)]
    rates = dict.fromkeys(cell.learning_rate for cell in cells)
    swept = [asdict(cell) for cell in cells]
    return tuple(
        _trial(study, fields, seed)
        for fields in (*({"learning_rate": rate} for rate in rates), *swept)
        for seed in range(config.seeds)
    )


def words(trial: Trial) -> str:
    """Return a description of a trial, for messages."""
    if trial.regularizer is None:
        return f"baseline, seed {trial.seed}"
    return (
        f"{trial.regularizer} on {trial.target} at {trial.strength:g}, "
        f"seed {trial.seed}"
    )


def digest(config: StudyConfig, folder: Path) -> str:
    """Return the SHA-256 of the study's data file, or "" for a named data set.

    ":auto" is appended if `scale` "auto" scales these data by a newer rule.
    """
    if config.data.file is None:
        return ""
    file = folder / config.data.file
    try:
        if not (file.is_file() or file.is_dir()) and file.exists():
            raise DataError(f"{file}: is a device or a pipe, not a file.")
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
            return f"{found}:auto" if _has_newer_scale(config, opened) else found
    except FileNotFoundError:
        raise DataError(f"{file}: no such file.") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from None


def _has_newer_scale(config: StudyConfig, opened: IO[bytes]) -> bool:
    """Return whether the data may be series or token ids, for which "auto" has a rule.

    Older stores scaled them like images and columns, and have other ids.
    """
    automatic = config.data.scale in (None, "auto")
    if config.data.format != ".npz" or not automatic:
        return False
    shape, kind = shape_of_x(opened)
    return (len(shape) == 3 and kind != "u") or (
        config.model.build is not None and kind in "iu" and len(shape) == 2
    )


def _determining(config: StudyConfig, digest: str) -> dict[str, Any]:
    data = config.data.model_dump(exclude_none=True)
    for key, default in _DEFAULTS.items():  # the same id as without the key
        if data.get(key) == default:
            del data[key]
    return {
        "data": data,
        "digest": digest,
        "model": {
            "name": config.model.name,
            "build": config.model.build,
            **config.model.options,
        },
        "train": config.train.model_dump(exclude_none=True),
    }


def _trial(study: Mapping[str, Any], given: Mapping[str, Any], seed: int) -> Trial:
    """Return the trial with these fields; the other fields are as in a baseline."""
    fields: dict[str, Any] = {
        "regularizer": None,
        "target": None,
        "layers": None,
        "solver": "gradient",
        "strength": None,
        "parameters": (),
        **given,
    }
    # The id must not depend on the table that contains the learning rate.
    rate = {"learning_rate": fields.pop("learning_rate")}
    train = {**study["train"], **rate}
    content = {**study, "train": train, "trial": {**fields, "seed": seed}}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    name = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    return Trial(id=name, **fields, **rate, seed=seed)
