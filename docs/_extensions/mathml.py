"""Formulas as MathML, which browsers draw by themselves: no script, no font, no network."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError


def setup(app):
    """Offer ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathml(latex, display):
    """Convert a formula; a command that is not known is an error instead of red letters."""
    formula = convert(latex, display=display)
    unknown = re.search(r"\\[A-Za-z]+", formula)
    if unknown:
        raise ExtensionError(f"latex2mathml does not know {unknown[0]} in the formula {latex!r}")
    return formula


def _inline(translator, node):
    translator.body.append(mathml(node.astext(), "inline"))
    raise SkipNode


def _block(translator, node):
    translator.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise SkipNode
