"""Models with penalties are saved, copied and loaded exactly, in any process."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kregkit
from helpers.formulas import TRACED, Case
from kregkit.regularizers import L1, L1L2, L2

ODD = [L1(0.1 + 0.2), L2(1e-7 / 3), L1L2(1e-3 / 7, 0.1 + 0.7)]


def model_of(
    kernel: Any, bias: Any = None, activity: Any = None, convolution: bool = False
) -> Any:
    regularizers = {
        "kernel_regularizer": kernel,
        "bias_regularizer": bias,
        "activity_regularizer": activity,
    }
    if convolution:
        layer = layers.Conv1D(2, 2, name="dense", **regularizers)
        return keras.Sequential([keras.Input((4, 3)), layer])
    layer = layers.Dense(2, name="dense", **regularizers)
    return keras.Sequential([keras.Input((3,)), layer])


def held(model: Any) -> list[tuple[type, dict[str, Any]]]:
    """Return class and config of the three regularizers of the one layer."""
    dense = model.get_layer("dense")
    found = (
        dense.kernel_regularizer,
        dense.bias_regularizer,
        dense.activity_regularizer,
    )
    return [(type(each), each.get_config()) for each in found if each is not None]


@pytest.mark.parametrize("case", TRACED)
def test_a_saved_model_keeps_class_and_floats(case: Case, tmp_path: Path) -> None:
    kernel = None if case.of_activities else case.penalty
    bias = case.penalty if case.rank < 2 else None
    ranks = case.rank + case.last
    activity = None if case.of_kernels else case.penalty
    model = model_of(kernel, bias, activity, convolution=ranks > 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = [(type(case.penalty), case.penalty.get_config())]
    expected *= sum(own is not None for own in (kernel, bias, activity))
    assert held(loaded) == held(model) == expected
    x = np.ones((2, *model.input_shape[1:]))
    model(x), loaded(x)
    assert [float(loss) for loss in loaded.losses] == [float(v) for v in model.losses]


def test_every_way_to_copy_a_model_keeps_class_and_floats(tmp_path: Path) -> None:
    model = model_of(*ODD)
    before = held(model)
    assert [config["kregkit"] for _, config in before] == [1, 1, 1]
    model.save(tmp_path / "model.keras")
    for other in (
        keras.models.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
        type(model).from_config(model.get_config()),
        keras.models.model_from_json(model.to_json()),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        assert held(other) == before
        assert len(other.losses) == 2


def test_a_model_with_a_live_copy_is_not_saved(tmp_path: Path) -> None:
    model = model_of(L1(0.1).replace(strength=keras.Variable(0.1, trainable=False)))
    with pytest.raises(kregkit.errors.ParameterError) as caught:
        model.save(tmp_path / "model.keras")
    message = "L1: a live copy, made by `replace`, cannot be saved; save the penalty"
    assert str(caught.value).startswith(message)


def run_python(program: str, *arguments: str) -> Any:
    """Run a program in a fresh process beside this kregkit; return its last line."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(kregkit.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LOADS = """
import json, sys
import keras

def load(path):
    try:
        dense = keras.models.load_model(path).get_layer("dense")
    except Exception as error:
        return [type(error).__name__, "kregkit" in str(error)]
    regularizer = dense.kernel_regularizer
    return [type(regularizer).__module__, regularizer.get_config()]

without = [load(path) for path in sys.argv[1:]]
assert "kregkit" not in sys.modules
import kregkit
print(json.dumps({"without": without, "with": [load(path) for path in sys.argv[1:]]}))
"""


def test_a_fresh_process_loads_kregkits_class_or_none(tmp_path: Path) -> None:
    files, theirs = [], tmp_path / "keras.keras"
    for penalty in ODD:
        files.append(str(tmp_path / f"{type(penalty).__name__}.keras"))
        model_of(penalty).save(files[-1])
    model_of(keras.regularizers.L1L2(0.1, 0.2)).save(theirs)
    found = run_python(LOADS, *files, str(theirs))
    # The way of this test to load a model works, as Keras's own class shows.
    module, _ = found["without"].pop()
    assert module == found["with"].pop()[0] == "keras.src.regularizers.regularizers"
    assert [error for error, _ in found["without"]] == ["TypeError"] * 3
    assert found["with"] == [
        ["kregkit.regularizers.separable", penalty.get_config()] for penalty in ODD
    ]


IMPORTS = """
import json, sys
HEAVY = {"keras", "tensorflow", "polars", "matplotlib", "scipy", "sklearn"}
import kregkit
from kregkit import errors
before = sorted(HEAVY & set(sys.modules))
kregkit.regularizers.L1
print(json.dumps([before, sorted(HEAVY & set(sys.modules))]))
"""


def test_importing_kregkit_loads_nothing_heavy_until_it_is_used() -> None:
    before, after = run_python(IMPORTS)
    assert before == []
    assert {"keras", "tensorflow"} <= set(after)  # so the check can fail
    assert "polars" not in after  # the others Keras loads itself, where they are
