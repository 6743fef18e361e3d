import keras
import numpy as np
import pytest

from kregkit.errors import ModelError, StudyError
from kregkit.known import MODELS
from kregkit.study.file.config import ModelConfig
from kregkit.study.problem.builders import build_own
from kregkit.study.problem.models import BUILDERS, layers_for

NAMES = {
    "linear": ["output"],
    "mlp": ["hidden_1", "hidden_2", "output"],
    "cnn": ["conv_1", "conv_2", "hidden_1", "output"],
    "lenet_300_100": ["hidden_1", "hidden_2", "output"],
    "lenet_5": ["conv_1", "conv_2", "hidden_1", "output"],
    "autoencoder": ["encoder_1", "code", "decoder_1", "output"],
}
TAKES_TABLES = {"linear", "mlp", "lenet_300_100", "autoencoder"}


def built(name, shape=(28, 28, 1), outputs=10, **options):
    options = ModelConfig(name=name, **options).options
    return BUILDERS[name](shape, outputs, **options)


def kernels(model):
    return [w.shape for w in model.weights if w.name == "kernel"]


def test_every_model_of_the_schema_has_a_builder():
    assert set(BUILDERS) == set(MODELS) == set(NAMES)


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, (28, 28, 1)) for name in BUILDERS]
    + [(name, (7,)) for name in sorted(TAKES_TABLES)],
)
def test_builder_returns_a_built_model_that_ends_in_logits(name, shape):
    model = built(name, shape, 5)
    assert model.built
    assert model.output_shape == (None, 5)
    assert model.layers[-1].activation is keras.activations.linear
    assert [layer.name for layer in model.layers if layer.weights] == NAMES[name]
    assert [layer.name for layer in built(name, shape, 5).layers] == [
        layer.name for layer in model.layers
    ]
    assert np.isfinite(model(np.ones((3, *shape)))).all()


def test_widths_are_those_of_the_options():
    assert kernels(built("mlp", (7,), 3, hidden=[6, 5])) == [(7, 6), (6, 5), (5, 3)]
    model = built("cnn", (8, 8, 1), 3, filters=[4], hidden=[5])
    assert kernels(model) == [(3, 3, 1, 4), (64, 5), (5, 3)]
    model = built("autoencoder", (7,), 7, hidden=[6, 5, 2])
    assert kernels(model) == [(7, 6), (6, 5), (5, 2), (2, 5), (5, 6), (6, 7)]
    model = built("autoencoder", (7,), 7, hidden=2)
    assert kernels(model) == [(7, 2), (2, 7)]


@pytest.mark.parametrize(
    ("options", "activation"),
    [
        ({}, keras.activations.relu),
        ({"code": "relu"}, keras.activations.relu),
        ({"code": "sigmoid"}, keras.activations.sigmoid),
    ],
)
def test_the_activation_of_a_code_is_its_option_and_no_other_layers(
    options, activation
):
    model = built("autoencoder", (7,), 7, hidden=[6, 2], **options)
    *hidden, last = [layer for layer in model.layers if layer.weights]
    found = {layer.name: layer.activation for layer in hidden}
    assert found.pop("code") is activation
    assert set(found.values()) == {keras.activations.relu}
    assert last.activation is keras.activations.linear


def test_lenets_are_those_of_the_literature():
    assert kernels(built("lenet_300_100")) == [(784, 300), (300, 100), (100, 10)]
    model = built("lenet_5")
    assert kernels(model) == [(5, 5, 1, 20), (5, 5, 20, 50), (800, 500), (500, 10)]
    assert model.count_params() == 431_080
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert {x.activation for x in convolutions} == {keras.activations.linear}


@pytest.mark.parametrize(
    ("name", "shape", "size"),
    [
        ("cnn", (7,), 4),
        ("cnn", (3, 8, 1), 4),
        ("lenet_5", (7,), 16),
        ("lenet_5", (8, 8, 1), 16),
    ],
)
def test_convolutions_need_images_that_are_large_enough(name, shape, size):
    with pytest.raises(ModelError) as caught:
        built(name, shape)
    assert str(caught.value) == (
        f"{name} needs images of {size}x{size} pixels or more; received inputs of "
        f"shape {shape}."
    )
    if name == "lenet_5":
        assert built(name, (16, 16, 1)).built


def chosen(model, target, layers):
    return [layer.name for layer in layers_for(model, target, layers)]


def without_bias():
    return keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Dense(6, use_bias=False, name="a"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(5, name="b"),
            keras.layers.Dense(4, use_bias=False, name="c"),
        ]
    )


@pytest.mark.parametrize(
    ("target", "layers", "names"),
    [
        ("kernel", "all", ["a", "b", "c"]),
        ("kernel", "hidden", ["a", "b"]),
        ("activity", "hidden", ["a", "b"]),
        ("activity", "[bc]", ["b", "c"]),
        ("bias", "all", ["b"]),
        ("bias", "b", ["b"]),
    ],
)
def test_layers_are_those_that_target_and_layers_mean(target, layers, names):
    assert chosen(without_bias(), target, layers) == names


@pytest.mark.parametrize(
    ("target", "layers", "message"),
    [
        ("kernel", "d", "no layer matches 'd'; layers with a kernel: a, b, c."),
        ("kernel", "norm", "no layer matches 'norm'; layers with a kernel: a, b, c."),
        ("bias", "[ac]", "no layer that matches '[ac]' has a bias."),
    ],
)
def test_layers_that_are_none(target, layers, message):
    with pytest.raises(ModelError) as caught:
        layers_for(without_bias(), target, layers)
    assert str(caught.value) == message


