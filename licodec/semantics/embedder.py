"""The interface of embedders, and what they share."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from licodec.errors import DamagedFileError, UnsupportedError, UsageError
from licodec.semantics.fingerprint import Fingerprint

if TYPE_CHECKING:
    from torch import Tensor

Picture = npt.NDArray[np.uint8]
"""[rows, columns, 3] RGB."""
Vectors = npt.NDArray[np.float32]

_BATCH = 16
"""Pictures that a model gets at once."""


class Embedder(Protocol):
    """Pictures and texts to vectors of one space."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What decides its vectors."""
        ...

    @property
    def dim(self) -> int:
        """Components of a vector."""
        ...

    def embed_images(self, pictures: Sequence[Picture]) -> Vectors:
        """[pictures, dim], each of length 1."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """[texts, dim], each of length 1. Raises UsageError for an empty text."""
        ...


class ModelEmbedder(ABC):
    """What all embedders with a model have in common; a kind sets `_fingerprint` and says how a batch is embedded."""

    _fingerprint: Fingerprint

    @property
    def fingerprint(self) -> Fingerprint:
        """What decides its vectors."""
        return self._fingerprint

    @property
    def dim(self) -> int:
        """Components of a vector."""
        return self._fingerprint.dimension

    def embed_images(self, pictures: Sequence[Picture]) -> Vectors:
        """[pictures, dim], each of length 1."""
        batches = (pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH))
        parts = [unit(self._image_vectors(batch), self._name) for batch in batches]
        return np.concatenate([np.empty((0, self.dim), np.float32), *parts])

    @property
    @abstractmethod
    def _name(self) -> str:
        """In errors."""

    @abstractmethod
    def _image_vectors(self, pictures: Sequence[Picture]) -> npt.NDArray[Any]:
        """[pictures, dim] of a few pictures, of any length."""


def check_texts(texts: Sequence[str]) -> list[str]:
    """The texts, if there is something in each of them."""
    for text in texts:
        if not text.strip():
            raise UsageError("the text to search for is empty")
        if "\0" in text:
            raise UsageError("the text to search for has a NUL character in it")
    return [text.strip() for text in texts]


def unit(vectors: npt.NDArray[Any], who: str) -> Vectors:
    """Vectors divided by their lengths. Raises DamagedFileError where a model gives nothing that is a direction."""
    real = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(real, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise DamagedFileError(f"{who}: gives vectors that are zero or no numbers; its weights are damaged")
    return (real / lengths).astype(np.float32)


def digest_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a state dictionary: of each tensor, in the order of their names, name, type, shape and bytes.

    It does not depend on the kind of file that the weights were in.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def digest_of_files(paths: Sequence[Path]) -> str:
    """SHA-256 of files one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def directory(path: str, spec: str) -> Path:
    """An existing directory, or UsageError."""
    if not path:
        raise UsageError(f"{spec}: names no directory; example: {spec.partition(':')[0]}:/path/to/model")
    found = Path(path).expanduser()
    if not found.is_dir():
        raise UsageError(f"{spec}: there is no directory {found}")
    return found


def one_of(folder: Path, names: Sequence[str], what: str) -> Path:
    """The first of these files that is there, or UsageError."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{folder}: has no {what}: none of {', '.join(names)}")


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file, or DamagedFileError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DamagedFileError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise DamagedFileError(f"{path}: holds no JSON object")
    return found


def needs(package: str, extra: str, error: ImportError | None = None) -> UnsupportedError:
    """The error for a package that is not installed, or that lacks something itself."""
    reason = f" ({error})" if error is not None and error.name != package.replace("-", "_") else ""
    return UnsupportedError(f"needs the package {package}{reason}: pip install 'licodec[{extra}]'")


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Keep the libraries of Hugging Face from asking their hub while they load local files, and from talking."""
    try:
        import huggingface_hub.constants as hub
        from transformers.utils import logging
    except ImportError:
        yield
        return
    before, talk, bar = hub.HF_HUB_OFFLINE, logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub.HF_HUB_OFFLINE = True
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before
        logging.set_verbosity(talk)
        if bar:
            logging.enable_progress_bar()


def cache_directory() -> Path:
    """Where converted weights are kept: $XDG_CACHE_HOME/licodec, or ~/.cache/licodec."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "licodec"


PROBE_TEXT = "a red circle on a green ground"
"""What the fixed picture of `licodec models verify` shows."""


def probe_picture() -> Picture:
    """[224, 224, 3] the fixed picture."""
    rows, columns = np.mgrid[:224, :224]
    picture = np.empty((224, 224, 3), np.uint8)
    picture[:] = (30, 140, 50)
    picture[(rows - 112) ** 2 + (columns - 112) ** 2 < 64**2] = (220, 20, 30)
    return picture
