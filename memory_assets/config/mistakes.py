"""The first mistake in a subject, in one line: the key, the value, what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from memory_assets.spec import UNKNOWN_KEY, in_words


def keys_of(part: Any) -> dict[str, Any]:
    """The keys of a part of a subject and the types that each takes; none of anything else."""
    if isinstance(part, type) and issubclass(part, BaseModel):
        return {name: field.annotation for name, field in part.model_fields.items()}
    if isinstance(part, type) and is_dataclass(part):
        hints = get_type_hints(part, include_extras=True)
        return {f.name: hints[f.name] for f in fields(part)}
    return {}


def forms_of(annotation: Any) -> Iterator[Any]:
    """The forms in which a value may be written, `None` left out."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        for form in get_args(annotation):
            yield from forms_of(form)
    elif annotation is not type(None):
        yield annotation


def _known_keys(model: type[BaseModel], location: Iterable[Any]) -> list[str]:
    """Names of the keys beside the one at `location`."""
    part: Any = model
    for name in list(location)[:-1]:
        if get_origin(part) is dict:
            inside: Any = get_args(part)[1]
        else:
            inside = keys_of(part).get(str(name))
        part = next((f for f in forms_of(inside) if keys_of(f) or get_origin(f) is dict), None)
    return list(keys_of(part))


def _meant(error: ValidationError) -> Any:
    """The first mistake; where a key takes a name or a mapping, that of the form that was given."""
    mistakes = error.errors(include_url=False)
    for mistake in mistakes:
        as_name = mistake["loc"][1:] == ("str",)
        if not (as_name and isinstance(mistake["input"], dict) and len(mistakes) > 1):
            return mistake
    return mistakes[0]


def _location(mistake: Any, model: type[BaseModel]) -> list[Any]:
    """Where it is, without the word by which pydantic tells the forms of a key apart."""
    location = list(mistake["loc"])
    if len(location) > 1 and len(list(forms_of(keys_of(model).get(str(location[0]))))) > 1:
        del location[1]
    return location


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."


def first_mistake(error: ValidationError, model: type[BaseModel]) -> str:
    """One mistake in one line: the key, the value, what was expected."""
    first = _meant(error)
    location = _location(first, model)
    key = ".".join(["attributes", *(str(part) for part in location)])
    if first["type"] in UNKNOWN_KEY:
        known = _known_keys(model, location)
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}" if near else f"expected one of {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
    if first["type"] in ("missing", "missing_argument"):
        return f"{key}: missing; add it"
    if isinstance(first["input"], dict):  # a rule about several keys, which the message names
        return f"{key}: {in_words(first)}"
    return f"{key}: {_short(first['input'])}; {in_words(first)}"
