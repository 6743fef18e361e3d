"""Measures the trained models of trials, for both engines.

An engine supplies the way to apply a function of one model to its trials. The rest,
random numbers included, is the same for both.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from kregkit._keras import training_argument
from kregkit.kkt.gradient import gradient
from kregkit.known import CODE_LAYER
from kregkit.numerics import Tensor
from kregkit.schema import PROBE
from kregkit.study.data.data import Split
from kregkit.study.plan import Trial
from kregkit.study.probes import probes
from kregkit.study.problem.resolve import Study
from kregkit.watch.measuring import Measuring, compiled
from kregkit.watch.penalties import Penalties
from kregkit.weights import walk

Each = Callable[[Callable[[Any], Any], Any], Any]
"""Applies a function of one model's tensors to stacked tensors, trials on axis 0."""

_JACOBIANS: Final = 256
"""The maximum number of test rows at which Jacobians are taken."""


def alone(function: Callable[[Any], Any], stacked: Any) -> Any:
    """Apply a function of one model's tensors to stacked tensors of one trial."""
    given = keras.tree.map_structure(lambda own: own[0], stacked)
    return keras.tree.map_structure(lambda own: own[None], function(given))


@contextlib.contextmanager
def holding(
    variables: list[Any], values: list[Tensor], penalties: Penalties
) -> Iterator[None]:
    """Use these values for a model's variables, and compute no penalties."""
    mapping = list(zip(variables, values, strict=True))
    scope = keras.StatelessScope(state_mapping=mapping, collect_losses=True)
    with penalties.absent(), scope:
        yield


class _Seed:
    """The data and random numbers that all trials of a seed share."""

    def __init__(self, seed: int, split: Split) -> None:
        self.seed, self.split = seed, split
        self.varying = probes.varying(split.x_train)
        self.sizes = probes.noise_sizes(split.x_train)
        self._noise = probes.noise(seed)

    @functools.cached_property
    def permuted(self) -> Any:
        """The inputs of the test part, each permuted over rows."""
        return probes.permuted(self.split.x_test, self.seed)

    def noise(self, rows: int) -> Any:
        """Return the noise for the next rows, with standard deviation 1."""
        shape = (rows, *self.split.x_test.shape[1:])
        return self._noise.standard_normal(shape, "float32")


