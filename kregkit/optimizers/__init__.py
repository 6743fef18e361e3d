"""`Proximal`, an optimizer that yields exact zeros, and step sizes of optimizers."""

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
