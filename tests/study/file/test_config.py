# ruff: noqa: E501 - one bad study a line, with its whole message
import json
import tomllib

import pytest

from kregkit.errors import StudyError
from kregkit.known import (
    DATASETS,
    LOSSES,
    MODELS,
    OPTIMIZERS,
    SOLVERS,
    TARGETS,
)
from kregkit.schema import METRICS
from kregkit.specs import SPECS
from kregkit.study.file import config
from kregkit.study.file.tables import DEFAULTS, LAYERS, OWN_TEST
from kregkit.study.file.types import LogRange

GOOD = """\
name = "l1_vs_l2.digits-1"
title = "What L1 and L2 do"
seeds = 3

[data]
name = "digits"
test_fraction = 0.25

[model]
name = "mlp"
hidden = [64, 32]

[train]
epochs = 10
optimizer = "sgd"
momentum = 0.9

[[sweep]]
regularizer = ["L1", "L2"]
target = ["kernel", "activity"]
strength = { from = 1e-4, to = 1e-2, count = 3 }

[[sweep]]
regularizer = "L1L2"
ratio = [0.25, 0.5]
target = "kernel"
strength = 1e-3
layers = "hidden_*"
"""

NAME_RULE = (
    "must be at most 100 of A-Z a-z 0-9 _ . -, beginning with a letter or digit, "
    "without '..' (it names a folder)"
)
OWN_KEYS = {"layers", "learning_rate", "regularizer", "solver", "strength", "target"}
SWEEP_KEYS = ", ".join(
    sorted(OWN_KEYS.union(*(own.parameters for own in SPECS.values())))
)
REGULARIZER_NAMES = ", ".join(sorted(SPECS))

DEEP = "tables and lists are nested more than 20 deep."

