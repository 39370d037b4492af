"""A tiny real file, cut at every byte and with every bit flipped, also with right checksums, decoded to the end.

What the container tells of it is in `tests/container/test_faults.py`; here the parsers and the renderer behind it are
reached. The counts are printed: `pytest -s tests/api/test_faults.py`.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from conformance.check import FOLDER
from container import rebuild
from golden.make_example import EXAMPLE

import licodec
from licodec.errors import DamagedFileError, LimitError, UnsupportedError

REFUSED = (DamagedFileError, UnsupportedError, LimitError)
SOUND = EXAMPLE.read_bytes()


def decode(data: bytes) -> list[tuple[np.ndarray, ...]]:
    """Every frame, and one in between."""
    with licodec.open(data) as video:
        frames = [video.planes(i) for i in range(len(video))]
        frames.append(video.planes_at((video.time(0) + video.time(len(video) - 1)) / 2))
    return frames


WHOLE = decode(SOUND)


def outcome(data: bytes, *, salvage: bool = True) -> str:
    """`right`, `other` (pictures, but not these: a forged file may hold anything), or the name of the error."""
    started = time.process_time()
    try:
        frames = decode(data)
        same = len(frames) == len(WHOLE) and all(
            np.array_equal(p, q) for a, b in zip(frames, WHOLE, strict=True) for p, q in zip(a, b, strict=True)
        )
        result = "right" if same else "other"
    except REFUSED as error:
        assert str(error).isprintable(), "one line"
        result = type(error).__name__ if type(error) in REFUSED else "DamagedFileError"
    if salvage and result == "DamagedFileError":
        # What is left of it may be nothing, but never something wrong.
        try:
            with licodec.open(data, salvage=True) as video:
                assert video.problems or video.planes(0)
                _ = video.planes(len(video) - 1)
        except REFUSED:
            pass
    assert time.process_time() - started < 5
    return result


@contextmanager
def counted(label: str) -> Iterator[Counter[str]]:
    """Prints the outcomes; fails when it took much memory."""
    counts: Counter[str] = Counter()
    started, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield counts
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    seconds = time.process_time() - started
    print(f"{label}: {counts.total()} files, {dict(counts)}, {seconds:.1f} s, +{used} KiB")
    assert used < 300_000


def flips(data: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def test_every_cut() -> None:
    with counted("cuts") as counts:
        for length in range(len(SOUND)):
            counts[outcome(SOUND[:length])] += 1
    assert counts == {"DamagedFileError": len(SOUND)}


def test_every_flipped_bit() -> None:
    """Without salvage nothing wrong is ever shown: a frame is right, or the file is refused."""
    with counted("flipped bits") as counts:
        for data in flips(SOUND):
            counts[outcome(data, salvage=False)] += 1
    assert counts.total() == 8 * len(SOUND)
    assert set(counts) == {"DamagedFileError", "UnsupportedError"}
    assert counts["UnsupportedError"] == 16, "the version bytes"


def test_every_flipped_bit_with_right_checksums() -> None:
    places = rebuild.extents(SOUND)
    with counted("flipped bits, checksums recomputed") as counts:
        for data in flips(SOUND):
            counts[outcome(rebuild.reseal(data, places), salvage=False)] += 1
    assert counts["other"] and counts["DamagedFileError"] and counts["LimitError"] and counts["UnsupportedError"]


def test_every_cut_of_every_payload_with_right_checksums() -> None:
    chunks = rebuild.split(SOUND)
    with counted("cut payloads, everything around them recomputed") as counts:
        for i, (kind, payload) in enumerate(chunks[:-1]):
            for length in range(len(payload)):
                cut = [*chunks[:i], (kind, payload[:length]), *chunks[i + 1 :]]
                if kind == b"SEGM" and length >= rebuild.times_length(payload):
                    cut[-2] = (b"INDX", rebuild.index_of(cut[2:-2]))
                counts[outcome(rebuild.join(cut))] += 1
    assert counts["DamagedFileError"] > counts["other"]


@pytest.mark.parametrize("name", ["420-8", "paper-gray"])
def test_flipped_bits_of_files_with_networks_and_latents(name: str) -> None:
    """At random, with right checksums: the fields of a network and of the paper profile."""
    data = (FOLDER / f"{name}.linr").read_bytes()
    assert decode(data), "and what it calls is compiled now, before the clock of `outcome` runs"
    places, random = rebuild.extents(data), np.random.default_rng(1)
    with counted(f"{name}, flipped bits, checksums recomputed") as counts:
        for bit in random.integers(0, 8 * len(data), 20).tolist():
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            counts[outcome(rebuild.reseal(bytes(changed), places))] += 1
    assert counts["DamagedFileError"]
