import hashlib
from pathlib import Path

import pytest

from kregkit.errors import DataError
from kregkit.study.file import config
from kregkit.study.plan import digest, plan

STUDY = """\
name = "a"
seeds = 2
[data]
file = "a.npz"
[model]
name = "mlp"
[train]
epochs = 10
[[sweep]]
regularizer = "L1"
target = ["kernel", "bias"]
strength = [0.1, 0.01]
[[sweep]]
regularizer = "L1L2"
target = "kernel"
strength = 0.1
"""


def trials(old="", new="", key="0"):
    assert old in STUDY
    return plan(config.parse(STUDY.replace(old, new), "s.toml"), key)


def ids(*change):
    return {trial.id for trial in trials(*change)}


def test_trials_are_in_study_order_with_the_baselines_first():
    assert [
        (t.regularizer, t.target, t.layers, t.strength, t.parameters, t.seed)
        for t in trials()
    ] == [
        (None, None, None, None, (), 0),
        (None, None, None, None, (), 1),
        ("L1", "kernel", "all", 0.1, (), 0),
        ("L1", "kernel", "all", 0.1, (), 1),
        ("L1", "kernel", "all", 0.01, (), 0),
        ("L1", "kernel", "all", 0.01, (), 1),
        ("L1", "bias", "all", 0.1, (), 0),
        ("L1", "bias", "all", 0.1, (), 1),
        ("L1", "bias", "all", 0.01, (), 0),
        ("L1", "bias", "all", 0.01, (), 1),
        ("L1L2", "kernel", "all", 0.1, (("ratio", 0.5),), 0),
        ("L1L2", "kernel", "all", 0.1, (("ratio", 0.5),), 1),
    ]
    assert {trial.solver for trial in trials()} == {"gradient"}


def test_ids_are_unique_and_sixteen_hex_digits():
    assert len(ids()) == len(trials())
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in ids())


@pytest.mark.parametrize(
    "change",
    [
        ('"a.npz"', '"b.npz"'),
        ('"a.npz"', '"a.npz"\ntask = "regression"'),
        ('"a.npz"', '"a.csv"\nlabel = "y"'),
        ('"a.npz"', '"a.npz"\ntest_fraction = 0.3'),
        ('"a.npz"', '"a.npz"\nvalidation_fraction = 0.3'),
        ('file = "a.npz"', 'name = "digits"'),
        ("seeds", "seeds", "1"),
        ('"mlp"', '"linear"'),
        ('"mlp"', '"autoencoder"'),
        ('"mlp"', '"autoencoder"\ncode = "sigmoid"'),
        ('"mlp"', '"mlp"\nhidden = [64, 33]'),
        ('name = "mlp"', 'build = "a:b"'),
        ("epochs = 10", "epochs = 11"),
        ("epochs = 10", "epochs = 10\nbatch_size = 33"),
        ("epochs = 10", "epochs = 10\nlearning_rate = 0.1"),
        ("epochs = 10", 'epochs = 10\noptimizer = "nadam"'),
    ],
)
def test_what_determines_every_result_changes_every_id(change):
    assert not ids() & ids(*change)


@pytest.mark.parametrize("option", ["momentum = 0.1", "nesterov = true"])
def test_an_option_of_the_optimizer_changes_every_id(option):
    sgd = "epochs = 10\noptimizer = 'sgd'\n"
    assert not ids("epochs = 10", sgd) & ids("epochs = 10", sgd + option)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (('"L1"', '"L2"'), 4),  # the baselines and the other sweep stay
        (('["kernel", "bias"]', '["kernel", "activity"]'), 8),
        (("[0.1, 0.01]", "[0.1, 0.02]"), 8),
        (("[0.1, 0.01]", "[0.1, 0.01]\nlayers = 'hidden'"), 4),
        (("strength = 0.1\n", "strength = 0.1\nratio = 0.4"), 10),
        (('"L1L2"', '"GroupLasso"\ngroup = "input"'), 10),
    ],
)
def test_what_determines_one_result_changes_its_id_alone(change, left):
    assert len(ids() & ids(*change)) == left


@pytest.mark.parametrize(
    "change",
    [
        ('name = "a"', 'name = "b"'),
        ('name = "a"', 'name = "a"\ntitle = "another"'),
        ('"a.npz"', '"a.npz"\ntest_fraction = 0.2'),
        ('"mlp"', '"mlp"\nhidden = [64, 32]'),
        ("epochs = 10", "epochs = 10\nlearning_rate = 1e-3"),
        ("strength = 0.1\n", "strength = 0.1\nratio = 0.5"),
        ('["kernel", "bias"]', '["bias", "kernel"]'),
        ("[0.1, 0.01]", "{from = 0.1, to = 0.01, count = 2}"),
    ],
)
def test_what_determines_no_result_changes_no_id(change):
    assert ids() == ids(*change)


RATES = "strength = [0.1, 0.01]\nlearning_rate = [1e-3, 3e-3]"


def test_every_learning_rate_has_its_baselines():
    planned = trials("strength = [0.1, 0.01]", RATES)
    assert [(t.regularizer, t.learning_rate, t.seed) for t in planned[:5]] == [
        (None, 1e-3, 0),
        (None, 1e-3, 1),
        (None, 3e-3, 0),
        (None, 3e-3, 1),
        ("L1", 1e-3, 0),
    ]
    assert [t.strength for t in planned[4:12:2]] == [0.1, 0.01, 0.1, 0.01]
    assert [t.learning_rate for t in planned[4:12:2]] == [1e-3, 1e-3, 3e-3, 3e-3]
    of_sweeps = trials("epochs = 10", "epochs = 10\nlearning_rate = 0.5")
    assert {t.learning_rate for t in of_sweeps} == {0.5}


def test_a_learning_rate_has_one_id_wherever_it_is_named():
    of_train = ids("epochs = 10", "epochs = 10\nlearning_rate = 3e-3")
    swept = ids("strength = [0.1, 0.01]", RATES)
    assert ids() < swept
    assert {t.id for t in trials("strength = [0.1, 0.01]", RATES)} == swept
    assert len(swept & of_train) == 10  # all but those of the other sweep
    assert len(swept) == len(ids()) + 10


def test_more_seeds_keep_the_ids_of_the_first():
    assert ids() < ids("seeds = 2", "seeds = 3")


def test_order_of_sweeps_changes_no_id():
    head, first, second = STUDY.split("[[sweep]]")
    turned = f"{head}[[sweep]]{second}[[sweep]]{first}"
    assert {t.id for t in plan(config.parse(turned, "s.toml"), "0")} == ids()


def test_ids_stay_the_same_from_version_to_version():
    # Whoever changes this loses every store: trained trials would be trained again.
    assert trials()[0].id == "e5ea7feb948cb169"


def test_digest_is_that_of_the_files_bytes(tmp_path):
    study = config.parse(STUDY, "s.toml")
    (tmp_path / "a.npz").write_bytes(b"some bytes")
    assert digest(study, tmp_path) == hashlib.sha256(b"some bytes").hexdigest()
    named = config.parse(STUDY.replace('file = "a.npz"', 'name = "iris"'), "s.toml")
    assert digest(named, tmp_path) == ""


def test_digest_of_a_missing_file(tmp_path):
    study = config.parse(STUDY, "s.toml")
    with pytest.raises(DataError) as caught:
        digest(study, tmp_path)
    assert str(caught.value) == f"{tmp_path / 'a.npz'}: no such file."
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(DataError) as caught:
        digest(study, Path(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path / 'a.npz'}: cannot be read: Is a directory."
    )
