"""One command's options: refuses what it does not know, says what it expected, and what was probably meant."""

import difflib
import re
import sys
from argparse import SUPPRESS, Action
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from unbraid.recipes.images import Level

PLACEHOLDERS = {
    bool: "{true,false}",
    int: "INT",
    float: "NUMBER",
    str: "TEXT",
    Path: "PATH",
    tuple[int, ...]: "[INT,...]",
    tuple[str, ...]: "[TEXT,...]",
    tuple[Level, ...]: "[split|population|label,...]",
    dict[str, list[str]]: "{NAME: [CLASS,...],...}",
    type(None): "null",
    None: "VALUE",
}


class Parser(ArgumentParser):
    """One command: refuses what it does not know, says what it expected, and what was probably meant."""

    def __init__(
        self, prog: str, function: Callable = print, show: Callable[[Any], None] = print, description: str = ""
    ):
        super().__init__(prog=prog, description=description, allow_abbrev=False, formatter_class=Help)
        self.function, self.show = function, show
        self.commands: dict[str, Parser] = {}

    def chosen(self, words: Sequence[str]) -> "tuple[Parser, list[str]]":
        """The command that the first words choose, and the rest of the words."""
        if words and words[0] in self.commands:
            return self.commands[words[0]].chosen(words[1:])
        # with a dash jsonargparse would want a value
        return self, file_first(["--print_config" if word == "--print-config" else word for word in words])

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong, a suggestion where there is one, and where to read on; leave with code 2."""
        explained, wrong = self.explain(message)
        lines = [f"unbraid: {explained}", *self.suggestions(wrong), f"See `{self.prog} --help`"]
        print("\n".join(lines), file=sys.stderr)  # noqa: T201
        raise SystemExit(2)

    def explain(self, message: str) -> tuple[str, list[str]]:
        """The message as a person puts it, and the words in it that were wrong."""
        if unknown := re.match(r"unrecognized arguments: (.*)", message, re.DOTALL):
            words = [word.partition("=")[0] for word in unknown[1].split()]
            options = [word for word in words if word.startswith("-")] or words
            return f"there is no {' and no '.join(options)} in `{self.prog}`", options
        if unknown := re.search(r"Option '(\w+)' is not accepted", message):
            return f"there is no {unknown[1]} in `{self.prog}`", [unknown[1]]
        if choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            return f"expected one of {choice[2].replace(chr(39), '')}, got '{choice[1]}'", [choice[1]]
        if missing := re.search(r'arguments are required: (.*)|expected "(\w+)" to be one of', message):
            names = (missing[1] or missing[2]).upper().replace(", ", " and ")
            return f"expected {names} after `{self.prog}`, got nothing", []
        if lonely := re.match(r"argument (\S+): expected (?:one|at least one) argument", message):
            return f"expected a value after {lonely[1]}, got nothing", []
        if seeds := re.search(r"invalid seeds_word value: '(.*)'|expected seeds.*?got '(.*)'", message):
            return f"expected seeds as 3 or 0-9 for --seeds, got '{seeds[1] or seeds[2]}'", []
        key = re.search(r'key "([\w.]+)"', message)
        action = next((action for action in self._actions if key and action.dest == key[1]), None)
        if action is None:
            return " ".join(message.split()), []
        if action.dest == "seeds":
            return "expected seeds as a list in the file, such as [0, 1, 2] or [0-9]", []
        name = dashed(action.option_strings[0]) if action.option_strings else action.dest.upper()
        if value := re.search(r"(?:Got|Given) value: ([^\n]*)", message):
            return f"expected {_expected(action)} for {name}, got '{value[1]}'", [value[1]]
        return f"{name}: {message.partition(':')[2].strip()}", []

    def suggestions(self, wrong: Sequence[str]) -> list[str]:
        """One line for every wrong word that resembles something known."""
        actions = [action for action in self._actions if action.help != SUPPRESS]
        names = [dashed(name) for action in actions for name in (action.option_strings or action.choices or ())]
        names += [choice for action in actions for choice in _choices(action)]
        known = {_normal(name.rpartition(".")[2]): name for name in names} | {_normal(name): name for name in names}
        found = [difflib.get_close_matches(_normal(word), known, n=1, cutoff=0.7) for word in wrong]
        return [f"Did you mean {known[close[0]]}?" for close in found if close]


class Help(DefaultHelpFormatter):
    """Types stand in the placeholder and defaults behind the text, each once."""

    def _get_help_string(self, action: Action) -> str:
        default = list(action.default) if isinstance(action.default, tuple) else action.default
        shown = action.option_strings and default not in (None, SUPPRESS) and action.nargs != 0
        return (action.help or "") + (f" (default: {default})" if shown else "")

    def _format_action_invocation(self, action: Action) -> str:
        shown = super()._format_action_invocation(action)
        for option in action.option_strings:
            shown = shown.replace(option, dashed(option))
        return shown

    def _get_default_metavar_for_optional(self, action: Action) -> str:
        return _expected(action)

    def _get_default_metavar_for_positional(self, action: Action) -> str:
        return action.dest.upper()


def file_first(words: list[str]) -> list[str]:
    """What the command line says outweighs the file, wherever `--config` stands."""
    for index, word in enumerate(words):
        end = index + (1 if "=" in word else 2)
        if word.partition("=")[0] == "--config" and end <= len(words):
            return words[index:end] + words[:index] + words[end:]
    return words


def seeds_word(word: object) -> str:
    """A seed, or a range of them; read again when it is used, since options are checked more than once."""
    if not re.fullmatch(r"\d+(-\d+)?", str(word)) or not seed_range(str(word)):
        raise ValueError(f"expected seeds as 3 or 0-9, got '{word}'")
    return str(word)


def seed_range(word: str) -> range:
    """The seeds that a word such as 3 or 0-9 means."""
    first, _, last = word.partition("-")
    return range(int(first), int(last or first) + 1)


def dashed(option: str) -> str:
    """An option as people type it."""
    return option.replace("_", "-") if option.startswith("--") else option


def _normal(word: str) -> str:
    return word.lstrip("-").replace("-", "_").lower()


def _choices(action: Action) -> list[str]:
    return _literals(getattr(action, "_typehint", None))


def _literals(kind: object) -> list[str]:
    return [str(choice) for choice in get_args(kind)] if get_origin(kind) is Literal else []


def _expected(action: Action) -> str:
    """What an option takes, in a word."""
    kind = getattr(action, "_typehint", None) or action.type
    kinds = (kind,) if get_origin(kind) is Literal else get_args(kind) or (kind,)
    return PLACEHOLDERS.get(kind) or " or ".join(map(_placeholder, kinds))


def _placeholder(kind: Any) -> str:
    if choices := _literals(kind):
        return f"{{{','.join(choices)}}}"
    return PLACEHOLDERS.get(kind, getattr(kind, "__name__", str(kind)))
