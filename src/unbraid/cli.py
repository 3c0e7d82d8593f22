"""The command line: the recipes' own signatures and docstrings, read by jsonargparse."""

import difflib
import inspect
import json
import logging
import os
import re
import sys
from argparse import SUPPRESS, Action
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial, wraps
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args, get_origin

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from unbraid import recipes
from unbraid.demo import demo
from unbraid.recipes.images import Level
from unbraid.report import report
from unbraid.sweeps import Judging, Swept, parse_over, sweep

if TYPE_CHECKING:
    from unbraid.data import Card
    from unbraid.runs import Run

ABOUT = "Learn which latent factor does what, and which structure is shared between populations and which is private."
ONLY_PYTHON = {"data", "validation"}  # parameters that hold data in memory
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 for bad input, 2 for bad options, 130 if stopped by Ctrl-C."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("unbraid").setLevel(logging.INFO)
    parser, rest = command_line().chosen(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(rest)
    try:
        values = vars(parser.instantiate(given))
        values.pop("config", None)
        parser.show(parser.function(**values))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has gone, as in `unbraid list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"unbraid: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        how = "the same `demo` or `sweep`, or `resume RUN`, goes on from the last checkpoint"
        print(f"unbraid: stopped; {how}", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def completion(shell: Literal["bash", "zsh", "tcsh"]) -> str:
    """Print a script that completes commands, options and choices.

    Args:
        shell: what to write for; in bash, put `eval "$(unbraid completion bash)"` into .bashrc.
    """
    return command_line().get_completion_script(f"shtab-{shell}").rstrip()


def _train(recipe: "recipes.Recipe[...]", seeds: Sequence[str] | None = None, **options: Any) -> "list[Run]":
    each = None if seeds is None else [seed for word in seeds for seed in _range(word)]
    return recipes.train_seeds(recipe, seeds=each, **options)


def _sweep(
    recipe: "recipes.Recipe[...]",
    out: Path,
    seeds: Sequence[str] | None,
    over: Sequence[str] | None,
    metrics: str,
    max_codes: int,
    processes: int | None,
    threads: int,
    **options: Any,
) -> Swept:
    given, default = _given(recipe, options), options["training"].seed
    each = [default] if seeds is None else [seed for word in seeds for seed in _range(word)]
    judging = None if metrics == "none" else Judging(metrics, max_codes)
    return sweep(recipe, out, each, parse_over(over or ()), judging, processes, threads, given)


def _given(recipe: "recipes.Recipe[...]", options: dict[str, Any]) -> dict[str, Any]:
    """The options that are not the recipe's defaults; of the training, the settings that are not."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(recipe).parameters.items()}
    before, now = asdict(defaults["training"]), asdict(options["training"])
    given = {name: value for name, value in options.items() if value != defaults[name] and name != "training"}
    return {**given, "training": {name: value for name, value in now.items() if value != before[name]}}


# what commands print on standard output; where things are kept comes last


def _show_path(run: "Run") -> None:
    print(run.path)  # noqa: T201


def _show_paths(runs: "Sequence[Run]") -> None:
    failed = [run for run in runs if run.status["status"] == "failed"]
    for run in runs:
        if run not in failed:
            _show_path(run)
    if failed:
        sys.stdout.flush()
        reasons = "; ".join(f"{run.path.name}: {run.status['message']}" for run in failed)
        raise ValueError(f"expected {len(runs)} finished runs, but {len(failed)} failed: {reasons}")


def _show_swept(swept: Swept) -> None:
    for each in swept.measured:
        print(f"{each.method}: {each.measure} = {each}")  # noqa: T201
    print(swept.results)  # noqa: T201
    if swept.failed:
        sys.stdout.flush()
        reasons = "; ".join(f"{outcome.job.name}: {outcome.message}" for outcome in swept.failed)
        raise ValueError(f"expected {len(swept.outcomes)} finished runs, but {len(swept.failed)} failed: {reasons}")


def _show_results(run: "Run") -> None:
    from unbraid.metrics import Result

    for plain in (run.evaluation() or {})["results"]:
        print(f"{plain.pop('subject')}: {Result.from_dict(plain)}")  # noqa: T201
    print(run.path)  # noqa: T201


def _show_followed(run: "Run") -> None:
    from unbraid.metrics import Result

    for point in (run.over_training() or {})["points"]:
        for plain in point["results"]:
            where = f"step {point['step']} ({point['seconds']:.0f} s): {plain.pop('subject')}"
            print(f"{where}: {Result.from_dict(plain)}")  # noqa: T201
    print(run.path)  # noqa: T201


def _show_scores(scores: recipes.Scores) -> None:
    for result in scores.results:
        print(json.dumps(result.to_dict()) if scores.json else result)  # noqa: T201
    for name, reason in scores.left_out:
        print(f"left out {name}: {reason}", file=sys.stderr)  # noqa: T201


def _show_ranked(ranked: Sequence[recipes.Ranked]) -> None:
    for each in ranked:
        print(f"{each.run}: {each.result}")  # noqa: T201


def _show_rows(rows: Sequence[recipes.Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print("no runs here; `unbraid train` and `unbraid demo` make some", file=sys.stderr)  # noqa: T201
        return
    table = Table("run", "model", "objective", "seed", "status", "steps", "measured", box=None)
    for row in rows:
        measured = ", ".join(f"{name} {value:.3g}" for name, value in row.headline.items()) or "-"
        steps = f"{row.step}/{row.steps}"
        table.add_row(str(row.path), row.model, row.objective, str(row.seed), row.status, steps, measured)
    # a terminal folds the table to its width; in a file or pipe every run is one line
    Console(width=None if sys.stdout.isatty() else 1000, markup=False, highlight=False).print(table)


def _show_cards(cards: "Sequence[Card]") -> None:
    for card in cards:
        size = sum(file.size or 0 for file in card.files) / 1e6
        files = ", ".join(file.name for file in card.files)
        print(f"{card.name}: {card.title}")  # noqa: T201
        about = {"licence": card.licence, "cite": card.citation, "home": card.homepage}
        about |= {"files": f"{files}{f' ({size:,.0f} MB)' if size else ''}" if files else "", "note": card.note}
        print("".join(f"    {key}: {value}\n" for key, value in about.items() if value))  # noqa: T201


def _show_findings(findings: "Sequence[recipes.Finding]") -> None:
    marks = {True: "ok", False: "DIFFERS", None: "-"}
    for finding in findings:
        print(f"{marks[finding.fine]:8}{finding.what}: {finding.detail}")  # noqa: T201
    wrong = [finding.what for finding in findings if finding.fine is False]
    if wrong:
        sys.stdout.flush()
        raise ValueError(f"expected the official data, but {len(wrong)} of {len(findings)} checks differ")


# commands and their options


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
        return self, _file_first(["--print_config" if word == "--print-config" else word for word in words])

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
        if seeds := re.search(r"invalid _seeds value: '(.*)'|expected seeds.*?got '(.*)'", message):
            return f"expected seeds as 3 or 0-9 for --seeds, got '{seeds[1] or seeds[2]}'", []
        key = re.search(r'key "([\w.]+)"', message)
        action = next((action for action in self._actions if key and action.dest == key[1]), None)
        if action is None:
            return " ".join(message.split()), []
        if action.dest == "seeds":
            return "expected seeds as a list in the file, such as [0, 1, 2] or [0-9]", []
        name = _dashed(action.option_strings[0]) if action.option_strings else action.dest.upper()
        if value := re.search(r"(?:Got|Given) value: ([^\n]*)", message):
            return f"expected {_expected(action)} for {name}, got '{value[1]}'", [value[1]]
        return f"{name}: {message.partition(':')[2].strip()}", []

    def suggestions(self, wrong: Sequence[str]) -> list[str]:
        """One line for every wrong word that resembles something known."""
        actions = [action for action in self._actions if action.help != SUPPRESS]
        names = [_dashed(name) for action in actions for name in (action.option_strings or action.choices or ())]
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
            shown = shown.replace(option, _dashed(option))
        return shown

    def _get_default_metavar_for_optional(self, action: Action) -> str:
        return _expected(action)

    def _get_default_metavar_for_positional(self, action: Action) -> str:
        return action.dest.upper()


def command_line() -> Parser:
    """Every command and its options."""
    runs = {"nargs": "+", "type": Path, "help": "run folders, shown side by side."}
    page = {"default": Path("report.html"), "type": Path, "help": "page to write."}
    folder = {"nargs": "?", "default": Path("runs"), "type": Path, "help": "where to look (default: runs)"}
    as_json = {"action": "store_true", "help": "print one JSON object a line."}
    options = {"action": "config", "metavar": "FILE", "help": "YAML file of options, as --print-config prints it."}
    many = "train once for each of these seeds (0 1 2, or 0-9), all at once, in seed-0 ... of OUT."
    seeds = {"nargs": "+", "type": _seeds, "metavar": "SEED", "help": many}
    main = Parser("unbraid", description=ABOUT)
    main.add_argument("--version", action="version", version=f"unbraid {version('unbraid')}")
    train = Parser("unbraid train", description="Train a model and keep the run in a folder.")
    many_runs = Parser("unbraid sweep", description="Train and judge every combination of some values, for every seed.")
    data = Parser("unbraid data", description="The data sets: their terms, a look at them, a check of their files.")
    source = {"metavar": "DIR", "dest": "folder", "type": Path, "help": "folder with the official files."}
    commands = [
        _command("unbraid demo", demo),
        train,
        many_runs,
        _command("unbraid resume", recipes.resume_all, _show_paths),
        _command("unbraid evaluate", recipes.evaluate, _show_results),
        _command("unbraid follow", recipes.follow, _show_followed),
        _command("unbraid score", recipes.score, _show_scores, {"--json": as_json}),
        _command("unbraid udr", recipes.udr, _show_ranked, {"runs": {**runs, "help": "run folders to rank."}}),
        _command("unbraid report", report, print, {"runs": runs, "--out": page}),
        _command("unbraid list", recipes.overview, _show_rows, {"folder": folder}),
        data,
        _command("unbraid completion", completion),
    ]
    _fill(main, "COMMAND", commands)
    trains = (
        recipes.sprites,
        recipes.sequential,
        recipes.grassy,
        recipes.vectors,
        recipes.table,
        recipes.cells,
        recipes.images,
    )
    _fill(
        data,
        "COMMAND",
        [
            _command("unbraid data list", recipes.list_data, _show_cards),
            _command("unbraid data show", recipes.show_data, print, {"--from": source}),
            _command("unbraid data check", recipes.check_data, _show_findings, {"--from": source}),
        ],
    )
    by_hand = {"--config": options, "--seeds": seeds}
    _fill(train, "RECIPE", [_command(f"unbraid train {one.__name__}", one, _show_paths, by_hand) for one in trains])
    by_hand = {"--config": options, **_sweeping(seeds)}
    sweeps = [_command(f"unbraid sweep {one.__name__}", one, _show_swept, by_hand) for one in trains]
    _fill(many_runs, "RECIPE", sweeps)
    for parser, function in ((train, _train), (many_runs, _sweep)):
        for command, one in zip(parser.commands.values(), trains, strict=True):
            command.function = partial(function, one)
    return main


def _sweeping(seeds: dict[str, Any]) -> dict[str, dict]:
    """Options of a sweep beside the recipe's."""
    over = "values of an option of the recipe, such as strength=1,2,4; once for each option that is varied."
    metrics = "standard, all, or names with commas between, as `evaluate` takes them; none judges nothing."
    return {
        "out": {"type": Path, "help": "folder to make, or to go on with."},
        "--seeds": {**seeds, "help": "seeds of every combination (0 1 2, or 0-9), each in seed-0 ... of its folder."},
        "--over": {"action": "append", "metavar": "NAME=VALUE,...", "help": over},
        "--metrics": {"type": str, "default": "standard", "help": metrics},
        "--max_codes": {"type": int, "default": 25_000, "help": "largest number of observations to encode."},
        "--processes": {"type": int, "help": "runs at once; default: as many as the cores allow for."},
        "--threads": {"type": int, "default": 1, "help": "threads of each process."},
    }


def _fill(parser: Parser, kind: str, commands: Sequence[Parser]) -> None:
    parser.usage = f"{parser.prog} {kind} [options]"
    added = parser.add_subcommands(dest=kind.lower(), metavar=kind, title=f"{kind.lower()}s", required=True)
    for command in commands:
        name, whole = command.prog.rpartition(" ")[2], command.prog
        added.add_subcommand(name, command, help=(command.description or "").partition("\n")[0])
        parser.commands[name] = command
        # jsonargparse would call it "unbraid [options] train", and leave --print_config to the parent's parsing
        command.prog = whole
        vars(command).pop("parent_parser")


def _command(
    prog: str, function: Callable, show: Callable[[Any], None] = print, by_hand: dict[str, dict] | None = None
) -> Parser:
    """A command with the function's parameters, required ones in place; those `by_hand` are as argparse takes them."""
    text = re.split(r"\n\n(?:Args|Raises):", inspect.getdoc(function) or "")[0]
    parser, by_hand = Parser(prog, function, show, description=text), by_hand or {}
    for name, how in by_hand.items():
        parser.add_argument(name, **how)
    named = {how.get("dest", name.lstrip("-")) for name, how in by_hand.items()}
    rest = _without(function, named | ONLY_PYTHON)
    parser.add_function_arguments(rest, as_group=False, as_positional=True)
    for action in parser._actions:
        if action.dest == "print_config":
            action.help = "print all options as YAML and stop."
        if action.dest in ("training", "draws"):
            action.help = SUPPRESS  # a whole group from a file, which --config can do as well
        if isinstance(action.metavar, str) and "ITEM" in action.metavar:
            action.metavar = None  # Help knows what the items are
        for option in action.option_strings:  # --test-from is what people type, --test_from what Python calls it
            parser._option_string_actions.setdefault(_dashed(option), action)
    shapes = {"?": "[{}]", "+": "{} [{} ...]"}
    positional = [action for action in parser._actions if not action.option_strings]
    shown = [shapes.get(str(each.nargs), "{}").replace("{}", each.dest.upper()) for each in positional]
    parser.usage = " ".join([prog, *shown, "[options]"])
    return parser


def _without(function: Callable, names: set[str]) -> Callable:
    """The function without some parameters, whose types would import torch only to be left out."""

    @wraps(function)
    def rest(**options: Any) -> Any:
        return function(**options)

    signature = inspect.signature(function)
    kept = [parameter for name, parameter in signature.parameters.items() if name not in names]
    rest.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return rest


# words


def _file_first(words: list[str]) -> list[str]:
    """What the command line says outweighs the file, wherever `--config` stands."""
    for index, word in enumerate(words):
        end = index + (1 if "=" in word else 2)
        if word.partition("=")[0] == "--config" and end <= len(words):
            return words[index:end] + words[:index] + words[end:]
    return words


def _seeds(word: object) -> str:
    """A seed, or a range of them; read again when it is used, since options are checked more than once."""
    if not re.fullmatch(r"\d+(-\d+)?", str(word)) or not _range(str(word)):
        raise ValueError(f"expected seeds as 3 or 0-9, got '{word}'")
    return str(word)


def _range(word: str) -> range:
    first, _, last = word.partition("-")
    return range(int(first), int(last or first) + 1)


def _dashed(option: str) -> str:
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
