"""Optimizers that end at exact zeros, and the steps that optimizers take."""

from kregkit.optimizers._penalties import (
    is_handled,
    proximable,
    refuse_groups,
    unhandled,
)
from kregkit.optimizers._steps import KNOWN, after_update, innermost, step_size
from kregkit.optimizers.proximal import Proximal

__all__ = [
    "KNOWN",
    "Proximal",
    "after_update",
    "innermost",
    "is_handled",
    "proximable",
    "refuse_groups",
    "step_size",
    "unhandled",
]
