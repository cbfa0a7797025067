"""DoRA: LoRA that trains the magnitudes of the weights apart from their direction."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sft.adapters.lora.method import Lora
from sft.adapters.lora.options import LowRankOptions
from sft.adapters.method import OptionFinding, require_agreement
from sft.adapters.peft.folder import adapter_config


class Dora(Lora):
    """Low-rank adapters with magnitudes of their own (arXiv:2402.09353); saved as PEFT's LoRA with `use_dora`."""

    options: type[BaseModel] = LowRankOptions
    fixed: Mapping[str, Any] = {"use_dora": True}

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """The options that disagree with a trained DoRA adapter, dropout excepted."""
        saved = adapter_config(adapter)
        if saved.get("peft_type") == "LORA" and not saved.get("use_dora"):
            return [OptionFinding("", f"{adapter} is a lora adapter without magnitudes, not dora")]
        return super().check_continued(options, adapter)

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """The model with a trained DoRA adapter; what `options` say must agree with it, dropout excepted."""
        require_agreement(self.check_continued(options, adapter))
        return super().continued(model, options, adapter)


METHOD = Dora()
