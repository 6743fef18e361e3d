"""Callbacks: a logger of what regularizers do, and phases that end at stable zeros.

Watching a model changes neither its training nor what is saved of it.
"""

from kregkit.callbacks._consolidate import Consolidate
from kregkit.callbacks._logger import RegularizationLogger

__all__ = ["Consolidate", "RegularizationLogger"]
