"""Metrics that a study names, against formulas in NumPy."""

import json

import numpy as np
import pytest

from helpers.small_metrics import OWN, STUDY
from kregkit.errors import StudyError
from kregkit.known import LOSSES
from kregkit.schema import METRICS
from kregkit.study.file import config
from kregkit.study.plan import plan
from kregkit.study.problem.metrics import check_metric, made
from kregkit.study.problem.resolve import resolve

RANDOM = np.random.default_rng(0)
LOGITS = (2 * RANDOM.normal(size=(60, 7))).astype("float32")
LABELS = np.append(np.arange(7), RANDOM.integers(0, 7, 53))
OUTPUTS = RANDOM.normal(size=(31, 3)).astype("float32")
TARGETS = (OUTPUTS + 2 * RANDOM.normal(size=(31, 3))).astype("float32")
APART = np.float64(TARGETS) - OUTPUTS
GUESSED = LOGITS.argmax(axis=1)
PROBABLE = np.exp(np.float64(LOGITS))
PROBABLE /= PROBABLE.sum(axis=1, keepdims=True)


def recalls():
    return [np.mean(GUESSED[c == LABELS] == c) for c in range(7)]


def f1():
    hits = [np.sum((c == LABELS) & (c == GUESSED)) for c in range(7)]
    sizes = [np.sum(c == LABELS) + np.sum(c == GUESSED) for c in range(7)]
    return np.mean(2 * np.array(hits) / sizes)


def ranked(scores, own):
    """Return the share of pairs, one row of a class and one not, in this order."""
    apart = scores[own][:, None] - scores[~own]
    return np.mean((apart > 0) + (apart == 0) / 2)


def among(most):
    rank = np.sum(LOGITS[np.arange(60), LABELS][:, None] < LOGITS, axis=1)
    return np.mean(rank < most)


BY_HAND = {
    "accuracy": lambda: np.mean(GUESSED == LABELS),
    "balanced_accuracy": lambda: np.mean(recalls()),
    "crossentropy": lambda: -np.log(PROBABLE[np.arange(60), LABELS]).mean(),
    "f1_macro": f1,
    "mean_absolute_error": lambda: np.abs(APART).mean(),
    "mean_squared_error": lambda: (APART**2).mean(),
    "median_absolute_error": lambda: np.sort(np.abs(APART), axis=0)[15].mean(),
    "r2": lambda: 1 - (APART**2).sum() / ((TARGETS - np.mean(TARGETS, 0)) ** 2).sum(),
    "roc_auc": lambda: np.mean([ranked(PROBABLE[:, c], c == LABELS) for c in range(7)]),
    "root_mean_squared_error": lambda: np.sqrt((APART**2).mean(axis=0)).mean(),
    "top_3_accuracy": lambda: among(3),
    "top_5_accuracy": lambda: among(5),
}


def part(task):
    return (LABELS, LOGITS) if task == "classification" else (TARGETS, OUTPUTS)


def test_the_table_is_of_every_metric():
    assert set(BY_HAND) == set(METRICS)
    assert {task for task, _ in METRICS.values()} == set(LOSSES.values())


@pytest.mark.parametrize("name", METRICS)
def test_a_named_metric_is_its_formula(name, tmp_path):
    task, (y, outputs) = METRICS[name][0], part(METRICS[name][0])
    check_metric(name, tmp_path, task, y, outputs.shape[1])
    assert made(name, tmp_path)(y, outputs) == pytest.approx(BY_HAND[name](), 1e-6)
    other = {"classification": "regression", "regression": "classification"}[task]
    with pytest.raises(StudyError) as caught:
        check_metric(name, tmp_path, other, y, outputs.shape[1])
    assert str(caught.value) == f"{name!r} is for {task}; this study is a {other}."


def test_of_two_classes_the_ranking_is_by_their_difference(tmp_path):
    y, outputs = LABELS % 2, 300 * LOGITS[:, :2]  # probabilities are 0 and 1
    by_pairs = ranked(np.float64(outputs[:, 1]) - outputs[:, 0], y == 1)
    assert made("roc_auc", tmp_path)(y, outputs) == pytest.approx(by_pairs)


def test_large_logits_have_a_finite_crossentropy(tmp_path):
    y, outputs = np.array([0, 1]), np.array([[1e4, 0.0], [1e4, 0.0]], "float32")
    assert made("crossentropy", tmp_path)(y, outputs) == 5e3


