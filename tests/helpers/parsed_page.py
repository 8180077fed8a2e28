"""What a page says, by parsing it."""

from html.parser import HTMLParser
from typing import Any

_OUTSIDE = ("src", "href", "srcset", "action", "data", "poster", "background")


class ParsedPage(HTMLParser):
    """The texts, tables, elements and references of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.elements: list[str] = []
        self.references: list[str] = []
        self.headings: list[str] = []
        self._text: list[str] = []
        self._inside: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        known: dict[str, Any] = dict(attrs)
        self.references += [known[name] for name in _OUTSIDE if name in known]
        self._inside.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag in ("h1", "h2", "h3"):
            self.headings.append("")

    def handle_data(self, data: str) -> None:
        if "style" in self._inside[-1:]:
            return
        self._text.append(data)
        if self._inside[-1:] in (["td"], ["th"]):
            self.tables[-1][-1][-1] += data
        elif self._inside[-1:] in (["h1"], ["h2"], ["h3"]):
            self.headings[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def table(self, corner: str, *columns: str) -> list[list[str]]:
        """The first table whose headings begin so; raises StopIteration if there is none."""
        head = [corner, *columns]
        return next(rows for rows in self.tables if rows and rows[0][: len(head)] == head)

    @property
    def pictures(self) -> list[str]:
        """The pictures, which are part of the page."""
        return [each for each in self.references if each.startswith("data:image/")]

    @property
    def outside(self) -> list[str]:
        """References to anything that is neither in the page nor a picture in it."""
        return [each for each in self.references if not each.startswith(("data:image/", "#"))]