BAD = {
    # what a study file can have wrong: (old, new, the message after "s.toml")
    "string for int": ("seeds = 3", 'seeds = "3"', ":3: seeds: expected int, received '3'."),
    "bool for int": ("seeds = 3", "seeds = true", ":3: seeds: expected int, received true."),
    "float for int": ("seeds = 3", "seeds = 3.0", ":3: seeds: expected int, received 3.0."),
    "int for string": ("name = \"l1_vs_l2.digits-1\"", "name = 3", ":1: name: expected str, received 3."),
    "no seeds": ("seeds = 3", "seeds = 0", ":3: seeds: must be from 1 to 10000; received 0."),
    "too many seeds": ("seeds = 3", "seeds = 10001", ":3: seeds: must be from 1 to 10000; received 10001."),
    "unknown key": ("seeds = 3", "seeds = 3\nsed = 1", ":4: sed: unknown 'sed'. Did you mean 'seeds'? Known: data, model, name, seeds, sweep, title, train."),
    "unknown key of data": ("test_fraction", "test_faction", ":7: data.test_faction: unknown 'test_faction'. Did you mean 'test_fraction'? Known: drop, file, label, max_levels, missing, name, scale, task, test_fraction, validation_fraction."),
    "unknown key of sweep": ("ratio =", "ratoi =", f":25: sweep[1].ratoi: unknown 'ratoi'. Did you mean 'ratio'? Known: {SWEEP_KEYS}."),
    "key of ours": ("ratio = [0.25, 0.5]", "parameters = 1", f":25: sweep[1].parameters: unknown 'parameters'. Did you mean 'target'? Known: {SWEEP_KEYS}."),
    "unknown key of range": ("count = 3", "conut = 3", ":21: sweep[0].strength.conut: unknown 'conut'. Did you mean 'count'? Known: count, from, to. (1 more problem in this file.)"),
    "doubled key": ("seeds = 3", "seeds = 3\nseeds = 4", ":4: seeds: is given on line 3 already."),
    "doubled table": ("[train]", "[data]", ":13: data: is given on line 5 already."),
    "doubled key across a list": ("hidden = [64, 32]", "hidden = [\n64,\n32]\nhidden = [\n1]", ":14: model.hidden: is given on line 11 already."),
    "not TOML": ("seeds = 3", "seeds =", ":3: not TOML: Invalid value (column 8)."),
    "not TOML at the end": ("hidden_*\"", "hidden_*", ":28: not TOML: Illegal character '\\n' (column 19)."),
    "missing key": ("epochs = 10\n", "", ":13: train: the key 'epochs' is missing."),
    "missing key and a later problem": ('epochs = 10\noptimizer = "sgd"\nmomentum = 0.9\n\n[[sweep]]\nregularizer = ["L1", "L2"]', '[[sweep]]\nregularizer = []', ":13: train: the key 'epochs' is missing. (1 more problem in this file.)"),
    "missing key of sweep": ("strength = 1e-3\n", "", ":23: sweep[1]: the key 'strength' is missing."),
    "missing table": ("[data]\nname = \"digits\"\ntest_fraction = 0.25\n", "", ": the key 'data' is missing."),
    "zero strength": ("strength = 1e-3", "strength = 0", ":27: sweep[1].strength: must be a finite number > 0; received 0."),
    "negative strength": ("strength = 1e-3", "strength = [0.1, -1.5]", ":27: sweep[1].strength[1]: must be a finite number > 0; received -1.5."),
    "NaN strength": ("strength = 1e-3", "strength = nan", ":27: sweep[1].strength: must be a finite number > 0; received nan."),
    "infinite strength": ("strength = 1e-3", "strength = inf", ":27: sweep[1].strength: must be a finite number > 0; received inf."),
    "bool strength": ("strength = 1e-3", "strength = [true]", ":27: sweep[1].strength[0]: expected number, received true."),
    "string strength": ("strength = 1e-3", 'strength = "1e-3"', ":27: sweep[1].strength: expected number, received '1e-3'."),
    "no strength": ("strength = 1e-3", "strength = []", ":27: sweep[1].strength: must be a list of at least one value; received []."),
    "strength twice": ("strength = 1e-3", "strength = [1e-3,\n0.001]", ":28: sweep[1].strength[1]: 0.001 is in this list twice, also at [0]."),
    "learning rate of zero in a sweep": ("strength = 1e-3", "strength = 1e-3\nlearning_rate = 0", ":28: sweep[1].learning_rate: must be a finite number > 0; received 0."),
    "negative learning rate": ("strength = 1e-3", "strength = 1e-3\nlearning_rate = [0.1, -1.5]", ":28: sweep[1].learning_rate[1]: must be a finite number > 0; received -1.5."),
    "bool learning rate": ("strength = 1e-3", "strength = 1e-3\nlearning_rate = true", ":28: sweep[1].learning_rate: expected number, received true."),
    "string learning rate": ("strength = 1e-3", 'strength = 1e-3\nlearning_rate = ["1e-3"]', ":28: sweep[1].learning_rate[0]: expected number, received '1e-3'."),
    "no learning rate": ("strength = 1e-3", "strength = 1e-3\nlearning_rate = []", ":28: sweep[1].learning_rate: must be a list of at least one value; received []."),
    "learning rate twice": ("strength = 1e-3", "strength = 1e-3\nlearning_rate = [0.1, 0.1]", ":28: sweep[1].learning_rate[1]: 0.1 is in this list twice, also at [0]."),
    "unknown key of a range of learning rates": ("strength = 1e-3", "strength = 1e-3\nlearning_rate = {from = 0.1, to = 1, count = 2, by = 1}", ":28: sweep[1].learning_rate.by: unknown 'by'. Known: count, from, to."),
    "the learning rate of [train] in two sweeps": ('"L1L2"\nratio = [0.25, 0.5]\ntarget = "kernel"\nstrength = 1e-3\nlayers = "hidden_*"', '"L2"\ntarget = "kernel"\nstrength = 1e-3\nlearning_rate = [0.1, 0.001]', ":23: sweep[1]: L2 on kernel (layers 'all', solver 'gradient') at strength 0.001, learning rate 0.001 is in sweep[0] already (line 18)."),
    "zero in range": ("from = 1e-4", "from = 0", ":21: sweep[0].strength.from: must be a finite number > 0; received 0."),
    "empty range": ("count = 3", "count = 0", ":21: sweep[0].strength.count: must be from 1 to 10000; received 0."),
    "one of two": ("count = 3", "count = 1", ":21: sweep[0].strength.count: must be 1 if from equals to, otherwise 2 or more; received 1."),
    "two of one": ("to = 1e-2", "to = 1e-4", ":21: sweep[0].strength.count: must be 1 if from equals to, otherwise 2 or more; received 3."),
    "unknown regularizer": ('"L1", "L2"', '"L1", "l2"', f":19: sweep[0].regularizer[1]: unknown 'l2'. Did you mean 'L2'? Known: {REGULARIZER_NAMES}."),
    "unknown lone regularizer": ('"L1L2"', '"L1L3"', f":24: sweep[1].regularizer: unknown 'L1L3'. Did you mean 'L1L2'? Known: {REGULARIZER_NAMES}."),
    "unknown target": ('"activity"', '"activities"', ":20: sweep[0].target[1]: unknown 'activities'. Did you mean 'activity'? Known: activity, beta, bias, depthwise, embeddings, gamma, kernel, pointwise, recurrent."),
    "unknown data set": ('"digits"', '"digit"', ":6: data.name: unknown 'digit'. Did you mean 'digits'? Known: breast_cancer, cifar10, diabetes, digits, fashion_mnist, iris, mnist, wine."),
    "unknown model": ('"mlp"', '"mpl"', ":10: model.name: unknown 'mpl'. Did you mean 'mlp'? Known: autoencoder, cnn, lenet_300_100, lenet_5, linear, mlp."),
    "unknown optimizer": ('"sgd"', '"sdg"', ":15: train.optimizer: unknown 'sdg'. Did you mean 'sgd'? Known: adadelta, adagrad, adam, adamax, adamw, nadam, rmsprop, sgd."),
    "unknown solver": ("layers =", 'solver = "newton"\nlayers =', f":28: sweep[1].solver: unknown 'newton'. Known: {', '.join(sorted(SOLVERS))}."),
    "no regularizer": ('["L1", "L2"]', "[]", ":19: sweep[0].regularizer: must be a list of at least one value; received []."),
    "regularizer twice": ('["L1", "L2"]', '["L1", "L1"]', ":19: sweep[0].regularizer[1]: 'L1' is in this list twice, also at [0]."),
    "the same trial in two sweeps": ('"L1L2"\nratio = [0.25, 0.5]\ntarget = "kernel"\nstrength = 1e-3\nlayers = "hidden_*"', '"L2"\ntarget = "kernel"\nstrength = 1e-3', ":23: sweep[1]: L2 on kernel (layers 'all', solver 'gradient') at strength 0.001, learning rate 0.001 is in sweep[0] already (line 18)."),
    "fraction of zero": ("test_fraction = 0.25", "test_fraction = 0", ":7: data.test_fraction: must be above 0 and below 1; received 0."),
    "fraction of one": ("test_fraction = 0.25", "test_fraction = 1.0", ":7: data.test_fraction: must be above 0 and below 1; received 1.0."),
    "NaN fraction": ("test_fraction = 0.25", "test_fraction = nan", ":7: data.test_fraction: must be above 0 and below 1; received nan."),
    "nothing to train on": ("test_fraction = 0.25", "test_fraction = 0.25\nvalidation_fraction = 0.75", ":8: data.validation_fraction: 0.75 for validation and 0.25 for testing leave nothing to train on."),
    "nothing to train on by default": ("test_fraction = 0.25", "test_fraction = 0.8", ":7: data.test_fraction: 0.2 for validation and 0.8 for testing leave nothing to train on."),
    "path as a name": ("l1_vs_l2.digits-1", "a/b", f":1: name: {NAME_RULE}; received 'a/b'."),
    "parent as a name": ("l1_vs_l2.digits-1", "a..b", f":1: name: {NAME_RULE}; received 'a..b'."),
    "hidden folder as a name": ("l1_vs_l2.digits-1", ".a", f":1: name: {NAME_RULE}; received '.a'."),
    "empty name": ("l1_vs_l2.digits-1", "", f":1: name: {NAME_RULE}; received ''."),
    "name with a line's end": ("l1_vs_l2.digits-1", "a\\n", f":1: name: {NAME_RULE}; received 'a\\n'."),
    "data by both": ("test_fraction = 0.25", 'file = "a.npz"', ":5: data: must hold either `name` or `file`."),
    "data by none": ('name = "digits"\n', "", ":5: data: must hold either `name` or `file`."),
    "label of a named one": ("test_fraction = 0.25", 'label = "y"', ":7: data.label: goes with `file`, not with `name`."),
    "task of a named one": ("test_fraction = 0.25", 'task = "regression"', ":7: data.task: goes with `file`, not with `name`."),
    "unknown format": ('name = "digits"', 'file = "a.xls"', ":6: data.file: must be a file that ends in .csv, .npz, .parquet; received 'a.xls'."),
    "table without label": ('name = "digits"', 'file = "a.csv"', ":6: data.file: .csv needs `label`, the column to predict."),
    "NUL in a path": ('name = "digits"', 'file = "a\\u0000.npz"', ":6: data.file: must be a path without the character NUL; received 'a\\x00.npz'."),
    "levels of a named one": ("test_fraction = 0.25", "max_levels = 3", ":7: data.max_levels: goes with `file`, not with `name`."),
    "missing of a named one": ("test_fraction = 0.25", 'missing = "impute"', ":7: data.missing: goes with `file`, not with `name`."),
    "arrays with drop": ('name = "digits"', 'file = "a.npz"\ndrop = ["y"]', ":7: data.drop: goes with .csv and .parquet files only."),
    "the label dropped": ('name = "digits"', 'file = "a.csv"\nlabel = "y"\ndrop = ["x", "y"]', ":8: data.drop: holds 'y', the column to predict."),
    "no levels": ('name = "digits"', 'file = "a.csv"\nlabel = "y"\nmax_levels = 0', ":8: data.max_levels: must be at least 1; received 0."),
    "unknown scale": ('name = "digits"', 'name = "digits"\nscale = "standart"', ":7: data.scale: unknown 'standart'. Did you mean 'standard'? Known: auto, image, none, standard."),
    "unknown way with missing": ('name = "digits"', 'file = "a.npz"\nmissing = "drop"', ":7: data.missing: unknown 'drop'. Known: impute, indicator, refuse."),
    "arrays with label": ('name = "digits"', 'file = "a.npz"\nlabel = "y"', ":7: data.label: goes with .csv and .parquet files only."),
    "unknown task": ('name = "digits"', 'file = "a.npz"\ntask = "ranking"', ":7: data.task: unknown 'ranking'. Known: classification, regression."),
    "model by both": ("hidden = [64, 32]", 'build = "a:b"', ":9: model: must hold either `name` or `build`."),
    "builder without function": ('name = "mlp"\nhidden = [64, 32]', 'build = "a.b"', ":10: model.build: must be like 'package.module:function'; received 'a.b'."),
    "builder with option": ('name = "mlp"', 'build = "a.b:c"', ":11: model.hidden: is not taken by a builder."),
    "option of another model": ("hidden = [64, 32]", "filters = [8]", ":11: model.filters: is not taken by mlp."),
    "code of another model": ("hidden = [64, 32]", 'code = "sigmoid"', ":11: model.code: is not taken by mlp."),
    "unknown code": ('"mlp"\nhidden = [64, 32]', '"autoencoder"\ncode = "sigmoidal"', ":11: model.code: unknown 'sigmoidal'. Did you mean 'sigmoid'? Known: relu, sigmoid."),
    "number as a code": ('"mlp"\nhidden = [64, 32]', '"autoencoder"\ncode = 1', ":11: model.code: expected str, received 1."),
    "no hidden layer": ("[64, 32]", "[]", ":11: model.hidden: must be a list of at least one value; received []."),
    "width of zero": ("[64, 32]", "[64,\n0]", ":12: model.hidden[1]: must be at least 1; received 0."),
    "option of another optimizer": ('"sgd"', '"adam"', ":16: train.momentum: is not taken by adam."),
    "momentum of one": ("momentum = 0.9", "momentum = 1", ":16: train.momentum: must be 0 or more and below 1; received 1."),
    "number for bool": ("momentum = 0.9", "nesterov = 1", ":16: train.nesterov: expected bool, received 1."),
    "no epochs": ("epochs = 10", "epochs = 0", ":14: train.epochs: must be at least 1; received 0."),
    "learning rate of zero": ("momentum = 0.9", "learning_rate = 0.0", ":16: train.learning_rate: must be a finite number > 0; received 0.0."),
    "parameter outside": ("[0.25, 0.5]", "[0.25, 1.5]", ":25: sweep[1].ratio[1]: must be a number from 0 to 1; received 1.5."),
    "lone parameter outside": ("[0.25, 0.5]", "-1", ":25: sweep[1].ratio: must be a number from 0 to 1; received -1."),
    "string for parameter": ("[0.25, 0.5]", '[0.25, "0.5"]', ":25: sweep[1].ratio[1]: expected number, received '0.5'."),
    "parameter outside a width": ('"L1L2"\nratio = [0.25, 0.5]', '"MCP"\nthreshold = [0.1, 0]', ":25: sweep[1].threshold[1]: must be a number from 1e-06 to 1e+06; received 0."),
    "width outside": ('"L1L2"\nratio = [0.25, 0.5]', '"MCP"\nthreshold = [0.1, 1e-7]', ":25: sweep[1].threshold[1]: must be a number from 1e-06 to 1e+06; received 1e-07."),
    "lone width outside": ('"L1L2"\nratio = [0.25, 0.5]', '"LogSum"\nepsilon = 1e7', ":25: sweep[1].epsilon: must be a number from 1e-06 to 1e+06; received 10000000.0."),
    "unknown word": ('"L1L2"\nratio = [0.25, 0.5]', '"GroupLasso"\ngroup = ["unit", "inputs"]', ":25: sweep[1].group[1]: unknown 'inputs'. Did you mean 'input'? Known: column, filter, head, input, row, unit."),
    "unknown lone word": ('"L1L2"\nratio = [0.25, 0.5]', '"GroupLasso"\ngroup = "neuron"', ":25: sweep[1].group: unknown 'neuron'. Known: column, filter, head, input, row, unit."),
    "number for word": ('"L1L2"\nratio = [0.25, 0.5]', '"GroupLasso"\ngroup = 0', ":25: sweep[1].group: expected str, received 0."),
    "axes for word": ('"L1L2"\nratio = [0.25, 0.5]', '"GroupLasso"\ngroup = ["unit", [0, 1]]', ":25: sweep[1].group[1]: expected str, received [0, 1]."),
    "no word": ('"L1L2"\nratio = [0.25, 0.5]', '"GroupLasso"\ngroup = []', ":25: sweep[1].group: must be a list of at least one value; received []."),
    "word twice": ('"L1L2"\nratio = [0.25, 0.5]', '"GroupLasso"\ngroup = ["unit", "unit"]', ":25: sweep[1].group[1]: 'unit' is in this list twice, also at [0]."),
    "word of another": ('"L1L2"\nratio = [0.25, 0.5]', '["GroupLasso", "L1"]\ngroup = "unit"', ":25: sweep[1].group: is not a parameter of L1; regularizers that have it need a separate sweep."),
    "other key of ours": ("ratio = [0.25, 0.5]", "structure = 1", f":25: sweep[1].structure: unknown 'structure'. Known: {SWEEP_KEYS}."),
    "the same words in two sweeps": ('"L1L2"\nratio = [0.25, 0.5]', '"GroupLasso"\ngroup = "input"\ntarget = "kernel"\nstrength = 0.1\n[[sweep]]\nregularizer = "GroupLasso"\ngroup = "input"\nstrength = 0.1\ntarget = "kernel"\nlayers = "all"\n[[sweep]]\nregularizer = "L1L2"', ":28: sweep[2]: GroupLasso on kernel (layers 'all', solver 'gradient') at strength 0.1, learning rate 0.001, group input, weighting sqrt is in sweep[1] already (line 23)."),
    "proximal step on an activity": ('target = "kernel"\nstrength = 1e-3', 'target = ["kernel", "activity"]\nsolver = ["gradient", "proximal"]\nstrength = 1e-3', ":27: sweep[1].solver[1]: 'proximal' acts on weights; the target 'activity' needs a separate sweep."),
    "proximal step without an operator": ('"L1L2"\nratio = [0.25, 0.5]', '["L1", "HoyerSquare"]\nsolver = "proximal"', ":24: sweep[1].regularizer[1]: HoyerSquare has no proximal operator; it needs a separate sweep."),
    "steps that differ": ('optimizer = "sgd"\nmomentum = 0.9\n\n[[sweep]]\nregularizer = ["L1", "L2"]\ntarget = ["kernel", "activity"]', '[[sweep]]\nregularizer = ["L1", "SLOPE"]\ntarget = "kernel"\nsolver = "proximal"', ":16: sweep[0].regularizer[1]: the proximal step of SLOPE needs one step size for all weights, as sgd has; adam has one for each."),
    "no gradient": ('"L1L2"\nratio = [0.25, 0.5]', '["L1", "L0"]\nsolver = ["proximal", "gradient"]', ":24: sweep[1].regularizer[1]: L0 has no useful gradient; it needs a sweep with solver = 'proximal' only."),
    "activity penalty on a kernel": ('["L1", "L2"]', '["L1", "KLSparsity"]', ":20: sweep[0].target[0]: KLSparsity is for 'activity' only; 'kernel' needs a separate sweep."),
    "activity penalty on a bias": ('"L1L2"\nratio = [0.25, 0.5]\ntarget = "kernel"', '"HoyerActivity"\ntarget = "bias"', ":25: sweep[1].target: HoyerActivity is for 'activity' only; 'bias' needs a separate sweep."),
    "decay of an activity": ('["L1", "L2"]', '["L2", "decoupled"]', ":20: sweep[0].target[1]: decoupled is for 'kernel' only; 'activity' needs a separate sweep."),
    "decay by a proximal step": ('"L1L2"\nratio = [0.25, 0.5]', '["L2", "decoupled"]\nsolver = "proximal"', ":24: sweep[1].regularizer[1]: decoupled has no proximal operator; it needs a separate sweep."),
    "decay beside the optimizer's own": ('optimizer = "sgd"\nmomentum = 0.9\n\n[[sweep]]\nregularizer = ["L1", "L2"]\ntarget = ["kernel", "activity"]', 'optimizer = "adamw"\n\n[[sweep]]\nregularizer = ["L1", "decoupled"]\ntarget = "kernel"', ":18: sweep[0].regularizer[1]: adamw already has decoupled decay; use an optimizer without (line 15)."),
    "rate outside": ('"L1L2"\nratio = [0.25, 0.5]\ntarget = "kernel"', '"KLSparsity"\nrho = [0.05, 1.0]\ntarget = "activity"', ":25: sweep[1].rho[1]: must be a number from 0.001 to 0.999; received 1.0."),
    "parameter of another": ('"L1L2"', '["L1L2", "L1"]', ":25: sweep[1].ratio: is not a parameter of L1; regularizers that have it need a separate sweep."),
    "empty layers": ('"hidden_*"', '""', ":28: sweep[1].layers: must be a name or a glob; received ''."),
    "table for a number": ("epochs = 10", "epochs = { a = 1 }", ":14: train.epochs: expected int, received {'a': 1}."),
    "two problems": ("seeds = 3", "seeds = 0\nsede = 1", ":3: seeds: must be from 1 to 10000; received 0. (1 more problem in this file.)"),
    "three problems in the file's order": ('name = "mlp"\nhidden = [64, 32]', 'name = "a"\nhidden = 0\nfilters = 0', ":10: model.name: unknown 'a'. Known: autoencoder, cnn, lenet_300_100, lenet_5, linear, mlp. (2 more problems in this file.)"),
}  # fmt: skip


