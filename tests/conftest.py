"""Shapes in annotations are checked in every test; warnings are errors (pyproject.toml)."""

from jaxtyping import install_import_hook

HOOK = install_import_hook("unbraid", "beartype.beartype")
