import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kregkit.study.file.locate import at, doubled, lines, nodes, shown

BARE = st.from_regex(r"[a-z][a-z0-9_-]{0,3}", fullmatch=True)
QUOTED = st.sampled_from(
    ['"a.b"', "'c d'", '"e # f"', '"[g]"', '"h\\""', "'i = 1'", '"\\u00e9"', "''"]
)
SCALARS = st.sampled_from(
    [
        "1",
        "-2.5e-3",
        "nan",
        "true",
        "1979-05-27 07:32:00Z",
        "0x_ff".replace("_", ""),
        '""',
        "''",
        '"# no comment"',
        "'[no table]'",
        '"a \\" = ]"',
        "'back\\'",
        '"""one"""',
        '"""two " "" quotes"""',
        '"""ends in two"""""',
        "'''ends in ''two'''''",
        '"""\nkey = 1\n[table]\n# "" \\""" x\n"""',
        "'''\n[[sweep]]\nkey = [\n'''",
        '"""a\\\n   b"""',
    ]
)
FILL = st.sampled_from(["", " ", "\n", "\n# ] } , = [\n", "  # 'x\n\n"])
COMMENTS = st.sampled_from(["", "\n", "# a = 1\n", "\n  # [[sweep]]\n", "\t\n"])


class Writer:
    """Writes TOML, and where it put what."""

    def __init__(self):
        self.text = ""
        self.found = {}

    @property
    def line(self):
        return self.text.count("\n") + 1

    def put(self, text):
        self.text += text

    def note(self, path):
        self.found[path] = self.line


def plain(key):
    return next(iter(tomllib.loads(f"{key} = 0")))


def put_value(draw, writer, path, depth):
    kind = draw(st.sampled_from(["scalar", "scalar", "list", "inline"]))
    if kind == "scalar" or depth == 0:
        writer.put(draw(SCALARS))
    elif kind == "list":
        writer.put("[" + draw(FILL))
        count = draw(st.integers(0, 3))
        for index in range(count):
            writer.note((*path, index))
            put_value(draw, writer, (*path, index), depth - 1)
            writer.put(draw(FILL))
            if index < count - 1 or draw(st.booleans()):
                writer.put("," + draw(FILL))
        writer.put("]")
    else:
        writer.put("{ ")
        put_pairs(draw, writer, path, depth - 1, [", "])
        writer.put(" }")


def put_pairs(draw, writer, path, depth, separators):
    stems = draw(st.lists(BARE | QUOTED, max_size=3, unique_by=plain))
    for index, stem in enumerate(stems):
        if index:
            writer.put(draw(st.sampled_from(separators)))
        own = [stem, *draw(st.lists(BARE | QUOTED, max_size=2))]
        inner = (*path, *map(plain, own))
        writer.note(inner)
        writer.put(draw(st.sampled_from([".", " . "])).join(own))
        writer.put(draw(st.sampled_from([" = ", "=", "\t=  "])))
        put_value(draw, writer, inner, depth)
    return stems


@st.composite
def documents(draw):
    writer = Writer()
    writer.put(draw(COMMENTS))
    put_pairs(draw, writer, (), 2, ["\n", "\n\n", " # c\n"])
    counts = {}
    for index in range(draw(st.integers(0, 4))):
        writer.put("\n" + draw(COMMENTS) + draw(st.sampled_from(["", "  "])))
        name = draw(st.sampled_from(["T1", "T2", '"T.3"']))
        if draw(st.booleans()):
            head = (f"[[{name}]]", (plain(name),))
            if head[1] not in writer.found:
                writer.note(head[1])
            counts[name] = counts.get(name, -1) + 1
            path = (plain(name), counts[name])
            writer.note(path)
            writer.put(head[0])
        elif name in counts:
            path = (plain(name), counts[name], f"S{index}")
            writer.note(path)
            writer.put(f"[ {name} . S{index} ]")
        else:
            path = (f"U{index}", plain(name))
            writer.note(path)
            writer.put(f"[U{index}.{name}]")
        writer.put(draw(st.sampled_from(["\n", " # ]\n"])))
        put_pairs(draw, writer, path, 2, ["\n", "\n\n", " # c\n"])
    return writer.text, writer.found


@given(documents())
def test_every_line_is_where_the_writer_put_it(document):
    text, found = document
    tomllib.loads(text)
    assert lines(text) == found
    assert lines(text.replace("\n", "\r\n")) == found


SOURCE = '''\
name = "a"
"quoted key".sub = [1,
  2, # three
  [3]]
text = """
name = "b"
"""
[data]
name = 'x'
[[sweep]]
strength = { from = 1, to = 2 }
[[sweep]]
strength = [1]
[sweep.more]
a = 1
'''


@given(
    st.integers(0, len(SOURCE)), st.integers(0, 3), st.sampled_from("\n\"'[]{}#=.,a")
)
def test_a_changed_text_has_right_lines_or_none(start, length, put):
    # The oracle: a key stands after every whole beginning of the text without it.
    text = SOURCE[:start] + put + SOURCE[start + length :]
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    rows = text.split("\n")
    read = {}
    for count in range(len(rows) + 1):
        try:
            read[count] = set(nodes(tomllib.loads("\n".join(rows[:count]))))
        except tomllib.TOMLDecodeError:
            continue
    found = lines(text)
    for path, line in found.items():
        first = min(count for count, known in read.items() if path in known)
        last_without = max(count for count in read if count < first)
        assert last_without < line <= first


def test_a_scanner_that_disagrees_gives_no_line(monkeypatch):
    monkeypatch.setattr(
        "kregkit.study.file.locate.nodes", lambda document: [("other",)]
    )
    assert lines("a = 1\n") == {}


def test_text_that_is_not_toml_has_no_line():
    assert lines("a = 1\nb\n") == {}
    assert lines("a = \x01\n") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\na = 2\n", (("a",), 2, 1)),
        ("a = 1\nb = 2\n'a' = [\n1]\n", (("a",), 3, 1)),
        ("a.b = 1\na.b = 1\n", (("a", "b"), 2, 1)),
        ("[t]\nx = 1\n[t]\n", (("t",), 3, 1)),
        ("[[t]]\nx = 1\n[[t]]\nx = 1\nx = 1\n", (("t", 1, "x"), 5, 4)),
        ("a = { b = 1, b = 2 }\n", (("a", "b"), 1, 1)),
        ("s = '\u2028'\na = 1\na = 2\n", (("a",), 3, 2)),
        ("a = 1\n[a]\nb = 1\n", (("a",), 2, 1)),
        ("[a]\nb = 1\n[a.b]\n", (("a", "b"), 3, 2)),
        ("a = [1]\n[[a]]\n", (("a", 0), 2, 1)),
        ("a.b = 1\na = 2\n", None),
    ],
)
def test_doubled_key_is_found_up_to_where_tomllib_stops(text, expected):
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    words = str(caught.value).replace(")", "").replace(",", "").split()
    line, column = int(words[-3]), int(words[-1])
    assert doubled(text, line, column) == expected


def test_nodes_are_in_the_documents_order():
    document = {"b": 1, "a": [{"c": 2}, 3]}
    assert nodes(document) == [("b",), ("a",), ("a", 0), ("a", 0, "c"), ("a", 1)]


def test_place_is_written_as_users_write_it():
    path = ("sweep", 1, "strength", 0)
    assert shown(path) == "sweep[1].strength[0]"
    assert at("s.toml", {path: 7}, path) == "s.toml:7: sweep[1].strength[0]"
    assert at("s.toml", {}, path) == "s.toml: sweep[1].strength[0]"
    assert at("s.toml", {}, ()) == "s.toml"