def refusal(text):
    with pytest.raises(StudyError) as caught:
        config.parse(text, "s.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    BAD.values(),
    ids=BAD,
)
def test_bad_study_is_one_located_line(old, new, message):
    assert GOOD.count(old) >= 1
    assert refusal(GOOD.replace(old, new)) == f"s.toml{message}"


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_empty_study(text):
    assert refusal(text) == "s.toml: is empty."


def test_study_without_sweep():
    text = GOOD[: GOOD.index("[[sweep]]")]
    assert refusal(text) == "s.toml: the key 'sweep' is missing."
    empty = "sweep = []\n" + text
    message = "s.toml:1: sweep: must be one [[sweep]] or more; received []."
    assert refusal(empty) == message


def test_sweep_as_one_table():
    text = GOOD[: GOOD.index("[[sweep]]")] + "[sweep]\ntarget = 'bias'\n"
    message = "s.toml:18: sweep: expected list of tables, received {'target': 'bias'}."
    assert refusal(text) == message


def test_number_for_a_table():
    text = "train = 3\n" + GOOD.replace("[train]\n", "[model.train]\n")
    problem = "s.toml:1: train: expected table, received 3. (1 more problem in this "
    assert refusal(text) == problem + "file.)"


def test_nesting_too_deep_is_refused():
    assert refusal("a = " + "[" * 5000) == f"s.toml:1: {DEEP}"


