"""The results of `benchmarks.retrieval` as a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_SIDES = ("teacher", "latent")


def page(known: dict[str, Any]) -> str:
    """Markdown of everything that was measured."""
    return "\n".join(_lines(known)) + "\n"


def _lines(known: dict[str, Any]) -> Iterator[str]:
    yield "# Search by meaning"
    yield ""
    yield "Written by `python -m benchmarks.retrieval --out benchmarks/results`; do not edit. Numbers: retrieval.json."
    yield "*Teacher* is the embedder on every decoded frame of a file, *latent* what the file itself says of them."
    for name, lines in (
        ("text", _text),
        ("moments", _moments),
        ("real", _real),
        ("shots", _shots),
        ("index", _index),
        ("msrvtt", _data),
        ("activitynet", _data),
    ):
        if name in known:
            part = known[name]
            yield ""
            yield from lines(part)
            yield ""
            yield f"`{part['command']}`, {part['machine']}, commit {part['commit']}{', quick' * part['quick']}"


def _recall(part: dict[str, Any]) -> Iterator[str]:
    yield "| | R@1 | R@5 | R@10 | median rank |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for side in _SIDES:
        found = part[side]
        yield f"| {side} | {found['r1']:.1f} | {found['r5']:.1f} | {found['r10']:.1f} | {found['medr']:.1f} |"


def _text(part: dict[str, Any]) -> Iterator[str]:
    yield "## Text to video, generated clips"
    yield ""
    yield f"{part['clips']} clips of moving shapes whose combination of colour, shape and motion the small CLIP has not"
    yield f"seen. Files have {part['file_bytes']:.0f} bytes on average, the latents and their head"
    yield f"{part['semantics_bytes'] or 0:.0f} of them; mean cosine to the teacher {part['cosine']:.4f}."
    yield ""
    yield from _recall(part)
    yield ""
    yield "What lambda does (the fit alone repeated):"
    yield ""
    yield "| lambda | bytes | R@1 | R@5 | R@10 |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for row in part["lambda"]:
        yield f"| {row['lambda']:g} | {row['bytes']:.0f} | {row['r1']:.1f} | {row['r5']:.1f} | {row['r10']:.1f} |"


def _moments(part: dict[str, Any]) -> Iterator[str]:
    yield "## Moments and cuts, generated movies"
    yield ""
    yield f"{part['movies']} movies of four scenes; {part['queries']} captions look for their scene in their movie."
    yield ""
    yield "| | R@1, IoU 0.5 | R@1, IoU 0.7 |"
    yield "| --- | ---: | ---: |"
    for side in _SIDES:
        yield f"| {side} | {part[side]['iou0.5']:.1f} | {part[side]['iou0.7']:.1f} |"
    yield ""
    yield f"Cuts between the scenes, as known from the movies' making: {_cuts(part['cuts'])}."


def _cuts(found: dict[str, Any]) -> str:
    return (
        f"F1 {found['f1']:.1f} (precision {found['precision']:.1f}, recall {found['recall']:.1f}; "
        f"{found['found']} found, {found['reference']} in the reference)"
    )


def _real(part: dict[str, Any]) -> Iterator[str]:
    yield "## `builtin` on real clips"
    yield ""
    yield f"Pictures of the source look for their second among {part['windows']} of bikes, bunny and carphone:"
    yield ""
    yield from _recall(part["picture_to_window"])
    yield ""
    yield "Written captions, three a clip, look for their clip (few: this shows that both agree, not how good it is):"
    yield ""
    yield from _recall(part["text_to_clip"])
    if part["cost"]:
        yield ""
        yield "What it costs at preset ultrafast. The video's chunks are the same in every byte. Time is what goes into"
        yield "it besides the embedder, as a share of the encode without the embedder."
        yield ""
        yield "| clip | bytes | of them latents | share | time | cosine |"
        yield "| --- | ---: | ---: | ---: | ---: | ---: |"
        for row in part["cost"]:
            yield (
                f"| {row['clip']} | {row['bytes']:,} | {row['semantics_bytes']:,} | {row['share_percent']:.1f}% "
                f"| {row['overhead_percent']:.1f}% | {row['cosine']:.4f} |"
            )


def _shots(part: dict[str, Any]) -> Iterator[str]:
    yield "## Cuts against TransNetV2"
    yield ""
    if "skipped" in part:
        yield f"Not run: {part['skipped']}."
        return
    yield "TransNetV2 on the decoded frames is the reference; a cut counts as found within two frames. *Segments* are"
    yield "the codec's own bounds, without latents. The thresholds of `licodec.semantics.shot_list` were chosen on"
    yield "these two clips; the generated movies above had no part in it."
    yield ""
    for name, found in part.items():
        if isinstance(found, dict):
            yield f"- {name}, {found['frames']} frames: {_cuts(found)}. Segments: {_cuts(found['segments'])}."


def _index(part: dict[str, Any]) -> Iterator[str]:
    yield "## Index"
    yield ""
    yield "An exact query among latents of 8 components, 100 a file, vectors of 384, in memory:"
    yield ""
    yield "| latents | median | worst of 21 | to load |"
    yield "| ---: | ---: | ---: | ---: |"
    for count, found in part.items():
        if isinstance(found, dict):
            yield (
                f"| {int(count):,} | {found['median_ms']:.1f} ms | {found['worst_ms']:.1f} ms "
                f"| {found['load_seconds']:.2f} s |"
            )


def _data(part: dict[str, Any]) -> Iterator[str]:
    yield "## Data of the user's own"
    yield ""
    yield from _recall(part)
    if "moments" in part:
        for side in _SIDES:
            found = part["moments"][side]
            yield f"- {side}: R@1 {found['iou0.5']:.1f} at IoU 0.5, {found['iou0.7']:.1f} at IoU 0.7"
