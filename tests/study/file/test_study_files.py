"""Whatever a study file holds, it is planned, or refused in one short line at once."""

import os
import random
import time
import tomllib
from pathlib import Path

import pytest

from helpers import ROOT
from kregkit.errors import KregkitError, StudyError
from kregkit.study.file import config
from kregkit.study.plan import plan

GOOD = """\
name = "a"
seeds = 3
[data]
name = "iris"
[model]
name = "mlp"
hidden = [8]
[train]
epochs = 1
[[sweep]]
regularizer = "L1"
target = "kernel"
strength = 1e-3
"""

DEEP = "tables and lists are nested more than 20 deep."
LONG_LIST = "is a list of more than 10000 values."
LONG_NUMBER = "is a number of more than 100 characters."
MANY = "trials; a study has at most 100000."
RATES = "learning_rate = {from = 1e-3, to = 1, count = 9000}"
TOP = "data, model, name, seeds, sweep, title, train."

LARGE = {
    # (old, new, the message after "s.toml")
    "a list": (
        "1e-3",
        f"[{'1e-3, ' * 700_000}]",
        f":13: sweep[0].strength: {LONG_LIST}",
    ),
    "keys": (
        "seeds = 3",
        "\n".join(f"k{i} = 1" for i in range(99_000)),
        ":50001: the file holds more than 50000 keys and values.",
    ),
    "keys that are read": (
        "seeds = 3",
        "\n".join(f"k{i} = 1" for i in range(30_000)),
        f":2: k0: unknown 'k0'. Known: {TOP} (30000 more problems in this file.)",
    ),
    "lines": ("seeds = 3", "\n" * 10**6, ": has more than 100000 lines."),
    "combinations": (
        "1e-3",
        f"{{from = 1e-9, to = 1, count = 9000}}\n{RATES}",
        f":10: sweep[0]: this sweep and 3 seeds make 243000000 {MANY}",
    ),
    "combinations of two sweeps": (
        "1e-3\n",
        "{from = 1e-9, to = 1e-4, count = 9000}\n"
        "[[sweep]]\nregularizer = 'L2'\ntarget = ['kernel', 'bias', 'activity']\n"
        "strength = {from = 1e-9, to = 1, count = 9000}\n",
        f":14: sweep[1]: this sweep and the sweeps before it and 3 seeds make 108000 "
        f"{MANY}",
    ),
    "depth of a key": ("seeds", ".".join("s" * 10**5), f":2: {DEEP}"),
    "depth of a table": ("[data]", f"[{'.'.join('d' * 10**5)}]", f":3: {DEEP}"),
    "depth of a list": ("3", "[" * 10**5 + "]" * 10**5, f":2: {DEEP}"),
    "depth of what is not closed": ("3", "{a=[" * 10**5, f":2: {DEEP}"),
    "an integer": ("3", "9" * 5000, f":2: seeds: {LONG_NUMBER}"),
    "a hexadecimal integer": ("3", "0x" + "f" * 5000, f":2: seeds: {LONG_NUMBER}"),
    "a number": (
        "1e-3",
        "1e400",
        ":13: sweep[0].strength: must be a finite number > 0; received inf.",
    ),
    "a width": (
        "[8]",
        "[1_000_000_001]",
        ":7: model.hidden[0]: must be at most 1000000000; received 1000000001.",
    ),
    "a text": (
        '"iris"',
        f'"{"x" * 5_000_000}"',
        ":4: data.name: is a text of more than 10000 characters.",
    ),
    "the name of a key": (
        "seeds = 3",
        f"{'x' * 10**6} = 3",
        f":2: {'x' * 57}...: unknown '{'x' * 77}...'. Known: {TOP} "
        "(1 more problem in this file.)",
    ),
    "a key of two lines": (
        "seeds",
        '"a\\nb"',
        f":2: 'a\\nb': unknown 'a\\nb'. Known: {TOP} (1 more problem in this file.)",
    ),
    "NUL in a title": (
        'name = "a"',
        'name = "a"\ntitle = "\\u0000"',
        ":2: title: must be without NUL; received '\\x00'.",
    ),
    "NUL in a path": (
        'name = "iris"',
        'file = "\\u0000.npz"',
        ":4: data.file: must be a path without the character NUL; received "
        "'\\x00.npz'.",
    ),
    "NUL in the text": (
        '"iris"',
        '"\0"',
        ":4: not TOML: Illegal character '\\x00' (column 9).",
    ),
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_too_much_is_refused_at_its_place_at_once(kind):
    old, new, message = LARGE[kind]
    assert GOOD.count(old)
    text = GOOD.replace(old, new, 1)
    before = time.process_time()
    with pytest.raises(StudyError) as refused:
        config.parse(text, "s.toml")
    assert time.process_time() - before < 2
    assert str(refused.value) == f"s.toml{message}"


def test_the_largest_study_is_planned():
    text = GOOD.replace("1e-3", "{from = 1e-9, to = 1, count = 10000}")
    study = config.parse(text.replace("seeds = 3", "seeds = 1"), "s.toml")
    assert len(plan(study, "")) == 10_001


def a_pipe(file):
    os.mkfifo(file)


FILES = {
    "a folder": (os.mkdir, "cannot be read: Is a directory."),
    "a pipe": (a_pipe, "is a device or a pipe, not a file."),
    "a device": (
        lambda file: file.symlink_to("/dev/zero"),
        "is a device or a pipe, not a file.",
    ),
    "more than a study": (
        lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_RDWR), 2**40),
        "holds 1099511627776 bytes; a study file has at most 16777216.",
    ),
    "another encoding": (
        lambda file: file.write_bytes(GOOD.encode("utf-16")),
        "UTF-16 text; a study file is UTF-8.",
    ),
    "another alphabet": (
        lambda file: file.write_bytes("# \u00e9".encode("latin-1")),
        "not UTF-8 text (byte 3).",
    ),
    "nothing": (lambda file: file.touch(), "is empty."),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_study_file_is_refused_unread(kind, tmp_path):
    make, message = FILES[kind]
    file = tmp_path / "s.toml"
    make(file)
    with pytest.raises(StudyError) as refused:
        config.load(file)
    assert str(refused.value) == f"{file}: {message}"


