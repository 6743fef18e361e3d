"""What studies store of optimality, by the formulas of a linear model in NumPy."""

import numpy as np
import pytest

from helpers.batch_cases import Case
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit import train_one

CASE = Case(
    'name = "linear"',
    "epochs = 4\nbatch_size = 16\nlearning_rate = 1e-1",
    terms=(
        ("L1", "kernel", 1e-1, 'solver = ["gradient", "proximal"]'),
        ("L2", "kernel", 1e-1),
        ("L2", "bias", 1e-1),
        ("L1", "activity", 1e-3, 'layers = "all"'),
    ),
)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def distance(name, w, u):
    if name == "L2":
        return u - 0.2 * w
    soft = np.sign(u) * np.maximum(np.abs(u) - 0.1, 0)
    return np.where(w == 0, soft, u - 0.1 * np.sign(w))


@pytest.mark.parametrize("engine", ["batch", "fit"])
def test_u_and_the_residual_are_those_of_softmax_regression(engine, tmp_path):
    train_one.deterministic()
    study = CASE.study(tmp_path)
    trials = CASE.trials(study)
    if engine == "batch":
        results = Program(study, trials, len(trials)).train(trials, lambda share: None)
    else:
        trials = [trials[i] for i in (0, 3, 5)]  # each traces a model of its own
        trainer = train_one.Trainer(study)
        results = [trainer.train(trial) for trial in trials]
    zeros = 0
    for trial, result in zip(trials, results, strict=True):
        split = study.split(trial.seed)
        stored = {t["tensor"]: t for t in result.tensors}
        w = {name: np.reshape(t["values"], t["shape"]) for name, t in stored.items()}
        u = {name: np.reshape(t["u"], t["shape"]) for name, t in stored.items()}
        x, one_hot = split.x_train, np.eye(3)[split.y_train.ravel()]
        rest = one_hot - softmax(x @ w["kernel"] + w["bias"])
        np.testing.assert_allclose(u["kernel"], x.T @ rest / len(x), atol=1e-6)
        np.testing.assert_allclose(u["bias"], rest.mean(axis=0), atol=1e-6)
        if trial.target in (None, "activity"):
            assert result.final["kkt_residual"] is None
            continue
        off = distance(trial.regularizer, w[trial.target], u[trial.target])
        expected = np.sqrt(np.mean(off**2))
        assert result.final["kkt_residual"] == pytest.approx(expected, rel=1e-5)
        zeros += np.sum(w[trial.target] == 0)
    assert zeros > 0
