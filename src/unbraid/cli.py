"""The command line: the recipes' own signatures, read by jsonargparse."""

import difflib
import logging
import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from unbraid import recipes

ABOUT = "Learn which latent factor does what, and which structure is shared between populations and which is private."


class Parser(ArgumentParser):
    """Refuses what it does not know, and says what was probably meant."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message with a suggestion and leave with code 2."""
        print(f"{self.prog}: {message}{self._suggestion(message)}\nSee {self.prog} --help", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)

    def _suggestion(self, message: str) -> str:
        known = [option for action in self._actions for option in action.option_strings]
        known += [name for action in self._actions for name in (action.choices or ()) if isinstance(name, str)]
        known += [option.rpartition(".")[2] for option in known if "." in option]
        wrong = [word.split("=")[0] for word in re.findall(r"[\w.-]+", message) if word not in known]
        for word in wrong:
            close = difflib.get_close_matches(word, known, n=1, cutoff=0.75)
            full = [option for option in known if option == f"--training.{word.lstrip('-')}"]
            if full or close:
                return f"\nDid you mean {(full or close)[0]}?"
        return ""


def parser() -> Parser:
    """The whole command line."""
    main = Parser(prog="unbraid", description=ABOUT)
    main.add_argument("--version", action="version", version=f"unbraid {version('unbraid')}")
    commands = main.add_subcommands(dest="command", required=True)
    _add(commands, "demo", recipes.demo, "train and judge both papers' models on embedded data; about ten minutes")
    train = Parser(description="Train a model; every option is recorded in the run folder.")
    recipe = train.add_subcommands(dest="recipe", required=True)
    _add(recipe, "sprites", recipes.sprites, "SR-VAE, its ablations or beta-VAE on reconstructed dSprites", "out")
    _add(recipe, "grassy", recipes.grassy, "CPVAE or a VAE on digits in grass: digits 0-4 and 5-9", "out")
    _add(recipe, "vectors", recipes.vectors, "CPVAE on vectors whose factors are known", "out")
    commands.add_subcommand("train", train, help="train a model on an embedded data set")
    _add(commands, "resume", recipes.resume, "continue an interrupted run exactly", "run")
    _add(commands, "evaluate", recipes.evaluate, "score a finished run", "run")
    _add(commands, "report", recipes.report, "write one page about runs", "runs", nargs="+")
    _add(commands, "list", recipes.overview, "show the runs in a folder", "folder", nargs="?", default=Path("runs"))
    return main


def _add(commands: Any, name: str, function: Callable, summary: str, *positional: str, **how: Any) -> None:
    sub = Parser(description=summary[0].upper() + summary[1:] + ".")
    for argument in positional:
        sub.add_argument(argument, type=Path, **how)
    # data in memory can only be given in Python
    sub.add_function_arguments(function, skip={*positional, "data", "validation"}, as_group=False)
    commands.add_subcommand(name, sub, help=summary)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 for bad input, 2 for bad options, 130 if stopped from outside."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parsed = parser()
    given = parsed.parse_args(arguments)
    try:
        _run(parsed.instantiate_classes(given))
    except (ValueError, ArithmeticError) as error:
        print(f"unbraid: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("unbraid: stopped; `unbraid resume RUN` goes on from the last checkpoint", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def _run(given: Namespace) -> None:
    command = given.command
    options = given[command]
    if command == "train":
        options, command = options[options.recipe], options.recipe
    if command == "list":
        _print_overview(recipes.overview(**vars(options)))
        return
    outcome = getattr(recipes, command)(**{key: value for key, value in vars(options).items() if key != "config"})
    if command == "evaluate":
        from unbraid.metrics import Result

        for plain in outcome.evaluation()["results"]:
            subject = plain.pop("subject")
            print(f"{subject}: {Result.from_dict(plain)}")  # noqa: T201
    print(getattr(outcome, "path", outcome))  # noqa: T201


def _print_overview(rows: Sequence[recipes.Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("run", "model", "objective", "seed", "status", "steps", "measured", box=None)
    for row in rows:
        measured = ", ".join(f"{name} {value:.3g}" for name, value in row.headline.items()) or "-"
        steps = f"{row.step}/{row.steps}"
        table.add_row(str(row.path), row.model, row.objective, str(row.seed), row.status, steps, measured)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
