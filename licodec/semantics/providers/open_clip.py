"""Models of OpenCLIP: from a directory, or, only when asked for by name, from its hub."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.errors import DamagedFileError, UnsupportedError, UsageError
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

_LOCAL = "local-dir:"
_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
)


class OpenClipEmbedder(ModelEmbedder):
    """A model of OpenCLIP."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        local = name.startswith(_LOCAL)
        architecture, slash, pretrained = name.partition("/")
        if local:
            architecture = self._check_directory(name)
        elif not slash or not architecture or not pretrained:
            raise UsageError(f"open_clip:{name}: give open_clip:local-dir:/path or open_clip:ARCH/PRETRAINED")
        module = _library()
        with offline() if local else contextlib.nullcontext(), warnings.catch_warnings():
            # It says so when the activation in the configuration is not that of the weights, and goes on.
            warnings.filterwarnings("error", message="QuickGELU mismatch")
            try:
                model, _, transform = module.create_model_and_transforms(
                    name if local else architecture,
                    pretrained=None if local else pretrained,
                    require_pretrained=True,
                    device=device,
                )
                self._tokenizer = module.get_tokenizer(name if local else architecture)
            except (OSError, ValueError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError, UserWarning) as e:
                lines = str(e).strip().splitlines() or [type(e).__name__]
                raise DamagedFileError(f"open_clip:{name}: cannot be loaded: {lines[0]}") from e
            except Exception as error:  # safetensors and the hub have errors without a common class
                raise DamagedFileError(f"open_clip:{name}: cannot be loaded: {error}") from error
        self._spec, self._device, self._transform = name, device, transform
        self._model = model.eval().requires_grad_(False)
        self._fingerprint = Fingerprint(
            "open_clip",
            architecture,
            digest_of_tensors(model.state_dict()),
            " ".join(str(transform).split())[:1000],
            self.embed_texts(["a"]).shape[1],
        )

    @staticmethod
    def _check_directory(name: str) -> str:
        """Everything must be there, and fit: what is missing OpenCLIP replaces by defaults or random numbers."""
        folder = directory(name.removeprefix(_LOCAL), f"open_clip:{name}")
        path = one_of(folder, ["open_clip_config.json"], "configuration")
        one_of(folder, _WEIGHTS, "weights")
        config = read_json(path)
        model, preprocessing = config.get("model_cfg"), config.get("preprocess_cfg")
        if not isinstance(model, dict) or not isinstance(preprocessing, dict):
            raise DamagedFileError(f"{path}: lacks model_cfg or preprocess_cfg")
        for name_ in ("mean", "std"):
            if not isinstance(preprocessing.get(name_), list) or len(preprocessing[name_]) != 3:
                raise DamagedFileError(f"{path}: {name_} of preprocess_cfg is not three numbers")
        text, vision = model.get("text_cfg"), model.get("vision_cfg")
        if not isinstance(text, dict) or not isinstance(vision, dict):
            raise DamagedFileError(f"{path}: lacks text_cfg or vision_cfg")
        size, wanted = preprocessing.get("size"), vision.get("image_size")
        if size is not None and wanted is not None and np.max(size) != np.max(wanted):
            raise DamagedFileError(f"{path}: preprocessing makes pictures of {size}, the model takes {wanted}")
        if text.get("hf_tokenizer_name") or text.get("hf_model_name"):
            one_of(folder, ["tokenizer.json", "vocab.txt", "vocab.json", "spiece.model"], "tokenizer")
        return str(config.get("architecture", f"local {vision.get('width')} {text.get('width')}"))

    @property
    def _name(self) -> str:
        return self._spec

    def _image_vectors(self, pictures: Sequence[Picture]) -> npt.NDArray[Any]:
        import torch
        from PIL import Image

        ready = [self._transform(Image.fromarray(np.ascontiguousarray(p))) for p in pictures]
        with torch.inference_mode():
            found = self._model.encode_image(torch.stack(ready).to(self._device))
        return np.asarray(found.float().cpu().numpy())

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        import torch

        with torch.inference_mode():
            found = self._model.encode_text(self._tokenizer(check_texts(texts)).to(self._device))
        return unit(found.float().cpu().numpy(), self._name)


def _library() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise needs("open-clip-torch", "open_clip", error) from None
    except RuntimeError as error:
        # torchvision's way to say that it was built for another PyTorch.
        raise UnsupportedError(
            f"open_clip cannot be loaded ({error}): install torchvision of the same build as PyTorch"
        ) from error
    return open_clip
