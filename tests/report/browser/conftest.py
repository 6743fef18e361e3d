"""Reports in Chromium, which the system has, and what it says while one is open."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import report_store
from helpers.simulated_studies import study
from kregkit.report.page.folder import write
from kregkit.report.several import files_of_several
from kregkit.store import Store

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"none of {', '.join(NAMES)} is installed"
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="session")
def pages(reports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write(files_of_several(dict(map(study, range(3)))), reports / "several")
    runs = tmp_path_factory.mktemp("runs")
    for name in ("plain", "sparse"):
        report_store.write_logged(runs / name)
    named = {name: Store(runs / name).read() for name in ("plain", "sparse")}
    write(files_of_several(named), reports / "runs")
    return reports


class Opened:
    """A page, and what the browser said and asked for while it was open."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.refused: dict[str, str] = {}
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on(
            "requestfailed", lambda one: self.refused.update({one.url: one.failure})
        )
        self.page.goto(file.as_uri())

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.fixture
def opened(browser: Any, pages: Path) -> Iterator[Any]:
    """Return what opens a page by name, with options of a browser context."""
    every: list[Opened] = []

    def open_page(name: str, **options: Any) -> Opened:
        every.append(Opened(browser, pages / name / "index.html", **options))
        return every[-1]

    yield open_page
    for one in every:
        one.context.close()
