"""Readers of a rendered page."""

from html.parser import HTMLParser

Tags = list[tuple[str, dict[str, str | None]]]


class _Reader(HTMLParser):
    """Collects elements with their attributes, and the text outside the style sheet."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Tags = []
        self.text = ""
        self.style = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "style" and not self.style:
            self.style = data
        self.text += data


def read_page(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def page_skeleton(html: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(attributes)) for tag, attributes in read_page(html).tags]
