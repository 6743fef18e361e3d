"""Callbacks: a logger of what regularizers do, and phases that end at stable zeros.

The one rule: watching a model changes neither its training nor what is saved of it.
"""

from kregkit.callbacks._consolidate import Consolidate
from kregkit.callbacks._descent import Descent, distance, root_mean_square, slope
from kregkit.callbacks._gradient import gradient
from kregkit.callbacks._logger import RegularizationLogger
from kregkit.callbacks._loss_terms import LossTerms
from kregkit.callbacks._measuring import Measuring, compiled
from kregkit.callbacks._optimality import Balance, Optimality, optimality
from kregkit.callbacks._penalties import Penalties
from kregkit.callbacks._records import environment, tensor_records

__all__ = [
    "Balance",
    "Consolidate",
    "Descent",
    "LossTerms",
    "Measuring",
    "Optimality",
    "Penalties",
    "RegularizationLogger",
    "compiled",
    "distance",
    "environment",
    "gradient",
    "optimality",
    "root_mean_square",
    "slope",
    "tensor_records",
]
