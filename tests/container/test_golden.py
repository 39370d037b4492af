"""A file written once and kept for ever: what is read from it must not change."""

import hashlib
from fractions import Fraction
from pathlib import Path

from licodec.container import LinrReader, scan, verify
from licodec.video.info import VideoInfo

from . import rebuild

GOLDEN = Path(__file__).parent.parent / "golden" / "container_v0.linr"


def test_container_v0() -> None:
    data = GOLDEN.read_bytes()
    assert hashlib.sha256(data).hexdigest() == "0e574ef6f9f5ec5f81a898ca3a4d78b5bb985163177a5f6c7ce48bcddc55226f", (
        "the golden file itself has changed"
    )
    assert verify(GOLDEN) == []
    with LinrReader(GOLDEN) as reader:
        assert reader.info == VideoInfo(
            1921, 1081, "422", 10, Fraction(64, 45), 270, 9, 16, 9, True, 3, Fraction(1, 1000)
        )
        assert reader.conf == b"a configuration"
        assert len(reader.pts) == len(reader.durations) == 360
        assert list(reader.pts[:4]) == [-50, -17, 17, 50]
        assert list(reader.pts[28:32]) == [883, 917, 2950, 2983]
        assert list(reader.durations[28:31]) == [33, 34, 33]
        assert [s.first_frame for s in reader.segments] == list(range(0, 360, 30))
        assert {s.frame_count for s in reader.segments} == {30}
        assert [reader.read_segment(i) for i in range(12)] == [f"payload of segment {i}".encode() for i in range(12)]
        assert reader.ancillary("auxS") == [bytes(range(64))]
        assert reader.encoder_settings == "crf=30 préréglage=lent"
        assert reader.ancillary("exmP") == [b"an ancillary chunk that nobody knows"]
        kinds = ["HEAD", "CONF", "auxS", *["SEGM"] * 12, "encS", "exmP", "INDX", "ENDF"]
        assert [c.kind for c in reader.chunks()] == kinds
        assert list(reader.chunks()) == list(scan(GOLDEN))
    chunks = rebuild.split(data)
    assert chunks[-2][1][0] == 1, "its index is compressed"
    assert rebuild.join(chunks) == data
