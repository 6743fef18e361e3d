"""What both engines measure at the end of a trial, by a network written in NumPy.

Everything is computed anew, in float64, from the weights that the trial stores.
"""

import numpy as np
import pytest

from helpers.batch_cases import Case
from kregkit.schema import FINALS, NEAR_ZERO
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit import train_one

BOTH = 'solver = ["gradient", "proximal"]'
CASES = {
    # More rows than are evaluated at a time; pixels that are constant.
    "digits": Case(
        'name = "mlp"\nhidden = [6]',
        "epochs = 1\nbatch_size = 64\nlearning_rate = 1e-2",
        'name = "digits"',
        terms=(
            ("L1", "kernel", 3e-2, BOTH),
            ("L2", "bias", 1e-1),
            ("L2", "kernel", "[1e-2, 1e30]"),
        ),
    ),
    "regression": Case(
        'name = "mlp"\nhidden = [4]',
        "epochs = 2\nbatch_size = 50",
        'name = "diabetes"',
        terms=(("L1", "bias", 1e-1),),
    ),
    "autoencoder": Case(
        'name = "autoencoder"\nhidden = [3]',
        "epochs = 1\nbatch_size = 300\nlearning_rate = 1e-2",
        'name = "digits"',
        terms=(("L1", "activity", 1e-2),),
    ),
    "sigmoid code": Case(
        'name = "autoencoder"\nhidden = [5, 4]\ncode = "sigmoid"',
        "epochs = 3\nbatch_size = 20\nlearning_rate = 3e-2",
        'name = "wine"',
        terms=(("KLSparsity", "activity", 1e0), ("HoyerActivity", "activity", 1e-1)),
    ),
}
SHORT = (("batch", "digits"), ("fit", "digits"), ("batch", "sigmoid code"))
"""What is not left to the long tests."""


def by_engine(*names):
    """Return the parameters of a test: a case by each engine."""
    both = [(engine, name) for name in names for engine in ("batch", "fit")]
    return pytest.mark.parametrize(
        ("ended", "name"),
        [
            pytest.param(*own, marks=[pytest.mark.long] * (own not in SHORT))
            for own in both
        ],
        indirect=["ended"],
    )


MEASURED = (
    "logit_scale",
    "logit_norm_at_zero",
    "noise_sizes",
    "score_under_noise",
    "jacobian_norm",
    "inputs_ignored",
    "inputs_near_ignored",
    "permuted_change",
    "kernel_quantiles",
    "bias_quantiles",
    "activation_quantiles",
    "code_usage",
    "step_law_error",
)


@pytest.fixture(scope="module")
def ended(request, tmp_path_factory):
    """Return, for the name of a case, its study and pairs of a trial and its result."""
    train_one.deterministic()
    kept = {}

    def of(name):
        if name not in kept:
            study = CASES[name].study(tmp_path_factory.mktemp("probing"))
            trials = CASES[name].trials(study)
            if request.param == "batch":
                program = Program(study, trials, len(trials))
                results = program.train(trials, lambda share: None)
            else:
                trainer = train_one.Trainer(study)
                results = [trainer.train(trial) for trial in trials]
            kept[name] = study, list(zip(trials, results, strict=True))
        return kept[name]

    return of


class Network:
    """An MLP with ReLU, of the weights that a trial stored.

    The layer "code" has a sigmoid where the study says so.
    """

    def __init__(self, result, study):
        self.task, self.code = study.task, None
        self.sigmoid = None
        layers = [t["layer"] for t in result.tensors if t["tensor"] == "kernel"]
        if "code" in layers:
            self.code = layers.index("code")
            if study.config.model.code == "sigmoid":
                self.sigmoid = self.code
        self.weights = {"kernel": [], "bias": []}
        for t in result.tensors:
            values = np.reshape(t["values"], t["shape"]).astype("float64")
            self.weights[t["tensor"]].append(values)

    def activations(self, x):
        y, found = np.reshape(x, (len(x), -1)).astype("float64"), []
        pairs = list(zip(*self.weights.values(), strict=True))
        for index, (kernel, bias) in enumerate(pairs):
            y = y @ kernel + bias
            if index == self.sigmoid:
                y = 1 / (1 + np.exp(-y))
            elif index < len(pairs) - 1:
                y = np.maximum(y, 0)
            found.append(y)
        return found

    def f(self, x):
        y = self.activations(x)[-1]
        classes = self.task == "classification"
        return y - y.mean(axis=1, keepdims=True) if classes else y

    def score(self, x, y):
        f = self.f(x)
        if self.task == "classification":
            return np.mean(f.argmax(axis=1) == y)
        return 1 - np.square(f - y).sum() / np.square(y - y.mean(axis=0)).sum()

    def jacobian_norm(self, x, step=1e-6):
        flat = np.reshape(x, (len(x), -1)).astype("float64")
        squares = 0.0
        for j in range(flat.shape[1]):
            ahead, behind = flat.copy(), flat.copy()
            ahead[:, j] += step
            behind[:, j] -= step
            slope = (self.f(ahead) - self.f(behind)) / (2 * step)
            squares += np.square(slope).sum() / len(x)
        return np.sqrt(squares)


