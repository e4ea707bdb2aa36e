"""What every part of a subject in YAML has in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from memory_assets.store.digest import digest


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


class Spec(BaseModel):
    """An unknown key is an error: a setting that is silently ignored is worse than none.

    So is a number that is none: JSON has no infinity, and every digest is one of JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
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
