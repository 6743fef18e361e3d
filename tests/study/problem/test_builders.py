"""What is asked of a model that a function of the user builds."""

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

from kregkit.errors import StudyError
from kregkit.study.problem.builders import build_own, check_own, summary

ROWS = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")


def sequential(*last, width=3):
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(width), *last]
    )


def functional(function):
    x = keras.Input((4,))
    return keras.Model(x, function(layers.Dense(3)(layers.Dense(8, "relu")(x))))


class Subclassed(keras.Model):
    """A model whose `call` takes its inputs alone."""

    def __init__(self, last=None):
        super().__init__()
        self.hidden = layers.Dense(8, "relu")
        self.out = layers.Dense(3, last)

    def call(self, x):
        return self.out(self.hidden(x))


class Needing(keras.Model):
    """A model whose `call` needs `training`."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(3)

    def call(self, x, training):
        return self.out(x)


def nested(last):
    head = keras.Sequential([keras.Input((8,)), layers.Dense(3, last)])
    return keras.Sequential([keras.Input((4,)), layers.Dense(8), head])


SOFTMAX = "from 0 to 1 with the sum 1,"
ENDS = {
    "activation": (lambda: nested("softmax"), SOFTMAX),
    "layer": (lambda: sequential(layers.Softmax()), SOFTMAX),
    "operation": (lambda: functional(ops.softmax), SOFTMAX),
    "lambda": (lambda: sequential(layers.Lambda(lambda x: ops.softmax(x))), SOFTMAX),
    "before a reshape": (
        lambda: sequential(layers.Softmax(), layers.Reshape((3,))),
        SOFTMAX,
    ),
    "by hand": (
        lambda: functional(
            lambda x: (
                ops.exp(x - ops.max(x, -1, keepdims=True))
                / ops.sum(ops.exp(x - ops.max(x, -1, keepdims=True)), -1, keepdims=True)
            )
        ),
        SOFTMAX,
    ),
    "subclassed": (lambda: Subclassed("softmax"), SOFTMAX),
    "sigmoid": (lambda: nested("sigmoid"), "from 0 to 1"),
    "one sigmoid": (lambda: sequential(layers.Dense(1, "sigmoid")), "from 0 to 1"),
    "log softmax": (lambda: functional(ops.log_softmax), "in logarithms,"),
}


@pytest.mark.parametrize("name", ENDS)
def test_probabilities_are_seen_wherever_they_come_from(name):
    build, kind = ENDS[name]
    words = re.escape(f"probabilities, {kind} whatever its weights are. Leave out the")
    with pytest.raises(StudyError, match=rf"m:b must return .* logits; .*{words}"):
        check_own("m:b", build, ROWS)


LOGITS = {
    "logits": sequential,
    "one number": lambda: sequential(width=1),
    "relu": lambda: nested("relu"),
    "tanh": lambda: nested("tanh"),
    "subclassed": Subclassed,
    "needs training": Needing,
    "normalised": lambda: sequential(layers.BatchNormalization()),
    "zeros at first": lambda: sequential(layers.Dense(3, kernel_initializer="zeros")),
    "float64": lambda: sequential(layers.Dense(3, dtype="float64")),
}


@pytest.mark.parametrize("name", LOGITS)
def test_models_that_end_in_logits_are_taken(name):
    def build():
        model = LOGITS[name]()
        model(keras.Input((4,)), **({"training": False} if "needs" in name else {}))
        return model

    check_own("m:b", build, ROWS)


def test_initial_weights_that_a_seed_does_not_fix_are_refused():
    drawn = np.random.default_rng()

    def build():
        model = sequential()
        model.layers[0].kernel.assign(drawn.normal(size=(4, 8)))
        return model

    with pytest.raises(StudyError, match=r"m:b must draw initial weights by .*/kernel"):
        check_own("m:b", build, ROWS)


def test_another_structure_for_the_same_seed_is_refused():
    widths = iter((3, 4))
    with pytest.raises(StudyError, match="must return the same structure at every"):
        check_own("m:b", lambda: sequential(width=next(widths)), ROWS)


def test_the_same_weights_twice_are_refused():
    model = sequential()
    with pytest.raises(StudyError, match="it returned the same weights twice"):
        check_own("m:b", lambda: model, ROWS)


def test_a_call_with_inputs_alone_is_built(tmp_path):
    source = (
        "import keras\nclass M(keras.Model):\n    def __init__(self, n):\n"
        "        super().__init__()\n        self.d = keras.layers.Dense(n)\n"
        "    def call(self, x{training}):\n        return self.d(x)\n"
        "def build(input_shape, outputs):\n    return M(outputs)\n"
    )
    for index, words in enumerate(("", ", training", ", training=None")):
        (tmp_path / f"called_{index}.py").write_text(source.format(training=words))
        assert build_own(f"called_{index}:build", tmp_path, (4,), 3).built


def test_an_error_of_keras_is_told_with_its_cause():
    class Broken(keras.Model):
        def call(self, x):
            return x["a"]

    with pytest.raises(Exception, match="Exception encountered") as caught:
        Broken()(keras.Input((4,)))
    line = summary(caught.value)
    assert line.startswith("TypeError: ")
    assert line.endswith("got 'a'.") or "KerasTensor" in line
    assert "ncountered" not in line
    assert "Arguments received" not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "ValueError."),
        ("a\nb", "ValueError: a b."),
        ("\x1b[1mCould not\x1b[0m do.", "ValueError: Could not do."),
        ("x" * 1000, f"ValueError: {'x' * 297}...."),
    ],
)
def test_an_error_is_told_in_one_line(text, line):
    assert summary(ValueError(text)) == line
