"""Every command, what it calls and what it prints."""

import inspect
import logging
import os
import re
import sys
from argparse import SUPPRESS
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial, wraps
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unbraid import recipes
from unbraid.cli.parsing import Parser, dashed, seed_range, seeds_word
from unbraid.cli.printing import (
    show_agreed,
    show_cards,
    show_findings,
    show_followed,
    show_forgetting,
    show_listed,
    show_paths,
    show_ranked,
    show_reproduced,
    show_results,
    show_rows,
    show_scores,
    show_stability,
    show_swept,
    show_transfer,
)
from unbraid.demo import demo
from unbraid.report import report
from unbraid.reproductions import EXPERIMENTS, Experiment, Reproduced, reproduce, reproductions
from unbraid.reproductions.jobs import names_of
from unbraid.sweeps import Judging, Swept, parse_over, sweep

if TYPE_CHECKING:
    from unbraid.runs import Run

ABOUT = "Learn which latent factor does what, and which structure is shared between populations and which is private."
ONLY_PYTHON = {"data", "validation"}  # parameters that hold data in memory


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
        how = "the same `demo`, `sweep` or `reproduce`, or `resume RUN`, goes on from the last checkpoint"
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
    each = None if seeds is None else [seed for word in seeds for seed in seed_range(word)]
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
    each = [default] if seeds is None else [seed for word in seeds for seed in seed_range(word)]
    judging = None if metrics == "none" else Judging(metrics, max_codes)
    return sweep(recipe, out, each, parse_over(over or ()), judging, processes, threads, given)


def _reproduce(
    name: str, seeds: Sequence[str] | None = None, chosen: Sequence[str] | None = None, **options: Any
) -> Reproduced:
    each = None if seeds is None else tuple(seed for word in seeds for seed in seed_range(word))
    return reproduce(name, seeds=each, options=tuple(chosen or ()), **options)


def _given(recipe: "recipes.Recipe[...]", options: dict[str, Any]) -> dict[str, Any]:
    """The options that are not the recipe's defaults; of the training, the settings that are not."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(recipe).parameters.items()}
    before, now = asdict(defaults["training"]), asdict(options["training"])
    given = {name: value for name, value in options.items() if value != defaults[name] and name != "training"}
    return {**given, "training": {name: value for name, value in now.items() if value != before[name]}}


def command_line() -> Parser:
    """Every command and its options."""
    runs = {"nargs": "+", "type": Path, "help": "run folders, shown side by side."}
    phases = {**runs, "help": "finished runs, one a phase, in the order in which they were trained."}
    judged = {**runs, "help": "folders of evaluated runs: seeds of one recipe, shuffled populations among them."}
    seeds_of = {**runs, "help": "folders of finished runs: seeds of one recipe."}
    tables = {"default": Path("stability"), "type": Path, "help": "folder for features.csv and features.png."}
    page = {"default": Path("report.html"), "type": Path, "help": "page to write."}
    folder = {"nargs": "?", "default": Path("runs"), "type": Path, "help": "where to look (default: runs)"}
    as_json = {"action": "store_true", "help": "print one JSON object a line."}
    options = {"action": "config", "metavar": "FILE", "help": "YAML file of options, as --print-config prints it."}
    many = "train once for each of these seeds (0 1 2, or 0-9), all at once, in seed-0 ... of OUT."
    seeds = {"nargs": "+", "type": seeds_word, "metavar": "SEED", "help": many}
    main = Parser("unbraid", description=ABOUT)
    main.add_argument("--version", action="version", version=f"unbraid {version('unbraid')}")
    train = Parser("unbraid train", description="Train a model and keep the run in a folder.")
    many_runs = Parser("unbraid sweep", description="Train and judge every combination of some values, for every seed.")
    papers = Parser("unbraid reproduce", description="Reproduce a figure or table of a paper, or go beyond it.")
    data = Parser("unbraid data", description="The data sets: their terms, a look at them, a check of their files.")
    source = {"metavar": "DIR", "dest": "folder", "type": Path, "help": "folder with the official files."}
    commands = [
        _command("unbraid demo", demo),
        train,
        many_runs,
        papers,
        _command("unbraid resume", recipes.resume_all, show_paths),
        _command("unbraid evaluate", recipes.evaluate, show_results),
        _command("unbraid follow", recipes.follow, show_followed),
        _command("unbraid forgetting", recipes.forgetting, show_forgetting, {"runs": phases}),
        _command("unbraid score", recipes.score, show_scores, {"--json": as_json}),
        _command("unbraid udr", recipes.udr, show_ranked, {"runs": {**runs, "help": "run folders to rank."}}),
        _command("unbraid agreement", recipes.agreement, show_agreed, {"runs": seeds_of}),
        _command("unbraid transfer", recipes.transfer, show_transfer),
        _command("unbraid stability", recipes.stability, show_stability, {"runs": judged, "--out": tables}),
        _command("unbraid report", report, print, {"runs": runs, "--out": page}),
        _command("unbraid list", recipes.overview, show_rows, {"folder": folder}),
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
        recipes.classify,
        recipes.extend,
    )
    _fill(
        data,
        "COMMAND",
        [
            _command("unbraid data list", recipes.list_data, show_cards),
            _command("unbraid data show", recipes.show_data, print, {"--from": source}),
            _command("unbraid data check", recipes.check_data, show_findings, {"--from": source}),
        ],
    )
    by_hand = {"--config": options, "--seeds": seeds}
    _fill(train, "RECIPE", [_command(f"unbraid train {one.__name__}", one, show_paths, by_hand) for one in trains])
    by_hand = {"--config": options, **_sweeping(seeds)}
    sweeps = [_command(f"unbraid sweep {one.__name__}", one, show_swept, by_hand) for one in trains]
    _fill(many_runs, "RECIPE", sweeps)
    for parser, function in ((train, _train), (many_runs, _sweep)):
        for command, one in zip(parser.commands.values(), trains, strict=True):
            command.function = partial(function, one)
    listed = _command("unbraid reproduce list", reproductions, show_listed)
    _fill(papers, "NAME", [listed, *(_reproduction(experiment, seeds) for experiment in EXPERIMENTS)])
    return main


def _reproduction(experiment: Experiment, seeds: dict[str, Any]) -> Parser:
    by_hand = {"--seeds": {**seeds, "help": "seeds of every method (0 1 2, or 0-9); default: those of the scale."}}
    chosen = (
        "option of the recipe for all methods, such as training.steps=10000; DATA:NAME=VALUE for one of several data "
        "sets, such as mnist-grass:textures=FOLDER."
    )
    by_hand["--set"] = {"nargs": "+", "dest": "chosen", "metavar": "NAME=VALUE", "help": chosen}
    prog, function = f"unbraid reproduce {experiment.name}", _without(reproduce, {"name", "options"})
    command = _command(prog, function, show_reproduced, by_hand)
    where = f"{experiment.figure or 'beyond the paper'}, {names_of(experiment)}"
    command.description = f"{experiment.title} ({where}).\n\n{command.description}"
    command.function = partial(_reproduce, experiment.name)
    return command


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
            parser._option_string_actions.setdefault(dashed(option), action)
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
