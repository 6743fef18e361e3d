"""The elements of a page."""

from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Parsed(HTMLParser):
    """The elements, attributes and text of a page; checks that tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *names: str) -> Iterator[str]:
        for _, attributes in self.elements:
            for name in names:
                if attributes.get(name):
                    yield str(attributes[name])
