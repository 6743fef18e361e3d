"""Metrics of trained trials: from stored weights, by both engines, and in the store."""

import json

import numpy as np
import pytest
from keras import layers, models

from helpers.small_metrics import OWN, STUDY
from kregkit.errors import StudyError
from kregkit.report import load as report_of
from kregkit.store import Store
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit import train_one
from kregkit.study.file import config
from kregkit.study.probes.part_metrics import PartMetrics
from kregkit.study.problem.resolve import resolve

NAMES = ["crossentropy", "own_metrics:margin", "accuracy"]
PARTS = ("train", "val", "test")
COLUMNS = ["metric_names", *(f"{part}_metrics" for part in PARTS)]


def study_of(folder, names, changed=("", "")):
    """Return the small study with these metrics, resolved."""
    (folder / "own_metrics.py").write_text(OWN)
    file = folder / "s.toml"
    file.write_text(STUDY.format(json.dumps(names)).replace(*changed))
    return resolve(config.load(file)[0], file)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a study, its baselines, and their results by both engines."""
    study = study_of(tmp_path_factory.mktemp("trained"), NAMES)
    trials = study.trials[:2]
    train_one.deterministic()
    trainer = train_one.Trainer(study)
    by_fit = [trainer.train(trial) for trial in trials]
    by_batch = Program(study, trials, 2).train(trials, lambda done: None)
    return study, trials, {"fit": by_fit, "batch": by_batch}


def outputs_of(result, x):
    """Return what a plain Keras model with the stored weights answers."""
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(5, "relu"), layers.Dense(3)]
    )
    weights = [t for t in result.tensors if t["role"] in ("kernel", "bias")]
    model.set_weights([np.reshape(t["values"], t["shape"]) for t in weights])
    return np.float64(model.predict(x, verbose=0))


def by_hand(y, outputs):
    powers, own = np.exp(outputs), outputs[np.arange(len(y)), y]
    return [
        -np.log(np.exp(own) / powers.sum(axis=1)).mean(),
        (own - outputs.mean(axis=1)).mean(),
        np.mean(outputs.argmax(axis=1) == y),
    ]


@pytest.mark.parametrize("engine", ["fit", "batch"])
def test_metrics_are_of_the_stored_weights(engine, trained):
    study, trials, results = trained
    for trial, result in zip(trials, results[engine], strict=True):
        final, split = result.final, study.split(trial.seed)
        assert (final["engine"], final["metric_names"]) == (engine, NAMES)
        for part in PARTS:
            x, y = getattr(split, f"x_{part}"), getattr(split, f"y_{part}")
            expected = by_hand(y, outputs_of(result, x))
            assert final[f"{part}_metrics"] == pytest.approx(expected, 1e-5)
            scores = [final[f"{part}_data_loss"], final[f"{part}_score"]]
            assert final[f"{part}_metrics"][::2] == pytest.approx(scores, 1e-5)


def test_both_engines_agree_and_trials_differ(trained):
    *_, results = trained
    for part in PARTS:
        fit, batch = (
            [result.final[f"{part}_metrics"] for result in results[engine]]
            for engine in ("fit", "batch")
        )
        assert np.allclose(fit, batch, rtol=1e-5, atol=0)
        assert fit[0] != fit[1]


def test_the_store_and_the_report_have_them_in_full_precision(trained, tmp_path):
    *_, results = trained
    store = Store(tmp_path)
    store.begin()
    for one in results["fit"]:
        store.write(one.rows, [one.final], one.tensors)
    finals, values = store.read().finals, report_of(tmp_path).values
    for one in results["fit"]:
        own = {"trial": one.final["trial"]}
        (stored,) = finals.filter(**own).select(COLUMNS).iter_rows(named=True)
        assert stored == {name: one.final[name] for name in COLUMNS}
        for part in PARTS:
            for name, value in zip(NAMES, stored[f"{part}_metrics"], strict=True):
                found = values.filter(**own, measure=f"{part}_{name}")
                assert found["value"].to_list() == [value]


def of_an_untrained(study):
    """Return a model of the study and the metrics of its initial weights."""
    model, split = study.build(), study.split(0)
    values = [variable.value for variable in model.variables]
    return model, split, PartMetrics(study, model)(split, values)


def test_of_a_regression_what_is_not_finite_is_stored_as_null(tmp_path):
    changed = 'name = "iris"\n', 'name = "diabetes"\n'
    names = ["r2", "own_metrics:infinite", "median_absolute_error"]
    study = study_of(tmp_path, names, changed)
    model, split, found = of_an_untrained(study)
    for part in PARTS:
        x, y = getattr(split, f"x_{part}"), np.float64(getattr(split, f"y_{part}"))
        apart = y - model.predict(x, verbose=0)
        r2 = 1 - (apart**2).sum() / ((y - y.mean()) ** 2).sum()
        expected = [r2, np.median(np.abs(apart))]
        assert found[f"{part}_metrics"][::2] == pytest.approx(expected, 1e-5)
        assert found[f"{part}_metrics"][1] is None


def test_without_metrics_finals_have_no_columns_of_them(tmp_path):
    study = study_of(tmp_path, [], ("metrics = []\n", ""))
    assert of_an_untrained(study)[2] == {}


LATE = """
def late(y, outputs):
    return outputs[:, 0] if len(y) == 3 else outputs["a"]
"""


def test_a_function_that_fails_at_the_end_is_told_in_one_line(tmp_path):
    (tmp_path / "late_metrics.py").write_text(LATE)
    study = study_of(tmp_path, ["late_metrics:late"])
    with pytest.raises(StudyError) as caught:
        of_an_untrained(study)
    assert str(caught.value).startswith("late_metrics:late(y, outputs) raised IndexErr")
    assert "\n" not in str(caught.value)
