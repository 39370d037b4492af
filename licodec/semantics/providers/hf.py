"""CLIP and SigLIP from a directory in the form of Hugging Face's transformers; versions 4 and 5."""

from __future__ import annotations

import pickle
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
    digest_of_tensors,
    directory,
    needs,
    offline,
    one_of,
    read_json,
    unit,
)
from licodec.semantics.fingerprint import Fingerprint
from licodec.semantics.preprocessing import read_preprocessing

_KINDS = {"clip": "CLIPModel", "siglip": "SiglipModel"}
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = ("tokenizer.json", "vocab.json", "spiece.model")
_LEGACY_EOS = 2
"""What configurations of CLIP said before it counted: then the text's vector is read at the highest token."""


class TransformersEmbedder(ModelEmbedder):
    """A model of transformers."""

    def __init__(self, path: str, device: str = "cpu") -> None:
        folder = directory(path, f"hf:{path}")
        config = read_json(one_of(folder, ["config.json"], "configuration"))
        kind = config.get("model_type")
        if kind not in _KINDS:
            raise UnsupportedError(f"{folder}: a model of type {kind!r}; only {', '.join(_KINDS)} are known")
        one_of(folder, _WEIGHTS, "weights")
        one_of(folder, _TOKENIZERS, "tokenizer")
        self._preprocessing = read_preprocessing(one_of(folder, ["preprocessor_config.json"], "preprocessing"))
        try:
            import transformers
        except ImportError as error:
            raise needs("transformers", "semantics", error) from None
        with offline():
            self._model = _load(getattr(transformers, _KINDS[kind]), folder).to(device)
            try:
                self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            except Exception as error:  # of many libraries, each with errors of its own
                raise DamagedFileError(f"{folder}: its tokenizer cannot be read: {_first_line(error)}") from error
        self._device, self._kind, self._folder = device, kind, folder
        self._check()
        self._fingerprint = Fingerprint(
            "hf",
            f"{_KINDS[kind]} {_shape(self._model.config)}",
            digest_of_tensors(self._model.state_dict()),
            str(self._preprocessing),
            self.embed_texts(["a"]).shape[1],
        )

    @property
    def _name(self) -> str:
        return str(self._folder)

    def _image_vectors(self, pictures: Sequence[Picture]) -> Vectors:
        import torch

        batch = torch.from_numpy(self._preprocessing(pictures)).to(self._device)
        with torch.inference_mode():
            return _tensor(self._model.get_image_features(pixel_values=batch))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        import torch

        found = []
        for start in range(0, len(texts), 64):
            # SigLIP was trained on texts filled up to their full length, and hears the filling.
            encoded = self._tokenizer(
                check_texts(texts[start : start + 64]),
                padding="max_length" if self._kind == "siglip" else True,
                truncation=True,
                max_length=self._model.config.text_config.max_position_embeddings,
                return_tensors="pt",
            ).to(self._device)
            known = {name: encoded[name] for name in ("input_ids", "attention_mask") if name in encoded}
            if self._kind == "siglip":
                known.pop("attention_mask", None)
            with torch.inference_mode():
                found.append(unit(_tensor(self._model.get_text_features(**known)), self._name))
        return np.concatenate(found)

    def _check(self) -> None:
        """Whether the parts fit each other: they would give vectors all the same, which mean nothing."""
        text, size = self._model.config.text_config, self._model.config.vision_config.image_size
        if self._preprocessing.size != (size, size):
            raise DamagedFileError(
                f"{self._folder}: preprocessing makes pictures of {self._preprocessing.size}, the model takes {size}"
            )
        if len(self._tokenizer) > text.vocab_size:
            raise DamagedFileError(
                f"{self._folder}: the tokenizer has {len(self._tokenizer)} tokens, the model {text.vocab_size}"
            )
        ids = self._tokenizer("a")["input_ids"]
        if not ids:
            raise DamagedFileError(f"{self._folder}: the tokenizer makes nothing of a text")
        if self._kind == "clip" and text.eos_token_id != _LEGACY_EOS and text.eos_token_id not in ids:
            raise DamagedFileError(f"{self._folder}: the tokenizer does not end texts with {text.eos_token_id}")


def _load(kind: Any, folder: Path) -> Any:
    """The model with all its weights, in single precision."""
    import torch
    from safetensors import SafetensorError

    try:
        model, about = kind.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError) as error:
        raise DamagedFileError(f"{folder}: cannot be loaded: {_first_line(error)}") from error
    except (SafetensorError, pickle.UnpicklingError) as error:
        raise DamagedFileError(f"{folder}: its weights cannot be read: {_first_line(error)}") from error
    wrong = [*about["missing_keys"], *about["mismatched_keys"]]
    if wrong:
        raise DamagedFileError(f"{folder}: weights are missing or of another shape, such as {wrong[0]}")
    return model.to(torch.float32).eval().requires_grad_(False)


def _tensor(output: Any) -> Any:
    """Features: a tensor in transformers 4, the pooled part of an output in 5."""
    tensor = output if hasattr(output, "cpu") else output.pooler_output
    return tensor.float().cpu().numpy()


def _shape(config: Any) -> str:
    vision, text = config.vision_config, config.text_config
    return (
        f"patch {vision.patch_size} image {vision.image_size} "
        f"vision {vision.num_hidden_layers}x{vision.hidden_size} text {text.num_hidden_layers}x{text.hidden_size}"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
