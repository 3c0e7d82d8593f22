"""The public surface: what each part offers is what its `__all__` says, documented, and quick to import."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import unbraid
from unbraid.configuration import Configured
from unbraid.metrics import Result

MODULES = sorted(module.name for module in pkgutil.walk_packages(unbraid.__path__, "unbraid."))
PACKAGES = sorted(module.name for module in pkgutil.walk_packages(unbraid.__path__, "unbraid.") if module.ispkg)
PUBLIC = [name for name in MODULES if not any(part.startswith("_") for part in name.split("."))]
QUICK = ["unbraid", "unbraid.cli", "unbraid.demo", "unbraid.recipes", "unbraid.report", "unbraid.settings"]


def public(module):
    """Public classes and functions by name, with where they are defined."""
    members = vars(importlib.import_module(module)).items()
    wanted = {name: value for name, value in members if inspect.isclass(value) or inspect.isfunction(value)}
    return {name: value.__module__ for name, value in wanted.items() if not name.startswith("_")}


@pytest.mark.parametrize("package", PACKAGES)
def test_all_says_what_there_is(package):
    module = importlib.import_module(package)
    offered = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}
    # a function may have its module's name (`report.report`); then it is what the name means
    assert sorted(module.__all__) == sorted(offered)
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("module", PUBLIC)
def test_everything_public_is_documented(module):
    loaded = importlib.import_module(module)
    assert loaded.__doc__, f"{module} has no docstring"
    for name, origin in public(module).items():
        if origin != module:
            continue
        member = getattr(loaded, name)
        own = [(name, member)]
        if inspect.isclass(member):
            own += [
                (f"{name}.{key}", value) for key, value in vars(member).items() if _documentable(key, value, member)
            ]
        missing = [key for key, value in own if not inspect.getdoc(value)]
        assert not missing, f"{module}: no docstring on {missing}"


def _documentable(key, value, owner):
    return not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | classmethod))


def members_of(base):
    """Every class of the package below `base`."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("unbraid."):
            yield kind
        yield from members_of(kind)


def test_no_member_of_a_contract_hides_in_a_module():
    """Models, objectives, networks, data sets ... and metrics: what is not exported, no contract suite would find."""
    modules = [importlib.import_module(name) for name in PUBLIC]
    kinds = {kind for kind in members_of(Configured) if not kind.__name__.startswith("_")}
    functions = [function for _, function in inspect.getmembers(importlib.import_module("unbraid.metrics"))]
    for module in modules:
        functions += [f for f in vars(module).values() if getattr(f, "__module__", "").startswith("unbraid.metrics.")]
    metrics = {f for f in functions if inspect.isfunction(f) and not f.__name__.startswith("_") and _gives_result(f)}
    assert len(kinds) > 20, kinds
    assert len(metrics) >= 10, metrics
    for member in kinds | metrics:
        part = ".".join(member.__module__.split(".")[:2])
        assert hasattr(importlib.import_module(part), member.__name__), f"export {member.__name__} in {part}"


def _gives_result(function):
    return function.__annotations__.get("return") in (Result, dict[str, Result])


def test_what_the_command_line_reads_is_quick_to_import():
    heavy = ("torch", "numpy", "scipy", "matplotlib", "sklearn", "skimage", "safetensors", "jinja2", "pandas", "PIL")
    code = f"import sys, {', '.join(QUICK)}; sys.exit(str({{*{heavy}}} & {{*sys.modules}}).replace('set()', ''))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.strip()) in [(0, ""), (1, "")], f"imported {ran.stderr}"