class Probing:
    """Measures trials of a study, with functions that are compiled once.

    Args:
        study: the study.
        model: any model of the study, with its penalties attached; only its structure
            is used.
        measuring: decides which activations are measured.
        each: applies a function to the tensors of each trial.
    """

    def __init__(
        self, study: Study, model: Any, measuring: Measuring, each: Each
    ) -> None:
        self._study = study
        self._model = model
        self._measuring = measuring
        self._each = each
        self._penalties = Penalties(model)
        place = {id(v): index for index, v in enumerate(measuring.variables)}
        self._places = {
            role: [place[id(w.variable)] for w in walk(model) if w.role == role]
            for role in ("kernel", "bias")
        }
        self._code: int | None = None  # index of the code among the dense layers
        if study.reconstructs:
            names = [w.layer.name for w in walk(model) if w.role == "kernel"]
            self._code = names.index(CODE_LAYER)
        first = probes.first_kernel(model)
        self._first = None if first is None else place[id(first.variable)]
        # `partial`, since TensorFlow warns if one function is traced for many models.
        self._answer = compiled(functools.partial(self._answered))
        self._pull = compiled(functools.partial(self._pulled))
        self._activate = compiled(functools.partial(self._activated))

    def __call__(
        self,
        trials: Sequence[Trial],
        splits: Mapping[int, Split],
        values: list[Tensor],
    ) -> list[dict[str, Any]]:
        """Return columns of `finals` for each trial; undefined values are None.

        `values` are the values of `measuring.variables`, with trials on axis 0.
        """
        given = {seed: _Seed(seed, split) for seed, split in splits.items()}
        seeds = [given[trial.seed] for trial in trials]
        with np.errstate(all="ignore"):  # NaN means undefined
            exactly, nearly = (
                self._ignored(seeds, values, near) for near in (False, True)
            )
            count = np.stack([seed.varying for seed in seeds]).sum(axis=1)
            columns = {
                **self._disturbed(seeds, values, nearly),
                "jacobian_norm": self._jacobian_norms(seeds, values),
                "inputs_ignored": exactly.sum(axis=1) / count,
                "inputs_near_ignored": nearly.sum(axis=1) / count,
                **self._activity(seeds, values),
            }
        return [
            {name: _finite(column[index]) for name, column in columns.items()}
            for index in range(len(trials))
        ]

    def _ignored(self, seeds: list[_Seed], values: list[Tensor], near: bool) -> Any:
        """Return which varying inputs each trial ignores; NaN if it is not known."""
        varying = np.stack([seed.varying for seed in seeds])
        if self._first is None:
            return np.full(varying.shape, np.nan)
        kernels = ops.convert_to_numpy(values[self._first])
        return varying & np.stack([probes.ignored(own, near) for own in kernels])

    def _disturbed(
        self, seeds: list[_Seed], values: list[Tensor], nearly: Any
    ) -> dict[str, Any]:
        """Return the columns that need f on the test part, with and without changes.

        Only sums over outputs are kept, since outputs of an autoencoder are large.
        """
        count, *shape = seeds[0].split.x_test.shape
        size, task = probes.chunk(count), self._study.task
        permuting = np.nan_to_num(nearly).astype(bool)
        mask = permuting.reshape(len(seeds), 1, *shape)
        discrete = _discrete(seeds)
        undefined = np.nan if discrete else 0.0
        sizes = undefined + np.stack([seed.sizes for seed in seeds])
        squares, changes = np.zeros((2, len(seeds)))
        errors = np.full(sizes.shape, undefined)
        for start in range(0, count, size):
            rows = slice(start, min(start + size, count))
            x = np.stack([own.split.x_test[rows] for own in seeds])
            y = np.stack([own.split.y_test[rows] for own in seeds])
            drawn = {own: own.noise(x.shape[1]) for own in {*seeds}}
            noise = np.stack([drawn[own] for own in seeds])
            f = self._f(values, x, size)
            squares += _squares(f)
            for index in range(0 if discrete else sizes.shape[1]):
                scale = sizes[:, index].reshape(-1, *[1] * (x.ndim - 1))
                noisy = x + scale.astype("float32") * noise
                errors[:, index] += probes.errors(self._f(values, noisy, size), y, task)
            if permuting.any():
                other = np.stack([own.permuted[rows] for own in seeds])
                changed = self._f(values, np.where(mask, other, x), size)
                changes += _squares(changed - f)
        at_zero = np.full(len(seeds), np.nan)
        if not discrete:
            zero = np.zeros((len(seeds), 1, *shape), "float32")
            at_zero = np.sqrt(_squares(self._f(values, zero, size)))
        scales, change = np.sqrt(squares / count), np.sqrt(changes / count)
        worst = {own: probes.most(own.split.y_test, task) for own in {*seeds}}
        most = np.array([[worst[own]] for own in seeds])
        return {
            "logit_scale": scales,
            "logit_norm_at_zero": at_zero / scales,
            "noise_sizes": sizes,
            "score_under_noise": np.where(most > 0, 1 - errors / most, 0.0),
            "permuted_change": np.where(permuting.any(axis=1), change / scales, np.nan),
        }

    def _jacobian_norms(self, seeds: list[_Seed], values: list[Tensor]) -> Any:
        """Return `√(mean over rows of ‖∂f/∂x‖²_F)`, by `probes.directions`.

        It takes as many rows at a time as a training step, whose memory is known.
        """
        if _discrete(seeds):
            return np.full(len(seeds), np.nan)
        x = np.stack([own.split.x_test[:_JACOBIANS] for own in seeds])
        count, study = x.shape[1], self._study
        size = min(count, study.config.train.batch_size)
        shape = (count, study.outputs, study.task)
        drawn = {own: probes.directions(own.seed, *shape) for own in {*seeds}}
        squares = np.zeros(len(seeds))
        for start in range(0, count, size):
            now = _tensor(filled(x[:, start : start + size], size))
            for index in range(len(drawn[seeds[0]])):
                v = np.stack([drawn[own][index, start : start + size] for own in seeds])
                squares += _array(self._pull(values, now, _tensor(filled(v, size))))
        return np.sqrt(squares / count)

    def _activity(self, seeds: list[_Seed], values: list[Tensor]) -> dict[str, Any]:
        """Return the quantiles of each role, and an autoencoder's code usage."""
        probe = np.stack([own.split.x_val[:PROBE] for own in seeds])
        found = {
            role: [_array(values[place]) for place in places]
            for role, places in self._places.items()
        }
        found["activation"] = [*map(_array, self._activate(values, _tensor(probe)))]
        usage: list[Any] = [None] * len(seeds)
        if self._code is not None:
            codes, kernels = found["activation"][self._code], found["kernel"]
            usage = [*map(probes.usage, codes, kernels[self._code + 1])]
        return {"code_usage": usage} | {
            f"{role}_quantiles": [
                probes.quantiles(array[index] for array in arrays)
                for index in range(len(seeds))
            ]
            for role, arrays in found.items()
        }

    def _f(self, values: list[Tensor], x: Any, size: int) -> Any:
        """Return f at up to `size` rows of each trial, `(trials, rows, outputs)`."""
        outputs = _array(self._answer(values, _tensor(filled(x, size))))
        return probes.centred(outputs[:, : x.shape[1]], self._study.task)

    def _answered(self, values: list[Tensor], x: Tensor) -> Tensor:
        """Return the outputs of each trial's model for its own rows."""
        argument = training_argument(self._model, False)

        def one(own: Any) -> Tensor:
            with holding(self._measuring.variables, own[0], self._penalties):
                return ops.cast(self._model(own[1], **argument), "float32")

        return self._each(one, (values, x))

    def _pulled(self, values: list[Tensor], x: Tensor, v: Tensor) -> Tensor:
        """Return `Σ‖vᵀJ‖²` over the rows of each trial; v has the outputs' shape."""

        def total(at: list[Tensor]) -> tuple[Tensor, None]:
            return ops.sum(v * self._answered(values, at[0])), None

        (pulled,), _ = gradient(total, [x])
        return ops.sum(ops.square(pulled), axis=tuple(range(1, len(pulled.shape))))

    def _activated(self, values: list[Tensor], probe: Tensor) -> list[Tensor]:
        """Return the logged activations of each trial."""

        def one(own: Any) -> list[Tensor]:
            with holding(self._measuring.variables, own[0], self._penalties):
                return self._measuring.activations(own[1])

        found: list[Tensor] = self._each(one, (values, probe))
        return found


def _discrete(seeds: list[_Seed]) -> bool:
    """Return whether inputs are integers; a model may then reject other numbers."""
    return bool(seeds[0].split.x_test.dtype.kind == "i")


def filled(x: Any, size: int) -> Any:
    """Return x padded with zero rows to `size`, since a new shape is compiled again."""
    kind = x.dtype if x.dtype.kind == "i" else "float32"
    filled = np.zeros((len(x), size, *x.shape[2:]), kind)
    filled[:, : x.shape[1]] = x
    return filled


def _squares(f: Any) -> Any:
    """Return `Σ‖f(x)‖²` over the rows of each trial."""
    return np.square(f).sum(axis=(1, 2))


def _tensor(array: Any) -> Tensor:
    return ops.convert_to_tensor(array)


def _array(tensor: Tensor) -> Any:
    return ops.convert_to_numpy(tensor)


def _finite(column: Any) -> Any:
    """Return a number or list for the store; None if it is not finite."""
    if column is None or not np.isfinite(column).all():
        return None
    return np.asarray(column, "float64").tolist()
