"""The command line: the recipes' own signatures and docstrings, read by jsonargparse."""

from unbraid.cli.commands import command_line, main

__all__ = ["command_line", "main"]
