"""What the claims ask of the trained functions of a batch, all trials at once.

The one rule: what `answers` does for one model; what is asked is in `probes`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from kregkit.callbacks import compiled, gradient
from kregkit.numerics import Tensor
from kregkit.study import probes
from kregkit.study.passes import Part, Passes, State
from kregkit.study.plan import Trial
from kregkit.study.probes import Inputs
from kregkit.study.protocol import chunk
from kregkit.study.resolve import Study


class BatchAnswers:
    """The answers of the trials of `passes`.

    Gradients are of so many rows at a time as a step of training has, whose memory is
    known.
    """

    def __init__(self, passes: Passes, study: Study) -> None:
        self._passes = passes
        self._classification = study.task == "classification"
        self._batch = study.config.train.batch_size
        kernel = probes.input_kernel(passes.model)
        own = [id(variable) for variable in passes.measuring.variables]
        self._kernel = None if kernel is None else own.index(id(kernel))
        self._answer = compiled(self._answered)
        self._square = compiled(self._squared)
        self._quantiles = compiled(self._quantiles_of)

    def columns(
        self,
        trials: Sequence[Trial],
        inputs: dict[int, Inputs],
        state: State,
        parameters: Any,
        probe: Tensor,
        values: Sequence[Any],
    ) -> list[dict[str, Any]]:
        """Return the columns of `finals` of every trial.

        `inputs` are those of every seed; `values` the final variables, as arrays.
        """
        asked = [inputs[trial.seed] for trial in trials]
        kernels = [None] * len(trials) if self._kernel is None else values[self._kernel]
        ignored = [
            probes.ignored(kernel, own)
            for kernel, own in zip(kernels, asked, strict=True)
        ]
        shape = asked[0].x.shape[1:]
        mask = np.stack([own.mask for own in ignored]).reshape(len(trials), *shape)
        place = {seed: index for index, seed in enumerate(inputs)}
        which = np.array([place[trial.seed] for trial in trials])
        count = len(asked[0].x)
        rows = (which[:, None] * count + np.arange(count)).astype("int32")
        y = ops.convert_to_tensor(np.concatenate([own.y for own in inputs.values()]))

        def together(arrays: Any) -> Tensor:
            return ops.convert_to_tensor(np.concatenate(list(arrays)))

        x = together(own.x for own in inputs.values())
        permuted = together(own.permuted for own in inputs.values())
        sizes = range(len(probes.SIZES))
        noisy = [together(own.noisy[i] for own in inputs.values()) for i in sizes]
        given = state, parameters
        moved = ops.convert_to_tensor(mask)
        none = ops.zeros_like(moved)
        answers = [self._answers(given, (own, y, rows), x, none) for own in (x, *noisy)]
        answers.append(self._answers(given, (x, y, rows), permuted, moved))
        outputs = answers[0][0][0].size
        directions = np.stack(
            [
                probes.directions(outputs, self._classification, trial.seed)
                for trial in trials
            ],
            axis=1,
        )
        first = rows[:, : min(probes.ROWS, count - 1)]
        squares = sum(
            self._squares(given, (x, y, first), ops.convert_to_tensor(direction))
            for direction in directions
        )
        levels = ops.convert_to_numpy(self._quantiles(*given, probe))
        return [
            probes.columns(
                own,
                ignored[i],
                self._classification,
                [answer[i] for answer in answers],
                squares[i],
            )
            | probes.quantiles(levels[i])
            for i, own in enumerate(asked)
        ]

    def _answers(
        self, given: tuple[State, Any], part: Any, other: Tensor, mask: Tensor
    ) -> Any:
        """Return the outputs of every trial for all its rows, as an array.

        Inputs where the trial's mask is true are those of `other` instead.
        """
        x, y, rows = part
        count = rows.shape[1]

        def answer(chosen: Any) -> Any:
            own = ops.convert_to_tensor(rows[:, chosen])
            return ops.convert_to_numpy(self._answer(*given, (x, y, own), other, mask))

        parts = probes.in_chunks(answer, count, chunk(count))
        return np.concatenate(parts, axis=1)[:, :count]

    def _squares(self, given: tuple[State, Any], part: Any, direction: Tensor) -> Any:
        """Return ‖∂(v·f)/∂x‖² of every trial for its rows, as an array."""
        x, y, rows = part
        count = rows.shape[1]

        def square(chosen: Any) -> Any:
            own = ops.convert_to_tensor(rows[:, chosen])
            return ops.convert_to_numpy(self._square(*given, (x, y, own), direction))

        parts = probes.in_chunks(square, count, min(self._batch, count))
        return np.concatenate(parts, axis=1)[:, :count]

    def _answered(
        self, state: State, parameters: Any, part: Part, other: Tensor, mask: Tensor
    ) -> Tensor:
        x, instead = (ops.take(own, part[2], axis=0) for own in (part[0], other))
        given = ops.where(ops.expand_dims(mask, 1), instead, x)
        y = ops.take(part[1], part[2], axis=0)
        return self._outputs(state, parameters, given, y)

    def _squared(
        self, state: State, parameters: Any, part: Part, direction: Tensor
    ) -> Tensor:
        x, y = (ops.take(own, part[2], axis=0) for own in part[:2])
        shape = (*part[2].shape, -1)

        def along(at: list[Tensor]) -> tuple[Tensor, None]:
            outputs = self._outputs(state, parameters, at[0], y)
            flat = ops.reshape(outputs, shape)
            return ops.sum(flat * ops.expand_dims(direction, 1)), None

        (slope,), _ = gradient(along, [x])
        return ops.sum(ops.square(ops.reshape(slope, shape)), axis=2)

    def _outputs(self, state: State, parameters: Any, x: Tensor, y: Tensor) -> Tensor:
        """Return the outputs of every trial in inference mode."""
        passes = self._passes
        found: Tensor = passes.map(
            lambda own: passes.objective(own, training=False).outputs,
            (state.weights, state.others, x, y, parameters),
        )
        return found

    def _quantiles_of(self, state: State, parameters: Any, probe: Tensor) -> Tensor:
        passes = self._passes

        def one(own: Any) -> Any:
            values, probe, parameters = own
            with passes.mixture.lively(parameters):
                return passes.measuring.quantiles(values, probe)

        found: Tensor = passes.map(one, (passes.values(state), probe, parameters))
        return found
