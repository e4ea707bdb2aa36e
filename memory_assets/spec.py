"""What every part of a subject in YAML has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Spec(BaseModel):
    """An unknown key is an error: a setting that is silently ignored is worse than none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
