"""Exported encoders: a directory with an image and a text model of ONNX, a tokenizer and the preprocessing.

    vision_model.onnx, text_model.onnx    here or in the folder onnx/, as Hugging Face's exporters name them
    tokenizer.json                        of the library tokenizers
    preprocessor_config.json              as transformers has it

The vision model takes `pixel_values`, the text model `input_ids` and, if it has one, `attention_mask`; the vectors are
the outputs `image_embeds` and `text_embeds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from licodec.errors import DamagedFileError, UnsupportedError
from licodec.semantics.embedder import (
    ModelEmbedder,
    Picture,
    Vectors,
    check_texts,
    digest_of_files,
    directory,
    needs,
    one_of,
    unit,
)
from licodec.semantics.fingerprint import Fingerprint
from licodec.semantics.preprocessing import read_preprocessing

_TOKENS = 77


class OnnxEmbedder(ModelEmbedder):
    """Two sessions of ONNX Runtime on the CPU."""

    def __init__(self, path: str) -> None:
        self._folder = folder = directory(path, f"onnx:{path}")
        vision = one_of(folder, ["vision_model.onnx", "onnx/vision_model.onnx"], "image encoder")
        text = one_of(folder, ["text_model.onnx", "onnx/text_model.onnx"], "text encoder")
        words = one_of(folder, ["tokenizer.json"], "tokenizer")
        self._preprocessing = read_preprocessing(one_of(folder, ["preprocessor_config.json"], "preprocessing"))
        self._vision = _session(vision, {"pixel_values"}, "image_embeds")
        self._text = _session(text, {"input_ids", "attention_mask"}, "text_embeds")
        self._text_inputs = {given.name for given in self._text.get_inputs()}
        self._tokenizer = _tokenizer(words, self._text)
        rows, columns = self._preprocessing.size or (0, 0)
        shape = self._vision.get_inputs()[0].shape
        # A name instead of a number is a side that may be anything.
        if any(isinstance(a, int) and a != b for a, b in zip(shape[2:], (rows, columns), strict=True)):
            raise DamagedFileError(
                f"{folder}: preprocessing makes pictures of {rows}x{columns}, the model takes {shape[2]}x{shape[3]}"
            )
        dimensions = {
            len(self._image_vectors([np.zeros((rows, columns, 3), np.uint8)])[0]),
            len(self.embed_texts(["a"])[0]),
        }
        if len(dimensions) > 1:
            raise DamagedFileError(f"{folder}: image and text vectors have {sorted(dimensions)} components")
        self._fingerprint = Fingerprint(
            "onnx",
            f"{vision.stem} {text.stem}",
            digest_of_files([vision, text, words]),
            str(self._preprocessing),
            dimensions.pop(),
        )

    @property
    def _name(self) -> str:
        return "onnx"

    def _image_vectors(self, pictures: Sequence[Picture]) -> Any:
        return _run(self._vision, self._folder, {"pixel_values": self._preprocessing(pictures)})

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        encoded = self._tokenizer.encode_batch(check_texts(texts))
        given = {
            "input_ids": np.array([e.ids for e in encoded], np.int64),
            "attention_mask": np.array([e.attention_mask for e in encoded], np.int64),
        }
        known = {name: value for name, value in given.items() if name in self._text_inputs}
        return unit(_run(self._text, self._folder, known), self._name)


def _session(path: Path, inputs: set[str], output: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise needs("onnxruntime", "onnx", error) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common but this
        raise DamagedFileError(f"{path}: cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    found = {given.name for given in session.get_inputs()}
    if not found or not found <= inputs or output not in {made.name for made in session.get_outputs()}:
        raise UnsupportedError(f"{path}: takes {sorted(found)}, but must take {sorted(inputs)} and give {output}")
    return session


def _run(session: Any, folder: Path, given: dict[str, Any]) -> Any:
    name = next(n for n in ("image_embeds", "text_embeds") if n in {made.name for made in session.get_outputs()})
    try:
        (found,) = session.run([name], given)
    except Exception as error:
        raise DamagedFileError(f"{folder}: cannot be run: {str(error).strip().splitlines()[0]}") from error
    if found.ndim != 2:
        raise UnsupportedError(f"{folder}: {name} has {found.ndim} dimensions, not one vector a row")
    return found


def _tokenizer(path: Path, session: Any) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise needs("tokenizers", "onnx", error) from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # likewise
        raise DamagedFileError(f"{path}: cannot be read: {str(error).strip().splitlines()[0]}") from error
    length = session.get_inputs()[0].shape[1]
    tokenizer.enable_truncation(length if isinstance(length, int) else _TOKENS)
    if isinstance(length, int):
        tokenizer.enable_padding(length=length)
    elif tokenizer.padding is None:
        tokenizer.enable_padding()
    return tokenizer