def test_a_path_with_nul_is_refused():
    with pytest.raises(StudyError) as refused:
        config.load(Path("a\0.toml"))
    assert (
        str(refused.value) == "'a\\x00.toml': must be a path without the character NUL."
    )


STUDIES = (
    "l1_vs_l2_digits.toml",
    "sparse_autoencoder.toml",
    "l1_vs_l2/digits_cnn.toml",
    "zeros/digits_published.toml",
    "l1_vs_l2/diabetes.toml",
)
VALUES = (
    *("0", "-1", "1", "true", "nan", "-inf", "1e400", "1e-320", "0.5", "1e30"),
    *("9" * 40, "9" * 5000, "0x" + "f" * 5000, "'x'", "''", '"\\u0000"', "'é'"),
    *("'\u202e\u2028\U0001f600'", "'../..'", "[]", "{}", "[[]]", "[1, 'a']"),
    *("1979-05-27", "{from = 1, to = 2, count = 10000}", "{a = {b = 1}}", "'"),
    *(
        "[" * 300,
        f"[{'1e-3,' * 20_000}]",
        f"'{'x' * 20_000}'",
        f"'{'x' * 9000}'",
        "'kernel'",
        "'L1'",
    ),
)
KEYS = ("x", "'a b'", '"\\n"', "é", "from", "name", "a.b.c", ".".join("k" * 50))


def _lines_dropped(text, draw):
    lines = text.splitlines(keepends=True) or [""]
    start = draw.randrange(len(lines))
    return "".join(lines[:start] + lines[start + draw.randint(1, 3) :])


def _line_doubled(text, draw):
    lines = text.splitlines(keepends=True) or [""]
    lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    return "".join(lines)


def _key_renamed(text, draw):
    lines = text.splitlines(keepends=True) or [""]
    places = [i for i, line in enumerate(lines) if "=" in line and line[0] != "#"]
    place = draw.choice(places or [0])
    key, _, value = lines[place].partition("=")
    key = key[: draw.randint(0, len(key))] + "x" if draw.random() < 0.5 else ""
    lines[place] = f"{key or draw.choice(KEYS)} ={value}"
    return "".join(lines)


def _value_changed(text, draw):
    lines = text.splitlines(keepends=True) or [""]
    places = [i for i, line in enumerate(lines) if "=" in line and line[0] != "#"]
    place = draw.choice(places or [0])
    lines[place] = f"{lines[place].partition('=')[0]}= {draw.choice(VALUES)}\n"
    return "".join(lines)


def _cut(text, draw):
    return text[: draw.randint(0, len(text))]


def _character_put(text, draw):
    place = draw.randint(0, len(text))
    put = draw.choice("\0\r\t\n\"'[]{}#=.,-+e_é\u2028\u202e\ufeff\U0001f600")
    return text[:place] + put + text[place + draw.randint(0, 1) :]


def _sections_swapped(text, draw):
    sections = text.split("\n[")
    draw.shuffle(sections)
    return "\n[".join(sections)


def _sections_many(text, draw):
    head, *rest = text.split("\n[")
    return head + "".join(
        f"\n[{draw.choice(rest or [''])}" for _ in range(draw.choice([9, 999]))
    )


MUTATIONS = (
    *(_lines_dropped, _line_doubled, _key_renamed, _value_changed, _value_changed),
    *(_cut, _character_put, _sections_swapped, _sections_many),
)


@pytest.mark.parametrize("study", STUDIES)
def test_mutated_study_files_are_planned_or_refused_in_a_short_line(study):
    draw = random.Random(study)
    source = (ROOT / "experiments" / study).read_text()
    planned = 0
    for _ in range(280):
        text = source
        for _ in range(draw.randint(1, 3)):
            text = draw.choice(MUTATIONS)(text, draw)
        told, before = "s.toml", time.process_time()
        try:
            plan(config.parse(text, "s.toml"), "")
            planned += 1
        except KregkitError as error:
            told = str(error)
        assert time.process_time() - before < 2, text
        assert told.startswith("s.toml"), text
        assert told.isprintable(), text
        assert len(told) < 1000, text
    # Some of them are studies still, so that planning is tried too.
    assert 3 < planned < 270


def test_every_study_that_is_mutated_is_one():
    for study in STUDIES:
        text = (ROOT / "experiments" / study).read_text()
        assert tomllib.loads(text)
        assert plan(config.parse(text, study), "")


def test_no_two_studies_have_one_name():
    """Each would resume what the other has stored, in `runs/<name>`."""
    files = sorted((ROOT / "experiments").rglob("*.toml"))
    names = [tomllib.loads(file.read_text())["name"] for file in files]
    assert len(names) > 5
    assert sorted(set(names)) == sorted(names)
