"""The method `last_layer`: the last blocks, the final norm and the output head are trained."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sft.adapters.base_weights.weights_method import WeightsMethod
from sft.adapters.method import OptionFinding
from sft.exceptions import UserError
from sft.models.config_file import NUMBERS_OF_BLOCKS, written_number
from sft.models.objective import Objective
from sft.models.stored_kinds import PLAIN

BLOCKS = "blocks"


class LastLayerOptions(BaseModel):
    """How far from the output a weight may lie to be trained."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    blocks: Annotated[int, Field(ge=0)] = 1
    """Blocks trained, counted from the last one; 0 trains the final norm and the head alone; default 1."""


class LastLayer(WeightsMethod):
    """A head that shares its weights with the input embedding gets its own, so that the embedding stays as it is."""

    name = "last_layer"
    options: type[BaseModel] = LastLayerOptions

    def check_on_model(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
        """More blocks than the model has."""
        asked = self._whole(options)[BLOCKS]
        there = written_number(config, NUMBERS_OF_BLOCKS)
        return [] if there is None or asked <= there else [OptionFinding(BLOCKS, _too_many(asked, there))]

    def supports(self, options: Mapping[str, Any], storage: str, objective: Objective) -> str | None:
        """Of a quantised model the norm and the head are stored as they are, the blocks are not."""
        if storage == PLAIN or self._whole(options)[BLOCKS] == 0:
            return None
        text = f"last_layer trains the weights of blocks themselves, and those stored as {storage} are fixed"
        return f"{text} (adapter.blocks: 0 trains the final norm and the head alone)"

    def build(self, model: Any, options: Mapping[str, Any]) -> Any:
        """The model, whose last blocks and everything after them are trained."""
        from sft.adapters.base_weights.head import untied_head
        from sft.adapters.base_weights.parts import block_stack, last_parts, require_plain, train_only, weights_of

        there = len(block_stack(model))
        if options[BLOCKS] > there:
            raise UserError(f"adapter.{BLOCKS} is {_too_many(options[BLOCKS], there)}", kind="model")
        untied_head(model)
        parts = last_parts(model, options[BLOCKS])
        require_plain(self.name, parts)
        train_only(model, weights_of(parts))
        return model


METHOD = LastLayer()


def _too_many(asked: int, there: int) -> str:
    """What a refusal says."""
    return f"{asked}: the model has {there} blocks; write {there} or less, or train all weights with method full"
