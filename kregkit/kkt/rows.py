"""KKT residuals at the logging points of a `fit`, for `RegularizationLogger`."""

from typing import Any

from kregkit.errors import ParameterError, must
from kregkit.kkt.negative_gradient import NegativeGradient
from kregkit.kkt.table import Optimality, found_at, warn_of_activities
from kregkit.watch.rows import arrays


class OptimalityRows:
    """Computes `optimality` at each logging point of a `fit`, for the logger.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)`, or None to compute nothing.
    """

    def __init__(self, data: tuple[Any, ...] | None) -> None:
        owner = "RegularizationLogger"
        if data is not None and not (isinstance(data, tuple) and len(data) in (2, 3)):
            rule = "a tuple (x, y) or (x, y, sample_weight)"
            raise ParameterError(must(owner, "optimality", rule, data))
        if data is not None:
            data = tuple(
                arrays(owner, f"optimality[{i}]", own) for i, own in enumerate(data)
            )
        self._data = data
        self._descent: NegativeGradient | None = None
        self._last: Optimality | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy: the data, without the model."""
        return {**self.__dict__, "_descent": None, "_last": None}

    def begin(self, model: Any) -> None:
        """Restart with the model that is trained."""
        self._last = None
        self._descent = None if self._data is None else NegativeGradient(model)
        if self._descent is not None:
            warn_of_activities("RegularizationLogger", self._descent)

    def columns(self) -> dict[tuple[str, str], dict[str, float | None]]:
        """Return the logged columns of each weight now, by layer and tensor."""
        if self._descent is None or self._data is None:
            return {}
        self._last = found_at(self._descent, *self._data)
        return {
            (t.layer, t.tensor): {
                "kkt_residual": t.kkt_residual,
                "gradient_ratio": t.gradient_ratio,
            }
            for t in self._last.tensors
        }

    def final(self) -> dict[str, float | None]:
        """Return the last value of the column of `finals`."""
        return {} if self._last is None else {"kkt_residual": self._last.kkt_residual}

    def u_of(self, variable: Any) -> Any:
        """Return the last u of a variable, or None."""
        if self._descent is None or self._last is None:
            return None
        pairs = zip(self._descent.weights, self._last.tensors, strict=True)
        return next((t.u for w, t in pairs if w.variable is variable), None)
