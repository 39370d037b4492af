"""Tiny CLIP and SigLIP models with random weights, as directories on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SIDE = 32
WORDS = ("a", "red", "green", "blue", "gray", "square", "on", "the", "left", "right")
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def preprocessor(**changes: Any) -> dict[str, Any]:
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
    } | changes


def write_tokenizer(folder: Path) -> None:
    """Words to numbers, with an end mark, as fast tokenizers are saved."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "<pad>", "bos_token": "<start>", "eos_token": "<end>", "unk_token": "<unknown>"}
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 10, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))


def save(folder: Path, kind: str = "clip", seed: int = 0) -> Path:
    """A model of 20,000 parameters in the form of transformers."""
    import torch
    from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

    layers = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**layers, "vocab_size": len(SPECIAL) + len(WORDS), "max_position_embeddings": 10}
    text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    vision = {**layers, "image_size": SIDE, "patch_size": 8}
    torch.manual_seed(seed)
    if kind == "clip":
        model: Any = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))
    else:
        model = SiglipModel(SiglipConfig(text_config=text | {"projection_size": 16}, vision_config=vision))
    # Larger than they start: otherwise all pictures would be about the same to it.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor()))
    return folder
