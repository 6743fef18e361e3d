# ruff: noqa: E501 - one bad study a line, with its whole message
import dataclasses
import re

import keras
import numpy as np
import pytest

from helpers import ROOT
from kregkit.errors import DataError, KregkitError, StudyError
from kregkit.known import DECOUPLED, OPTIMIZERS
from kregkit.specs import SPECS
from kregkit.study.file import config
from kregkit.study.problem.resolve import OPTIMIZER_CLASSES, R2, resolve

STUDY = """\
name = "a"
seeds = 2
[data]
name = "iris"
[model]
name = "mlp"
hidden = [8, 4]
[train]
epochs = 1
[[sweep]]
regularizer = ["L1", "L1L2"]
target = ["kernel", "bias", "activity"]
strength = [0.1, 0.01]
"""
EXPERIMENTS = ROOT / "experiments"


def study(folder, old="", new=""):
    assert old in STUDY
    (folder / "s.toml").write_text(STUDY.replace(old, new))
    return resolve(config.load(folder / "s.toml")[0], folder / "s.toml")


def refused(folder, old, new, kind):
    with pytest.raises(KregkitError) as caught:
        study(folder, old, new)
    assert type(caught.value) is kind
    return str(caught.value).removeprefix(f"{folder / 's.toml'}:")


def test_resolved_study_has_everything_for_a_training(tmp_path):
    own = study(tmp_path)
    assert own.folder == tmp_path
    assert own.data.name == "iris"
    assert len(own.trials) == 2 * (1 + 2 * 3 * 2)
    assert own.task == "classification"
    assert own.outputs == 3
    assert own.build() is not own.build()
    assert own.optimizer() is not own.optimizer()
    assert isinstance(own.optimizer(), keras.optimizers.Adam)
    assert float(own.optimizer().learning_rate) == pytest.approx(1e-3)
    assert own.metric().name == "score"
    with pytest.raises(dataclasses.FrozenInstanceError):
        own.folder = tmp_path


def test_weights_come_from_keras_seed(tmp_path):
    own = study(tmp_path)
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        drawn.append(own.build().get_weights()[0])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_penalties_are_those_of_the_trials(tmp_path):
    own = study(tmp_path)
    for trial in own.trials:
        penalty = own.penalty(trial)
        if trial.regularizer is None:
            assert penalty is None
            continue
        assert type(penalty).__name__ == trial.regularizer
        assert penalty.strength == trial.strength
    assert {trial.regularizer for trial in own.trials} == {None, "L1", "L1L2"}


def test_every_optimizer_of_the_schema_is_made_with_all_its_options(tmp_path):
    assert set(OPTIMIZER_CLASSES) == set(OPTIMIZERS)
    values = {"momentum": "0.5", "nesterov": "true", "weight_decay": "0.125"}
    for name, options in OPTIMIZERS.items():
        lines = "".join(f"{option} = {values[option]}\n" for option in options)
        train = f'epochs = 1\noptimizer = "{name}"\nlearning_rate = 0.25\n{lines}'
        made = study(tmp_path, "epochs = 1\n", train).optimizer()
        assert type(made).__name__.lower() == name
        settings = made.get_config()
        assert settings["learning_rate"] == 0.25
        for option in options:
            assert settings[option] == {"momentum": 0.5, "nesterov": True}.get(
                option, 0.125
            )


def test_every_regularizer_of_the_schema_is_made(tmp_path):
    everywhere = 'regularizer = ["L1", "L1L2"]\ntarget = ["kernel", "bias", "activity"]'
    # A dense layer has no time steps.
    for name in SPECS.keys() - {"TotalVariation"}:
        target = SPECS[name].only_on or "bias"
        solver = "gradient" if SPECS[name].differentiable else "proximal"
        one = f'regularizer = "{name}"\ntarget = "{target}"\nsolver = "{solver}"'
        last = (own := study(tmp_path, everywhere, one)).trials[-1]
        if name == DECOUPLED:
            assert own.penalty(last) is None
            assert last.decay == 0.01
        else:
            assert own.penalty(last).strength == 0.01
            assert last.decay == 0


