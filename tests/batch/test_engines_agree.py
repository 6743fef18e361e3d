"""The engine `batch` gives what the engine `fit` gives, trial by trial."""

import pytest
from agreement import assert_agree
from batch_cases import CASES

from kregkit.study import train_fit
from kregkit.study.train_batch import Program


@pytest.mark.parametrize("name", CASES)
def test_a_trial_of_a_batch_ends_as_fit_ends_it(name, tmp_path):
    case = CASES[name]
    study = case.study(tmp_path)
    trials = case.trials(study)
    train_fit.deterministic()
    told = []
    program = Program(study, trials, len(trials))
    results = program.train(trials, told.append)
    assert sum(told) == pytest.approx(1.0)
    assert len(results) == len(trials)
    for index in case.compared:
        expected = train_fit.train(study, trials[index])
        assert results[index].final["trial"] == trials[index].id
        assert_agree(results[index], expected, case.rel)
