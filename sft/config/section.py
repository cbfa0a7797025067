"""What every section of a config shares: strict, frozen, unknown keys refused, fields documented once."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every section a user writes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
