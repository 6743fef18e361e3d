"""The engine `batch` gives what the engine `fit` gives, trial by trial."""

import keras
import pytest

from helpers.agreement import assert_agree, assert_same_rows, assert_same_tensors
from helpers.batch_cases import CASES, LINEAR, MLP, WHOLE, Case, built
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit import train_one
from kregkit.study.engines.schedule import obstacle

# Half a minute each there, with two trials by `fit`.
ON_JAX = (
    "mlp, adam",
    "cnn, sgd with momentum",
    "proximal, learning rates, adam",
)


def both(case, folder):
    """Yield the results of both engines for the trials of a case to compare."""
    study = case.study(folder)
    trials = case.trials(study)
    train_one.deterministic()
    told = []
    results = Program(study, trials, len(trials)).train(trials, told.append)
    assert sum(told) == pytest.approx(1.0)
    assert [r.final["trial"] for r in results] == [trial.id for trial in trials]
    on_jax = keras.backend.backend() == "jax"
    for index in case.compared[:2] if on_jax else case.compared:
        yield results[index], train_one.train(study, trials[index])


def assert_optimality_is_told(result):
    """Assert that u is there for trained weights, and a residual for penalised ones."""
    told = {t["layer"] for t in result.tensors if t["u"] is not None}
    assert told == {t["layer"] for t in result.tensors} - {"frozen"}
    on_weights = result.final["target"] in ("kernel", "bias")
    assert (result.final["kkt_residual"] is not None) == on_weights


def assert_zeros_are_proximal(result):
    """Assert that kernels have exact zeros by an L1 with proximal steps alone."""
    last = {
        r["layer"]: r["zero_fraction"] for r in result.rows if r["role"] == "kernel"
    }
    final = result.final
    proximal = (final["target"], final["solver"]) == ("kernel", "proximal")
    # Groups of a small model are kept as wholes.
    if final["regularizer"] != "GroupLasso":
        assert (max(last.values()) > 0) == proximal


EVERY_TIME = ("mlp, adam",)
"""What `make test` compares, with all that both engines log. The others, of up to half
a minute each, are for `make test-long`."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[pytest.mark.jax] * (name in ON_JAX)
            + [pytest.mark.long] * (name not in EVERY_TIME),
        )
        for name in CASES
    ],
)
def test_a_trial_of_a_batch_ends_as_fit_ends_it(name, tmp_path):
    for result, expected in both(CASES[name], tmp_path):
        assert_agree(result, expected, CASES[name].rel)
        assert_optimality_is_told(result)
        if name.startswith("proximal"):
            for one in (result, expected):
                assert_zeros_are_proximal(one)


ADDING = {
    "a mean": Case(built("adding"), WHOLE, compared=(4,)),
    # More rows than are evaluated at a time.
    "a sum": Case(
        built("summing"),
        "epochs = 1\nbatch_size = 300\n",
        'name = "digits"',
        LINEAR,
        compared=(1,),
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param("a mean", marks=pytest.mark.long), "a sum"]
)
def test_what_a_layer_adds_to_the_loss_is_trained_and_logged_alike(name, tmp_path):
    case = ADDING[name]
    for result, expected in both(case, tmp_path):
        rows = result.rows, expected.rows
        assert_same_rows(*rows, 1e-5, expected.final)
        assert_same_tensors(result.tensors, expected.tensors, 1e-5)
        for one in (result, expected):
            logged = one.rows[-1]["val_data_loss"]
            assert one.final["val_data_loss"] == pytest.approx(logged, rel=1e-5)


def test_an_embedding_is_left_to_fit(tmp_path):
    """Keras on TensorFlow squares and clips its gradient row by row, before sums."""
    study = Case(built("embedded"), WHOLE).study(tmp_path)
    assert obstacle(study, study.trials[0]) is not None
    study = Case(MLP, WHOLE).study(tmp_path)
    assert obstacle(study, study.trials[0]) is None
