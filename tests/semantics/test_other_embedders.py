"""ONNX and OpenCLIP, where their packages are installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from licodec.errors import DamagedFileError, LicodecError, UnsupportedError, UsageError
from licodec.semantics import open_embedder

from . import models
from .test_embedders import change_json, pictures, remove, write


class Onnx:
    """The few messages of ONNX's protocol buffers that a model of one matrix product needs, written by hand."""

    @staticmethod
    def field(number: int, value: int | bytes | str) -> bytes:
        if isinstance(value, int):
            return Onnx.varint(number << 3) + Onnx.varint(value)
        data = value.encode() if isinstance(value, str) else value
        return Onnx.varint(number << 3 | 2) + Onnx.varint(len(data)) + data

    @staticmethod
    def varint(value: int) -> bytes:
        out = b""
        while value >= 128:
            out += bytes([value % 128 + 128])
            value //= 128
        return out + bytes([value])

    @staticmethod
    def tensor(name: str, values: np.ndarray) -> bytes:
        kind = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}[values.dtype]
        sides = b"".join(Onnx.field(1, side) for side in values.shape)
        return sides + Onnx.field(2, kind) + Onnx.field(8, name) + Onnx.field(9, values.tobytes())

    @staticmethod
    def value(name: str, kind: int, sides: tuple[int | str, ...]) -> bytes:
        shape = b"".join(Onnx.field(1, Onnx.field(1 if isinstance(s, int) else 2, s)) for s in sides)
        return Onnx.field(1, name) + Onnx.field(2, Onnx.field(1, Onnx.field(1, kind) + Onnx.field(2, shape)))

    @staticmethod
    def node(kind: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
        return (
            b"".join(Onnx.field(1, name) for name in inputs)
            + Onnx.field(2, output)
            + Onnx.field(4, kind)
            + b"".join(Onnx.field(5, attribute) for attribute in attributes)
        )

    @staticmethod
    def model(nodes: list[bytes], tensors: list[bytes], inputs: list[bytes], output: bytes) -> bytes:
        graph = b"".join(Onnx.field(1, n) for n in nodes) + Onnx.field(2, "graph")
        graph += b"".join(Onnx.field(5, t) for t in tensors) + b"".join(Onnx.field(11, i) for i in inputs)
        graph += Onnx.field(12, output)
        return Onnx.field(1, 8) + Onnx.field(8, Onnx.field(2, 13)) + Onnx.field(7, graph)


PIXELS = 3 * models.SIDE**2
VOCABULARY = len(models.SPECIAL) + len(models.WORDS)


def save_onnx(folder: Path, dimensions: tuple[int, int] = (6, 6), image_output: str = "image_embeds") -> Path:
    """A linear image encoder, and a text encoder that looks words up and takes the mean."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    side = models.SIDE
    flat = Onnx.field(1, "axis") + Onnx.field(3, 1) + Onnx.field(20, 2)
    vision = Onnx.model(
        [Onnx.node("Flatten", ["pixel_values"], "flat", flat), Onnx.node("MatMul", ["flat", "w"], image_output)],
        [Onnx.tensor("w", random.normal(size=(PIXELS, dimensions[0])).astype(np.float32))],
        [Onnx.value("pixel_values", 1, ("batch", 3, side, side))],
        Onnx.value(image_output, 1, ("batch", dimensions[0])),
    )
    axes = Onnx.field(1, "axes") + Onnx.field(8, 1) + Onnx.field(20, 7)
    keep = Onnx.field(1, "keepdims") + Onnx.field(3, 0) + Onnx.field(20, 2)
    text = Onnx.model(
        [
            Onnx.node("Gather", ["w", "input_ids"], "words"),
            Onnx.node("ReduceMean", ["words"], "text_embeds", axes, keep),
        ],
        [Onnx.tensor("w", random.normal(size=(VOCABULARY, dimensions[1])).astype(np.float32))],
        [Onnx.value("input_ids", 7, ("batch", "length"))],
        Onnx.value("text_embeds", 1, ("batch", dimensions[1])),
    )
    (folder / "vision_model.onnx").write_bytes(vision)
    (folder / "text_model.onnx").write_bytes(text)
    (folder / "preprocessor_config.json").write_text(json.dumps(models.preprocessor()))
    models.write_tokenizer(folder)
    return folder


@pytest.fixture
def onnx_model(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    pytest.importorskip("tokenizers", reason="needs the extra 'onnx'")
    return save_onnx(tmp_path / "model")


def test_onnx(onnx_model: Path) -> None:
    embedder = open_embedder(f"onnx:{onnx_model}")
    images = embedder.embed_images(pictures((32, 32), (60, 20)))
    texts = embedder.embed_texts(["red", "a square on the left"])
    assert images.shape == texts.shape == (2, embedder.dim) == (2, 6)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert embedder.fingerprint == open_embedder(f"onnx:{onnx_model}").fingerprint
    weights = np.random.default_rng(0).normal(size=(PIXELS, 6))
    samples = ((pictures((32, 32))[0] / 255 - 0.5) / 0.25).transpose(2, 0, 1).ravel()
    wanted = samples @ weights
    np.testing.assert_allclose(images[0], wanted / np.linalg.norm(wanted), atol=1e-4)
    with pytest.raises(UsageError, match="empty"):
        embedder.embed_texts([""])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (remove("vision_model.onnx"), UsageError, "no image encoder"),
        (remove("text_model.onnx"), UsageError, "no text encoder"),
        (remove("tokenizer.json"), UsageError, "no tokenizer"),
        (remove("preprocessor_config.json"), UsageError, "no preprocessing"),
        (write("vision_model.onnx", b"nonsense"), DamagedFileError, "cannot be loaded"),
        (write("tokenizer.json", b"{}"), DamagedFileError, "cannot be read"),
        (change_json("preprocessor_config.json", size={"height": 16, "width": 16}), DamagedFileError, "takes 32x32"),
        (lambda folder: save_onnx(folder, (6, 7)), DamagedFileError, r"\[6, 7\] components"),
        (lambda folder: save_onnx(folder, image_output="other"), UnsupportedError, "give image_embeds"),
    ],
)
def test_onnx_models_that_are_wrong(
    onnx_model: Path, change: Callable[[Path], Any], error: type[LicodecError], message: str
) -> None:
    change(onnx_model)
    with pytest.raises(error, match=message) as caught:
        open_embedder(f"onnx:{onnx_model}")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def open_clip() -> Any:
    """The package. The index's torchvision for Linux is built for CUDA, and cannot register its operators with a
    PyTorch for CPUs; none of them is used here."""
    torch = pytest.importorskip("torch")
    for package in ("open_clip", "torchvision"):
        import importlib.util

        if importlib.util.find_spec(package) is None:
            pytest.skip("needs the extra 'open_clip'")
    if "+cpu" in torch.__version__ and not torch.cuda.is_available():
        operators = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_operators"] = operators  # kept: they are gone with the object
    return pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def open_clip_source(open_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    config = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    folder = tmp_path_factory.mktemp("open_clip")
    model = open_clip.CLIP(**config)
    save_file(
        {k: v.clone().contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    preprocess = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bicubic"}
    whole = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    yield folder


@pytest.fixture
def open_clip_model(open_clip_source: Path, tmp_path: Path) -> Path:
    shutil.copytree(open_clip_source, tmp_path / "model")
    return tmp_path / "model"


def test_open_clip(open_clip_model: Path) -> None:
    embedder = open_embedder(f"open_clip:local-dir:{open_clip_model}")
    images = embedder.embed_images(pictures((32, 32), (60, 20)))
    texts = embedder.embed_texts(["red", "a square on the left ✓"])
    assert images.shape == texts.shape == (2, embedder.dim) == (2, 12)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert embedder.fingerprint == open_embedder(f"open_clip:local-dir:{open_clip_model}").fingerprint
    with pytest.raises(UsageError, match="empty"):
        embedder.embed_texts([" "])


def change_config(part: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "open_clip_config.json"
        found = json.loads(path.read_text())
        found[part] = {k: v for k, v in (found[part] | changes).items() if v != "removed"}
        path.write_text(json.dumps(found))

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (remove("open_clip_model.safetensors"), UsageError, "has no weights"),
        (remove("open_clip_config.json"), UsageError, "has no configuration"),
        (write("open_clip_model.safetensors", b"\0" * 64), DamagedFileError, "cannot be loaded"),
        (write("open_clip_config.json", b"{}"), DamagedFileError, "lacks model_cfg"),
        (change_config("preprocess_cfg", mean="removed"), DamagedFileError, "mean of preprocess_cfg"),
        (change_config("preprocess_cfg", std=[1]), DamagedFileError, "std of preprocess_cfg"),
        (change_config("preprocess_cfg", size=64), DamagedFileError, "the model takes 32"),
        (change_config("model_cfg", text_cfg="removed"), DamagedFileError, "lacks text_cfg"),
        (change_config("model_cfg", embed_dim=16), DamagedFileError, "cannot be loaded"),
        (
            change_config("model_cfg", text_cfg={"hf_tokenizer_name": "somewhere/else", "hf_model_name": "x/y"}),
            UsageError,
            "no tokenizer",
        ),
    ],
)
def test_open_clip_models_that_are_wrong(
    open_clip_model: Path, change: Callable[[Path], None], error: type[LicodecError], message: str
) -> None:
    change(open_clip_model)
    with pytest.raises(error, match=message) as caught:
        open_embedder(f"open_clip:local-dir:{open_clip_model}")
    assert "\n" not in str(caught.value)


def test_open_clip_names_that_are_not_known(open_clip: Any) -> None:
    with pytest.raises(DamagedFileError, match="cannot be loaded"):
        open_embedder("open_clip:ViT-B-32/no-such-weights")
    with pytest.raises(UsageError, match="ARCH/PRETRAINED"):
        open_embedder("open_clip:ViT-B-32")
