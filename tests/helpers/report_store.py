"""Synthetic stores, written by NumPy without Keras, that look like real ones."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kregkit.schema import NEAR_ZERO
from kregkit.store import Store

HOSTILE = "<script>alert(1)</script> [x](http://x.example) $y$ | *z*"
FAILED = 10  # L1 on the kernel at 1e-3, second seed

SHAPES = {"hidden_1": (64, 64), "hidden_2": (64, 32), "output": (32, 10)}
EPOCHS = 10
STUDY = """name = "{name}"
title = {title}
seeds = {seeds}

[data]
name = "digits"

[model]
name = "mlp"
hidden = [64, 32]

[train]
epochs = 10
"""
VERSIONS = {
    "kregkit_version": "0.1.0",
    "keras_version": "3.14.1",
    "backend": "tensorflow",
    "backend_version": "2.20.0",
    "schema_version": 1,
}


def measures(w: np.ndarray) -> dict[str, float | None]:
    """Return the measures of a weight tensor, by their definitions."""
    flat = np.abs(w).ravel()
    l1, l2, n = flat.sum(), np.sqrt((flat**2).sum()), flat.size
    hoyer = (np.sqrt(n) - l1 / l2) / (np.sqrt(n) - 1) if l2 > 0 and n > 1 else None
    own: dict[str, float | None] = {
        "l1": float(l1),
        "l2": float(l2),
        "max_abs": float(flat.max()),
        "mean": float(w.mean()),
        "std": float(w.std()),
        "zero_fraction": float((flat == 0).mean()),
        "near_zero_fraction": float((flat <= NEAR_ZERO).mean()),
        "hoyer": None if hoyer is None else float(hoyer),
    }
    if w.ndim == 2:
        largest = float(np.linalg.svd(w, compute_uv=False)[0])
        own["spectral_norm"] = largest
        own["stable_rank"] = float((l2 / largest) ** 2) if largest else None
        own["unit_zero_fraction"] = float((w == 0).all(axis=0).mean())
        own["input_zero_fraction"] = float((w == 0).all(axis=1).mean())
    return own


def of_activation(y: np.ndarray) -> dict[str, float | None]:
    """Return the measures of activations: norms are means per sample."""
    flat = np.abs(y)
    own = measures(y)
    for name in ("spectral_norm", "stable_rank"):
        own.pop(name)
    own.pop("unit_zero_fraction")
    own.pop("input_zero_fraction")
    own["l1"] = float(flat.sum(axis=1).mean())
    own["l2"] = float(np.sqrt((flat**2).sum(axis=1)).mean())
    own["dead_unit_fraction"] = float((y == 0).all(axis=0).mean())
    return own


def _shrunk(
    w: np.ndarray, regularizer: str | None, amount: float, exact: bool
) -> np.ndarray:
    if regularizer is None:
        return w
    if regularizer == "L2":
        return w * np.exp(-4 * amount)
    small = np.maximum(np.abs(w) - 0.12 * amount, 0)
    noise = 0 if exact else 4e-4 * np.sin(1e4 * w)
    return np.sign(w) * small + (noise if w.ndim == 2 else 0)


def train(
    trial: str, cell: Mapping[str, Any], seed: int, exact: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]:
    """Return rows, final and tensors of a made-up training."""
    rng = np.random.default_rng(seed)
    weights = {
        layer: (rng.normal(0, np.sqrt(2 / sum(shape)), shape), np.zeros(shape[1]))
        for layer, shape in SHAPES.items()
    }
    drift = {
        layer: (rng.normal(0, 0.16, shape), rng.normal(0.02, 0.05, shape[1]))
        for layer, shape in SHAPES.items()
    }
    probe = np.abs(rng.normal(0, 0.6, (128, 64)))
    strength = cell.get("strength") or 0.0
    target, regularizer = cell.get("target"), cell.get("regularizer")
    force = float(np.log10(1 + strength * 3e3) / 1.6)
    rows: list[dict[str, Any]] = []
    now: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for epoch in range(EPOCHS + 1):
        part = 1 - np.exp(-epoch / 4)
        y = probe
        for layer, (kernel, bias) in weights.items():
            w = kernel + part * drift[layer][0]
            b = bias + part * drift[layer][1]
            if target == "kernel":
                w = _shrunk(w, regularizer, part * force, exact)
            if target == "bias":
                b = _shrunk(b, regularizer, part * force, True)
            if target == "activity":
                w = w * (1 - 0.3 * part * min(force, 2))
            now[layer] = (w, b)
            y = y @ w + b
            if layer != "output":
                y = np.maximum(y, 0)
            base = {"trial": trial, "step": epoch * 36, "epoch": epoch, "layer": layer}
            named = [("kernel", w, measures(w)), ("bias", b, measures(b))]
            for role, tensor, own in [*named, ("activation", y, of_activation(y))]:
                size = tensor.size if role != "activation" else tensor.shape[1]
                rows.append({**base, "tensor": role, "role": role, "size": size, **own})
        loss = 2.3 * np.exp(-epoch / 2) + 0.08 + 0.02 * rng.normal()
        rows.append(
            {"trial": trial, "step": epoch * 36, "epoch": epoch, "layer": ""}
            | {"tensor": "model", "role": "model", "loss": loss + force / 5}
            | {"data_loss": loss, "val_data_loss": loss + 0.05, "val_loss": loss + 0.1}
        )
    lost = {"kernel": 0.02, "bias": 0.001, "activity": 0.012}.get(str(target), 0)
    lost *= force**2
    score = 0.965 - lost + 0.004 * rng.normal()
    own = np.random.default_rng(int(trial, 16) + 1000)
    score += 0.003 * own.normal() * (regularizer is not None)
    finals = {
        **cell,
        **VERSIONS,
        "study": "synthetic",
        "trial": trial,
        "status": "done",
        "data": "digits",
        "task": "classification",
        "model": "mlp",
        "solver": "gradient",
        "parameters": "{}",
        "input_shape": [8, 8, 1],
        "seed": seed,
        "epochs": EPOCHS,
        "n_train": 1149,
        "n_val": 288,
        "n_test": 360,
        "split_redrawn": True,
        "train_score": min(1.0, score + 0.03),
        "val_score": score + 0.001 * own.normal(),
        "test_score": score,
        "majority_score": 0.1,
        "train_data_loss": 0.05 + lost * 3,
        "val_data_loss": 0.13 + lost * 2.2 + 0.01 * rng.normal(),
        "test_data_loss": 0.14 + lost * 2.2 + 0.01 * rng.normal(),
        "engine": "fit",
        "wall_seconds": 1.0,
        "dtype_policy": "float32",
    }
    tensors = [
        {"trial": trial, "layer": layer, "tensor": role, "role": role}
        | {"shape": list(w.shape), "size": w.size, "values": w.ravel().tolist()}
        | {"sampled": False}
        for layer, both in now.items()
        for role, w in zip(("kernel", "bias"), both, strict=True)
    ]
    return rows, finals, tensors


def failed(final: Mapping[str, Any], epoch: int) -> dict[str, Any]:
    """Return a final row whose loss was not finite in this epoch."""
    null = {name: None for name in final if name.endswith(("_score", "_loss"))}
    return {**final, **null, "status": "failed", "failed_epoch": epoch}


BASELINE = dict.fromkeys(("regularizer", "target", "layers", "strength"))


def cells(
    strengths: Sequence[float],
    targets: Sequence[str] = ("kernel", "bias", "activity"),
    regularizers: Sequence[str] = ("L1", "L2"),
) -> list[dict[str, Any]]:
    """Return the baseline and every combination."""
    swept = [
        {"regularizer": regularizer, "target": target, "strength": strength}
        | {"layers": "hidden" if target == "activity" else "all"}
        for target in targets
        for regularizer in regularizers
        for strength in strengths
    ]
    return [BASELINE, *swept]


def write_study(
    path: Path,
    swept: Sequence[Mapping[str, Any]],
    seeds: int = 3,
    title: str = "What L1 and L2 do to kernels, biases and activations",
    fails: Sequence[int] = (),
    exact: bool = False,
    name: str = "synthetic",
    finals: Mapping[str, Any] | None = None,
) -> Path:
    """Write a study of the cells; trials at the places `fails`, in order, fail."""
    store = Store(path)
    study = STUDY.format(name=name, title=json.dumps(title), seeds=seeds)
    store.begin(study)
    pairs = [(cell, seed) for cell in swept for seed in range(seeds)]
    for i, (cell, seed) in enumerate(pairs):
        trial = f"{i:016x}"
        rows, final, tensors = train(trial, cell, seed, exact)
        final |= dict(cell) | (finals or {})
        if i in fails:
            rows = [row for row in rows if row["epoch"] < 4]
            final, tensors = failed(final, 4), []
        store.write(rows, [final], tensors)
    return path


def write_logged(path: Path) -> Path:
    """Write what `RegularizationLogger(store=...)` writes: no study, no scores."""
    store = Store(path)
    store.begin()
    rows, _, tensors = train("0123456789abcdef", {}, 0)
    final = {"study": "run", "trial": "0123456789abcdef", "status": "done"}
    store.write(rows, [{**final, "epochs": EPOCHS, **VERSIONS}], tensors)
    return path
