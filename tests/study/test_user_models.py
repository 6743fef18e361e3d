"""User-defined models: trained by a suitable engine, or refused in one line."""

import numpy as np
import pytest

from helpers.small_study import OWN, assert_close_stores, trained, written
from helpers.small_study import STUDY as SMALL
from kregkit.errors import StudyError
from kregkit.store import Store

SUBCLASSED = """
import keras

class Small(keras.Model):
    def __init__(self, outputs):
        super().__init__(name="small")
        self.hidden = keras.layers.Dense(5, "relu", name="hidden")
        self.scaled = keras.layers.LayerNormalization(name="scaled")
        self.last = keras.layers.Dense(outputs, name="last")

    def call(self, x):
        return self.last(self.scaled(self.hidden(x)))

def build(input_shape, outputs):
    return Small(outputs)
"""

WIDE = """
import keras

def build(input_shape, outputs):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Dense(5, "relu", dtype="float64", name="hidden"),
        keras.layers.Dense(outputs, name="last"),
    ])
"""

BROKEN = """
import keras

class Broken(keras.Sequential):
    def train_step(self, data):
        raise RuntimeError("the first line\\nand the cause")

def build(input_shape, outputs):
    hidden = keras.layers.Dense(3, name="hidden")
    last = keras.layers.Dense(outputs, name="last")
    return Broken([keras.Input(input_shape), hidden, last])
"""


def study(folder, module, source, text=OWN):
    (folder / f"{module}.py").write_text(source)
    return written(folder, text.format(module))


def test_a_call_without_training_is_trained_alike_by_both_engines(tmp_path):
    text = OWN.replace('["kernel", "activity"]', '["kernel", "gamma"]')
    text = text.replace('["L1", "L1L2"]', '"L1"')
    file = study(tmp_path, "own_subclassed", SUBCLASSED, text)
    stores = []
    for engine in ("batch", "fit"):
        trained(file, tmp_path / engine, engine=engine)
        stores.append(Store(tmp_path / engine / "store").read())
    assert_close_stores(*stores)
    tensors, finals = stores[0].tensors, stores[0].finals
    assert finals["status"].to_list() == ["done"] * finals.height
    both = tensors.join(finals.select("trial", "target", "seed"), on="trial")
    scales = both.filter(tensor="gamma", seed=0)
    size = {
        t: np.sum(np.square(v)) for t, v in scales.select("target", "values").rows()
    }
    assert size["gamma"] < size[None]  # the penalty is on them


def test_layers_in_float64_are_trained_by_the_engine_fit(tmp_path):
    file = study(tmp_path, "own_wide", WIDE)
    trained(file, tmp_path)
    finals = Store(tmp_path / "store").read().finals
    assert finals["status"].to_list() == ["done"] * finals.height
    assert finals["engine"].unique().to_list() == ["fit"]


@pytest.mark.filterwarnings("ignore:RegularizationLogger")  # of its own step
def test_a_train_step_that_raises_is_told_in_one_line(tmp_path):
    file = study(tmp_path, "own_broken", BROKEN)
    with pytest.raises(StudyError) as caught:
        trained(file, tmp_path)
    assert str(caught.value) == (
        "training the model of own_broken:build raised RuntimeError: the first line "
        "and the cause."
    )


LOSS = """
from keras import ops

def cubed(y, outputs):
    return ops.mean(ops.abs(outputs - y) ** 3, axis=-1)
"""


def test_a_loss_of_the_users_is_trained_alike_by_both_engines(tmp_path):
    (tmp_path / "own_loss.py").write_text(LOSS)
    text = SMALL.replace("iris", "diabetes").replace(
        '["kernel", "activity"]', '"kernel"'
    )
    text = text.replace('["L1", "L1L2"]', '"L1"')
    plain = written(tmp_path, text)
    trained(plain, tmp_path / "plain", engine="batch")
    file = written(
        tmp_path, text.replace("epochs = 2", 'epochs = 2\nloss = "own_loss:cubed"')
    )
    stores = []
    for engine in ("batch", "fit"):
        trained(file, tmp_path / engine, engine=engine)
        stores.append(Store(tmp_path / engine / "store").read())
    assert_close_stores(*stores)
    squared = Store(tmp_path / "plain" / "store").read().finals
    assert not set(squared["trial"]) & set(stores[0].finals["trial"])
    assert (squared["val_data_loss"] != stores[0].finals["val_data_loss"]).all()
