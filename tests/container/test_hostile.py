"""Files made to deceive: each fault is refused by its name, before it costs memory."""

import tracemalloc

import pytest
import zstandard

from licodec.container import LinrReader, verify
from licodec.container.limits import Limits
from licodec.errors import DamagedFileError, LicodecError, LimitError, UnsupportedError

from . import rebuild
from .rebuild import HEAD, chunk, file_of, times, varint, zigzag
from .samples import read

SEGM = (b"SEGM", times(0, (3, 1, 0)) + b"payload")
SOUND = file_of(SEGM)


def refuse(data: bytes, error: type[LicodecError], message: str, limits: Limits | None = None) -> str:
    """Opening and verifying must fail like this, without taking memory for it."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=message) as caught:
            read(data, limits or Limits())
        assert tracemalloc.get_traced_memory()[1] < 2_000_000 + 10 * len(data)
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()
    return str(caught.value)


def segment(table: bytes) -> bytes:
    """A file of one segment with a time table that cannot be parsed by the helpers."""
    payload = table + b"x"
    index = b"\0SEGM" + varint(len(chunk(b"SEGM", payload))) + table
    return file_of((b"SEGM", payload), index=index)


def test_the_helper_makes_sound_files() -> None:
    assert read(SOUND)["pts"] == [0, 1, 2]
    assert verify(SOUND) == []


def test_no_linr_file() -> None:
    refuse(b"", DamagedFileError, "^<file object>: is empty$")
    refuse(b"RIFF....WEBP", DamagedFileError, "^<file object>: not a .linr file$")
    refuse(b"\x89", DamagedFileError, "cut short: only 1 bytes")
    refuse(SOUND.replace(b"\r\n", b"\n", 1), DamagedFileError, "transferred as text")
    refuse(b"\xc2" + SOUND, DamagedFileError, "transferred as text")


@pytest.mark.parametrize("versions", [b"\0\1", b"\1\0", b"\1\1", b"\xff\xff"])
def test_other_versions(versions: bytes) -> None:
    refuse(SOUND[:8] + versions + SOUND[10:], UnsupportedError, f"format version {versions[0]} ")
    with pytest.raises(UnsupportedError):
        verify(SOUND[:8] + versions + SOUND[10:])


def test_trailing_bytes() -> None:
    for extra in (b"\0", b"x" * 1000, SOUND[-49:], SOUND):
        message = refuse(SOUND + extra, DamagedFileError, f"{len(extra)} bytes follow the end marker|INDX")
        assert f"byte {len(SOUND)}" in message or "ENDF" in message or "INDX" in message
        assert verify(SOUND + extra)


def test_unknown_chunks() -> None:
    got = read(file_of((b"zzzZ", b"?"), SEGM, (b"aaaa", b""), (b"aaaa", b"")))
    assert got["segments"] == [b"payload"]
    with LinrReader(file_of(SEGM, (b"aaaa", b"1"), (b"aaaa", b"2"))) as reader:
        assert reader.ancillary("aaaa") == [b"1", b"2"]
    refuse(file_of(SEGM, (b"NEWC", b"")), UnsupportedError, "NEWC")
    refuse(file_of(SEGM, (b"Aaaa", b"")), UnsupportedError, "Aaaa")


@pytest.mark.parametrize("kind", [b"HEAD", b"CONF", b"INDX", b"ENDF", b"auxS", b"encS"])
def test_chunks_that_may_not_repeat(kind: bytes) -> None:
    middle = [SEGM, (kind, b"1"), (kind, b"2")]
    index = rebuild.index_of(middle)
    data = rebuild.PREFIX + chunk(b"HEAD", HEAD) + chunk(b"CONF", b"")
    data += b"".join(chunk(*c) for c in middle)
    data += (end := chunk(b"INDX", index)) and end
    data += rebuild.end_of(data, len(data) - len(end))
    refuse(data, DamagedFileError, f"a second {kind.decode()}")


def test_order_of_the_first_chunks() -> None:
    first, second = (b"HEAD", HEAD), (b"CONF", b"")
    rest = [SEGM, (b"INDX", rebuild.index_of([SEGM])), (b"ENDF", b"")]
    refuse(rebuild.join([second, first, *rest]), DamagedFileError, "HEAD at byte 10: expected here, but CONF")
    refuse(rebuild.join([first, *rest]), DamagedFileError, "CONF at byte 35: expected here, but SEGM")
    refuse(rebuild.join([first, (b"auxS", b""), second, *rest]), DamagedFileError, "expected here, but auxS")


def test_no_frames() -> None:
    refuse(file_of(), DamagedFileError, "a video without frames")
    refuse(segment(varint(0) + zigzag(0)), DamagedFileError, "a segment without frames")


@pytest.mark.parametrize(
    ("at", "value", "error", "message"),
    [
        (0, b"\0\0", DamagedFileError, "impossible size 0x144"),
        (2, b"\0\0", DamagedFileError, "impossible size 176x0"),
        (0, b"\xff\xff", LimitError, "max_width"),
        (2, b"\xff\xff", LimitError, "max_height"),
        (0, b"\0\x40\0\x40", LimitError, "max_pixels of 268435456"),
        (4, b"\5", DamagedFileError, "chroma format 5"),
        (5, b"\7", DamagedFileError, "bit depth 7"),
        (5, b"\x11", DamagedFileError, "bit depth 17"),
        (6, b"\4", DamagedFileError, "rotation 4"),
        (10, b"\2", DamagedFileError, "range 2"),
        (11, b"\7", DamagedFileError, "chroma location 7"),
        (12, b"\0", DamagedFileError, "impossible sample aspect 0/1"),
        (13, b"\0", DamagedFileError, "impossible sample aspect 1/0"),
        (14, b"\0", DamagedFileError, "impossible time base 0/25"),
        (15, b"\0", DamagedFileError, "impossible time base 1/0"),
        (14, b"\5", DamagedFileError, "time base 5/25 is not in lowest terms"),
        (15, b"\x80\x80\x80\x80\x08", DamagedFileError, "impossible time base 1/2147483648"),
        (16, b"\0", DamagedFileError, "1 bytes too many"),
    ],
)
def test_headers(at: int, value: bytes, error: type[LicodecError], message: str) -> None:
    width = 1 if len(value) == 5 else len(value)
    head = HEAD[:at] + value + HEAD[at + width :]
    refuse(file_of(SEGM, head=head), error, f"^<file object>: .*{message}")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (varint(2) + zigzag(0) + varint(3) + varint(1) + zigzag(0), "a run of 3 frames where 2 are left"),
        (varint(2) + zigzag(0) + varint(0) + varint(1) + zigzag(0), "a run of 0 frames"),
        (varint(2) + zigzag(0) + varint(2) + varint(0) + zigzag(-1), "timestamps do not increase"),
        (varint(2) + zigzag(0) + varint(2) + varint(1) + zigzag(1), "timestamps do not increase"),
        (times(0, (1, 5, 0), (1, 5, 0)), "one run of frames is written as two"),
        (times(0, (2, 5, 1)), "a step that is not its duration"),
        (times(2**62 - 2, (2, 1, 0)), "out of range"),
        (times(0, (1, 1, -(2**62) + 1), (1, 1, 0)), "out of range"),
        (times(0, (2**21, 2**62, 0)), "out of range"),
        (varint(2) + zigzag(0) + varint(1) + varint(1) + zigzag(0), "cut short"),
        (varint(2**62) + zigzag(0), "max_frames"),
    ],
)
def test_time_tables(table: bytes, message: str) -> None:
    refuse(segment(table), LimitError if message == "max_frames" else DamagedFileError, message)


def test_segments_out_of_order() -> None:
    early, late = (b"SEGM", times(0, (3, 1, 0))), (b"SEGM", times(3, (1, 1, 0)))
    assert read(file_of(early, late))["pts"] == [0, 1, 2, 3]
    refuse(file_of(late, early), DamagedFileError, "before the last frame of the one before")
    refuse(file_of(late, late), DamagedFileError, "before the last frame of the one before")
    refuse(file_of(early, (b"SEGM", times(2, (1, 1, 0)))), DamagedFileError, "before the last frame")


def test_an_index_that_lies() -> None:
    first, second = (b"SEGM", times(0, (3, 1, 0)) + b"1"), (b"SEGM", times(3, (3, 1, 0)) + b"2")
    true = rebuild.index_of([first, second])

    def lie(index: bytes) -> bytes:
        return file_of(first, second, index=index)

    assert read(lie(true))["counts"] == [3, 3]
    refuse(lie(rebuild.index_of([first])), DamagedFileError, "belong to no chunk")
    refuse(lie(rebuild.index_of([first, second, second])), DamagedFileError, "SEGM of 15 bytes where 0 are left")
    refuse(lie(rebuild.index_of([first, (b"auxS", second[1])])), DamagedFileError, "auxS .*but SEGM was found")
    refuse(lie(true[:-5]), DamagedFileError, "cut short")
    refuse(lie(true + b"\0"), DamagedFileError, "cut short")
    refuse(lie(b""), DamagedFileError, "cut short")
    refuse(lie(b"\2" + true[1:]), DamagedFileError, "compression method 2")
    refuse(lie(true.replace(b"SEGM", b"SE M", 1)), DamagedFileError, "not four letters")
    refuse(lie(true[:5] + varint(8) + true[6:]), DamagedFileError, "SEGM of 8 bytes where")
    refuse(lie(true[:5] + varint(2**62) + true[6:]), DamagedFileError, "bytes where")
    # The same sum of lengths, divided otherwise.
    moved = true.replace(b"SEGM\x0f", b"SEGM\x10", 1).replace(b"SEGM\x0f", b"SEGM\x0e", 1)
    refuse(lie(moved), DamagedFileError, r"SEGM at byte 48 .*: 15 bytes, but 16 in the index")
    other_times = rebuild.index_of([(b"SEGM", times(-1, (3, 1, 0)) + b"1"), second])
    refuse(lie(other_times), DamagedFileError, "its timestamps are not those in the index")


def test_an_end_marker_that_lies() -> None:
    before = SOUND[:-49]
    index_offset = rebuild.extents(SOUND)[-2][0]
    assert before + rebuild.end_of(before, index_offset) == SOUND
    for offset in (0, 10, index_offset - 1, index_offset + 1, len(before), len(SOUND), 2**63, 2**64 - 1):
        refuse(before + rebuild.end_of(before, offset), DamagedFileError, "ENDF|INDX")
    refuse(before + rebuild.end_of(before + b"x", index_offset), DamagedFileError, "the digest of the file")
    (problem,) = verify(before + rebuild.end_of(before + b"x", index_offset))
    assert problem.kind == "ENDF"


def test_huge_declared_lengths() -> None:
    for size in (10**6, 2**32, 2**63 - 1):
        lying = b"HEAD" + varint(size) + SOUND[15:]
        refuse(
            SOUND[:10] + lying,
            DamagedFileError,
            "HEAD at byte 10: cut short: .* bytes of the chunk are missing",
        )
    refuse(SOUND[:10] + b"HEAD" + b"\xff" * 20 + SOUND, DamagedFileError, "longer than nine bytes")


def test_zstandard_bombs() -> None:
    def packed(frame: bytes) -> bytes:
        return file_of(SEGM, index=b"\1" + frame)

    body = rebuild.index_of([SEGM])[1:]
    pack = zstandard.ZstdCompressor(level=19).compress
    assert read(packed(pack(body)))["pts"] == [0, 1, 2]
    bomb = pack(bytes(2**28))
    refuse(packed(bomb), LimitError, "max_inflated_bytes of 268435456")
    undeclared = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(2**20))
    refuse(packed(undeclared), DamagedFileError, "does not declare its size")
    refuse(packed(pack(body) + b"x"), DamagedFileError, "does not inflate")
    refuse(packed(pack(body)[:-1]), DamagedFileError, "does not inflate")
    refuse(packed(b""), DamagedFileError, "does not inflate")
    refuse(packed(b"\x50\x2a\x4d\x18\x04\0\0\0abcd"), DamagedFileError, "does not inflate|no chunk")
    refuse(packed(pack(b"")), DamagedFileError, "belong to no chunk")
    # A small declared size in front of much more data.
    frame = bytearray(pack(bytes(100)))
    assert frame[5] == 100
    frame[5] = 50
    refuse(packed(bytes(frame)), DamagedFileError, "does not inflate")


def test_every_limit_is_checked_and_says_how_to_raise_it() -> None:
    data = file_of(SEGM, (b"auxS", b"blob"))
    for name, value in {
        "max_width": 175,
        "max_height": 143,
        "max_pixels": 176 * 144 - 1,
        "max_frames": 2,
        "max_chunks": 1,
        "max_chunk_bytes": 13,
        "max_conf_bytes": 3,
    }.items():
        message = refuse(data, LimitError, f"needs {name} of ", Limits(**{name: value}))
        assert f"--limit {name}=" in message
        with pytest.raises(LimitError):
            verify(data, Limits(**{name: value}))
    packed = file_of(SEGM, index=b"\1" + zstandard.compress(rebuild.index_of([SEGM])[1:]))
    refuse(packed, LimitError, "max_inflated_bytes", Limits(max_inflated_bytes=9))


def test_salvage_counts_what_it_cannot_use_too() -> None:
    data = file_of(SEGM, *[(b"zzzz", bytes([i]) * 9) for i in range(6)])[:-1]
    for i in range(6):
        data = data.replace(bytes([i]) * 9, bytes([i]) * 8 + b"!")
    with LinrReader(data, salvage=True) as reader:
        assert len(reader.segments) == 1
    with pytest.raises(LimitError, match="max_chunks"):
        LinrReader(data, Limits(max_chunks=3), salvage=True)


def test_settings_that_are_not_text() -> None:
    data = file_of(SEGM, (b"encS", b"crf \xff"))
    refuse(data, DamagedFileError, "encS at byte .*not UTF-8 at byte 4")
    (problem,) = verify(data)
    assert problem.kind == "encS"
