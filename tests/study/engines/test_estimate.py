"""Time and memory of a study, by operations that are counted here by hand."""

import pytest

from helpers.made_study import made
from helpers.small_study import STUDY
from kregkit.study.engines.estimate import RATES, duration, estimate
from kregkit.study.engines.schedule import schedule
from kregkit.study.problem.models import BUILDERS
from kregkit.study.problem.sizes import multiply_adds


@pytest.mark.parametrize(
    ("name", "options", "products"),
    [
        ("linear", {}, 64 * 10),
        ("mlp", {"hidden": (5, 3)}, 64 * 5 + 5 * 3 + 3 * 10),
        # Every place of the 8 x 8 outputs of a convolution; pooled to 4 x 4.
        ("cnn", {"filters": (2,), "hidden": ()}, 9 * 2 * 64 + 4 * 4 * 2 * 10),
        (
            "cnn",
            {"filters": (2, 3), "hidden": (4,)},
            9 * 2 * 64 + 9 * 2 * 3 * 16 + 2 * 2 * 3 * 4 + 4 * 10,
        ),
    ],
)
def test_products_are_those_of_every_place(name, options, products):
    assert multiply_adds(BUILDERS[name]((8, 8, 1), 10, **options)) == products


def test_the_operations_of_a_study_are_counted(tmp_path):
    study = made(tmp_path)
    split = study.split(0)
    rows, val = len(split.x_train), len(split.x_val)
    products, weights = 4 * 5 + 5 * 3, 4 * 5 + 5 + 5 * 3 + 3
    steps = -(-rows // 16)
    counted = 10 * 2 * (products * (6 * rows + 2 * val) + 20 * weights * steps)
    for engine, programs in (("batch", 1), ("fit", 5)):
        rates = RATES[engine]
        found = estimate(study, schedule(study, study.trials, engine))
        assert found.operations == counted
        assert found.seconds == pytest.approx(
            rates.run
            + programs * rates.program
            + 10 * (rates.trial + 2 * steps * rates.step)
            + rates.operation * counted
        )


def test_workers_share_the_time_and_each_take_memory(tmp_path):
    study = made(tmp_path)
    one, two = (
        estimate(study, schedule(study, study.trials, "fit", workers), workers)
        for workers in (1, 2)
    )
    run = RATES["fit"].run
    assert run < two.seconds < one.seconds
    assert two.memory == 2 * one.memory


def test_larger_studies_take_longer_and_more(tmp_path):
    small = made(tmp_path)
    large = made(tmp_path, text=STUDY.replace("[5]", "[2000, 2000]"))
    one, other = (estimate(s, schedule(s, s.trials)) for s in (small, large))
    assert other.seconds > one.seconds
    assert other.memory > one.memory + 4 * 4 * 2000 * 2000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (5000, "83 minutes"),
        (7200, "2 hours"),
        (10**6, "12 days"),
    ],
)
def test_a_duration_is_told_in_its_unit(seconds, words):
    assert duration(seconds) == words
