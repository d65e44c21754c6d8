"""What a built page loads must lie beside it: the documentation is read without a network, too."""

import re
from html.parser import HTMLParser
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)
EXTERNAL = re.compile(r"\s*(?:https?:)?//")
IMPORTED = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


def setup(app):
    """Look through the pages after the build; what they load from elsewhere is a warning."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def loaded_from_elsewhere(page):
    """List the addresses of scripts, styles, fonts, images and frames outside.

    Links that a reader may follow are none of them.
    """
    reader = _Reader()
    reader.feed(page)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self.tag = ""

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        for name, value in attrs:
            loads = name in ("src", "srcset", "poster") or (tag == "link" and name == "href")
            if loads and value and EXTERNAL.match(value):
                self.found.append(value)

    def handle_data(self, data):
        if self.tag == "style":
            self.found += IMPORTED.findall(data)


def _check(app, error):
    if error or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix == ".html":
            found = loaded_from_elsewhere(path.read_text())
        elif path.suffix == ".css":
            found = IMPORTED.findall(path.read_text())
        else:
            continue
        for address in found:
            name = path.relative_to(app.outdir)
            logger.warning("%s loads %s: put a copy beside the page", name, address)