@pytest.mark.parametrize(
    ("group", "target", "message"),
    [
        ("input", "bias", "hidden_1/bias: GroupLasso: `w` must be a tensor of 2 axes"),
        ("filter", "kernel", "hidden_1/kernel: GroupLasso: `w` must be a tensor of 3"),
        ("filter", "activity", "hidden_1/activity: GroupLasso: `w` must be a tensor"),
    ],
)
def test_a_group_that_a_tensor_does_not_have_is_located(
    tmp_path, group, target, message
):
    new = f'"GroupLasso"\ngroup = ["unit", "{group}"]\ntarget = "{target}"'
    old = '["L1", "L1L2"]\ntarget = ["kernel", "bias", "activity"]'
    with pytest.raises(StudyError) as caught:
        study(tmp_path, old, new)
    assert f": sweep[0].group: {message}" in str(caught.value)
    shape = {"bias": (8,), "kernel": (4, 8), "activity": (1, 8)}[target]
    end = f"for group {group!r}; received {shape}."
    assert str(caught.value).endswith(end)


def test_a_block_that_one_of_the_kernels_does_not_have_is_located(tmp_path):
    old = '["L1", "L1L2"]\ntarget = ["kernel", "bias", "activity"]'
    new = '"GroupLasso"\ngroup = "4x4"\ntarget = "kernel"'
    study(tmp_path, old, new + '\nlayers = "hidden_*"')
    with pytest.raises(StudyError) as caught:
        study(tmp_path, old, new)
    assert str(caught.value).endswith(
        ": sweep[0].group: output/kernel: GroupLasso: `w` must be divisible into 4x4 "
        "blocks, as a matrix; received (4, 3)."
    )


def test_every_word_makes_its_penalty(tmp_path):
    old = '["L1", "L1L2"]\ntarget = ["kernel", "bias", "activity"]'
    new = '"GroupLasso"\ngroup = ["input", "unit"]\ntarget = "kernel"'
    own = study(tmp_path, old, new)
    made = [own.penalty(trial) for trial in own.trials if trial.regularizer]
    assert {penalty.group for penalty in made} == {"input", "unit"}
    assert {trial.structure for trial in own.trials} == {
        (),
        (("group", "input"), ("weighting", "sqrt")),
        (("group", "unit"), ("weighting", "sqrt")),
    }


def compiled(own, split):
    model = own.build()
    model.compile(own.optimizer(), own.loss(), metrics=[own.metric()])
    logs = model.evaluate(split.x_val, split.y_val, verbose=0, return_dict=True)
    return logs, np.asarray(model(split.x_val))


def test_classification_is_scored_by_loss_from_logits_and_accuracy(tmp_path):
    own = study(tmp_path)
    split = own.split(0)
    logs, logits = compiled(own, split)
    exponent = logits - logits.max(axis=1, keepdims=True)
    chance = exponent - np.log(np.exp(exponent).sum(axis=1, keepdims=True))
    rows = np.arange(len(split.y_val))
    assert logs["loss"] == pytest.approx(-chance[rows, split.y_val].mean(), rel=1e-5)
    score = (logits.argmax(axis=1) == split.y_val).mean()
    assert logs["score"] == pytest.approx(score)


def test_regression_is_scored_by_squared_error_and_r2(tmp_path):
    own = study(tmp_path, '"iris"', '"diabetes"')
    split = own.split(0)
    logs, output = compiled(own, split)
    error = ((output - split.y_val) ** 2).mean()
    assert own.task == "regression"
    assert logs["loss"] == pytest.approx(error, rel=1e-5)
    assert logs["score"] == pytest.approx(1 - error / split.y_val.var(), rel=1e-4)


def test_autoencoder_reconstructs_its_input(tmp_path):
    old = '"iris"\n[model]\nname = "mlp"\nhidden = [8, 4]'
    new = '"digits"\n[model]\nname = "autoencoder"\nhidden = [8, 4]'
    own = study(tmp_path, old, new)
    split = own.split(0)
    assert own.task == "regression"
    assert own.outputs == 64
    for name in ("train", "val", "test"):
        x, y = getattr(split, f"x_{name}"), getattr(split, f"y_{name}")
        assert x.shape[1:] == (8, 8, 1)
        np.testing.assert_array_equal(y, x.reshape(len(x), 64))
    assert (split.y_val.max(axis=0) == split.y_val.min(axis=0)).any()  # constant
    logs, output = compiled(own, split)
    spread = ((split.y_val - split.y_val.mean(axis=0)) ** 2).sum()
    score = 1 - ((output - split.y_val) ** 2).sum() / spread
    assert logs["score"] == pytest.approx(score, rel=1e-4)


