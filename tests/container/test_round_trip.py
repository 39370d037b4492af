import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from licodec.container import LinrReader, LinrWriter, scan, verify
from licodec.errors import DamagedFileError
from licodec.video.info import VideoInfo

from . import rebuild
from .samples import INFO, VARIABLE, CountingFile, infos, read, segments, write

in_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@in_tmp_path
@given(info=infos, conf=st.binary(max_size=50), content=segments, first=st.integers(-(2**40), 2**40))
def test_whatever_is_written_is_read(
    tmp_path: Path,
    info: VideoInfo,
    conf: bytes,
    content: list[tuple[bytes, list[tuple[int, int]]]],
    first: int,
) -> None:
    path, clock = tmp_path / "a.linr", first
    pts: list[int] = []
    durations: list[int] = []
    with LinrWriter(path, info, conf) as writer:
        for payload, frames in content:
            begin = len(pts)
            for step, duration in frames:
                pts.append(clock)
                durations.append(duration)
                clock += step
            writer.add_segment(payload, pts[begin:], durations[begin:])
        size = writer.finish()
    data = path.read_bytes()
    assert size == writer.size == len(data)
    got = read(data)
    assert got["info"] == info and got["conf"] == conf
    assert got["segments"] == [payload for payload, _ in content]
    assert got["counts"] == [len(frames) for _, frames in content]
    assert got["pts"] == pts and got["durations"] == durations
    # The independent reading agrees on every chunk, and so does the scan without the index.
    assert rebuild.join(rebuild.split(data)) == data
    assert [(c.offset, c.offset + c.length) for c in scan(data)] == rebuild.extents(data)
    assert all(c.crc_ok for c in scan(data))


@in_tmp_path
@given(content=segments)
def test_the_index_is_the_true_one(tmp_path: Path, content: list[tuple[bytes, list[tuple[int, int]]]]) -> None:
    path, clock = tmp_path / "a.linr", 0
    with LinrWriter(path, INFO, b"") as writer:
        for payload, frames in content:
            pts = [clock := clock + step for step, _ in frames]
            writer.add_segment(payload, pts, [duration for _, duration in frames])
        writer.finish()
    *front, (_, index), _ = rebuild.split(path.read_bytes())
    if index[0] == 0:
        assert index == rebuild.index_of(front[2:])
    else:
        assert len(index) < len(rebuild.index_of(front[2:]))


def test_everything_in_one_file(tmp_path: Path) -> None:
    data = write(tmp_path / "a.linr", VARIABLE)
    assert read(data) == {
        "info": VARIABLE,
        "conf": b"conf bytes",
        "segments": [b"first", b"", b"\0" * 9],
        "counts": [4, 1, 10],
        "pts": [-3, -2, -1, 7, 12, *range(1000, 1400, 40)],
        "durations": [1, 1, 1, 3, 5, *[40] * 5, *[30] * 5],
        "auxS": [b"matroska"],
        "encS": "préréglage",
    }
    assert verify(data) == []
    with LinrReader(data) as reader:
        kinds = ["HEAD", "CONF", "SEGM", "auxS", "SEGM", "encS", "SEGM", "INDX", "ENDF"]
        assert [c.kind for c in reader.chunks()] == kinds
        assert list(reader.chunks()) == list(scan(data))
        assert [c.critical for c in reader.chunks()] == [k.isupper() for k in kinds]
        second = reader.segments[1]
        assert (second.first_frame, second.frame_count) == (4, 1)
        assert data[second.offset : second.offset + 4] == b"SEGM"


def test_path_bytes_and_file_object_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    data = write(path)
    with path.open("rb") as file:
        for readable in (path, str(path), data, io.BytesIO(data), file):
            with LinrReader(readable) as reader:
                assert reader.read_segment(0) == b"first"
                assert reader.size == len(data)
        assert not file.closed, "a file object belongs to the caller"


def test_a_constant_rate_costs_a_few_bytes_a_segment(tmp_path: Path) -> None:
    path, payload, conf = tmp_path / "a.linr", bytes(5000), bytes(100)
    with LinrWriter(path, INFO, conf) as writer:
        writer.add_segment(payload, range(0, 132 * 512, 512), [512] * 132)
        overhead = writer.finish() - len(payload) - len(conf)
    print(f"one segment of 132 frames: {overhead} bytes of container")
    assert overhead <= 136


def test_the_index_of_many_segments_is_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    with LinrWriter(path, INFO, b"") as writer:
        for i in range(200):
            # 30 frames a second in milliseconds, as Matroska has them: steps of 33, 33 and 34.
            pts = [round((100 * i + j) * 1000 / 30) for j in range(100)]
            writer.add_segment(bytes(10), pts, [33] * 100)
        writer.finish()
    *front, (_, index), _ = rebuild.split(path.read_bytes())
    print(f"index of 20,000 frames: {len(rebuild.index_of(front[2:]))} bytes, compressed {len(index)}")
    assert index[0] == 1 and len(index) < 20_000 / 8
    assert read(path.read_bytes())["pts"][-1] == round(19_999 * 1000 / 30)


def test_a_large_ancillary_chunk_is_streamed(tmp_path: Path) -> None:
    path, blob = tmp_path / "a.linr", bytes(range(256)) * 4096 * 3
    file = io.BytesIO(b"skip" + blob)
    file.seek(4)
    with LinrWriter(path, INFO, b"") as writer:
        writer.add_segment(b"x", [0], [1])
        writer.add_ancillary("auxS", file)
        writer.finish()
    with LinrReader(path) as reader:
        target = io.BytesIO()
        assert reader.copy_ancillary("auxS", target) == 1
        assert target.getvalue() == blob == reader.ancillary("auxS")[0]
        assert reader.copy_ancillary("zzzZ", target) == 0
        assert reader.encoder_settings is None
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with LinrReader(bytes(data)) as reader:
        target = io.BytesIO()
        with pytest.raises(DamagedFileError, match=r"auxS at byte .* checksum"):
            reader.copy_ancillary("auxS", target)
        assert target.getvalue() == b"", "nothing unverified reaches the caller"


def test_opening_reads_no_segment(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    with LinrWriter(path, INFO, b"conf") as writer:
        for i in range(50):
            writer.add_segment(bytes(100_000), [i], [1])
        writer.finish()
    file = CountingFile(path.read_bytes())
    with LinrReader(file) as reader:
        assert len(reader.segments) == 50
        assert file.total < 2000
        reader.read_segment(49)
        assert file.total < 110_000
