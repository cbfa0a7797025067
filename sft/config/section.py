"""What every section of a config shares: strict, frozen, unknown keys refused, fields documented once."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every section a user writes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    @cached_property
    def as_text(self) -> str:
        """The section as JSON with every default written out, by which equal sections are known.

        It is made once for each object: thousands of experiments share a section.
        """
        return self.model_dump_json()

    @cached_property
    def as_values(self) -> dict[str, Any]:
        """The section as JSON values, which read back as the same section; made once, and not to be changed."""
        return self._values()

    def _values(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As of every model; what was made of the section before is not that of the copy."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("as_text", "as_values"):
            vars(copied).pop(name, None)
        return copied
