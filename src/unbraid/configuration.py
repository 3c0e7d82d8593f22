"""Objects to plain dictionaries and back: constructor arguments are the configuration."""

import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Plain = None | bool | int | float | str | list[Any] | dict[str, Any]


def describe(value: Any) -> Plain:
    """A value as JSON: plain values as they are, an object as its class and constructor arguments.

    An object qualifies if it keeps every constructor argument under the argument's own name, or under `given_` and
    that name where the name means something else to the contract. One with a `fingerprint()` is recorded by that
    instead, and cannot be rebuilt; where it returns None, the arguments are recorded after all.

    Raises:
        TypeError: an object does not keep one of its arguments, so that it could not be rebuilt.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    # data in memory: recorded by checksum, not by value
    if hasattr(value, "fingerprint") and (fingerprint := value.fingerprint()) is not None:
        return fingerprint
    if isinstance(value, Iterable) and not isinstance(value, Configured):  # lists, tuples, module lists
        return [describe(item) for item in value]
    kind = type(value)
    arguments = {}
    for name in _parameters(kind):
        kept = _kept_as(value, name)
        if not hasattr(value, kept):
            raise TypeError(
                f"cannot describe {kind.__name__}: it does not keep its constructor argument '{name}'; "
                f"set self.{name} in __init__"
            )
        arguments[name] = describe(getattr(value, kept))
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "arguments": arguments}


def build(plain: Plain, trusted: tuple[str, ...] = ("unbraid",)) -> Any:
    """The object that `describe` made `plain` from.

    Only classes of the `trusted` packages are imported, so that a run folder from elsewhere cannot run code.

    Raises:
        ValueError: the description names a class outside `trusted`, one that does not exist, or wrong arguments.
    """
    if isinstance(plain, list):
        return [build(item, trusted) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if "in_memory" in plain:
        raise ValueError(
            f"expected data that a description can rebuild, but the run used {plain['in_memory']} in memory "
            f"(shape {plain['shape']}); pass the same data again"
        )
    if set(plain) != {"class", "arguments"}:
        return {key: build(item, trusted) for key, item in plain.items()}
    module, _, name = str(plain["class"]).rpartition(".")
    if module.partition(".")[0] not in trusted:
        raise ValueError(
            f"expected a class of {' or '.join(trusted)}, got '{plain['class']}'; "
            f"if you trust this description, pass trusted=(..., '{module.partition('.')[0]}')"
        )
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"expected a class of this version of unbraid, got '{plain['class']}', which does not exist; "
            "the description was written by another version"
        ) from error
    # a class that a trusted module merely imports is no way around `trusted`
    if not inspect.isclass(kind) or kind.__module__.partition(".")[0] not in trusted:
        raise ValueError(f"expected a class of {' or '.join(trusted)}, got '{plain['class']}', which is none")
    if not isinstance(plain["arguments"], dict):
        raise ValueError(f"expected the arguments of {name} as a dictionary, got {plain['arguments']!r}; it is damaged")
    arguments = {key: build(item, trusted) for key, item in plain["arguments"].items()}
    unknown = sorted(set(arguments) - set(_parameters(kind)))
    if unknown:
        raise ValueError(
            f"{name} does not take {unknown}, only {_parameters(kind)}; the description was written by another version"
        )
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"expected arguments that make a {name}, got {arguments}: {error}; "
            "the description is damaged or was written by another version"
        ) from error


class Configured:
    """Adds a readable `repr` made from the constructor arguments."""

    def __repr__(self) -> str:
        names = _parameters(type(self))
        arguments = ", ".join(f"{name}={getattr(self, _kept_as(self, name), '?')!r}" for name in names)
        return f"{type(self).__name__}({arguments})"


def _kept_as(value: Any, name: str) -> str:
    return f"given_{name}" if hasattr(value, f"given_{name}") else name


def _parameters(kind: type) -> list[str]:
    return [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "args", "kwargs")]