def norm(f):
    return np.sqrt(np.square(f).sum(axis=1).mean())


def quantiles(arrays):
    magnitudes = np.abs(np.concatenate([own.ravel() for own in arrays]))
    above = magnitudes[magnitudes > 0]
    return np.quantile(above, (0.5, 0.9, 0.99)) if above.size else None


def usage(network, x):
    """Return how often each unit of the code contributes, by loops.

    It is above a tenth of what the unit that contributes most does in the same row.
    """
    code = network.activations(x)[network.code]
    behind = network.weights["kernel"][network.code + 1]
    counts = np.zeros(code.shape[1])
    for row in code:
        sizes = [
            np.sqrt(((h * v) ** 2).sum()) for h, v in zip(row, behind, strict=True)
        ]
        counts += [size > 0.1 * max(sizes) for size in sizes]
    return counts / len(code)


def expected(network, split, seed):
    """Return the columns by their definitions; the seed decides what is drawn."""
    x, y = split.x_test, split.y_test
    f, scale = network.f(x), norm(network.f(x))
    train = np.reshape(split.x_train, (len(split.x_train), -1)).astype("float64")
    varies = np.ptp(train, axis=0) > 0
    sizes = np.array([0.1, 0.3, 1.0]) * np.sqrt(train[:, varies].var(axis=0).mean())
    noise = np.random.default_rng([seed, 2]).standard_normal(x.shape, "float32")
    largest = np.abs(network.weights["kernel"][0]).max(axis=1)
    near = (largest <= NEAR_ZERO) & varies
    flat = np.reshape(x, (len(x), -1))
    other = np.random.default_rng([seed, 3]).permuted(flat, axis=0)
    change = norm(network.f(np.where(near, other, flat)) - f) / scale
    return {
        "logit_scale": scale,
        "logit_norm_at_zero": norm(network.f(np.zeros_like(x[:1]))) / scale,
        "noise_sizes": sizes,
        "score_under_noise": [network.score(x + size * noise, y) for size in sizes],
        "jacobian_norm": network.jacobian_norm(x[:256]),
        "inputs_ignored": (largest[varies] == 0).mean(),
        "inputs_near_ignored": near.sum() / varies.sum(),
        "permuted_change": change if near.any() else None,
        "kernel_quantiles": quantiles(network.weights["kernel"]),
        "bias_quantiles": quantiles(network.weights["bias"]),
        "activation_quantiles": quantiles(network.activations(split.x_val[:256])),
        "code_usage": None
        if network.code is None
        else usage(network, split.x_val[:256]),
    }


@by_engine(*CASES)
def test_what_is_measured_is_what_the_definitions_say(name, ended):
    study, pairs = ended(name)
    for trial, result in pairs:
        if result.failed:
            continue
        split = study.split(trial.seed)
        network = Network(result, study)
        for column, value in expected(network, split, trial.seed).items():
            found = result.final[column]
            if value is None:
                assert found is None, column
                continue
            # Of 64 outputs the Jacobian is projected on 16 random directions.
            rel = 0.05 if (name, column) == ("autoencoder", "jacobian_norm") else 1e-4
            atol = 1.5 / len(split.x_test) if column == "score_under_noise" else 1e-6
            np.testing.assert_allclose(
                found, value, rtol=rel, atol=atol, err_msg=f"{column} of {trial}"
            )
            assert FINALS[column] == ("floats" if isinstance(found, list) else "float")


@by_engine("digits")
def test_inputs_are_ignored_under_the_proximal_l1_and_the_output_is_not_changed(
    name, ended
):
    _, pairs = ended(name)
    solvers = {}
    for trial, result in pairs:
        if (trial.regularizer, trial.target) == ("L1", "kernel"):
            solvers[trial.solver] = result.final
    proximal, gradient = solvers["proximal"], solvers["gradient"]
    assert gradient["inputs_ignored"] == 0.0 < proximal["inputs_ignored"] < 1.0
    assert proximal["inputs_ignored"] <= proximal["inputs_near_ignored"]
    assert proximal["permuted_change"] < 1e-2


@by_engine("digits", "autoencoder")
def test_the_law_of_a_step_is_told_of_gradient_steps_on_weights(name, ended):
    for trial, result in ended(name)[1]:
        told = trial.target in ("kernel", "bias") and trial.solver == "gradient"
        error = result.final.get("step_law_error")
        assert (error is not None) == (told and not result.failed)
        assert error is None or error < 1e-6


@by_engine("digits")
def test_a_trial_that_failed_is_not_measured(name, ended):
    failed = [result for _, result in ended(name)[1] if result.failed]
    assert len(failed) == 1
    assert failed[0].final.keys().isdisjoint(MEASURED)


@by_engine("sigmoid code")
def test_the_usage_of_a_code_differs_between_its_units(name, ended):
    found = [result.final["code_usage"] for _, result in ended(name)[1]]
    assert {len(usage) for usage in found} == {4}
    assert any(0 < share < 1 for usage in found for share in usage)
