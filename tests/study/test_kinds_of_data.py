"""Studies of token ids, of several targets and of tables, from end to end."""

import numpy as np
import pandas as pd
import pytest

from kregkit import report
from kregkit.errors import KregkitError
from kregkit.report import make
from kregkit.store import Store
from kregkit.study.file import config
from kregkit.study.plan import digest, plan
from kregkit.study.problem.resolve import resolve
from kregkit.study.run import prepare, train

STUDY = """\
name = "kinds"
seeds = 1
[data]
{data}
[model]
{model}
[train]
epochs = {epochs}
learning_rate = 1e-2
[[sweep]]
regularizer = "L1"
target = "kernel"
strength = [1e-5]
"""
OWN = 'build = "{}:build"'
EMBEDDING = """\
import keras
from keras import layers

def build(input_shape, outputs):
    return keras.Sequential([
        keras.Input(input_shape{dtype}), layers.Embedding({ids}, 4, name="table"),
        layers.GlobalAveragePooling1D(), layers.Dense(outputs, name="output"),
    ])
"""
SUBCLASSED = """\
import keras
from keras import layers

class Model(keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.table = layers.Embedding({ids}, 4, name="table")
        self.last = layers.Dense(outputs, name="output")

    def call(self, x):
        return self.last(keras.ops.mean(self.table(x), axis=1))

def build(input_shape, outputs):
    return Model(outputs)
"""
ONE_HOT = """\
import keras
from keras import layers

class Encoded(layers.Layer):
    def call(self, x):
        assert keras.backend.standardize_dtype(x.dtype) == "int32"
        return keras.ops.mean(keras.ops.one_hot(x, {ids}), axis=1)

class Model(keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.encoded = Encoded()
        self.last = layers.Dense(outputs, name="output")

    def call(self, x, training=None):
        return self.last(self.encoded(keras.ops.cast(x, "int32")))

def build(input_shape, outputs):
    return Model(outputs)
"""
RANDOM = np.random.default_rng(0)
CLASSES = RANDOM.integers(0, 2, 120)
EVEN = RANDOM.random((120, 8)) < np.where(CLASSES, 0.9, 0.1)[:, None]
IDS = 2 * RANDOM.integers(0, 20, (120, 8)) + 1 - EVEN


def written(folder, data, model, epochs=1):
    file = folder / "study.toml"
    file.write_text(STUDY.format(data=data, model=model, epochs=epochs))
    return file


def trained(file, folder, engine):
    told = []
    job = prepare(file, folder / "out")
    assert train(job, lambda done, failed: None, engine, begin=told.append) == 0
    return report.load(folder / "out/store"), told[0]


@pytest.mark.parametrize(
    ("source", "engine"),
    [
        (EMBEDDING, "fit"),
        pytest.param(SUBCLASSED, "fit", marks=pytest.mark.long),
        pytest.param(ONE_HOT, "fit", marks=pytest.mark.long),
        (ONE_HOT, "batch"),
    ],
    ids=["embedding", "subclass", "one-hot", "one-hot batch"],
)
def test_a_model_of_ones_own_learns_from_ids(source, engine, tmp_path):
    np.savez(tmp_path / "d.npz", x=IDS, y=CLASSES)
    name = f"ids_{engine}_{len(source)}"
    (tmp_path / f"{name}.py").write_text(source.format(ids=40, dtype=""))
    file = written(tmp_path, 'file = "d.npz"', OWN.format(name), 40)
    found, told = trained(file, tmp_path, engine)
    assert found.values.filter(measure="train_score")["value"].min() > 0.95
    assert told.startswith("inputs: 8 columns of integers, as they are\n")
    (final,) = found.tables.finals.filter(
        found.tables.finals["regularizer"].is_null()
    ).to_dicts()
    assert final["inputs"] == "8 columns of integers, as they are"
    undefined = ("jacobian_norm", "score_under_noise", "noise_sizes")
    assert [final[name] for name in (*undefined, "logit_norm_at_zero")] == [None] * 4
    assert final["logit_scale"] > 0


def tensors_of(folder, trial):
    tensors = Store(folder / "out/store").read().tensors
    return tensors.filter(tensors["trial"] == trial).to_dicts()


REFUSED = {
    "standardised": (
        ('file = "d.npz"\nscale = "standard"', 40, ""),
        "the layer 'table' is an Embedding, which needs token ids from 0 to 39; "
        "it gets {odd}. Set scale = 'none' for unscaled ids.",
    ),
    "too large": (
        ('file = "d.npz"', 39, ""),
        "the layer 'table' is an Embedding, which needs token ids from 0 to 38; "
        "it gets 39.",
    ),
    "of a table": (
        ('file = "d.csv"\nlabel = "y"', 40, ""),
        "the layer 'table' is an Embedding, which needs token ids from 0 to 39; "
        "it gets {odd}. Set scale = 'none' for unscaled ids.",
    ),
}


