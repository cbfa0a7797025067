"""The `resources` section: what a stage gets of the machine."""

from typing import Annotated

from pydantic import Field

from sft.config.section import Section


class ResourcesConfig(Section):
    """What each stage that loads a model, also one of a metric, gets of the machine; in no id."""

    gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs leased to a stage; default: 1 where there is a GPU, else 0; with `model_args.parallelize` all."""
