"""Over hundreds of steps: as close to `fit` as `fit` is to itself one rounding away.

Training is chaotic: a last bit of the initial weights grows until weights cannot be
compared one by one. What can be is how far runs part, and the means over seeds.
"""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit.train_one import Trainer, deterministic
from kregkit.study.file import config
from kregkit.study.problem.resolve import Study, resolve

pytestmark = pytest.mark.long

SEEDS = 20
STUDY = f"""\
name = "long"
seeds = {SEEDS}
[data]
name = "digits"
[model]
name = "mlp"
[train]
epochs = 15
[[sweep]]
regularizer = "L1"
target = "kernel"
strength = 3e-4
"""
MEASURED = ("val_data_loss", "test_score", "test_data_loss", "l2", "near_zero_fraction")


class OneRoundingAway(Study):
    """The same study, from initial weights that are the next larger numbers."""

    def build(self):
        model = super().build()
        for weight in model.trainable_variables:
            weight.assign(np.nextafter(weight.numpy(), np.float32(np.inf)))
        return model


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    file = tmp_path_factory.mktemp("long") / "study.toml"
    file.write_text(STUDY)
    study = resolve(config.load(file)[0], file)
    deterministic()
    away = OneRoundingAway(
        **{f.name: getattr(study, f.name) for f in dataclasses.fields(study)}
    )
    trials = [trial for trial in study.trials if trial.regularizer]
    found = {}
    for name, own in (("fit", study), ("away", away)):
        trainer = Trainer(own)
        found[name] = [trainer.train(trial) for trial in trials]
    program = Program(study, trials, len(trials))
    found["batch"] = program.train(trials, lambda _: None)
    return found


def distance(one, other):
    """The largest relative distance of two trials over their tensors."""
    pairs = [
        (np.array(a["values"]), np.array(b["values"]))
        for a, b in zip(one.tensors, other.tensors, strict=True)
    ]
    return max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs)


def measured(result):
    kernel = [r for r in result.rows if r["layer"] == "hidden_1"][-1]
    kernels = [r for r in result.rows if r["role"] == "kernel"][-3:]
    assert kernel["epoch"] == 15
    values = [result.final[name] for name in MEASURED[:3]]
    return [*values, *(np.mean([k[name] for k in kernels]) for name in MEASURED[3:])]


def test_batch_is_no_further_from_fit_than_three_times_a_rounding(runs):
    rounding = [distance(*pair) for pair in zip(runs["away"], runs["fit"], strict=True)]
    batch = [distance(*pair) for pair in zip(runs["batch"], runs["fit"], strict=True)]
    assert len(rounding) == SEEDS
    assert min(rounding) > 1e-6
    assert np.median(batch) <= 3 * np.median(rounding)
    assert max(batch) <= 3 * max(rounding)


@pytest.mark.parametrize("name", MEASURED)
def test_means_over_paired_seeds_are_equivalent_within_a_fifth_of_sd(runs, name):
    """Two one-sided t tests: the 90 % interval of the difference is within ±0.2 sd."""
    column = MEASURED.index(name)
    fit = np.array([measured(result)[column] for result in runs["fit"]])
    batch = np.array([measured(result)[column] for result in runs["batch"]])
    bound = 0.2 * fit.std(ddof=1)
    assert bound > 0
    difference = batch - fit
    error = difference.std(ddof=1) / np.sqrt(SEEDS)
    reach = stats.t.ppf(0.95, SEEDS - 1) * error
    assert -bound < difference.mean() - reach
    assert difference.mean() + reach < bound
