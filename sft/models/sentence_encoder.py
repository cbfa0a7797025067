"""Sentence-embedding models: texts to vectors, through the optional package sentence-transformers."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.exceptions import PackageMissing, UserError
from sft.models.reading import reading_error
from sft.models.references import locate

if TYPE_CHECKING:
    import numpy as np

MODULE, PACKAGE, INSTALL = "sentence_transformers", "sentence-transformers", "pip install 'sft-grid[embeddings]'"
DESCRIPTIONS = ("modules.json", "config.json")
"""A folder with one of these can be read as a sentence-embedding model."""


@dataclass(frozen=True)
class EncoderSource:
    """Which sentence-embedding model."""

    name: str
    """Hub id or local folder, relative to `folder`."""

    folder: Path
    """The folder of the grid or config file."""

    revision: str | None = None
    """Pinned commit of a hub id."""


def require_encoder_package(needed_for: str) -> None:
    """Check that the optional package is there, without importing it.

    Raises:
        PackageMissing: it is not, with the command that installs it.
    """
    if importlib.util.find_spec(MODULE) is None:
        raise PackageMissing(PACKAGE, needed_for, INSTALL)


def check_encoder(name: str, folder: Path) -> str | None:
    """What is wrong with the name of a sentence-embedding model, as far as that shows without the hub."""
    try:
        path = locate(name, folder)
    except UserError as error:
        return str(error)
    if path is None or any((path / description).is_file() for description in DESCRIPTIONS):
        return None
    return f"{name!r}: no {' or '.join(DESCRIPTIONS)} there; name the folder of a sentence-embedding model"


def encode_texts(source: EncoderSource, texts: Sequence[str]) -> "np.ndarray[Any, Any]":
    """The vectors of texts, each of length 1, fp32, in eval mode, on the GPU when there is one.

    The model is loaded for this call and let go after it: beside it stands the one that is trained or measured. Code
    that comes with a model is never run, and only safetensors are read.

    Returns:
        One row per text.

    Raises:
        UserError: there is no such model.
        MachineError: the package is missing, or the model is not cached and the hub does not answer.
    """
    require_encoder_package(f"the sentence-embedding model {source.name!r}")
    from sentence_transformers import SentenceTransformer

    path = locate(source.name, source.folder)
    try:
        model = SentenceTransformer(
            str(path or source.name),
            revision=source.revision,
            trust_remote_code=False,
            model_kwargs={"dtype": "float32", "use_safetensors": True},
        )
    except Exception as error:
        told = reading_error(f"no sentence-embedding model can be read from {source.name!r}", source.name, path, error)
        if told is None:
            raise
        raise told from error
    vectors: np.ndarray[Any, Any] = model.eval().encode(
        list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
    )
    return vectors
