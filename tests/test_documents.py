"""Every code block of the documents is run, and every link leads somewhere.

The blocks of a document run in their order, in one folder that is empty at first: what
a block needs is made by an earlier one. A Python block is executed with the names of
the earlier ones; one whose first line is a comment with a file name, as `# my.py`, is
written to that file. A TOML block is written to the file that the text before it names,
with one seed in place of five. Of a console block `kregkit` is called, and `make` is
asked whether it knows the target.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from helpers import ROOT
from kregkit import cli

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("reports/*.md")),
    *sorted(ROOT.glob("reports/*/report.md")),
]
WRITTEN = [file for file in DOCUMENTS if "reports" not in file.parts]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
LANGUAGES = {"python", "toml", "console", "text"}
"""Blocks of "text" are trees and formulas."""


def name(file):
    return str(file.relative_to(ROOT))


def text_of(file):
    return file.read_text(encoding="utf-8")


def prose(file):
    """Return a document without its blocks of code and without `code`."""
    return re.sub(r"`[^`\n]*`", "", BLOCK.sub("", text_of(file)))


def blocks(file):
    """Return language, code and the text before each block."""
    text = text_of(file)
    return [(m[1], m[2], text[: m.start()]) for m in BLOCK.finditer(text)]


def in_blocks(*languages):
    return [f for f in WRITTEN if any(kind in languages for kind, *_ in blocks(f))]


def called(code):
    """Return the commands of a console block, word by word."""
    lines = [line for line in code.splitlines() if line.startswith("$ ")]
    assert len(lines) == len(code.splitlines()), "output is not compared"
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]


@pytest.mark.parametrize("file", WRITTEN, ids=name)
def test_every_block_has_a_language_that_is_known(file):
    found = blocks(file)
    assert {kind for kind, *_ in found} <= LANGUAGES
    assert text_of(file).count("```") == 2 * len(found)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return what runs a block, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    names = {}

    def python(code, before):
        if file := re.match(r"# (\w+\.py)\n", code):
            Path(file[1]).write_text(code, encoding="utf-8")
        else:
            exec(code, names)

    def toml(code, before):
        assert "seeds = 5\n" in code
        file = re.findall(r"`([\w-]+\.toml)`", before)[-1]
        one = code.replace("seeds = 5\n", "seeds = 1\n")
        Path(file).write_text(one, encoding="utf-8")

    def console(code, before):
        for command in called(code):
            if command[0] == "make":
                known = ["make", "-n", *command[1:]]
                subprocess.run(known, cwd=ROOT, check=True, capture_output=True)
                continue
            assert command[0] == "kregkit"
            monkeypatch.setattr(sys, "argv", command)
            with pytest.raises(SystemExit) as ended:
                cli.main()
            assert ended.value.code == 0, capsys.readouterr()

    runs = {"python": python, "toml": toml, "console": console}

    def one(kind, code, before):
        if kind in runs:
            runs[kind](code, before)
        return names

    return one


@pytest.mark.parametrize("file", in_blocks("python", "toml", "console"), ids=name)
def test_the_blocks_run_from_top_to_bottom(file, run):
    for block in blocks(file):
        names = run(*block)
    check = MADE.get(name(file))
    if check:
        check(names)


def plotted(*files):
    assert all(Path(file).stat().st_size > 10_000 for file in files)


def quickstart(names):
    plotted("log.png")
    assert names["table"].height == 27


def optimality(names):
    plotted("optimality.png")
    assert names["residuals"]["kkt_residual"].null_count() == 0


def studies(names):
    page = Path("reports/iris_l1_l2/index.html").read_bytes()
    assert page == Path("again/index.html").read_bytes()


def reading(names):
    plotted("mine.png")
    assert names["mine"].trials.height == 1
    page = Path("page/index.html").read_bytes()
    assert page == Path("again/index.html").read_bytes()


MADE = {
    "docs/quickstart.md": quickstart,
    "docs/optimality.md": optimality,
    "docs/studies.md": studies,
    "docs/reading-a-report.md": reading,
}
"""What must be there when the blocks of a document have run."""


def slugs(file):
    """Return the anchors of the headings of a document, as GitHub makes them."""
    found = []
    for head in re.findall(r"^#+ (.*)$", BLOCK.sub("", text_of(file)), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return found


@pytest.mark.parametrize("file", DOCUMENTS, ids=name)
def test_every_relative_link_exists(file):
    missing = []
    for link in LINK.findall(prose(file)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / unquote(path)).resolve() if path else file
        known = target.is_file() and target.is_relative_to(ROOT)
        if not known or (anchor and anchor not in slugs(target)):
            missing.append(link)
    assert missing == []


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= 150


def test_every_document_is_linked_from_the_readme():
    linked = LINK.findall(text_of(ROOT / "README.md"))
    kept = {name(f) for f in WRITTEN} - {"README.md"}
    assert kept <= {link.partition("#")[0] for link in linked}


def test_every_document_is_in_the_navigation_of_the_site():
    listed = re.findall(r"[\w/-]+\.md$", text_of(ROOT / "mkdocs.yml"), re.MULTILINE)
    assert sorted(listed) == sorted([*map(name, WRITTEN), "docs/reference/index.md"])
