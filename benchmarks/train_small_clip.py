"""Train the small CLIP of the retrieval benchmark: `python -m benchmarks.train_small_clip [--steps N] [--out FOLDER]`.

A CLIP of transformers with 0.2 million parameters, trained from nothing on rendered frames of `benchmarks.shapes` and
their captions. The scenes of the benchmark's clips are held out: it has seen every colour, shape and motion, but never
those combinations. A few minutes on two CPU cores; the weights are kept in half precision.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel

from benchmarks.shapes import COLOURS, MOTIONS, SHAPES, SIDE, Rgb, Scene, picture, split

FOLDER = Path(__file__).parent / "small_clip"
_SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
_LENGTH = 12
_MEAN, _DEVIATION = [0.45, 0.45, 0.45], [0.25, 0.25, 0.25]


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=160)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    model = CLIPModel(make_config(tokenizer))
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    train(model, tokenizer, arguments.steps, arguments.batch)
    save(model.half(), tokenizer, arguments.out)


def make_tokenizer() -> Tokenizer:
    """Words to numbers: the captions need no more."""
    words = sorted({word for text in ("a an", *COLOURS, *SHAPES, *MOTIONS) for word in text.split()})
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate((*_SPECIAL, *words))}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    return tokenizer


def make_config(tokenizer: Tokenizer) -> CLIPConfig:
    """64 components, three layers for pictures, two for texts."""
    layers = {"hidden_size": 64, "intermediate_size": 192, "num_attention_heads": 4}
    return CLIPConfig(
        text_config={
            **layers,
            "vocab_size": tokenizer.get_vocab_size(),
            "num_hidden_layers": 2,
            "max_position_embeddings": _LENGTH,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": _SPECIAL.index("<end>"),
        },
        vision_config={**layers, "num_hidden_layers": 3, "image_size": SIDE, "patch_size": 8},
        projection_dim=64,
    )


def pixels(pictures: list[Rgb]) -> torch.Tensor:
    """[pictures, 3, 64, 64] as the preprocessing makes them."""
    samples = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return (samples - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_DEVIATION)[:, None, None]


def tokens(tokenizer: Tokenizer, texts: list[str]) -> dict[str, torch.Tensor]:
    """Batches of token numbers."""
    tokenizer.enable_padding(pad_id=0, pad_token="<pad>")
    encoded = tokenizer.encode_batch(texts)
    return {
        "input_ids": torch.tensor([e.ids for e in encoded]),
        "attention_mask": torch.tensor([e.attention_mask for e in encoded]),
    }


def features(output: object) -> torch.Tensor:
    """Of transformers 4 and 5."""
    found = output if isinstance(output, torch.Tensor) else output.pooler_output  # type: ignore[attr-defined]
    return F.normalize(found, dim=1)


def train(model: CLIPModel, tokenizer: Tokenizer, steps: int, batch: int) -> None:
    """CLIP's loss on batches of distinct scenes, each at a random time."""
    known, held_out = split()
    random = np.random.default_rng(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.1)
    started = time.monotonic()
    for step in range(steps):
        scenes = [known[i] for i in random.choice(len(known), batch, replace=False)]
        images = pixels([_augmented(scene, random) for scene in scenes])
        seen = features(model.get_image_features(pixel_values=images))
        read = features(model.get_text_features(**tokens(tokenizer, [s.caption for s in scenes])))
        logits = model.logit_scale.exp().clamp(max=100) * seen @ read.T
        target = torch.arange(batch)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            right = _recall(model, tokenizer, held_out)
            seconds = time.monotonic() - started
            print(f"step {step + 1}  loss {loss.item():.3f}  held out R@1 {right:.1f}%  {seconds:.0f} s", flush=True)


def _augmented(scene: Scene, random: np.random.Generator) -> Rgb:
    """A frame with the noise that coding leaves."""
    state = np.random.default_rng(random.integers(2**32))
    found = picture(scene, random.random(), state)
    noise = random.normal(0, random.uniform(0, 6), found.shape)
    return np.clip(found + noise, 0, 255).astype(np.uint8)


@torch.no_grad()
def _recall(model: CLIPModel, tokenizer: Tokenizer, scenes: list[Scene]) -> float:
    """Percent of captions whose own clip, seen at three times, is nearest."""
    model.eval()
    read = features(model.get_text_features(**tokens(tokenizer, [s.caption for s in scenes])))
    seen = torch.zeros_like(read)
    for share in (0.1, 0.5, 0.9):
        frames = [picture(s, share, np.random.default_rng(i)) for i, s in enumerate(scenes)]
        seen += features(model.get_image_features(pixel_values=pixels(frames)))
    model.train()
    return 100 * float(((read @ F.normalize(seen, dim=1).T).argmax(dim=1) == torch.arange(len(scenes))).float().mean())


def save(model: CLIPModel, tokenizer: Tokenizer, folder: Path) -> None:
    """A directory as transformers reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "<pad>", "bos_token": "<start>", "eos_token": "<end>", "unk_token": "<unknown>"}
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": _LENGTH, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": _MEAN,
        "image_std": _DEVIATION,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n")


if __name__ == "__main__":
    main()
