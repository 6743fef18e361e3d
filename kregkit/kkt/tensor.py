"""The KKT conditions of one weight tensor, for `optimality`."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from keras import ops

from kregkit.kkt.negative_gradient import distance, root_mean_square
from kregkit.optimizers import proximable, unhandled
from kregkit.regularizers._base import bound
from kregkit.schema import INSIDE
from kregkit.weights import Weight

COLUMNS: Final = {
    "layer": "str",
    "tensor": "str",
    "role": "str",
    "size": "int",
    "strength": "float",
    "kkt_residual": "float",
    "largest": "float",
    "inside_fraction": "float",
    "gradient_ratio": "float",
}


@dataclass(frozen=True, eq=False)
class TensorOptimality:
    """One weight tensor: `u = −∂(data loss)/∂w`, compared with its penalty.

    `w`, `u` and `distance` are arrays of one shape. The distance is `u` minus the
    nearest point of the subdifferential. It is NaN where that is not known: at zeros of
    a regularizer without a proximal operator. Without a penalty it is `u`. `strength`
    is None without a penalty, and for a regularizer without a strength.
    """

    layer: str
    tensor: str
    role: str
    penalty: Any
    strength: float | None
    w: Any
    u: Any
    distance: Any

    @property
    def kkt_residual(self) -> float | None:
        """Root mean square of the distance, in units of the gradient."""
        return root_mean_square([self.distance])

    @property
    def inside_fraction(self) -> float | None:
        """Share of weights with a distance of at most a tenth of the strength."""
        if self.strength is None or self.kkt_residual is None:
            return None
        return float(np.mean(np.abs(self.distance) <= INSIDE * self.strength))

    @property
    def gradient_ratio(self) -> float | None:
        """`‖u − distance‖/‖u‖`: the penalty's gradient relative to the data's.

        If no weight is zero, it is the norm of the penalty's gradient divided by the
        norm of the data loss's gradient. At a stationary point it is 1.
        """
        given = root_mean_square([np.float64(self.u) - self.distance])
        asked = root_mean_square([self.u])
        return None if given is None or not asked else given / asked

    def row(self) -> dict[str, Any]:
        """Return the row of the table."""
        residual = self.kkt_residual
        row = {name: getattr(self, name, None) for name in COLUMNS}
        largest = None if residual is None else float(np.abs(self.distance).max())
        return row | {"size": self.w.size, "largest": largest}


def of_weight(weight: Weight, u: Any) -> TensorOptimality:
    """Return what was found for a weight whose negative gradient is `u`."""
    penalty = bound(unhandled(weight.variable.regularizer), weight)
    w = weight.variable.value
    strength = getattr(proximable(penalty) or penalty, "strength", None)
    return TensorOptimality(
        layer=weight.layer_path,
        tensor=weight.name,
        role=weight.role,
        penalty=penalty,
        strength=None if strength is None else float(ops.convert_to_numpy(strength)),
        w=ops.convert_to_numpy(w),
        u=u,
        distance=ops.convert_to_numpy(distance(penalty, w, u)),
    )
