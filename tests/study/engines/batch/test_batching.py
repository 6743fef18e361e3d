"""A trial's result does not depend on the batch that it is trained in."""

import pytest

from helpers.agreement import assert_alike, without_time
from helpers.batch_cases import MLP, Case
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit import train_one

CASE = Case(MLP, "epochs = 3\nbatch_size = 16\nlearning_rate = 1e-2")


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """Return a study, 8 of its trials and their results as one batch."""
    train_one.deterministic()
    study = CASE.study(tmp_path_factory.mktemp("batching"))
    trials = study.trials[:8]
    program = Program(study, study.trials, 8)
    return study, trials, program, program.train(trials, lambda share: None)


def test_the_order_in_a_batch_is_of_no_influence(eight):
    _, trials, program, results = eight
    order = [5, 2, 7, 0, 3, 6, 1, 4]
    again = program.train([trials[i] for i in order], lambda share: None)
    for place, index in enumerate(order):
        assert without_time(again[place]) == without_time(results[index])


def test_a_batch_that_is_not_full_gives_the_trials_that_it_has(eight):
    _, trials, program, results = eight
    told = []
    again = program.train(trials[4:7], told.append)
    assert sum(told) == pytest.approx(1.0)
    assert list(map(without_time, again)) == list(map(without_time, results[4:7]))


@pytest.mark.long
def test_the_size_of_a_batch_is_of_no_influence(eight):
    study, trials, _, results = eight
    again = Program(study, study.trials, 3).train(trials[2:5], lambda share: None)
    for one, other in zip(again, results[2:5], strict=True):
        assert_alike(one, other, 1e-5)


def test_a_batch_has_terms_of_its_own_trials_only(eight):
    """What other trials there might be, and how many, leaves a trial as it is."""
    study, trials, _, results = eight
    (alone,) = Program(study, trials[2:3], 1).train(trials[2:3], lambda share: None)
    assert_alike(alone, results[2], 1e-5)
