"""What every part of a subject in YAML has in common."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import CoreSchema

from memory_assets.errors import InputError
from memory_assets.store.digest import digest

_CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

S = TypeVar("S", bound="Spec")

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic calls the mistake of an unknown key: of a model, and of a dataclass."""


def _plain_data(values: dict[str, Any]) -> dict[str, Any]:
    try:
        digest(values)
    except (TypeError, ValueError):
        raise ValueError(
            "expected numbers, texts, true, false and lists and mappings of them; "
            "no infinity, date or set"
        ) from None
    return values


Settings = Annotated[dict[str, Any], AfterValidator(_plain_data)]
"""What somebody else's function is given: any names, and values that a digest can be made of."""


def _without_null(core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
    """The schema that `dg check yaml` reads, without "or null" for what may be left out.

    With it, a wrong value "is not valid under any of the given schemas"; without it, "is not
    one of ['quick', 'standard', 'thorough']".
    """
    schema = handler(core_schema)
    properties = handler.resolve_ref_schema(schema).get("properties", {})
    for name, field in properties.items():
        choices = [one for one in field.get("anyOf", ()) if one != {"type": "null"}]
        if len(choices) == 1:
            rest = {key: value for key, value in field.items() if key != "anyOf"}
            properties[name] = choices[0] | rest
    return schema


class Spec(BaseModel):
    """An unknown key is an error: a setting that is silently ignored is worse than none.

    So is a number that is none: JSON has no infinity, and every digest is one of JSON.
    """

    model_config = _CONFIG

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _without_null(core_schema, handler)


class SpecData:
    """Base of a frozen dataclass that is a part of a subject as well.

    Its fields, their defaults and their constraints (`Annotated[float, Field(gt=0)]`) are declared
    there alone: pydantic reads YAML by them, and what is made in Python is held to the same.

    Raises:
        InputError: a field outside its constraints, named under `written_as`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG
    written_as: ClassVar[str]
    """The key of a subject under which it stands."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _without_null(core_schema, handler)

    def __post_init__(self) -> None:
        for name, adapter in _adapters(type(self)).items():
            value = getattr(self, name)
            try:
                adapter.validate_python(value)
            except ValidationError as error:
                expected = in_words(error.errors(include_url=False)[0])
                raise InputError(f"{self.written_as}.{name}: {value!r}; {expected}") from None


@cache
def _adapters(kind: type) -> dict[str, TypeAdapter[Any]]:
    """What checks each field of a dataclass; nothing is converted, True is no number."""
    hints = get_type_hints(kind, include_extras=True)
    config = ConfigDict(strict=True, allow_inf_nan=False)
    return {f.name: TypeAdapter(hints[f.name], config=config) for f in fields(kind)}


def changes_of(kind: type[SpecData], name: str, base: type[S], leave: frozenset[str]) -> type[S]:
    """A spec of the fields of `kind` except `leave`, each with its constraints and none required.

    What is not written is not set: `model_fields_set` tells which are.
    """
    hints = get_type_hints(kind, include_extras=True)
    said = {f.name: (hints[f.name] | None, None) for f in fields(kind) if f.name not in leave}  # pyright: ignore[reportArgumentType]
    return create_model(name, __base__=base, __doc__=base.__doc__, **said)  # pyright: ignore[reportCallIssue, reportArgumentType]


def in_words(mistake: Any) -> str:
    """What pydantic expected of a value, as the end of a line that has named key and value."""
    said = str(mistake["msg"])
    ours = said.removeprefix("Value error, ")
    return ours if ours != said else f"{said[0].lower()}{said[1:]}"
