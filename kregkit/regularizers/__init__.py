"""Penalties for Keras layers: `kernel_regularizer=L1(1e-4)`, and so on.

The one rule: one small class for each penalty, value and prox side by side.
"""

from keras import __version__ as _keras_version

from kregkit.errors import VersionError
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._register import classes, get, make, names
from kregkit.regularizers.activity import (
    EntropyPenalty,
    HoyerActivity,
    KLSparsity,
    TotalVariation,
)
from kregkit.regularizers.concave import MCP, SCAD, CappedL1, LogSum, TransformedL1
from kregkit.regularizers.concave_groups import GroupMCP, GroupSCAD
from kregkit.regularizers.decorrelation import DeCov, VarianceCovariance
from kregkit.regularizers.difference import L1MinusL2
from kregkit.regularizers.elementwise import L0, L1, L1L2, L2, Huber
from kregkit.regularizers.grouped import GroupLasso, SparseGroupLasso
from kregkit.regularizers.matrices import Orthogonality
from kregkit.regularizers.powers import LHalf, LTwoThirds
from kregkit.regularizers.ratio import GroupHoyerSquare, Hoyer, HoyerSquare
from kregkit.regularizers.references import L1SP, L2SP, WeightedL1
from kregkit.regularizers.sorted_l1 import SLOPE
from kregkit.regularizers.sorting import ExclusiveLasso, GroupLInf, LInf
from kregkit.regularizers.spectral import NuclearNorm, SpectralNorm

__all__ = [  # noqa: RUF022 - in the order of `sorted`, as every list of names here
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
