"""What a study takes is computed from shapes: the oracle is what Keras then builds."""

import math
import re
import resource
import sys

import keras
import numpy as np
import pytest

from helpers.made_study import made
from helpers.small_study import OWN, STUDY, written
from kregkit._keras import without_values
from kregkit.errors import StudyError
from kregkit.study.engines import schedule as scheduling
from kregkit.study.engines.schedule import schedule
from kregkit.study.file.config import load
from kregkit.study.problem import sizes as sizes_module
from kregkit.study.problem.models import BUILDERS
from kregkit.study.problem.resolve import OPTIMIZER_CLASSES, resolve
from kregkit.study.problem.sizes import outline, sizes, slots

MIB = 2**20
OPTIONS = {
    "mlp": {"hidden": (5, 3)},
    "cnn": {"filters": (2, 3), "hidden": (4,)},
    "autoencoder": {"hidden": (5, 2)},
}


def peak():
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("name", BUILDERS)
def test_a_model_without_values_has_the_shapes_of_one_with_values(name):
    def build():
        return BUILDERS[name]((28, 28, 1), 10, **OPTIONS.get(name, {}))

    shapes = [
        [v.shape for v in model.variables] for model in (build(), without_values(build))
    ]
    assert shapes[0] == shapes[1]
    assert shapes[0]


def test_a_model_without_values_never_gets_any():
    before = peak()
    held = without_values(lambda: BUILDERS["mlp"]((64,), 10, hidden=(10**6, 10**6)))
    with keras.StatelessScope():  # gives values to all variables that wait for them
        pass
    assert held.count_params() > 10**12
    assert peak() - before < 50 * MIB


@pytest.mark.parametrize("name", OPTIMIZER_CLASSES)
def test_slots_are_those_that_the_optimizer_builds(name):
    given = {"sgd": {"momentum": 0.9}}.get(name, {})
    model = BUILDERS["mlp"]((4,), 3, hidden=(5,))
    optimizer = OPTIMIZER_CLASSES[name](**given)
    optimizer.build(model.trainable_variables)
    each, single = slots(OPTIMIZER_CLASSES[name](**given))
    kept = sum(math.prod(variable.shape) for variable in optimizer.variables)
    assert kept == each * model.count_params() + single


def test_outputs_are_those_of_every_layer(tmp_path):
    study = made(tmp_path)
    found = sizes(study, outline(study))
    model = study.build()
    rows = np.ones((1, 4), "float32")
    given = 0
    for layer in model.layers:
        rows = layer(rows)
        given += np.size(rows)
    assert found.outputs == given
    assert found.weights == model.count_params()


HUGE = "hidden = [30000, 30000]"


def test_a_model_that_does_not_fit_is_refused_before_it_is_built(tmp_path):
    text = STUDY.replace("hidden = [5]", HUGE).replace("seeds = 2", "seeds = 90")
    file = written(tmp_path, text)
    line = text.splitlines().index(HUGE) + 1
    before = peak()
    with pytest.raises(StudyError) as refused:
        resolve(load(file)[0], file)
    weights = 4 * 30000 + 30000 + 30000**2 + 30000 + 30000 * 3 + 3
    form = (
        rf"{re.escape(str(file))}:{line}: model\.hidden: the model has {weights} "
        r"weights; to train it needs about (\d+) MiB of memory \(weights, gradients, "
        r"optimizer, outputs of a batch, data\); (\d+) MiB are left\."
    )
    match = re.fullmatch(form, str(refused.value))
    assert match, refused.value
    # Weights, gradients and two moments of Adam at least.
    assert int(match[1]) >= 4 * 4 * weights >> 20
    assert int(match[2]) < int(match[1])
    assert peak() - before < 100 * MIB


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("name = 'mlp'\nhidden = [5]", "hidden"),
        ("name = 'mlp'", "name"),
        ("name = 'cnn'\nfilters = [9, 9]\nhidden = [8]", "filters"),
        ("name = 'cnn'\nfilters = 9\nhidden = []", "filters"),
        ("build = 'a:b'", "build"),
    ],
)
def test_the_widest_option_is_named(tmp_path, model, key):
    study = made(tmp_path)
    start, end = STUDY.index("[model]"), STUDY.index("[train]")
    text = f"{STUDY[:start]}[model]\n{model}\n{STUDY[end:]}"
    config = load(written(tmp_path, text))[0]
    object.__setattr__(study, "config", config)
    assert sizes_module.widest(study) == key


def test_a_model_of_the_users_is_refused_after_one_build(tmp_path, monkeypatch):
    text = OWN.format("sized")
    (tmp_path / "sized.py").write_text(
        "import keras\nfrom keras import layers\n"
        "calls = []\n"
        "def build(shape, outputs):\n"
        "    calls.append(1)\n"
        "    return keras.Sequential([keras.Input(shape), layers.Dense(outputs)])\n"
    )
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sizes_module, "memory", lambda: 9)
    file = written(tmp_path, text)
    with pytest.raises(StudyError, match=r"model\.build: the model has 15 weights;"):
        resolve(load(file)[0], file)
    import sized

    assert len(sized.calls) == 1


def test_a_model_too_large_for_a_batch_goes_to_fit_untraced(tmp_path, monkeypatch):
    study = made(tmp_path)
    found = sizes(study, outline(study))
    data = 8 * (study.data.x.size + study.data.y.size)
    least = 5 * found.state + 64 * found.weights + data
    monkeypatch.setattr(scheduling, "memory", lambda: 2 * least - 2)
    monkeypatch.setattr(scheduling, "obstacle", lambda *_: pytest.fail("traced"))
    chosen = schedule(study, study.trials)
    assert {unit.engine for unit in chosen.units} == {"fit"}
    assert chosen.reason == (
        f"trial {study.trials[0].id} (baseline, seed 0) alone needs about 0 MiB in a "
        "batch; 0 MiB may be used"
    )
