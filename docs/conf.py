"""How the documentation is built: `sphinx-build -W -b html docs docs/_build`, without a network."""

import re
from importlib.metadata import version as installed

project = "unbraid"
author = "the unbraid authors"
release = version = installed("unbraid")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"unbraid {release}"
html_copy_source = False
html_static_path: list[str] = []

default_role = "code"  # docstrings quote code with single backticks
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "special-members": "__call__"}
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_rtype = False

FIELD = re.compile(r"[a-z_]\w*(, [a-z_]\w*)*: ")


def name_fields(app, what, name, obj, options, lines) -> None:
    """Makes a list of paragraphs such as `shape: of one observation.`, which are plain text in docstrings.

    Sections with a capital (Args, Raises) are napoleon's and are indented, so that they do not match.
    """
    inside = False
    for number, line in enumerate(lines):
        starts_paragraph = number == 0 or not lines[number - 1].strip()
        if FIELD.match(line) and (inside or starts_paragraph):
            names, _, text = line.partition(": ")
            lines[number], inside = f"* `{names}`: {text}", True
        elif not line.strip():
            inside = False
        elif inside:
            lines[number] = f"  {line.strip()}"


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", name_fields, priority=400)  # before napoleon