@pytest.mark.parametrize("source", [EMBEDDING, SUBCLASSED], ids=["model", "subclass"])
@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_numbers_that_are_no_ids_are_refused(source, given, message, tmp_path):
    data, ids, dtype = given
    np.savez(tmp_path / "d.npz", x=IDS, y=CLASSES)
    pd.DataFrame(IDS).assign(y=CLASSES).to_csv(tmp_path / "d.csv", index=False)
    name = f"embedding_{ids}_{len(data)}_{source is EMBEDDING}"
    (tmp_path / f"{name}.py").write_text(source.format(ids=ids, dtype=dtype))
    file = written(tmp_path, data, OWN.format(name))
    with pytest.raises(KregkitError) as caught:
        resolve(config.load(file)[0], file)
    told = str(caught.value).removeprefix(f"{file}:3: data: ")
    begin, _, end = message.partition("{odd}")
    assert told.startswith(begin)
    assert told.endswith(end)


def test_ids_of_a_table_train_where_the_scale_is_none(tmp_path):
    pd.DataFrame(IDS).assign(y=CLASSES).to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "ids_table.py").write_text(
        EMBEDDING.format(ids=40, dtype=', dtype="int32"')
    )
    data = 'file = "d.csv"\nlabel = "y"\nscale = "none"'
    file = written(tmp_path, data, OWN.format("ids_table"))
    own = resolve(config.load(file)[0], file)
    assert own.split(0).x_train.dtype == np.int32


@pytest.mark.parametrize(
    "engine", ["batch", pytest.param("fit", marks=pytest.mark.long)]
)
def test_several_targets_are_scored_by_r2_over_all(engine, tmp_path):
    x = RANDOM.normal(size=(200, 5))
    y = x @ RANDOM.normal(size=(5, 3)) * [1, 100, 1e6]
    np.savez(tmp_path / "d.npz", x=x, y=y)
    file = written(tmp_path, 'file = "d.npz"', 'name = "linear"', 60)
    found, _ = trained(file, tmp_path, engine)
    finals = found.tables.finals
    assert set(finals["task"]) == {"regression"}
    assert finals["test_score"].min() > 0.9
    kernels = finals.filter(finals["regularizer"].is_null())
    (trial,) = kernels["trial"]
    tensors = {
        row["tensor"]: np.reshape(row["values"], row["shape"])
        for row in tensors_of(tmp_path, trial)
    }
    split = resolve(config.load(file)[0], file).split(0)
    answers = split.x_test @ tensors["kernel"] + tensors["bias"]
    left = np.square(split.y_test - answers).sum()
    total = np.square(split.y_test - split.y_test.mean(0)).sum()
    assert kernels["test_score"][0] == pytest.approx(1 - left / total, abs=1e-4)


def test_the_page_says_what_was_done_to_which_columns(tmp_path):
    frame = pd.DataFrame(
        {
            "size": RANDOM.normal(size=90),
            "colour": np.array(["red", "blue"])[np.arange(90) % 2],
            "kind": np.array(["setosa", "virginica"])[np.arange(90) // 45],
        }
    )
    frame.loc[3, "size"] = np.nan
    frame.to_csv(tmp_path / "d.csv")
    data = 'file = "d.csv"\nlabel = "kind"\nmissing = "impute"'
    file = written(tmp_path, data, 'name = "linear"')
    _, told = trained(file, tmp_path, "batch")
    inputs = (
        "1 column of numbers and 1 of words (one-hot: 'colour' 2 levels), each column "
        "standardised; missing values of 'size' imputed; column 1, without a name, "
        "left out as an index"
    )
    assert told.startswith(
        f"inputs: {inputs}\nclasses: 0 = setosa, 1 = virginica\nengine batch"
    )
    make(tmp_path / "out/store", tmp_path / "out/report")
    page = (tmp_path / "out/report/report.md").read_text()
    assert f"| Inputs | {inputs} |" in page
    assert "| Classes | 0 = setosa, 1 = virginica |" in page


SHAPES = {
    "columns": (np.zeros((6, 4)), False, False),
    "columns of a model of one's own": (np.zeros((6, 4)), True, False),
    "integers": (np.zeros((6, 4), int), False, False),
    "token ids": (np.zeros((6, 4), int), True, True),
    "images": (np.zeros((6, 4, 4), "uint8"), True, False),
    "images with channels": (np.zeros((6, 4, 4, 1)), True, False),
    "series": (np.zeros((6, 4, 4)), False, True),
}


@pytest.mark.parametrize(("x", "own", "changed"), SHAPES.values(), ids=SHAPES)
def test_ids_of_trials_change_only_with_the_scale(x, own, changed, tmp_path):
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(6) % 2)
    model = OWN.format("any") if own else 'name = "linear"'

    def ids(more=""):
        text = STUDY.format(data=f'file = "d.npz"\n{more}', model=model, epochs=1)
        study = config.parse(text, "s.toml")
        return [trial.id for trial in plan(study, digest(study, tmp_path))], study

    before, study = ids()
    plain = digest(study, tmp_path).removesuffix(":auto")
    assert ([t.id for t in plan(study, plain)] != before) == changed
    assert ids('scale = "auto"')[0] == before
    assert ids('missing = "refuse"')[0] == before
    others = [ids(f'scale = "{own}"')[0] for own in ("none", "standard", "image")]
    others.append(ids('missing = "impute"')[0])
    assert all(set(before).isdisjoint(other) for other in others)
