"""Keras callbacks: `RegularizationLogger`, and `Consolidate` for stable zeros.

The logger changes neither the training of a model nor what is saved of it.
"""

from kregkit.callbacks._consolidate import Consolidate
from kregkit.callbacks._logger import RegularizationLogger

__all__ = ["Consolidate", "RegularizationLogger"]
