"""Sphinx configuration."""

import sys
from pathlib import Path

from docutils.parsers.rst import states
from scipy.sparse import csr_array

import skrec

sys.path.append(str(Path(__file__).parent / "_extensions"))

project = "skrec"
author = "The skrec developers"
copyright = author
release = version = skrec.__version__

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "self_contained",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext"}
exclude_patterns = ["_build", "_extensions", "_templates", "inventories"]
html_static_path = ["_static"]
html_css_files = ["skrec.css"]
html_math_renderer = "mathml"
templates_path = ["_templates"]
default_role = "literal"

# Nothing is fetched: the inventories hold the names that are used here, a line for each. A name
# that is missing is a warning; inventories/add.py writes its line.
nitpicky = True
intersphinx_mapping = {
    name: (address, f"inventories/{name}.txt")
    for name, address in {
        "matplotlib": "https://matplotlib.org/stable",
        "numpy": "https://numpy.org/doc/stable",
        "pandas": "https://pandas.pydata.org/docs",
        "python": "https://docs.python.org/3",
        "scipy": "https://docs.scipy.org/doc/scipy",
        "sklearn": "https://scikit-learn.org/stable",
    }.items()
}
extlinks = {
    "doi": ("https://doi.org/%s", "doi:%s"),
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
}

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings have them
autodoc_default_options = {
    # What scikit-learn adds to every estimator is in its own documentation, and SciPy's of arrays.
    "inherited-members": ", ".join(
        ["BaseEstimator", "BaseCrossValidator", "dict"]
        + [base.__name__ for base in csr_array.__mro__ if base is not object]
    ),
    "exclude-members": "get_metadata_routing, set_output, set_fit_request, "
    "set_partial_fit_request, set_predict_request, set_score_request",
    "member-order": "bysource",
}
numpydoc_show_class_members = False
# Types of parameters are links, but for words without a page of their own in the inventories.
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {
    **{word: word for word in ("array-like", "array_like", "generator", "iterable", "sequence")},
    "scalar": "scalar",
    "bool": "python:bool",
    "boolean": "python:bool",
    "DataFrame": "pandas.DataFrame",
    "Generator": "numpy.random.Generator",
    "csr_array": "scipy.sparse.csr_array",
}
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

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
