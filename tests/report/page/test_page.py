import base64
import csv
import hashlib
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import kregkit.report
from helpers import report_store
from helpers.parsed import Parsed
from helpers.report_store import FAILED, HOSTILE
from kregkit.report import load
from kregkit.report.data.tables import Tables
from kregkit.report.page import markdown
from kregkit.report.page.page import Entry, Page, Section, Table
from kregkit.store import Store

STORES = ("three", "six", "logged")


@pytest.fixture(scope="session", params=STORES)
def page(request: pytest.FixtureRequest, reports: Path) -> Path:
    return reports / request.param


def parsed(page: Path) -> Parsed:
    return Parsed((page / "index.html").read_text())


def test_the_page_refers_to_nothing_outside_its_folder(page: Path) -> None:
    links = [*parsed(page).values("href", "src", "xlink:href", "srcset", "data")]
    assert links
    for link in links:
        inside = link.startswith(("#", "data:image/png;base64,"))
        assert inside or (page / link).is_file()
    text = (page / "index.html").read_text()
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}


def test_ids_are_unique_and_every_reference_is_to_one(page: Path) -> None:
    one = parsed(page)
    ids = list(one.values("id"))
    assert len(ids) == len(set(ids))
    text = (page / "index.html").read_text()
    links = [x for x in one.values("href", "xlink:href") if x.startswith("#")]
    for reference in [*links, *re.findall(r"url\((#[^)]+)\)", text)]:
        assert reference[1:] in set(ids)


def test_the_page_runs_its_own_script_alone_and_is_small(page: Path) -> None:
    one = parsed(page)
    assert [tag for tag, _ in one.elements].count("script") == 1
    text = (page / "index.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    own = Path(kregkit.report.__file__).parent / "page" / "page.js"
    assert script == own.read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (a["content"] for _, a in one.elements if a.get("http-equiv"))
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    assert not [n for _, a in one.elements for n in a if n.startswith("on")]
    assert (page / "index.html").stat().st_size < 5e6


def test_every_figure_is_named_in_numbers(page: Path) -> None:
    drawn = [a for tag, a in parsed(page).elements if tag == "svg"]
    figures = [a for a in drawn if a.get("aria-hidden") != "true"]
    assert len(drawn) == len(figures) + 1  # the letters of all of them
    assert len(figures) == len(list((page / "figures").glob("*.svg")))
    for figure in figures:
        assert figure["role"] == "img"
        assert re.search(r"\d", str(figure["aria-label"]))


def test_no_clock_no_path_and_no_random_id(page: Path, stores: Path) -> None:
    for file in page.rglob("*"):
        if file.is_file():
            text = file.read_text()
            assert str(stores) not in text
            assert str(page) not in text
            assert not re.search(r"\b20\d\d-\d\d-\d\d\b|\d\d:\d\d:\d\d", text)


def test_markdown_shows_each_figure_that_the_page_has(page: Path) -> None:
    text = (page / "report.md").read_text()
    shown = re.findall(r"!\[(?:\\.|[^\]])*\]\(([^)]+)\)", text)
    assert sorted(shown) == sorted(f"figures/{f.name}" for f in page.glob("figures/*"))


def test_lines_of_a_cell_stay_apart_in_markdown() -> None:
    table = Table("Named", ("Use",), ((Entry("L1\n+ | L2", "of\ntwo"),),))
    page = Page("T", "", (Section("s", "S", "S", tables=(table,)),))
    assert b"\n| L1<br>\\+ \\| L2 (of two) |\n" in markdown.render(page)


def test_markdown_has_the_sentences_of_the_page(page: Path) -> None:
    plain = re.sub(r"\\(.)", r"\1", (page / "report.md").read_text())
    sentences = re.findall(r"^- (?:\*\*(.+?)\.\*\* )?([^*].+)$", plain, re.MULTILINE)
    assert sentences
    shown = parsed(page).text
    for about, text in sentences:
        assert about in shown
        assert text in shown


def test_a_hostile_title_is_text(reports: Path) -> None:
    one = parsed(reports / "six")
    assert HOSTILE in one.text
    (title, *_) = (reports / "six/report.md").read_text().splitlines()
    assert title == (
        r"# \<script\>alert(1)\</script\> \[x\](http:/&#47;x.example) \$y\$ \| \*z\*"
    )


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("# x", r"\# x"),
        ("- x", r"\- x"),
        ("12. x", r"12\. x"),
        ("12.5 %", "12.5 %"),
        ("a\nb", "a b"),
        ("![a](b)", r"!\[a\](b)"),
        ("&lt; `c` _d_ ~e~", r"\&lt; \`c\` \_d\_ \~e\~"),
        ("www.x.org", "www&#46;x.org"),
        ("\\", r"\\"),
    ],
)
def test_markdown_is_neutralised(plain: str, escaped: str) -> None:
    assert markdown.text(plain) == escaped


def test_every_table_of_results_begins_with_the_baseline(reports: Path) -> None:
    text = (reports / "three/index.html").read_text()
    bodies = re.findall(r"Strength</th>.*?<tbody>(.*?)</tbody>", text, re.DOTALL)
    assert len(bodies) == 1 + 3 * (4 + 9)
    for body in bodies:
        assert body.strip().startswith('<tr class="baseline">')


