"""A trial of decoupled decay is a plain Keras `fit` with `weight_decay`."""

import keras
import numpy as np
import pytest

from helpers.agreement import difference
from helpers.batch_cases import INCOMPLETE, MLP, Case
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit import train_one
from kregkit.study.engines.protocol import order

DECAY = ("decoupled", "kernel", "[0.3, 3.0]", 'layers = "all"')
ELSEWHERE = ("decoupled", "kernel", 1.0, 'layers = "hidden_1"\nlearning_rate = 3e-2')
CASES = {
    "adam": Case(
        MLP,
        INCOMPLETE + "learning_rate = 1e-2",
        terms=(DECAY, ("L2", "kernel", 1e-2), ELSEWHERE),
    ),
    "sgd": Case(
        MLP,
        INCOMPLETE + 'optimizer = "sgd"\nmomentum = 0.9\nlearning_rate = 1e-2',
        terms=(DECAY,),
    ),
}


def by_keras(study, trial, make):
    """Return the weights that Keras's own optimizer and regularizer give."""
    keras.utils.set_random_seed(trial.seed)
    model = study.build()
    optimizer = make(
        trial.learning_rate,
        weight_decay=trial.strength if trial.regularizer == "decoupled" else None,
    )
    others = [
        layer.kernel
        for layer in model.layers
        if trial.layers not in (None, "all", layer.name)
    ]
    optimizer.exclude_from_weight_decay(var_list=others, var_names=["bias"])
    if trial.regularizer == "L2":
        for layer in model.layers:
            layer.kernel.regularizer = keras.regularizers.L2(trial.strength)
    model.compile(optimizer, study.loss())
    split, train = study.split(trial.seed), study.config.train
    for rows in order(trial.seed, train.epochs, len(split.x_train)):
        x, y = split.x_train[rows], split.y_train[rows]
        model.fit(x, y, batch_size=train.batch_size, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize(
    "engine", [pytest.param("fit", marks=pytest.mark.long), "batch"]
)
@pytest.mark.parametrize("name", CASES)
def test_a_trial_of_decoupled_decay_is_a_fit_with_weight_decay(name, engine, tmp_path):
    makes = {
        "adam": keras.optimizers.Adam,
        "sgd": lambda rate, **own: keras.optimizers.SGD(rate, momentum=0.9, **own),
    }
    train_one.deterministic()
    study = CASES[name].study(tmp_path)
    trials = [trial for trial in study.trials if trial.seed == 1]
    if engine == "batch":
        results = Program(study, trials, len(trials)).train(trials, lambda share: None)
    else:
        trainer = train_one.Trainer(study)
        results = [trainer.train(trial) for trial in trials]
    norms = {}
    for trial, result in zip(trials, results, strict=True):
        expected = by_keras(study, trial, makes[name])
        for tensor, weight in zip(result.tensors, expected, strict=True):
            gap = difference(np.reshape(tensor["values"], weight.shape), weight)
            assert gap <= (1e-6 if engine == "fit" else 1e-5), (trial, tensor["layer"])
        norms[trial.regularizer, trial.strength] = np.linalg.norm(expected[0])
        if trial.regularizer == "decoupled":
            assert result.final["penalty"] == 0.0
            assert result.final["kkt_residual"] is None
            assert not any("penalty" in row for row in result.rows if row["layer"])
            last = result.rows[-1]
            assert last["loss"] == pytest.approx(last["data_loss"], rel=1e-6)
    assert norms["decoupled", 3.0] < norms["decoupled", 0.3] < norms[None, None]
