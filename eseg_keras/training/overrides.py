"""Change values of an experiment by "key=value" strings that must fit its type annotations."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Collection, Sequence
from typing import Any, Literal, TypeVar

from eseg_keras.training.experiment import TrainingOptions, shorten

Options = TypeVar("Options", bound=TrainingOptions)


def override(
    experiment: Options, assignments: Sequence[str], keys: Collection[str] | None = None
) -> Options:
    """Return a copy of an experiment with some values changed.

    Items of a list are separated by commas, lists in a list by semicolons, and keys and values of
    a map by colons: `image_size=360,480`, `palette=0,0,0;128,64,128`, `class_map=11:255,12:255`.
    Braces around a map are optional. `none` stands for `None`.

    Args:
        experiment: The experiment to start from.
        assignments: Strings `"key=value"`; if a key is repeated, its last value is used.
        keys: The keys that may be changed. Defaults to all.

    Returns:
        The changed experiment.

    Raises:
        ValueError: If an assignment has no `=`, if a key is unknown (the message contains the
            nearest keys) or may not be changed, or if a value has the wrong type or is invalid.

    Example:

    >>> from eseg_keras.training import Experiment, override
    >>> override(Experiment(num_classes=2), ["epochs=3", "image_size=64,96"]).image_size
    (64, 96)
    """
    hints = typing.get_type_hints(type(experiment))
    changes = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals:
            raise ValueError(
                f"Expected key=value, such as epochs=10. Received: '{shorten(assignment)}'"
            )
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=3, cutoff=0.4) or sorted(hints)
            raise ValueError(
                f"An experiment has no '{shorten(key)}'. Nearest keys: {', '.join(near)}"
            )
        if keys is not None and key not in keys:
            raise ValueError(f"'{key}' has no effect here. Keys with an effect: {', '.join(keys)}")
        try:
            changes[key] = _parse(text.strip(), hints[key])
        except ValueError:
            raise ValueError(
                f"{key} must be {_describe(hints[key])}. Received: {key}={shorten(text)}"
            ) from None
    if "class_names" in changes and "num_classes" not in changes:
        changes["num_classes"] = None  # `Experiment` counts the new names.
    if "epochs" in changes and "steps" not in changes:
        changes["steps"] = None  # `steps` would take precedence over the new `epochs`.
    return dataclasses.replace(experiment, **changes)


def _parse(text, hint):
    """Convert a string to the type of an annotation, or raise `ValueError`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        # Try None first: for an optional text, "none" means None.
        for arg in sorted(args, key=lambda arg: arg is not types.NoneType):
            try:
                return _parse(text, arg)
            except ValueError:
                continue
    if origin is Literal and text in args:
        return text
    if origin is tuple:
        items = _split(text, args[0])
        types_ = args[:1] * len(items) if args[-1] is Ellipsis else args
        if len(items) == len(types_):
            return tuple(map(_parse, items, types_))
    if origin is dict:
        if text.startswith("{") and text.endswith("}"):  # As Python prints a dict.
            text = text[1:-1]
        pairs = [pair.partition(":") for pair in _split(text, args[0])]
        if all(colon for _, colon, _ in pairs):
            return {_parse(k.strip(), args[0]): _parse(v.strip(), args[1]) for k, _, v in pairs}
    if hint is types.NoneType and text.lower() == "none":
        return None
    if hint is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if hint is str:
        return text
    if hint in (int, float):
        value = hint(text)
        if math.isfinite(float(text)):  # `float(value)` may raise OverflowError.
            return value
    raise ValueError(text)


def _split(text, item_hint):
    separator = ";" if typing.get_origin(item_hint) is tuple else ","
    return [item.strip() for item in text.split(separator)] if text else []


_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    types.NoneType: "none",
}


def _describe(hint):
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_describe, args))
    if origin is Literal:
        return " or ".join(args)
    if origin is dict:
        pairs = "11:255,12:255" if args[0] is int else "0,0,0:255;0,0,128:1"
        return f"pairs such as {pairs}"
    if origin is tuple:
        separator = "semicolons" if typing.get_origin(args[0]) is tuple else "commas"
        if args[-1] is Ellipsis:
            return f"a list, separated by {separator}, each {_describe(args[0])}"
        return f"{len(args)} values separated by {separator}, each {_describe(args[0])}"
    return _NAMES[hint]
