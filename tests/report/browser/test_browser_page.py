"""The page in Chromium: what a reader sees and does. `make test-browser`."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers.report_store import HOSTILE

pytestmark = pytest.mark.browser

PAGES = ("three", "six", "logged", "several", "runs")
COMPARED = ("three", "six", "several")
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"


def unfold(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


@pytest.mark.parametrize("name", PAGES)
def test_it_loads_without_an_error_or_a_request(opened: Any, name: str) -> None:
    one = opened(name)
    one.page.mouse.wheel(0, 5000)
    unfold(one.page)
    assert one.said == []
    inside = [url for url in one.asked if url.startswith("data:image/png;base64,")]
    assert len(one.asked) - len(inside) == 1  # itself


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(opened: Any, name: str, scheme: str) -> None:
    one = opened(name, color_scheme=scheme)
    unfold(one.page)
    one.page.evaluate(AXE.read_text())
    found = one.page.evaluate("async () => (await axe.run()).violations")
    bad = [
        (rule["id"], [node["target"] for node in rule["nodes"]][:3])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert bad == []


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen(opened: Any, name: str, width: int) -> None:
    one = opened(name, viewport={"width": width, "height": 800})
    unfold(one.page)
    root = "document.documentElement"
    assert one.page.evaluate(f"{root}.scrollWidth") <= width
    wide = one.page.evaluate(
        "width => [...document.querySelectorAll('figure, p, li, dl, h1, h2, svg')]"
        ".filter(one => one.getBoundingClientRect().width > width)"
        ".map(one => one.outerHTML.slice(0, 80))",
        width,
    )
    assert wide == []


SCREEN = 800


@pytest.mark.parametrize("name", PAGES)
def test_the_answer_comes_first_and_the_page_is_short(opened: Any, name: str) -> None:
    page = opened(name, viewport={"width": 1280, "height": SCREEN}).page
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height <= 8 * SCREEN
    words = page.evaluate(
        "(document.body.innerText.match(/[A-Za-z]{2,}/g) || []).length"
    )
    assert words <= 1200
    top = page.evaluate("document.querySelector('h1').getBoundingClientRect().top")
    figure = page.query_selector("main figure").bounding_box()
    assert figure["y"] - top <= 400
    answer = page.query_selector("#answer")
    assert answer.query_selector("figure.matrix").bounding_box()["y"] < SCREEN
    assert answer.query_selector(".sayings").is_visible()
    assert [one for one in page.query_selector_all("details[open]")] == []


def test_a_link_to_what_is_folded_unfolds_it(opened: Any) -> None:
    page = opened("three").page
    table = page.query_selector("#claim-1 table")
    assert not table.is_visible()
    page.evaluate("location.hash = '#claim-1'")
    page.wait_for_selector("#claim-1 table", state="visible", timeout=5000)
    assert table.is_visible()


def texts(table: Any, column: int) -> list[str]:
    """The values of a column, without the effects below them."""
    return table.evaluate(
        "(table, column) => [...table.tBodies[0].rows]"
        ".map(row => row.cells[column].firstChild?.textContent.trim() ?? '')",
        column,
    )


def parsed(text: str) -> float | None:
    plain = text.replace("−", "-").replace(",", "").lstrip("<>≈+")
    found = re.match(r"-?\d+(\.\d+)?(e-?\d+)?", plain)
    return float(found[0]) if found else None


@pytest.mark.parametrize("name", COMPARED)
def test_every_column_of_numbers_sorts(opened: Any, name: str) -> None:
    one = opened(name)
    sorted_ones = 0
    unfold(one.page)
    for table in one.page.query_selector_all("figure.table table"):
        heads = table.query_selector_all("thead th")
        if heads[0].query_selector("button") is None:
            assert len(texts(table, 0)) < 3
            continue
        for column, head in enumerate(heads):
            before = texts(table, column)
            known = [parsed(text) for text in before if text not in ("–", "")]
            if not known or None in known:
                continue
            rest = [text for text in before if text in ("–", "")]
            for state, backwards in (("ascending", False), ("descending", True)):
                head.query_selector("button").click()
                assert head.get_attribute("aria-sort") == state
                after = texts(table, column)
                kept = len(after) - len(rest)
                assert after[kept:] == rest
                expected = sorted(known, reverse=backwards)
                assert [parsed(text) for text in after[:kept]] == expected
            head.query_selector("button").click()
            assert head.get_attribute("aria-sort") is None
            assert texts(table, column) == before
            sorted_ones += 1
    assert sorted_ones > 5


def test_names_sort_with_the_numbers_in_them(opened: Any) -> None:
    page = opened("three").page
    unfold(page)
    table = page.query_selector("#run table")
    head = table.query_selector("thead th button")
    head.press("Enter")
    after = texts(table, 0)
    key = [
        [int(p) if p.isdigit() else p.lower() for p in re.split(r"(\d+)", t)]
        for t in after
    ]
    assert key == sorted(key)


def test_a_filter_shows_the_rows_that_hold_every_word(opened: Any) -> None:
    page = opened("three").page
    unfold(page)
    found = page.query_selector_all("figure.table:has(.filter)")
    assert found
    for figure in found:
        rows = figure.query_selector_all("tbody tr")
        assert len(rows) > 12
        every = [" ".join(row.text_content().split()) for row in rows]
        words = every[3].split()[0].lower() + " " + every[3].split()[-1].lower()
        figure.query_selector("input").fill(words)
        expected = [t for t in every if all(w in t.lower() for w in words.split())]
        shown = [r for r in rows if r.is_visible()]
        assert [" ".join(r.text_content().split()) for r in shown] == expected
        count = figure.query_selector("[role=status]").text_content()
        assert count == f"{len(expected)} of {len(every)} rows"
        figure.query_selector("input").fill("")
        assert all(row.is_visible() for row in rows)


def color(page: Any, selector: str, name: str) -> str:
    return page.eval_on_selector(selector, f"one => getComputedStyle(one)['{name}']")


@pytest.mark.parametrize("first", ["light", "dark"])
def test_the_theme_is_the_system_s_until_it_is_changed(opened: Any, first: str) -> None:
    page = opened("three", color_scheme=first).page
    back, ink = {}, {}
    for theme in (first, {"light": "dark", "dark": "light"}[first]):
        back[theme] = color(page, "body", "background-color")
        ink[theme] = color(page, "figure svg g[style*='--ink']", "fill")
        page.click("#theme")
    assert color(page, "body", "background-color") == back[first]

    def light(text: str) -> float:
        return sum(map(int, re.findall(r"\d+", text)[:3])) / 765

    assert light(back["light"]) > 0.9 > 0.2 > light(back["dark"])
    assert light(ink["dark"]) > 0.8 > 0.3 > light(ink["light"])


def stored(stores: Path, table: str) -> pl.DataFrame:
    parts = sorted((stores / "three").rglob(f"{table}.parquet"))
    return pl.concat([pl.read_parquet(part) for part in parts], how="diagonal_relaxed")


def test_a_point_tells_its_value(opened: Any, stores: Path) -> None:
    page = opened("three").page
    unfold(page)
    finals = stored(stores, "finals")
    own = finals.filter(target="kernel", regularizer="L1", status="done")
    asked = 0
    figure = page.query_selector(
        "#target-kernel figure:has(svg[aria-label^='Test score'])"
    )
    for line in figure.query_selector_all("g[data-told^='L1 ']"):
        for mark in line.query_selector_all("use"):
            mark.scroll_into_view_if_needed()
            box = mark.bounding_box()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            told = page.query_selector("#told")
            assert told.is_visible()
            about = told.query_selector("b").text_content()
            text = told.text_content().removeprefix(about)
            if about.endswith("mean"):  # it hides a seed
                continue
            strength = float(about.split()[-1])
            scores = own.filter(strength=strength)["test_score"]
            assert text in [f"{100 * score:.4g} %" for score in scores]
            asked += 1
    assert asked > own.height / 2
    page.mouse.move(5, 5)
    assert not page.query_selector("#told").is_visible()


def test_a_cell_of_a_map_tells_its_value(opened: Any, stores: Path) -> None:
    page = opened("three").page
    unfold(page)
    baseline = stored(stores, "finals").filter(pl.col("regularizer").is_null())
    rows = stored(stores, "rows").filter(epoch=10, role="kernel")
    rows = rows.join(baseline, "trial", "semi")
    svg = page.query_selector("#target-kernel figure svg[aria-label*='by layer']")
    svg.scroll_into_view_if_needed()
    for layer in ("hidden_1", "hidden_2", "output"):
        about = f"{layer}: ∣W∣ ≤ 1e-3"
        place = svg.query_selector(f"g[data-told^='{about}'] path").bounding_box()
        page.mouse.move(place["x"] + 2, place["y"] + 2)  # the first column
        near = rows.filter(layer=layer)["near_zero_fraction"].mean()
        told = page.text_content("#told")
        assert told == f"{about}{100 * near:.1f} % at none"


def test_a_page_is_whole_without_scripts(opened: Any) -> None:
    plain, other = opened("three", java_script_enabled=False), opened("three")
    assert plain.page.query_selector("button") is None
    for selector in ("h2", "tbody tr", "figure svg", "dl dt"):
        both = [len(one.page.query_selector_all(selector)) for one in (plain, other)]
        assert both[0] == both[1] > 0


def test_a_keyboard_reaches_the_text_and_the_tables(opened: Any) -> None:
    page = opened("three").page
    page.keyboard.press("Tab")
    skip = page.evaluate("document.activeElement.className")
    assert skip == "skip"
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash.length > 1")
    first = page.query_selector("main > section").get_attribute("id")
    assert page.evaluate("location.hash") == f"#{first}"
    unfold(page)
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.closest('th, .scroll')?.tagName")
        )
    assert {"TH", "DIV"} <= reached


def test_paper_is_white_and_has_no_controls(opened: Any, tmp_path: Path) -> None:
    page = opened("three", color_scheme="dark").page
    page.emulate_media(media="print")
    ink = color(page, "h1", "color")
    assert ink == "rgb(31, 36, 48)"
    for selector in ("nav", "#theme", ".filter"):
        for one in page.query_selector_all(selector):
            assert not one.is_visible()
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_a_hostile_title_is_shown_and_does_nothing(opened: Any) -> None:
    one = opened("six")
    assert one.page.inner_text("h1") == HOSTILE
    assert one.said == []


def test_the_policy_lets_nothing_else_run_or_load(opened: Any) -> None:
    one = opened("three")
    one.page.evaluate(
        "() => { const s = document.createElement('script'); s.text = 'window.ran = 1';"
        "document.body.append(s);"
        "const i = new Image(); i.src = 'https://x.example/'; }"
    )
    one.page.wait_for_timeout(200)
    assert one.page.evaluate("window.ran") is None
    assert one.refused == {"https://x.example/": "csp"}
    assert len([text for text in one.said if "Content Security Policy" in text]) == 2
