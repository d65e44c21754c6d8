"""Sphinx configuration."""

from docutils.parsers.rst import states

import skrec

project = "skrec"
author = "The skrec developers"
copyright = author
release = version = skrec.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext"}
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
default_role = "literal"

# No inventories are fetched: names of other projects are shown without a link.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(sklearn|numpy|scipy|pandas)\..*")]
extlinks = {
    "doi": ("https://doi.org/%s", "doi:%s"),
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
}

autosummary_generate = True
autodoc_default_options = {
    # What scikit-learn adds to every estimator is in its own documentation.
    "inherited-members": "BaseEstimator, BaseCrossValidator, csr_array, dict",
    "exclude-members": "get_metadata_routing, set_output, set_fit_request, "
    "set_partial_fit_request, set_predict_request, set_score_request",
    "member-order": "bysource",
}
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skrec",),
    "within_subsection_order": "ExampleTitleSortKey",
    "abort_on_example_error": True,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skrec {version}"
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "install": [], "changelog": []}
html_show_sourcelink = False

_standalone_uri = states.Inliner.standalone_uri


def _standalone_uri_but_no_email(self, match, lineno):
    if match.group("email"):  # such as NDCG@100
        raise states.MarkupMismatch
    return _standalone_uri(self, match, lineno)


states.Inliner.standalone_uri = _standalone_uri_but_no_email

# scikit-learn's inherited docstrings refer to labels and terms of its own pages.
suppress_warnings = ["ref.ref", "ref.term"]
