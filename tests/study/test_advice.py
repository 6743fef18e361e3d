"""What `plan` warns of before a study is trained, as whole lines."""

import pytest

from kregkit.study.advice import advice
from kregkit.study.file import config

STUDY = """\
name = "a"
seeds = 5
[data]
name = "iris"
[model]
name = "mlp"
[train]
epochs = 1
[[sweep]]
regularizer = ["L1", "L2"]
target = ["kernel", "bias"]
strength = [1e-3, 1e-2]
solver = ["gradient", "proximal"]
"""
BOTH = 'solver = ["gradient", "proximal"]\n'
PROXIMAL = """\
[[sweep]]
regularizer = "L1"
target = "kernel"
strength = [1e-3, 1e-2]
solver = "proximal"
"""
ZEROS = (
    "{}: the solver 'gradient' alone makes no exact zeros; "
    'solver = ["gradient", "proximal"] does'
)
ONE = (
    "{}: one strength does not show where a penalty begins to act and where it "
    "collapses"
)
SEEDS = "{}: the report has intervals and verdicts from 5 on"
ON_ACTIVITY = ('["kernel", "bias"]', '"activity"')

CASES = {
    "nothing": ([], []),
    "few seeds": ([("seeds = 5", "seeds = 4")], [SEEDS.format("4 seeds")]),
    "one seed": ([("seeds = 5", "seeds = 1")], [SEEDS.format("1 seed")]),
    "gradient alone": ([(BOTH, "")], [ZEROS.format("L1 on kernel, L1 on bias")]),
    "proximal in another sweep": (
        [(BOTH, PROXIMAL)],
        [ZEROS.format("L1 on bias")],
    ),
    "proximal alone": ([(BOTH, 'solver = "proximal"\n')], []),
    "no zeros": ([(BOTH, ""), ('["L1", "L2"]', '"L2"')], []),
    "zeros of groups": (
        [(BOTH, ""), ('["L1", "L2"]', '"GroupLasso"')],
        [ZEROS.format("GroupLasso on kernel, GroupLasso on bias")],
    ),
    "activity": ([(BOTH, ""), ON_ACTIVITY], []),
    "decoupled decay": (
        [
            (BOTH, ""),
            ('["L1", "L2"]', '"decoupled"'),
            ('["kernel", "bias"]', '"kernel"'),
        ],
        [],
    ),
    "one strength": (
        [("[1e-3, 1e-2]", "1e-3"), ('["L1", "L2"]', '"L1"')],
        [ONE.format("L1 on kernel, L1 on bias")],
    ),
    "a second in another sweep": (
        [
            ("[1e-3, 1e-2]", "1e-3"),
            ('["kernel", "bias"]', '"kernel"'),
            (BOTH, BOTH + PROXIMAL),
            ('["L1", "L2"]', '"L1"'),
            ("1e-3\nsolver = [", "1e-4\nsolver = ["),
        ],
        [],
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_study_is_warned_of_what_its_report_will_lack(kind):
    changes, lines = CASES[kind]
    text = STUDY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    assert advice(config.parse(text, "s.toml")) == tuple(lines)