def test_long_value_is_shortened():
    message = refusal(GOOD.replace("seeds = 3", f"seeds = '{'3' * 500}'"))
    assert message == f"s.toml:3: seeds: expected int, received '{'3' * 76}...."


def test_no_message_has_two_lines():
    text = GOOD.replace("seeds = 3", "seeds = '''a\nb'''")
    assert refusal(text) == "s.toml:3: seeds: expected int, received 'a\\nb'."


def test_good_study_is_read_as_written():
    study = config.parse(GOOD, "s.toml")
    assert study.name == "l1_vs_l2.digits-1"
    assert study.title == "What L1 and L2 do"
    assert study.seeds == 3
    assert study.data.model_dump() == {
        "name": "digits",
        "file": None,
        "label": None,
        "task": None,
        "scale": None,
        "missing": None,
        "max_levels": None,
        "drop": None,
        "test_fraction": 0.25,
        "validation_fraction": 0.2,
    }
    assert study.model.options == {"hidden": (64, 32)}
    assert study.train.batch_size == 32
    assert study.train.learning_rate == 1e-3
    assert study.train.options == {"momentum": 0.9}
    first, second = study.sweep
    assert first.regularizer == ("L1", "L2")
    assert first.strengths == (1e-4, 1e-3, 1e-2)
    assert first.solver == ("gradient",)
    assert second.regularizer == ("L1L2",)
    assert second.strengths == (1e-3,)
    assert second.parameters == {"ratio": (0.25, 0.5)}
    assert [cell.layers for cell in first.cells(1e-3)] == ["all"] * 3 + [
        "hidden"
    ] * 3 + ["all"] * 3 + ["hidden"] * 3
    assert [cell.parameters for cell in second.cells(1e-3)] == [
        (("ratio", 0.25),),
        (("ratio", 0.5),),
    ]
    assert {cell.layers for cell in second.cells(1e-3)} == {"hidden_*"}