@pytest.mark.parametrize("target", ["kernel", "bias"])
def test_frozen_layers_have_no_weight_penalty(target):
    model = without_bias()
    model.get_layer("b").trainable = False
    with pytest.raises(ModelError) as caught:
        layers_for(model, target, "b")
    assert str(caught.value) == "all layers that match 'b' are frozen."
    assert chosen(model, "activity", "b") == ["b"]


def test_a_model_of_one_layer_has_no_hidden_one():
    with pytest.raises(ModelError) as caught:
        layers_for(built("linear"), "activity", "hidden")
    assert str(caught.value) == (
        "no layer matches 'hidden'; layers with a kernel: output. Set layers = 'all'."
    )
    assert chosen(built("linear"), "activity", "all") == ["output"]


def test_nested_layers_are_found_by_name_and_by_path():
    inner = keras.Sequential(
        [keras.Input((7,)), keras.layers.Dense(6, name="deep")], name="inner"
    )
    model = keras.Sequential([keras.Input((7,)), inner, keras.layers.Dense(5)])
    assert chosen(model, "kernel", "deep") == ["deep"]
    assert chosen(model, "kernel", "inner/*") == ["deep"]
    assert len(layers_for(model, "kernel", "all")) == 2


def test_embeddings_and_recurrent_layers_count():
    model = keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Embedding(5, 4, name="words"),
            keras.layers.SimpleRNN(3, name="memory"),
            keras.layers.Dense(2, name="output"),
        ]
    )
    names = chosen(model, "kernel", "all")
    assert names[0] == "words"
    assert names[-1] == "output"
    assert len(names) == 3


GOOD = """\
import keras

def build(input_shape, outputs):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(outputs)])
"""


def own(folder, source, name, function="build"):
    (folder / f"{name}.py").write_text(source)
    return build_own(f"{name}:{function}", folder, (8, 8, 1), 10)


def test_own_builder_is_found_beside_the_study_file(tmp_path):
    model = own(tmp_path, GOOD, "own_good")
    assert model.built
    assert model.output_shape == (None, 10)


def test_own_builder_is_found_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "inner.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    assert build_own("pack.inner:build", other, (8, 8, 1), 10).built


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import no_such_module",
            "importing {module!r} raised ModuleNotFoundError: No module named "
            "'no_such_module'.",
        ),
        ("x = ", "importing {module!r} raised SyntaxError: invalid syntax "
         "({name}.py, line 1)."),
        ("raise SystemExit(3)", "importing {module!r} raised SystemExit: 3."),
        ("import os\nos.no_such", "importing {module!r} raised AttributeError: module "
         "'os' has no attribute 'no_such'."),
        ("", "module {module!r} has no 'build'."),
        ("build = 3", "{name}:build(input_shape, outputs) raised TypeError: 'int' "
         "object is not callable."),
        (
            "def build(input_shape, outputs):\n    raise ValueError('a\\nb')",
            "{name}:build(input_shape, outputs) raised ValueError: a b.",
        ),
        (
            "def build(input_shape, outputs):\n    return 3",
            "{name}:build must return a keras.Model; returned 3.",
        ),
        (
            GOOD.replace("(outputs)", "(outputs + 1)"),
            "{name}:build must return a model with output shape (None, 10); received "
            "(None, 11).",
        ),
        (
            GOOD.replace("keras.layers.Flatten(), ", ""),
            "{name}:build must return a model with output shape (None, 10); received "
            "(None, 8, 8, 10).",
        ),
        (
            GOOD.replace("(outputs)", "(outputs, kernel_regularizer='l2', name='z')"),
            "{name}:build must return a model without regularizers, which the sweep "
            "sets; received one on z/kernel.",
        ),
        (
            GOOD.replace("(outputs)", "(outputs, activity_regularizer='l2', name='z')"),
            "{name}:build must return a model without regularizers, which the sweep "
            "sets; received one on z/activity.",
        ),
    ],
)  # fmt: skip
def test_own_builder_that_cannot_be_used(source, message, tmp_path, request):
    name = f"own_{abs(hash(request.node.name))}"
    with pytest.raises(StudyError) as caught:
        own(tmp_path, source, name)
    assert str(caught.value) == message.format(name=name, module=name)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_own_builder_with_two_outputs(tmp_path):
    source = (
        "import keras\n"
        "def build(input_shape, outputs):\n"
        "    x = keras.Input(input_shape)\n"
        "    y = keras.layers.Dense(outputs)(keras.layers.Flatten()(x))\n"
        "    return keras.Model(x, [y, y])\n"
    )
    with pytest.raises(StudyError) as caught:
        own(tmp_path, source, "own_two")
    assert str(caught.value) == (
        "own_two:build must return a model with output shape (None, 10); received a "
        "list."
    )


def test_module_that_is_not_there(tmp_path):
    with pytest.raises(StudyError) as caught:
        build_own("own_not_there:build", tmp_path, (8, 8, 1), 10)
    assert str(caught.value) == (
        "importing 'own_not_there' raised ModuleNotFoundError: No module named "
        "'own_not_there'."
    )


def test_search_path_is_as_before(tmp_path):
    import sys

    before = list(sys.path)
    own(tmp_path, GOOD, "own_path")
    assert sys.path == before
