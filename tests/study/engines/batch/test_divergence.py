"""A trial that diverges fails alone, at the epoch at which `fit` would end it."""

import math

import pytest

from helpers.agreement import assert_fails_alike, without_time
from helpers.batch_cases import Case
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit import train_one

CASE = Case(
    'name = "linear"',
    'epochs = 4\nbatch_size = 16\noptimizer = "sgd"\nlearning_rate = 1e-1',
    terms=(
        ("L1", "kernel", "[1e-3, 1e30]"),
        ("L2", "kernel", "[1e-3, 1e2, 1e30]"),
        ("L2", "bias", 1e-2),
        ("L1L2", "activity", "[1e-3, 1e30]", 'layers = "all"'),
    ),
)
NEIGHBOURS = ((None, None), ("bias", 1e-2), ("activity", 1e-3))


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Return a study, a program of four trials, and how to find a trial."""
    train_one.deterministic()
    study = CASE.study(tmp_path_factory.mktemp("divergence"))

    def trial(target, strength, seed=0, regularizer=None):
        return next(
            t
            for t in study.trials
            if (t.target, t.strength, t.seed) == (target, strength, seed)
            and regularizer in (None, t.regularizer)
        )

    return study, Program(study, study.trials, 4), trial


@pytest.fixture(scope="module")
def harmless(batch):
    """Return the neighbours' results beside a trial that does not diverge."""
    _, program, trial = batch
    own = [trial(*n) for n in NEIGHBOURS]
    results = program.train([own[0], trial("kernel", 1e-3, 1), *own[1:]], check_share)
    assert not any(result.failed for result in results)
    return [results[0], *results[2:]]


def check_share(share):
    assert 0 < share <= 1


@pytest.mark.parametrize(
    ("regularizer", "target", "strength", "epoch"),
    [
        pytest.param("L1", "kernel", 1e30, 1, marks=pytest.mark.long),
        pytest.param("L2", "kernel", 1e30, 1, marks=pytest.mark.long),
        ("L1L2", "activity", 1e30, 1),
        ("L2", "kernel", 1e2, 3),
    ],
)
def test_a_diverging_trial_fails_alone(
    batch, harmless, regularizer, target, strength, epoch
):
    study, program, trial = batch
    own = [trial(*n) for n in NEIGHBOURS]
    bad = trial(target, strength, 1, regularizer)
    results = program.train([own[0], bad, *own[1:]], check_share)
    failed = results.pop(1)
    assert (failed.final["status"], failed.final["failed_epoch"]) == ("failed", epoch)
    assert max(row["epoch"] for row in failed.rows) == epoch
    last = failed.rows[-1]
    losses = [last[name] for name in ("loss", "data_loss", "val_loss", "val_data_loss")]
    assert None in losses
    found = {"test_score", "val_data_loss", "penalty", "kkt_residual"}
    assert not found & failed.final.keys()
    assert [tensor["u"] for tensor in failed.tensors] == [None, None]
    assert list(map(without_time, results)) == list(map(without_time, harmless))
    assert_fails_alike(failed, train_one.train(study, bad), 1e-5)


def test_a_batch_whose_trials_have_all_failed_ends(batch):
    _, program, trial = batch
    told = []
    bad = [
        trial("kernel", 1e30, seed, name) for name in ("L1", "L2") for seed in (0, 1)
    ]
    results = program.train(bad, told.append)
    assert [result.final["failed_epoch"] for result in results] == [1] * 4
    assert len(told) == 1
    assert math.isclose(told[0], 1 / 4)
