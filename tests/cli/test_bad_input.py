"""Every mistake of a user: one line, exit status 2, no traceback, nothing written."""

import os
import sys

import numpy as np
import pytest

from helpers.commands import run

GOOD = """\
name = "bad"
seeds = 1

[data]
name = "iris"

[model]
name = "linear"

[train]
epochs = 1

[[sweep]]
regularizer = "L1"
target = "kernel"
strength = [1e-3]
"""


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Return a function that runs a command, checks how it fails, returns its line."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments):
        before = sorted(tmp_path.rglob("*"))
        status = run(monkeypatch, *arguments)
        out, err = capfd.readouterr()
        assert status == 2
        assert out == ""
        assert err.count("\n") == 1
        assert err.startswith("error: ")
        assert sorted(tmp_path.rglob("*")) == before
        return err.removeprefix("error: ").rstrip("\n")

    return refused


def study(tmp_path, text):
    file = tmp_path / "s.toml"
    file.write_text(text)
    return "s.toml"


CHANGES = {
    "not_toml": ("seeds = 1", "seeds = ="),
    "unknown_key": ("seeds = 1", "seeds = 1\nsede = 3"),
    "doubled_key": ("seeds = 1", "seeds = 1\nseeds = 2"),
    "string_for_number": ("seeds = 1", 'seeds = "1"'),
    "bool_for_integer": ("seeds = 1", "seeds = true"),
    "strength_zero": ("[1e-3]", "[0.0]"),
    "strength_negative": ("[1e-3]", "[-1.0]"),
    "strength_nan": ("[1e-3]", "[nan]"),
    "strength_infinite": ("[1e-3]", "[inf]"),
    "empty_sweep": ("[1e-3]", "[]"),
    "unknown_regularizer": ('"L1"', '"L3"'),
    "unknown_target": ('"kernel"', '"kernels"'),
    "unknown_data": ('"iris"', '"irises"'),
    "unknown_model": ('"linear"', '"lineal"'),
    "unknown_solver": ("strength", 'solver = "exact"\nstrength'),
    "unknown_optimizer": ("epochs = 1", 'epochs = 1\noptimizer = "adm"'),
    "the_same_trial_twice": ("[1e-3]", "[1e-3, 0.001]"),
    "nothing_to_train_on": (
        '"iris"',
        '"iris"\ntest_fraction = 0.6\nvalidation_fraction = 0.5',
    ),
    "name_is_a_path": ('"bad"', '"../bad"'),
    "missing_data_file": ('name = "iris"', 'file = "no.npz"'),
    "fewer_rows_than_a_batch": ("epochs = 1", "epochs = 1\nbatch_size = 500"),
    "missing_builder": ('name = "linear"', 'build = "nowhere:build"'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_broken_study_file_is_refused(change, tmp_path, refused):
    old, new = CHANGES[change]
    assert old in GOOD
    file = study(tmp_path, GOOD.replace(old, new))
    assert refused("run", file).startswith("s.toml:")


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_study_file_is_refused(text, tmp_path, refused):
    assert refused("run", study(tmp_path, text)).startswith("s.toml: ")


def test_a_missing_study_file_is_refused(refused):
    assert refused("run", "none.toml").startswith("none.toml: ")


ARRAYS = {
    "damaged": None,
    "with_nan": {"x": np.full((90, 2), np.nan), "y": np.arange(90) % 2},
    "different_lengths": {"x": np.ones((90, 2)), "y": np.arange(80) % 2},
    "one_class": {"x": np.ones((90, 2)), "y": np.zeros(90, int)},
    "labels_missing": {"x": np.ones((90, 2)), "y": np.array(["a", ""] * 45)},
    "too_few_rows": {"x": np.ones((20, 2)), "y": np.arange(20) % 2},
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_broken_data_file_is_refused(kind, tmp_path, refused):
    if ARRAYS[kind] is None:
        (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 not really")
    else:
        np.savez(tmp_path / "d.npz", **ARRAYS[kind])
    text = GOOD.replace('name = "iris"', 'file = "d.npz"')
    assert "d.npz" in refused("run", study(tmp_path, text))


@pytest.mark.parametrize(
    "source",
    ["def build(shape, outputs): return 3", "def build(shape, outputs): 1 / 0", "("],
)
def test_a_builder_that_gives_no_model_is_refused(
    source, tmp_path, refused, monkeypatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"builder_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    text = GOOD.replace('name = "linear"', f'build = "{name}:build"')
    line = refused("run", study(tmp_path, text))
    assert line.startswith("s.toml:8: model.build: ")


OWN_LOSS = """\
import keras


class Own(keras.Sequential):
    def compute_loss(self, *arguments, **keywords):
        return 2 * super().compute_loss(*arguments, **keywords)


def build(shape, outputs):
    return Own([keras.Input(shape), keras.layers.Dense(outputs)])
"""


@pytest.mark.parametrize("command", ["plan", "run"])
def test_batch_is_refused_for_a_study_that_cannot_be_batched(
    command, tmp_path, refused, monkeypatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / f"own_loss_{command}.py").write_text(OWN_LOSS)
    text = GOOD.replace('name = "linear"', f'build = "own_loss_{command}:build"')
    assert refused(command, study(tmp_path, text), "--engine", "batch") == (
        "the engine batch cannot train this study: the model has its own "
        "`compute_loss`."
    )


def test_a_trial_that_is_larger_than_the_memory_is_refused(
    tmp_path, refused, monkeypatch
):
    from kregkit.study.engines import schedule

    monkeypatch.setattr(schedule, "memory", lambda: 2048)
    line = refused("run", study(tmp_path, GOOD))
    assert (
        "(baseline, seed 0) alone needs about 0 MiB in a batch; 0 MiB may be used."
        in line
    )


def test_an_unwritable_output_folder_is_refused(tmp_path, refused):
    (tmp_path / "taken").write_text("a file")
    file = study(tmp_path, GOOD)
    assert "taken" in refused("run", file, "--out", "taken")


def test_an_unwritable_report_folder_is_refused_before_training(tmp_path, refused):
    (tmp_path / "reports").write_text("a file")
    assert "reports" in refused("run", study(tmp_path, GOOD))


@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_is_no_file_is_refused(command, tmp_path, refused):
    os.mkdir(tmp_path / "folder")
    assert refused(command, "folder").startswith("folder: ")


def test_what_is_no_store_is_refused(tmp_path, refused):
    assert refused("report", "nowhere") == (
        "nowhere: not a store (it has no folder 'parts')"
    )


NO_STORE = "not a store (it has no folder 'parts')"
LINES = {
    # arguments, the whole line
    "report of a file": (("report", "file"), f"file: {NO_STORE}"),
    "report of a device": (("report", "/dev/null"), f"/dev/null: {NO_STORE}"),
    "report of several": (("report", "d", "file", "-o", "x"), f"d: {NO_STORE}"),
    "run of a device": (
        ("run", "/dev/zero"),
        "/dev/zero: is a device or a pipe, not a file.",
    ),
    "data that is a device": (
        ("plan", "zero.toml"),
        "zero.toml:5: data.file: zero.npz: is a device or a pipe, not a file.",
    ),
    "data that is a pipe": (
        ("run", "pipe.toml"),
        "pipe.toml:5: data.file: pipe.npz: is a device or a pipe, not a file.",
    ),
    "data that is a folder": (
        ("run", "d.toml"),
        "d.toml:5: data.file: d.npz: cannot be read: Is a directory.",
    ),
}


@pytest.mark.parametrize("kind", LINES)
def test_what_cannot_be_read_is_refused_in_a_line(kind, tmp_path, refused):
    (tmp_path / "d").mkdir()
    (tmp_path / "d.npz").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.npz")
    for name in ("zero", "pipe", "d"):
        text = GOOD.replace('name = "iris"', f'file = "{name}.npz"')
        (tmp_path / f"{name}.toml").write_text(text)
    arguments, line = LINES[kind]
    assert refused(*arguments) == line


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--nothing",),
        ("report",),
        ("init", "--fresh"),
        ("list", "more"),
        ("rum",),
        ("run",),
        ("run", "s.toml", "--engine", "nothing"),
        ("run", "s.toml", "--workers", "0"),
        ("run", "s.toml", "--workers", "two"),
        ("plan", "s.toml", "--engine", "nothing"),
        ("plan", "s.toml", "--workers", "-1"),
    ],
)
def test_a_wrong_command_shows_how_it_is_used(arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    study(tmp_path, GOOD)
    status = run(monkeypatch, *arguments)
    out, err = capfd.readouterr()
    assert status == 2
    assert "Usage: " in out + err
    assert "Traceback" not in out + err
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]