ONE, TWO = np.zeros(60, "int64"), LABELS % 2
CONSTANT = np.ones_like(TARGETS)
BROKEN = np.where(np.arange(3) == 1, np.inf, OUTPUTS)
PARTS = {
    "one class": ({"balanced_accuracy", "f1_macro", "roc_auc"}, ONE, LOGITS),
    "two classes of seven": ({"roc_auc"}, TWO, LOGITS),
    "constant targets": ({"r2"}, CONSTANT, OUTPUTS),
    "an output that is not finite": (
        {name for name, (task, _) in METRICS.items() if task == "regression"},
        TARGETS,
        BROKEN.astype("float32"),
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_what_is_not_defined_is_none_and_nothing_else_is(name, tmp_path):
    undefined, y, outputs = PARTS[name]
    task = "classification" if y.dtype.kind == "i" else "regression"
    own = {metric for metric, (of, _) in METRICS.items() if of == task}
    found = {metric: made(metric, tmp_path)(y, outputs) for metric in own}
    assert {metric for metric, value in found.items() if value is None} == undefined
    assert all(type(found[metric]) is float for metric in own - undefined)


def test_a_constant_target_counts_in_r2(tmp_path):
    y = np.where(np.arange(3) == 1, 1, TARGETS).astype("float32")
    residual = ((np.float64(y) - OUTPUTS) ** 2).sum()
    expected = 1 - residual / ((np.float64(y) - np.mean(y, 0)) ** 2).sum()
    assert made("r2", tmp_path)(y, OUTPUTS) == pytest.approx(expected, 1e-6)


def test_a_function_of_the_user_is_the_mean_of_its_rows(tmp_path):
    (tmp_path / "own_metrics.py").write_text(OWN)
    expected = (LOGITS[np.arange(60), LABELS] - LOGITS.mean(axis=1)).mean()
    for name in ("own_metrics:margin", "own_metrics:margin_in_keras"):
        check_metric(name, tmp_path, "classification", LABELS, 7)
        assert made(name, tmp_path)(LABELS, LOGITS) == pytest.approx(expected, 1e-5)


def test_a_function_of_the_user_cannot_change_what_others_are_given(tmp_path):
    (tmp_path / "own_metrics.py").write_text(OWN)
    y, outputs = LABELS.copy(), LOGITS.copy()
    assert made("own_metrics:clearing", tmp_path)(y, outputs) == 0.0
    assert (y == LABELS).all()
    assert (outputs == LOGITS).all()


def test_a_mean_that_is_not_finite_is_none(tmp_path):
    (tmp_path / "own_metrics.py").write_text(OWN)
    assert made("own_metrics:infinite", tmp_path)(LABELS, LOGITS) is None


REFUSED = {
    "accuracy, top_3_accuracy": (
        "train.metrics: 'top_3_accuracy' needs more than 3 classes; this study has 3."
    ),
    "r2": "train.metrics: 'r2' is for regression; this study is a classification.",
    "own_metrics:whole": (
        "train.metrics: own_metrics:whole must return a number for each row, of shape "
        "(3,) for 3 rows; received ()."
    ),
    "own_metrics:table": (
        "train.metrics: own_metrics:table must return a number for each row, of shape "
        "(3,) for 3 rows; received (3, 3)."
    ),
    "own_metrics:broken": (
        "train.metrics: own_metrics:broken(y, outputs) raised KeyError: 'a'."
    ),
    "own_metrics:nothing": ("train.metrics: module 'own_metrics' has no 'nothing'."),
    "acuracy": (
        "train.metrics[0]: unknown 'acuracy'. Did you mean 'accuracy'? Known: "
        f"{', '.join(sorted(METRICS))}."
    ),
    "accuracy, r2, accuracy": (
        "train.metrics[2]: 'accuracy' is in this list twice, also at [0]."
    ),
    "a:b:c": (
        "train.metrics[0]: must be the name of a metric, or like "
        "'package.module:function'; received 'a:b:c'."
    ),
    "": "train.metrics: must be a list of at least one value; received [].",
}


@pytest.mark.parametrize("names", REFUSED)
def test_a_metric_that_cannot_be_computed_is_one_located_line(names, tmp_path):
    (tmp_path / "own_metrics.py").write_text(OWN)
    file = tmp_path / "s.toml"
    metrics = json.dumps(names.split(", ") if names else [])
    file.write_text(STUDY.format(metrics))
    with pytest.raises(StudyError) as caught:
        resolve(config.load(file)[0], file)
    assert str(caught.value) == f"{file}:11: {REFUSED[names]}"


def ids(metrics):
    text = STUDY.format(metrics)
    if not metrics:
        text = text.replace("metrics = \n", "")
    return [trial.id for trial in plan(config.parse(text, "s.toml"), "")]


def test_trials_with_other_metrics_have_other_ids():
    assert ids('"accuracy"') == ids('["accuracy"]')
    several = [ids(own) for own in ("", '["accuracy"]', '["roc_auc"]')]
    assert len({trial for own in several for trial in own}) == 3 * len(several[0])


def test_the_id_of_a_study_without_metrics_is_what_it_was():
    assert ids("")[0] == "f9c08934aeb7e88c"
