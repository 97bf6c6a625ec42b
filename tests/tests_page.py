"""A page as a browser would read it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "input"}
# What makes a browser load something; a script is looked at by its content.
LOADING = {"link", "iframe", "object", "embed", "base", "video", "audio", "source", "image"}


class Page(HTMLParser):
    """Tags, attributes, the cells of each table, and text by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text: dict[str, list[str]] = {}
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(dict(attrs)["id"] or "", [])
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))  # of SVG

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self._open or "th" in self._open:
            self._rows[-1][-1] += data
        for tag in self._open:
            self.text.setdefault(tag, []).append(data)

    def attributes(self, name: str) -> list[str]:
        """Its values, of all tags."""
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]

    @property
    def links(self) -> list[str]:
        """Of `a`, but for those to a part of the page."""
        hrefs = [a["href"] or "" for tag, a in self.tags if tag == "a"]
        return [href for href in hrefs if not href.startswith("#")]


def read_page(text: str) -> Page:
    """Read a page, and see that it loads nothing and that all it refers to is there."""
    page = Page(text)
    tags = {tag for tag, _ in page.tags}
    assert not LOADING & tags
    assert all(src.startswith("data:image/png;base64,") for src in page.attributes("src"))
    assert not page.attributes("srcset")
    style = "".join(page.text["style"]) + "".join(page.attributes("style"))
    assert "url(" not in re.sub(r"url\(#\w+\)", "", style)
    assert "@import" not in style
    assert not any(re.match(r"(\w+:)?//|javascript:", link) for link in page.links)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    ids = Counter(page.attributes("id"))
    assert max(ids.values(), default=1) == 1
    wanted = {href[1:] for href in page.attributes("href") if href.startswith("#")}
    wanted |= set(re.findall(r"url\(#(\w+)\)", text))
    assert wanted <= ids.keys()
    (policy,) = (a["content"] or "" for _, a in page.tags if a.get("http-equiv"))
    basis = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if "script" in tags:
        assert page.attributes("type").count("range")
        digest = hashlib.sha256("".join(page.text["script"]).encode()).digest()
        assert policy == f"{basis}; script-src 'sha256-{base64.b64encode(digest).decode()}'"
    else:
        assert policy == basis
    return page
