"""Every kind of weight as the target of a sweep, and lists of layers."""

import keras
import pytest
from keras import layers

from kregkit.errors import ModelError, StudyError
from kregkit.known import TARGETS
from kregkit.study.file import config
from kregkit.study.problem.models import holders, layers_for


@pytest.fixture(scope="module")
def model():
    """Return a model with every kind of weight; names say what holds what."""
    words = keras.Input((6,), name="words")
    x = layers.Embedding(20, 4, name="table")(words)
    x = layers.SeparableConv1D(4, 3, name="separable")(x)
    x = layers.DepthwiseConv1D(3, padding="same", name="each")(x)
    x = layers.LSTM(5, return_sequences=True, name="steps")(x)
    x = layers.Bidirectional(layers.GRU(3, name="both"), name="two")(x)
    x = layers.BatchNormalization(name="batch")(x)
    x = layers.Dense(4, name="dense")(x)
    x = layers.LayerNormalization(name="layer")(x)
    return keras.Model(words, layers.Dense(2, name="output")(x))


def by_name(model, *names):
    """Return the paths of the variables with these names, by Keras's own list."""
    return {v.path for v in model.trainable_variables if v.path.split("/")[-1] in names}


NAMES = {
    "beta": ("beta",),
    "bias": ("bias",),
    "depthwise": ("depthwise_kernel",),
    "embeddings": ("embeddings",),
    "gamma": ("gamma",),
    "kernel": (
        *("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel"),
        "embeddings",
    ),
    "pointwise": ("pointwise_kernel",),
    "recurrent": ("recurrent_kernel",),
}


def test_the_table_is_of_every_target():
    assert {*NAMES, "activity"} == set(TARGETS)


@pytest.mark.parametrize("target", NAMES)
def test_a_target_is_all_weights_of_its_kind(model, target):
    held = holders(model, target, "all")
    found = {holder.path for holder, attribute in held.values()}
    assert {attribute for _, attribute in held.values()} == {"regularizer"}
    expected = by_name(model, *NAMES[target])
    if target == "bias":  # of layers with a kernel; of a GRU, which has two
        assert found == {path for path in expected if "norm" not in path}
    else:
        assert found == expected
    assert found


LISTS = {
    "all": {"batch", "layer"},
    "layer": {"layer"},
    "ba*,layer": {"batch", "layer"},
    "hidden": {"batch", "layer"},
}


@pytest.mark.parametrize("names", LISTS)
def test_layers_are_named_by_globs_and_lists(model, names):
    assert {own.name for own in layers_for(model, "gamma", names)} == LISTS[names]


def test_what_no_layer_has_is_refused_with_what_there_is(model):
    with pytest.raises(ModelError) as caught:
        layers_for(model, "gamma", "dense")
    expected = "no layer matches 'dense'; layers with weights 'gamma': batch, layer."
    assert str(caught.value) == expected
    plain = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ModelError) as caught:
        layers_for(plain, "recurrent", "all")
    expected = "no layer matches 'all'; layers with weights 'recurrent': none."
    assert str(caught.value) == expected


STUDY = """
name = "a"
seeds = 1
[data]
name = "iris"
[model]
name = "mlp"
[train]
epochs = 1
[[sweep]]
regularizer = "L1"
target = "kernel"
strength = 1e-3
layers = {}
"""


def test_a_study_file_names_one_layer_or_several():
    for given, expected in (('"hidden_1"', "hidden_1"), ('["a", "b*"]', "a,b*")):
        found = config.parse(STUDY.format(given), "s.toml")
        (cell,) = found.sweep[0].cells(1e-3)
        assert cell.layers == expected
    with pytest.raises(StudyError) as caught:
        config.parse(STUDY.format('["a", ""]'), "s.toml")
    message = "s.toml:14: sweep[0].layers[1]: must be a name or a glob; received ''."
    assert str(caught.value) == message
