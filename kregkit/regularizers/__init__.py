"""Penalties for the regularizer arguments of Keras layers, one class for each.

For example, `kernel_regularizer=L1(1e-4)`.
"""

from keras import __version__ as _keras_version

from kregkit.errors import VersionError
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._register import classes, get, make, names
from kregkit.regularizers.activities import (
    DeCov,
    EntropyPenalty,
    HoyerActivity,
    KLSparsity,
    TotalVariation,
    VarianceCovariance,
)
from kregkit.regularizers.concave import MCP, SCAD, CappedL1, LogSum, TransformedL1
from kregkit.regularizers.groups import (
    GroupLasso,
    GroupMCP,
    GroupSCAD,
    SparseGroupLasso,
)
from kregkit.regularizers.matrices import NuclearNorm, Orthogonality, SpectralNorm
from kregkit.regularizers.references import L1SP, L2SP, WeightedL1
from kregkit.regularizers.separable import L0, L1, L1L2, L2, Huber, LHalf, LTwoThirds
from kregkit.regularizers.sorting import SLOPE, ExclusiveLasso, GroupLInf, LInf
from kregkit.regularizers.whole import GroupHoyerSquare, Hoyer, HoyerSquare, L1MinusL2

__all__ = [  # noqa: RUF022 - in the order of `sorted`, as all lists of names here
    "CappedL1",
    "DeCov",
    "EntropyPenalty",
    "ExclusiveLasso",
    "GroupHoyerSquare",
    "GroupLInf",
    "GroupLasso",
    "GroupMCP",
    "GroupSCAD",
    "Hoyer",
    "HoyerActivity",
    "HoyerSquare",
    "Huber",
    "KLSparsity",
    "L0",
    "L1",
    "L1L2",
    "L1MinusL2",
    "L1SP",
    "L2",
    "L2SP",
    "LHalf",
    "LInf",
    "LTwoThirds",
    "LogSum",
    "MCP",
    "NuclearNorm",
    "Orthogonality",
    "Penalty",
    "SCAD",
    "SLOPE",
    "SparseGroupLasso",
    "SpectralNorm",
    "TotalVariation",
    "TransformedL1",
    "VarianceCovariance",
    "WeightedL1",
    "classes",
    "get",
    "make",
    "names",
]

if tuple(map(int, _keras_version.split(".")[:2])) < (3, 14):
    raise VersionError(
        "kregkit needs Keras 3.14 or later, where activity penalties are means per "
        f"sample; received Keras {_keras_version}."
    )