@pytest.mark.parametrize(
    ("given", "rates"),
    [
        ("", [1e-3]),
        ("learning_rate = 0.1", [0.1]),
        ("learning_rate = [0.1, 1]", [0.1, 1.0]),
        ("learning_rate = {from = 1e-3, to = 1e-1, count = 3}", [1e-3, 1e-2, 1e-1]),
    ],
)
def test_learning_rates_are_swept_like_strengths(given, rates):
    text = GOOD.replace("ratio = [0.25, 0.5]", given)
    cells = config.parse(text, "s.toml").sweep[1].cells(1e-3)
    assert [cell.learning_rate for cell in cells] == rates


def test_title_is_the_name_by_default():
    text = GOOD.replace('title = "What L1 and L2 do"\n', "")
    assert config.parse(text, "s.toml").title == "l1_vs_l2.digits-1"


def test_parameter_has_its_default():
    text = GOOD.replace("ratio = [0.25, 0.5]\n", "")
    (cell,) = config.parse(text, "s.toml").sweep[1].cells(1e-3)
    assert cell.parameters == (("ratio", 0.5),)


def test_words_are_swept_like_numbers():
    old = '"L1L2"\nratio = [0.25, 0.5]'
    new = '"SparseGroupLasso"\ngroup = ["input", "unit"]\nratio = [0.2, 0.7]'
    sweep = config.parse(GOOD.replace(old, new), "s.toml").sweep[1]
    assert [cell.parameters for cell in sweep.cells(1e-3)] == [
        (("group", "input"), ("ratio", 0.2), ("weighting", "sqrt")),
        (("group", "unit"), ("ratio", 0.2), ("weighting", "sqrt")),
        (("group", "input"), ("ratio", 0.7), ("weighting", "sqrt")),
        (("group", "unit"), ("ratio", 0.7), ("weighting", "sqrt")),
    ]
    (sparse,) = (
        config.parse(GOOD.replace(old, '"GroupLasso"'), "s.toml").sweep[1].cells(1e-3)
    )
    assert sparse.parameters == (("group", "unit"), ("weighting", "sqrt"))