def test_r2_weighs_rows_and_is_zero_without_variance():
    metric = R2(2)
    y = np.array([[1.0, 5.0], [2.0, 5.0], [9.0, 5.0]], "float32")
    guess = np.array([[1.5, 5.0], [2.0, 4.0], [0.0, 0.0]], "float32")
    metric.update_state(y, guess, sample_weight=np.array([1.0, 1.0, 0.0]))
    assert float(metric.result()) == pytest.approx(1 - 1.25 / 0.5)
    metric.reset_state()
    metric.update_state(y[:1], guess[:1])
    assert float(metric.result()) == 0.0
    assert R2.from_config(R2(2, name="score").get_config()).outputs == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"mlp"\nhidden = [8, 4]', '"cnn"', "6: model.name: cnn needs images of 4x4 pixels or more; received inputs of shape (4,)."),
        ('"mlp"\nhidden = [8, 4]', '"linear"', "11: sweep[0].target: no layer matches 'hidden'; layers with a kernel: output. Set layers = 'all'."),
        ("0.01]", '0.01]\nlayers = "conv_*"', "14: sweep[0].layers: no layer matches 'conv_*'; layers with a kernel: hidden_1, hidden_2, output."),
        ('name = "mlp"\nhidden = [8, 4]', 'build = "gone:build"', "6: model.build: importing 'gone' raised ModuleNotFoundError: No module named 'gone'."),
    ],
)  # fmt: skip
def test_study_that_cannot_be_trained(old, new, message, tmp_path):
    assert refused(tmp_path, old, new, StudyError) == message


def test_own_builder_without_bias_for_a_bias_target(tmp_path):
    (tmp_path / "own_flat.py").write_text(
        "import keras\n"
        "def build(input_shape, outputs):\n"
        "    layer = keras.layers.Dense(outputs, use_bias=False)\n"
        "    return keras.Sequential([keras.Input(input_shape), layer])\n"
    )
    new = 'build = "own_flat:build"'
    message = refused(tmp_path, 'name = "mlp"\nhidden = [8, 4]', new, StudyError)
    assert message == "11: sweep[0].target: no layer that matches 'all' has a bias."


def test_data_that_cannot_be_used(tmp_path):
    file = tmp_path / "d.npz"
    old, new = 'name = "iris"', 'file = "d.npz"'
    message = refused(tmp_path, old, new, DataError)
    assert message == f"4: data.file: {file}: no such file."
    np.savez(file, x=np.eye(40), y=np.arange(40))
    message = refused(tmp_path, old, new, DataError)
    assert message == (
        "3: data: d.npz: class 0 has 1 row, too few for a row in each of 3 parts; for "
        "targets that are no classes, set task = 'regression'."
    )


def test_fewer_rows_than_a_batch(tmp_path):
    message = refused(tmp_path, "epochs = 1", "epochs = 1\nbatch_size = 91", DataError)
    assert message == "3: data: iris: 90 rows to train on are fewer than a batch of 91."
    assert study(tmp_path, "epochs = 1", "epochs = 1\nbatch_size = 90")


def test_every_seeds_split_is_tried(tmp_path, monkeypatch):
    from kregkit.study.data import data

    seeds = []
    rows = data.rows

    def watched(own, part, seed):
        seeds.append(seed)
        return rows(own, part, seed)

    monkeypatch.setattr(data, "rows", watched)
    study(tmp_path)
    assert {0, 1} <= set(seeds)


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("l1_vs_l2_digits", 355),
        ("l1_vs_l2/digits", 1560),
        ("l1_vs_l2/digits_cnn", 1170),
        ("l1_vs_l2/breast_cancer", 1560),
        ("l1_vs_l2/wine", 1560),
        ("l1_vs_l2/diabetes", 1560),
    ],
)
def test_experiments_are_the_studies_that_the_readme_promises(name, trials):
    file = EXPERIMENTS / f"{name}.toml"
    own = resolve(config.load(file)[0], file)
    assert len(own.trials) == trials
    assert own.config.name.startswith(name.replace("/", "_"))
    assert own.config.train.epochs == 40
    assert own.data.name == re.sub("^l1_vs_l2[_/]|_cnn$", "", name)
