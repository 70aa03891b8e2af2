"""Reads pages and pictures back."""

import html.parser
import xml.etree.ElementTree as ElementTree

VOID = {"meta", "br", "hr", "img", "link", "input"}


def parse(svg):
    """An `<svg>` element; an error for one that is no XML."""
    return ElementTree.fromstring(svg)


class Page(html.parser.HTMLParser):
    """The tags, attributes and texts of a page; an error for tags that do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.rows = [], [], "", []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