def test_cnn_may_have_no_hidden_layer():
    model = config.ModelConfig(name="cnn", hidden=[], filters=8)
    assert model.options == {"filters": (8,), "hidden": ()}


def test_large_fraction_is_fine_beside_a_test_part_of_the_datas_own():
    text = GOOD.replace('"digits"', '"mnist"').replace("0.25\n", "0.9\n", 1)
    assert config.parse(text, "s.toml").data.test_fraction == 0.9


@pytest.mark.parametrize(
    ("low", "high", "count", "strengths"),
    [
        (1e-6, 1e-1, 6, (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
        (1e-1, 1e-3, 3, (1e-1, 1e-2, 1e-3)),
        (0.3, 0.3, 1, (0.3,)),
        (1e-300, 1e300, 3, (1e-300, 1.0, 1e300)),
    ],
)
def test_range_is_logarithmic_with_both_ends(low, high, count, strengths):
    swept = LogRange.model_validate({"from": low, "to": high, "count": count})
    assert swept.numbers() == strengths


def test_range_too_narrow_for_its_count_is_refused():
    text = GOOD.replace("to = 1e-2, count = 3", "to = 1.0000000000000002e-4, count = 9")
    assert " is in sweep[0] already (line 18)." in refusal(text)


def test_study_cannot_be_changed():
    study = config.parse(GOOD, "s.toml")
    with pytest.raises(ValueError, match="frozen"):
        study.seeds = 4


def test_load_returns_the_text_as_read(tmp_path):
    file = tmp_path / "s.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    study, text = config.load(file)
    assert study == config.parse(GOOD, "s.toml")
    assert text == GOOD.replace("\n", "\r\n")


def test_lines_are_right_with_carriage_returns():
    text = GOOD.replace("epochs = 10", "epochs = true").replace("\n", "\r\n")
    assert refusal(text) == "s.toml:14: train.epochs: expected int, received true."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file."),
        (b"", "is empty."),
        (b'name = "\xff"', "not UTF-8 text (byte 9)."),
        (b"\x00", "not TOML: Invalid statement (column 1)."),
    ],
)
def test_file_that_cannot_be_read(tmp_path, content, message):
    file = tmp_path / "s.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        config.load(file)
    line = ":1" if content == b"\x00" else ""
    assert str(caught.value) == f"{file}{line}: {message}"


