"""Trials with an Embedding differ from their baseline in the penalty alone."""

import numpy as np

from helpers.small_study import STUDY, trained, written
from kregkit.store import Store

BUILDER = """\
import keras
from keras import layers

def build(input_shape, outputs):
    ids = keras.Input(input_shape, dtype="int32")
    h = layers.Embedding(9, 4, name="table")(ids)
    return keras.Model(ids, layers.Dense(outputs)(layers.GlobalAveragePooling1D()(h)))
"""


def test_a_penalty_of_next_to_nothing_changes_nothing(tmp_path):
    """Without a penalty on it, Keras squares the gradient of an embedding by rows."""
    random = np.random.default_rng(0)
    ids = random.integers(0, 9, (80, 6))
    np.savez(tmp_path / "ids.npz", x=ids, y=(ids[:, 0] > 4).astype(int))
    (tmp_path / "looked_up.py").write_text(BUILDER)
    data, _, rest = STUDY.partition('name = "iris"')
    text = data + 'file = "ids.npz"' + rest.partition("[[sweep]]")[0]
    text = text.replace('name = "mlp"\nhidden = [5]', 'build = "looked_up:build"')
    text += """\
[[sweep]]
regularizer = "L2"
target = ["kernel", "embeddings"]
solver = ["gradient", "proximal"]
strength = 1e-12
"""
    assert trained(written(tmp_path, text), tmp_path) == (10, 0)
    tensors = Store(tmp_path / "store").read().tensors.filter(tensor="embeddings")
    own = [np.array(values) for values in tensors["values"]]
    several = {first.tobytes() for first in own}
    assert len(own) == 10
    assert len(several) == 2  # one for each seed
