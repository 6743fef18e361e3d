"""Stored trials for the tests of the store, and how a refusal looks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kregkit import schema
from kregkit.store import Store

ENVIRONMENT = {
    "kregkit_version": "0.1.0",
    "keras_version": "3.15.1",
    "backend": "tensorflow",
    "backend_version": "2.21.0",
    "schema_version": schema.SCHEMA_VERSION,
}


def trial(name: str, **finals: object) -> tuple[list, list, list]:
    """Return rows, finals and tensors of one trial, some of them null."""
    rows = [
        {"trial": name, "step": 10 * epoch, "epoch": epoch, "loss": 1.0 / (epoch + 1)}
        for epoch in range(3)
    ]
    final = {"trial": name, "status": "done", "seed": 3, "split_redrawn": True}
    final |= {"test_score": 0.25, "noise_sizes": [0.5, 1.0], "wall_seconds": 2.5}
    tensors = [{"trial": name, "tensor": "kernel", "shape": [1, 2], "values": [0.0, 1]}]
    return rows, [final | ENVIRONMENT | finals], tensors


def store_of(path: Path, *names: str) -> Store:
    store = Store(path)
    store.begin()
    for name in names:
        store.write(*trial(name))
    return store


def refused(error: type[Exception], call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    message = str(caught.value)
    assert "\n" not in message
    return message