def test_folder_is_no_study(tmp_path):
    with pytest.raises(StudyError) as caught:
        config.load(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory."


def test_json_schema_names_everything_that_a_study_can_hold():
    schema = json.loads(json.dumps(config.json_schema()))
    parts = schema["$defs"]
    assert {part["additionalProperties"] for part in (*parts.values(), schema)} == {
        False
    }
    assert set(parts["SweepConfig"]["properties"]) == set(SWEEP_KEYS.split(", "))
    assert parts["LogRange"]["required"] == ["from", "to", "count"]
    text = json.dumps(schema)
    for names in (DATASETS, MODELS, OPTIMIZERS, SPECS, SOLVERS, TARGETS):
        assert f'"enum": {json.dumps(sorted(names))}' in text
    for names in (LOSSES, METRICS):
        own = {"enum": sorted(names)}, {"pattern": r"^\w+(\.\w+)*:\w+$"}
        assert f'"anyOf": {json.dumps(own)}' in text
    one, many = parts["SweepConfig"]["properties"]["target"]["anyOf"]
    assert many["items"] == one


def test_defaults_are_those_of_the_schema():
    assert {name: frozenset(own) for name, own in DEFAULTS.items()} == {
        name: options for name, (_, options) in MODELS.items() if options
    }
    assert set(LAYERS) == set(TARGETS)
    assert set(DATASETS) >= OWN_TEST
    assert tomllib.loads(GOOD)
