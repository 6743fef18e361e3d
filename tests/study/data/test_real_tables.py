"""Tables as irregular as real files, compared with pandas and scikit-learn."""

import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kregkit.errors import DataError
from kregkit.study.data.data import load, rows, split
from kregkit.study.file.config import DataConfig

COUNT = 60
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": RANDOM.normal(size=COUNT).round(3),
        "b": RANDOM.integers(-40, 40, COUNT),
        "y": np.arange(COUNT) % 3,
    }
)
COLOURS = np.array(["red", "green", "blue"])[RANDOM.integers(0, 3, COUNT)]
TEXT = FRAME.to_csv(index=False)
QUOTED = FRAME.to_csv(index=False, quoting=1)


def holes(cell, label=False):
    frame = FRAME.astype(object)
    frame.loc[[4, 9], "y" if label else "a"] = cell
    return frame.to_csv(index=False)


def with_column(values, name="c"):
    return FRAME.assign(**{name: values})[["a", name, "b", "y"]].to_csv(index=False)


def loaded(folder, content, **options):
    content = content.encode() if isinstance(content, str) else content
    (folder / "d.csv").write_bytes(content)
    config = DataConfig(file="d.csv", **{"label": "y", **options})
    return load(config, folder), config


def refused(folder, content, **options):
    with pytest.raises(DataError) as caught:
        loaded(folder, content, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message.removeprefix(f"{folder / 'd.csv'}: ")


SAME = {  # content, and how pandas is told to read it
    "plain": (TEXT, {}),
    "quoted": (QUOTED, {}),
    "semicolons": (TEXT.replace(",", ";"), {"sep": ";"}),
    "decimal commas": (
        TEXT.replace(",", ";").replace(".", ","),
        {"sep": ";", "decimal": ","},
    ),
    "decimal commas, three digits": (
        FRAME.to_csv(index=False, float_format="%.3f", sep=";", decimal=","),
        {"sep": ";", "decimal": ","},
    ),
    "quoted after blanks": (QUOTED.replace(",", ", "), {"skipinitialspace": True}),
    "tabs": (TEXT.replace(",", "\t"), {"sep": "\t"}),
    "bars": (TEXT.replace(",", "|"), {"sep": "|"}),
    "byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), {"encoding": "utf-8-sig"}),
    "lines end in CRLF": (TEXT.replace("\n", "\r\n"), {}),
    "lines end in CR": (TEXT.replace("\n", "\r"), {}),
    "no newline at the end": (TEXT.rstrip("\n"), {}),
    "blank lines": (TEXT.replace("\n", "\n\n"), {}),
    "blanks around": (TEXT.replace(",", "  ,  "), {"sep": r"\s*,\s*"}),
    "exponents": (FRAME.to_csv(index=False, float_format="%.4E"), {}),
    "plus signs": (
        TEXT.replace(",", ",+").replace("+-", "-").replace("+b,+y", "b,y"),
        {},
    ),
    "umlauts": (TEXT.replace("a,b", "größe,b"), {}),
    "quoted newline": (with_column(["x\n1"] * 60).replace("c,", '"c\nd",'), {}),
    "escaped quotes": (with_column(['5" x', "6"] * 30), {}),
    "index of pandas": (FRAME.to_csv(), {"index_col": 0}),
    "index of words": (
        FRAME.set_index(FRAME.index.map("car {}".format)).to_csv(),
        {"index_col": 0},
    ),
    "index read and written": (
        pd.read_csv(io.StringIO(FRAME.to_csv())).to_csv(index=False),
        {"index_col": 0},
    ),
    "separator at the end": (TEXT.replace("\n", ",\n"), {"usecols": ["a", "b", "y"]}),
}


@pytest.mark.parametrize(("content", "options"), SAME.values(), ids=SAME)
def test_a_table_is_what_pandas_reads(content, options, tmp_path):
    raw = content if isinstance(content, bytes) else content.encode()
    engine = "python" if len(options.get("sep", "")) > 1 else None
    frame = pd.read_csv(io.BytesIO(raw), engine=engine, **options)
    data, _ = loaded(
        tmp_path, raw, drop=[n for n in frame if n in ("c", "c\nd")] or None
    )
    inputs = frame.drop(columns=["y", "c", "c\nd"], errors="ignore")
    np.testing.assert_allclose(data.x, inputs.to_numpy(), rtol=1e-12)
    np.testing.assert_array_equal(data.y, frame["y"])
    assert [feature.name for feature in data.features] == list(inputs)


LABELS = {
    "words": np.array(["setosa", "virginica", "a word, with a comma"])[FRAME["y"]],
    "gaps": np.array([5, 0, 2])[FRAME["y"]],
    "negative": np.array([-1, 1, 0])[FRAME["y"]],
    "whole floats": np.array([1.0, 2.0, 3.0])[FRAME["y"]],
    "neighbours beyond 2**53": np.array([2**53 + 1, 2**53, 2**62])[FRAME["y"]],
    "truth": FRAME["y"] > 0,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_classes_are_numbered_as_pandas_sorts_them(labels, tmp_path):
    data, _ = loaded(tmp_path, FRAME.assign(y=labels).to_csv(index=False))
    codes, known = pd.factorize(labels, sort=True)
    np.testing.assert_array_equal(data.y, codes)
    assert data.labels == tuple(known.tolist())
    named = [f"{i} = {label}" for i, label in enumerate(data.labels)]
    assert data.classes in (", ".join(named), None)
    assert (data.classes is None) == (data.labels in [(0, 1), (0, 1, 2)])


MISSING = ["", "?", "NA", "N/A", "nan", "NaN", "null", "  ", "None", "#N/A", " NA "]


@pytest.mark.parametrize("cell", MISSING)
def test_a_missing_value_is_refused_with_column_row_and_cell(cell, tmp_path):
    shown = f"{cell!r} " if cell else ""
    assert refused(tmp_path, holes(cell)) == (
        f"column 'a' has 2 missing values, the first {shown}in row 5. Set missing = "
        "'impute' or 'indicator' for missing values."
    )
    assert refused(tmp_path, holes(cell, label=True), missing="impute") == (
        f"column 'y' has 2 missing values, the first {shown}in row 5."
    )


@pytest.mark.parametrize("cell", MISSING)
@pytest.mark.parametrize("indicator", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_imputing_is_that_of_scikit_learn(cell, indicator, seed, tmp_path):
    frame = FRAME.assign(c=COLOURS).astype(object)
    frame.loc[::7, "a"] = cell
    frame.loc[3::11, "c"] = cell
    missing = "indicator" if indicator else "impute"
    data, config = loaded(tmp_path, frame.to_csv(index=False), missing=missing)
    order = ["a", "b", "c"]
    truth = frame[order].where(frame[order] != cell, np.nan)
    numbers = truth[["a", "b"]].astype(float)
    levels = [sorted({*COLOURS})]
    made = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), ["a", "b"]),
            (
                "words",
                make_pipeline(
                    SimpleImputer(strategy="most_frequent"),
                    OneHotEncoder(categories=levels, sparse_output=False),
                ),
                ["c"],
            ),
        ]
    )
    inputs = numbers.assign(c=truth["c"])
    parts = rows(data, config, seed)
    learned = made.fit(inputs.iloc[parts[0]])
    flags = truth[["a", "c"]].isna().to_numpy()[:, : 2 * indicator].astype(float)
    every = np.hstack([learned.transform(inputs), flags])
    scaled = StandardScaler().fit(every[parts[0]]).transform(every)
    own = split(data, config, seed)
    for part, x in zip(parts, (own.x_train, own.x_val, own.x_test), strict=True):
        np.testing.assert_allclose(x, scaled[part], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("missing", ["impute", "indicator"])
def test_what_is_not_for_training_has_no_influence_on_imputing(missing, tmp_path):
    frame = FRAME.assign(c=COLOURS).astype(object)
    data, config = loaded(tmp_path, frame.to_csv(index=False))
    train, val, test = rows(data, config, 0)
    frame.loc[train[:5], ["a", "c"]] = ""
    other = frame.copy()
    other.loc[[*val, *test], "a"] = 1000.0
    other.loc[[*val, *test], "c"] = "blue"
    own, changed = (
        split(*loaded(tmp_path, one.to_csv(index=False), missing=missing), 0)
        for one in (frame, other)
    )
    np.testing.assert_array_equal(own.x_train, changed.x_train)


def test_a_level_that_training_lacks_is_zero_and_the_model_keeps_its_shape(tmp_path):
    colours = COLOURS.copy()
    colours[7] = "grey"
    data, config = loaded(tmp_path, with_column(colours))
    widths = set()
    for seed in range(8):
        parts = rows(data, config, seed)
        own = split(data, config, seed)
        widths.add(own.x_train.shape[1])
        place = 1 + sorted({*colours}).index("grey")
        for part, x in zip(parts, (own.x_train, own.x_val, own.x_test), strict=True):
            if 7 in part and 7 not in parts[0]:
                assert not x[:, place].any()
    assert widths == {6}


def test_a_column_without_a_value_to_train_on_names_the_seed(tmp_path):
    data, config = loaded(tmp_path, TEXT)
    train, _, _ = rows(data, config, 3)
    frame = FRAME.astype(object)
    frame.loc[train, "a"] = ""
    data, config = loaded(tmp_path, frame.to_csv(index=False), missing="impute")
    with pytest.raises(DataError) as caught:
        split(data, config, 3)
    assert str(caught.value) == (
        "d.csv: column 'a' has no value in the training part of seed 3."
    )


DATES = {
    "ISO": "2020-01-%02d",
    "ISO with time": "2020-01-%02dT10:00:00Z",
    "slashes": "%d/1/2020",
    "dots and time": "%d.1.2020 10:30",
    "month in words": "Jan %d, 2020",
}
FOR_READERS = (
    *("$%d.50", "%d%%", "%d €", "-$%d", "$-%d", "₹%d", "\u2212%d", "(%d.25)"),
    *("1,%d", "1\xa0%d", "1\u202f%d", "1_%d", "12,34,%d", "1'%d.5", "%d.0D+05"),
)
WAYS = " Set drop = ['c'] to leave columns out."
ODD = {
    "one word": (
        ["oops", *[1.5] * 59],
        "column 'c' holds numbers and 1 other value, 'oops' in row 1." + WAYS,
    ),
    "words": (
        [*[1.5] * 57, "x", "y", "z"],
        "column 'c' holds numbers and 3 other values, the first 'x' in row 58." + WAYS,
    ),
    "infinite": (
        [*[1.5] * 59, "inf"],
        "column 'c' has 1 value that is infinite or too large, 'inf' in row 60." + WAYS,
    ),
    "5,000 digits": (
        [*[1.5] * 59, "9" * 5000],
        f"column 'c' has 1 value that is infinite or too large, '{'9' * 38}…' in row "
        "60." + WAYS,
    ),
    "identifier": (
        [f"id{i:02}" for i in range(60)],
        "column 'c' has a different word in every row, such as 'id00': an identifier "
        "is no input." + WAYS,
    ),
    "many words": (
        [f"w{i % 30:02}" for i in range(60)],
        "column 'c' has 30 different words, such as 'w00'; at most 20 become inputs. "
        "Set max_levels = N for more words, drop = ['c'] to leave columns out.",
    ),
    "no value": ([""] * 60, "column 'c' has no value in any row." + WAYS),
    **{
        form: (
            [form % (i % 27 + 1) for i in range(60)],
            f"column 'c' holds dates or times, the first '{form % 1}' in row 1." + WAYS,
        )
        for form in DATES.values()
    },
    **{
        form: (
            [form % (100 + i % 9) for i in range(60)],
            "column 'c' holds numbers with signs or separated thousands, the first "
            f"{form % 100!r} in row 1." + WAYS,
        )
        for form in FOR_READERS
    },
}


@pytest.mark.parametrize(("values", "message"), ODD.values(), ids=ODD)
def test_a_column_that_is_no_input_is_refused_and_can_be_dropped(
    values, message, tmp_path
):
    content = with_column(values)
    assert refused(tmp_path, content) == message
    data, _ = loaded(tmp_path, content, drop="c")
    np.testing.assert_allclose(data.x, FRAME[["a", "b"]])
    assert "'c' left out by `drop`" in data.notes


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("label", [False, True])
def test_a_comma_that_may_separate_thousands_is_no_decimal_comma(
    separator, label, tmp_path
):
    """As Excel saves tabs, cells as they are shown: 950 and 1,200 are numbers."""
    shown = ["950", "1,200", "12,500", "980", "1,234,567", "990"] * 10
    frame = FRAME.assign(c=FRAME["y"], y=shown) if label else FRAME.assign(c=shown)
    name, hint = ("y", "") if label else ("c", WAYS)
    assert refused(tmp_path, frame.to_csv(index=False, sep=separator)) == (
        f"column '{name}' holds numbers and 30 other values, the first '1,200' in row "
        "2." + hint
    )


@pytest.mark.parametrize("blank", [False, True])
def test_points_beside_decimal_commas_may_separate_thousands(blank, tmp_path):
    shown = ["950", "1.200", "12.500", "" if blank else "980"] * 15
    content = FRAME.assign(c=shown).to_csv(index=False, sep=";", decimal=",")
    assert refused(tmp_path, content, missing="impute") == (
        "column 'c' holds points that may separate thousands, as the file has decimal "
        "commas, the first '1.200' in row 2." + WAYS
    )
    plain = FRAME.assign(c=shown).to_csv(index=False, sep=";")
    data, _ = loaded(tmp_path, plain, missing="impute")
    np.testing.assert_allclose(data.x[:3, 2], [950, 1.2, 12.5])


def test_quotes_within_cells_after_blanks_stay(tmp_path):
    values = ['b "x" c', ' "x" y'] * 30
    content = "c,a,y\n" + "".join(
        f"{c},{a},{y}\n" for c, a, y in zip(values, FRAME["a"], FRAME["y"], strict=True)
    )
    data, _ = loaded(tmp_path, content)
    assert data.features[0].width == 2
    assert data.x.shape == (60, 3)


def test_every_problem_of_a_file_is_in_one_message(tmp_path):
    frame = FRAME.assign(
        c=["oops", *[1.5] * 59],
        d=[f"id{i:02}" for i in range(60)],
        e=["?", *"12" * 29, 3],
    )
    assert refused(tmp_path, frame.to_csv(index=False)) == (
        "column 'c' holds numbers and 1 other value, 'oops' in row 1; column 'd' has "
        "a different word in every row, such as 'id00': an identifier is no input; "
        "column 'e' has 1 missing value, '?' in row 1. Set missing = 'impute' or "
        "'indicator' for "
        "missing values, drop = ['c', 'd'] to leave columns out."
    )


def test_of_many_problems_the_first_are_told(tmp_path):
    frame = FRAME.assign(**{f"c{i:03}": "?" for i in range(300)})
    message = refused(tmp_path, frame.to_csv(index=False))
    assert message.startswith("column 'c000' has no value in any row; column 'c001' ")
    assert "; and 292 more columns. Set drop = ['c000', " in message


def test_more_levels_become_inputs_where_the_study_says(tmp_path):
    content = with_column([f"w{i % 30:02}" for i in range(60)])
    data, _ = loaded(tmp_path, content, max_levels=30)
    assert data.x.shape == (60, 32)


NOTED = {
    "unnamed": (FRAME.to_csv(), "column 1, without a name, left out as an index"),
    "counts": (
        with_column(np.arange(60) + 1000),
        "'c' counts the rows, like an identifier, and is an input",
    ),
    "shuffled": (
        with_column(RANDOM.permutation(60)),
        "'c' counts the rows, like an identifier, and is an input",
    ),
    "dates": (
        with_column(20200101 + np.arange(60) % 28),
        "'c' looks like dates, such as 20200101",
    ),
    "nothing": (TEXT, None),
    "years": (with_column(1960 + np.arange(60) % 50), None),
}


@pytest.mark.parametrize(("content", "note"), NOTED.values(), ids=NOTED)
def test_what_a_column_looks_like_is_noted(content, note, tmp_path):
    data, _ = loaded(tmp_path, content)
    told = "2 columns" if note is None or "left out" in note else "3 columns"
    notes = data.notes.replace("3 columns", "2 columns") if note is None else data.notes
    rest = f"; {note}" if note else ""
    assert notes == f"{told}, each column standardised{rest}"


BROKEN = {
    "empty": ("", "is empty."),
    "blank": ("\n\n", "is empty."),
    "first line alone": ("a,b,y\n", "has no row below its first line."),
    "no first line": (
        TEXT.split("\n", 1)[1],
        "its first line must name the columns, 'y' among them; holds '0.126', '5', "
        "'0'.",
    ),
    "two of one name": (
        TEXT.replace("b,y", "y,y"),
        "2 columns are named 'y': the columns 2, 3.",
    ),
    "two inputs of one name": (
        TEXT.replace("a,b", "a, a"),
        "2 columns are named 'a': the columns 1, 2.",
    ),
    "no name": (
        TEXT.replace("a,b", "a,"),
        "columns without a name: 2; name them in the first line.",
    ),
    "latin-1": (
        TEXT.replace("a,b", "é,b").encode("latin-1"),
        "is not UTF-8 text: byte 0xe9 in line 1; save it as UTF-8.",
    ),
    "UTF-16": (TEXT.encode("utf-16"), "is UTF-16; save it as UTF-8."),
    "NUL": (TEXT + "1,\0,1\n", "is not UTF-8 text: byte 0x00 in line 62."),
    "a short row": (
        TEXT + "1,2\n" + TEXT[6:],
        "row 61 has 2 values, and the first line names 3 columns.",
    ),
    "a long row": (
        TEXT + "1,2,3,4\n",
        "row 61 has 4 values, and the first line names 3 columns.",
    ),
    "a quote that is not closed": (
        TEXT + '"1,2,3\n' + TEXT[6:],
        "row 61 (line 62): a quote is not closed.",
    ),
    "labels of 5,000 digits": (
        TEXT + f"1,2,{'9' * 5000}\n",
        f"column 'y' has 1 value that is infinite or too large, '{'9' * 38}…' in row "
        "61.",
    ),
    "labels beyond int64": (
        TEXT + f"1,2,{10**20}\n",
        "column 'y' has the label 1e+20 in row 61, too large to be exact; "
        "number the classes 0, 1, ..., or set task = 'regression'.",
    ),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_short_line(content, message, tmp_path):
    assert refused(tmp_path, content) == message


@pytest.mark.parametrize("option", ["label", "drop"])
def test_an_unknown_column_names_some_that_are_known(option, tmp_path):
    wide = pd.DataFrame({f"c{i}": [1, 2] for i in range(400)} | {"y": [0, 1]})
    message = refused(tmp_path, wide.to_csv(index=False), **{option: "z"})
    known = ", ".join(f"'c{i}'" for i in range(8))
    assert message == f"column: unknown 'z'. Known: {known} and 393 more."


def test_an_unknown_column_beside_a_name_of_two_lines_is_told_on_one(tmp_path):
    content = FRAME.rename(columns={"a": "a\nof it"}).to_csv(index=False)
    message = refused(tmp_path, content, label="z")
    assert message == "column: unknown 'z'. Known: 'a\\nof it', 'b', 'y'."


PARQUET = {
    "truth": ([True, False] * 30, [1, 0] * 30),
    "decimals": (pl.Series([1.25, 2.5] * 30).cast(pl.Decimal(10, 2)), [1.25, 2.5] * 30),
    "small integers": (pl.Series([1, 200] * 30, dtype=pl.UInt8), [1, 200] * 30),
    "categories": (pl.Series(["v", "u"] * 30, dtype=pl.Categorical), [[0, 1], [1, 0]]),
    "enum": (pl.Series(["v", "u"] * 30, dtype=pl.Enum(["v", "u"])), [[0, 1], [1, 0]]),
    "words": (["v", "u"] * 30, [[0, 1], [1, 0]]),
    "numbers in words": (["2", "10"] * 30, [2, 10] * 30),
    "nulls": ([None, 1.5] * 30, [np.nan, 1.5] * 30),
    "NaN": ([np.nan, 1.5] * 30, [np.nan, 1.5] * 30),
    "null words": ([None, "v", "u"] * 20, [[np.nan, np.nan], [0, 1], [1, 0]]),
}


@pytest.mark.parametrize(("values", "expected"), PARQUET.values(), ids=PARQUET)
def test_parquet_keeps_its_types(values, expected, tmp_path):
    frame = pl.DataFrame({"c": values, "y": FRAME["y"].to_list()})
    frame.write_parquet(tmp_path / "d.parquet")
    config = DataConfig(file="d.parquet", label="y", missing="impute")
    data = load(config, tmp_path)
    expected = np.reshape(np.resize(expected, (60, data.x.shape[1])), data.x.shape)
    np.testing.assert_array_equal(data.x, expected)
    assert not np.isnan(split(data, config, 0).x_train).any()


def test_parquet_columns_that_are_no_inputs_are_refused(tmp_path):
    frame = pl.DataFrame({"y": [0, 1] * 30}).with_columns(
        day=pl.date(2020, 1, 1), many=pl.concat_list("y", "y")
    )
    frame.write_parquet(tmp_path / "d.parquet")
    with pytest.raises(DataError) as caught:
        load(DataConfig(file="d.parquet", label="y"), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'd.parquet'}: column 'day' holds dates or times (Date); column "
        "'many' holds List(Int64), neither numbers nor words. Set drop = ['day', "
        "'many'] to leave columns out."
    )


@pytest.mark.parametrize("seeds", [1, 8])
def test_every_seed_is_tried_before_training(seeds, tmp_path):
    from kregkit.study.file import config as studies
    from kregkit.study.problem.resolve import resolve

    data, config = loaded(tmp_path, TEXT)
    held = [{*np.concatenate(rows(data, config, seed)[1:])} for seed in range(8)]
    late = min(held[7] - held[0])
    frame = FRAME.assign(a=FRAME["a"].where(FRAME.index != late, 1e300))
    loaded(tmp_path, frame.to_csv(index=False))
    file = tmp_path / "s.toml"
    file.write_text(
        f'name = "s"\nseeds = {seeds}\n[data]\nfile = "d.csv"\nlabel = "y"\n[model]\n'
        'name = "linear"\n[train]\nepochs = 1\n[[sweep]]\nregularizer = "L1"\n'
        'target = "kernel"\nstrength = 1.0\n'
    )
    if seeds == 1:
        resolve(studies.load(file)[0], file)
        return
    with pytest.raises(DataError) as caught:
        resolve(studies.load(file)[0], file)
    first = next(seed for seed in range(8) if late in held[seed])
    assert str(caught.value) == (
        f"{file}:3: data: d.csv: the value 1e+300 in row {late + 1} of column 'a' is "
        f"too large to be scaled by the training part of seed {first}."
    )