def test_entries_of_the_page_are_the_numbers_of_the_tables(
    reports: Path, read: Callable[[str], Tables]
) -> None:
    text = (reports / "three/report.md").read_text()
    with (reports / "three/tables/cells.csv").open() as file:
        cells = [
            row
            for row in csv.DictReader(file)
            if row["measure"] == "test_score" and row["target"] == "kernel"
        ]
    assert len(cells) == 6
    for cell in cells:
        score, effect = float(cell["mean"]), 100 * float(cell["effect"])
        sign = f"{effect:+.1f}".replace("-", "−")
        sign = "≈0" if float(f"{effect:.1f}") == 0 else sign
        strength = f"1e-{round(-math.log10(float(cell['strength'])))}"
        row = rf"\| {cell['regularizer']} \| {strength}[^|]*\| {100 * score:.1f} % "
        assert re.search(row + re.escape(f"({sign} pt)"), text)


def test_failed_trials_are_shown_with_their_epoch(reports: Path) -> None:
    text = (reports / "three/report.md").read_text()
    assert f"| {FAILED:016x} | L1 1e-3 | the kernel W | 1 | 4 |" in text
    assert "| L1 | 1e-3 (1 of 3 seeds failed) |" in text
    assert "Failed trials" not in (reports / "six/report.md").read_text()


def test_the_command_that_reproduces_it_is_shown(reports: Path) -> None:
    assert "kregkit run synthetic.toml" in parsed(reports / "three").text
    assert "    kregkit run synthetic.toml" in (reports / "six/report.md").read_text()
    assert "kregkit run run.toml" not in parsed(reports / "logged").text


def test_a_page_without_exact_zeros_in_kernels_never_says_sparse(
    reports: Path,
) -> None:
    text = parsed(reports / "three").text
    text = text[text.index("Mean of 3 seeds") :]  # after the claims, which are quoted
    kernels = re.sub(r"b is sparser than.*?\)\.\s", "", text)
    assert "sparse" not in kernels
    assert "W is sparser" in parsed(reports / "six").text


def test_a_logged_run_is_described_and_not_compared(reports: Path) -> None:
    page = parsed(reports / "logged")
    text = page.text
    assert "compares nothing" not in text
    assert "‖W‖: 16.0" in [*page.values("title")]
    assert "fell by" not in text
    assert "operating" not in " ".join(p.name for p in reports.glob("logged/tables/*"))


def made(path: Path) -> dict[str, str]:
    return {name: data.decode() for name, data in load(path).files.items()}


def test_other_layers_solvers_and_parameters_are_told_apart(tmp_path: Path) -> None:
    common = {"regularizer": "L1L2", "target": "kernel", "strength": 1e-3}
    swept = [
        report_store.BASELINE,
        *(
            {**common, "layers": layers, "solver": solver, "parameters": ratio}
            for layers, solver, ratio in (
                ("*", "gradient", '{"ratio": 0.1}'),
                ("*", "gradient", '{"ratio": 0.9}'),
                ("$h_$", "proximal", '{"ratio": 0.9}'),
            )
        ),
        {**common, "regularizer": "MCP", "layers": "*", "solver": "gradient"},
    ]
    found = made(report_store.write_study(tmp_path, swept, seeds=1))
    page = Parsed(found["index.html"])
    ids = list(page.values("id"))
    assert len(ids) == len(set(ids))
    assert "L1L2 · ratio 0.9 · proximal · $h_$" in page.text


def test_a_regression_is_reported_in_r_squared(tmp_path: Path) -> None:
    swept = report_store.cells([1e-4], ["bias"], ["L2"])
    score = {"task": "regression", "test_score": 0.456}
    path = report_store.write_study(tmp_path, swept, seeds=2, finals=score)
    text = made(path)["report.md"]
    assert "within R² 0.02 of the baseline's" in text
    assert "test score 0.456" in text


@pytest.mark.parametrize("fails", [range(2), range(2, 4), range(4)])
def test_a_study_of_failures_is_still_reported(tmp_path: Path, fails: range) -> None:
    swept = report_store.cells([1e-4], ["kernel"], ["L1"])
    path = report_store.write_study(tmp_path, swept, seeds=2, fails=fails)
    text = made(path)["report.md"]
    failed = text[text.index("## Failed trials") :]
    assert failed.count("| 4 |") == len(fails)
    assert "No strength of the sweep keeps" in text
    if 0 in fails:
        assert "Its trials are missing or failed in every seed." in text


def test_steps_are_the_time_where_epochs_do_not_tell_moments_apart(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    store.begin()
    rows, _, tensors = report_store.train("a", {}, 0)
    for row in rows:
        row["epoch"] //= 2
    final = {"study": None, "trial": "a", "status": "done", "schema_version": 1}
    store.write(rows, [final], tensors)
    text = made(tmp_path)["report.md"]
    assert text.startswith("# A training run\n")
    assert "against the step." in text


def test_trials_csv_lists_every_trial(reports: Path) -> None:
    with (reports / "three/tables/trials.csv").open() as file:
        trials = list(csv.DictReader(file))
    assert len(trials) == 57
    assert [t["trial"] for t in trials if t["failed"] == "true"] == [f"{FAILED:016x}"]
    assert json.loads(trials[-1]["parameters"]) == {}
