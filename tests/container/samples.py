"""What the tests of the container write and how they read all of it back."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from licodec.container import LinrReader, LinrWriter
from licodec.container.limits import DEFAULT_LIMITS, Limits
from licodec.errors import DamagedFileError, LimitError, UnsupportedError
from licodec.video.info import CHROMA_FORMATS, VideoInfo

REFUSED = (DamagedFileError, UnsupportedError, LimitError)
"""The only errors that the content of a file may cause."""

INFO = VideoInfo(176, 144)
VARIABLE = VideoInfo(
    1921,
    1081,
    "422",
    bit_depth=10,
    sample_aspect=Fraction(64, 45),
    rotation=270,
    primaries=9,
    transfer=16,
    matrix=9,
    full_range=True,
    chroma_location=3,
    time_base=Fraction(1001, 90000),
)


def write(path: Path, info: VideoInfo = INFO) -> bytes:
    """A small file with everything in it: a variable frame rate, gaps, a negative start, ancillary chunks."""
    with LinrWriter(path, info, b"conf bytes") as writer:
        writer.add_segment(b"first", [-3, -2, -1, 7], [1, 1, 1, 3])
        writer.add_ancillary("auxS", b"matroska")
        writer.add_segment(b"", [12], [5])
        writer.add_ancillary("encS", "préréglage".encode())
        writer.add_segment(b"\0" * 9, range(1000, 1400, 40), [40] * 5 + [30] * 5)
        assert writer.finish() == path.stat().st_size
    return path.read_bytes()


def read(data: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Everything in a file, after a full verification."""
    with LinrReader(io.BytesIO(data), limits) as reader:
        problems = reader.verify()
        if problems:
            raise DamagedFileError("; ".join(map(str, problems)))
        return {
            "info": reader.info,
            "conf": reader.conf,
            "segments": [reader.read_segment(i) for i in range(len(reader.segments))],
            "counts": [s.frame_count for s in reader.segments],
            "pts": list(reader.pts),
            "durations": list(reader.durations),
            "auxS": reader.ancillary("auxS"),
            "encS": reader.encoder_settings,
        }


class CountingFile(io.BytesIO):
    """Counts the bytes that are read."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.total += len(data)
        return data


rationals = st.builds(Fraction, st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
codes = st.integers(0, 255)
infos = st.builds(
    VideoInfo,
    width=st.integers(1, 16384),
    height=st.integers(1, 8192),
    chroma=st.sampled_from(CHROMA_FORMATS),
    bit_depth=st.integers(8, 16),
    sample_aspect=rationals,
    rotation=st.sampled_from((0, 90, 180, 270)),
    primaries=codes,
    transfer=codes,
    matrix=codes,
    full_range=st.booleans(),
    chroma_location=st.integers(0, 6),
    time_base=rationals,
)
ticks = st.one_of(st.integers(1, 4), st.integers(1, 2**40))
segments = st.lists(
    st.tuples(st.binary(max_size=40), st.lists(st.tuples(ticks, ticks), min_size=1, max_size=12)),
    min_size=1,
    max_size=6,
)
"""(payload, [(step, duration) of each frame]) of each segment."""
