"""What schemas of custom resources have in common: nothing that they do not name passes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

__all__ = ["Count", "Metadata", "Reference", "Strict"]

Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Strict):
    name: str
    namespace: str | None = None
    labels: dict[str, str]
    annotations: dict[str, str] | None = None


class Reference(Strict):
    api_version: str
    kind: str
    name: str
