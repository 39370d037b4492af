"""Damage: every cut and every flipped bit of a small file, as it is and with right checksums."""

import random
import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from licodec.container import LinrReader, scan, verify
from licodec.errors import DamagedFileError, UnsupportedError

from . import rebuild
from .samples import REFUSED, CountingFile, read, write


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("faults") / "a.linr")


@contextmanager
def bounded(label: str) -> Iterator[Counter[str]]:
    """Prints the outcomes; fails when a file took long or much memory."""
    counts: Counter[str] = Counter()
    start, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield counts
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    print(f"{label}: {sum(counts.values())} files, {dict(counts)}, {time.process_time() - start:.1f} s, +{used} KiB")
    assert used < 300_000


def outcome(data: bytes) -> str:
    start = time.process_time()
    try:
        read(data)
        result = "read"
    except REFUSED as error:
        assert str(error).isprintable(), "one line"
        result = next(kind.__name__ for kind in REFUSED if isinstance(error, kind))
    assert time.process_time() - start < 5
    # Neither the full report nor the scan may fail in any other way, and the scan has no hole.
    try:
        assert bool(verify(data)) == (result != "read")
    except REFUSED:
        assert result != "read"
    end = min(10, len(data))
    for chunk in scan(data):
        assert chunk.offset == end and chunk.length > 0
        end += chunk.length
    assert end == len(data)
    return result


def test_every_cut_is_refused(sound: bytes) -> None:
    with bounded("cuts") as counts:
        for length in range(len(sound)):
            counts[outcome(sound[:length])] += 1
    assert counts == {"DamagedFileError": len(sound)}


def test_every_flipped_bit_is_noticed(sound: bytes) -> None:
    with bounded("flipped bits") as counts:
        for bit in range(8 * len(sound)):
            data = bytearray(sound)
            data[bit // 8] ^= 1 << bit % 8
            counts[outcome(bytes(data))] += 1
    assert counts["read"] == 0
    # Only the two version bytes and the first letters of types may look like something newer.
    assert counts["UnsupportedError"] <= 16 + 9 * 8


def test_a_segment_with_a_flipped_bit_is_never_returned(sound: bytes) -> None:
    """The same for a caller that reads without `verify`: a segment is right or refused."""
    expected = read(sound)["segments"]
    right = wrong = 0
    for bit in range(8 * len(sound)):
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        try:
            reader = LinrReader(bytes(data))
        except REFUSED:
            continue
        with reader:
            for i, payload in enumerate(expected):
                try:
                    assert reader.read_segment(i) == payload
                    right += 1
                except DamagedFileError:
                    wrong += 1
    print(f"flipped bits, segments read without verify: {right} right, {wrong} refused")
    assert right > wrong > 0


def test_every_flipped_bit_with_right_checksums(sound: bytes) -> None:
    places = rebuild.extents(sound)
    assert rebuild.reseal(sound, places) == sound
    with bounded("flipped bits, checksums and digest recomputed") as counts:
        for bit in range(8 * len(sound)):
            data = bytearray(sound)
            data[bit // 8] ^= 1 << bit % 8
            counts[outcome(rebuild.reseal(bytes(data), places))] += 1
    assert counts["read"] and counts["DamagedFileError"] and counts["UnsupportedError"] and counts["LimitError"]


def test_every_cut_of_every_payload_with_right_checksums(sound: bytes) -> None:
    chunks = rebuild.split(sound)
    with bounded("cut payloads, everything around them recomputed") as counts:
        for i, (kind, payload) in enumerate(chunks[:-1]):
            for length in range(len(payload)):
                cut = [*chunks[:i], (kind, payload[:length]), *chunks[i + 1 :]]
                counts[outcome(rebuild.join(cut))] += 1
                if kind == b"SEGM" and length >= rebuild.times_length(payload):
                    cut[-2] = (b"INDX", rebuild.index_of(cut[2:-2]))
                    counts[outcome(rebuild.join(cut))] += 1
    assert counts["DamagedFileError"] > counts["read"] > 0


def test_random_bytes_in_payloads_with_right_checksums(sound: bytes) -> None:
    chunks, dice = rebuild.split(sound), random.Random(1)
    with bounded("random bytes, checksums recomputed") as counts:
        for _ in range(1500):
            i = dice.choice([0, 1, 2, 7])
            kind, payload = chunks[i]
            data = bytearray(payload)
            for _ in range(dice.randint(1, 3)):
                data[dice.randrange(len(data))] = dice.choice([0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)])
            counts[outcome(rebuild.join([*chunks[:i], (kind, bytes(data)), *chunks[i + 1 :]]))] += 1


def test_chunks_exchanged_repeated_and_left_out(sound: bytes) -> None:
    chunks = rebuild.split(sound)
    with bounded("chunks exchanged, repeated, left out") as counts:
        for i in range(len(chunks)):
            files = [[*chunks[:i], *chunks[i + 1 :]], [*chunks[:i], chunks[i], *chunks[i:]]]
            for j in range(i):
                swapped = chunks.copy()
                swapped[i], swapped[j] = swapped[j], swapped[i]
                files.append(swapped)
            for file in files:
                counts[outcome(rebuild.join(file))] += 1
                # With an index that agrees, so that only the order itself is wrong.
                kinds = [kind for kind, _ in file]
                if kinds[:2] == [b"HEAD", b"CONF"] and kinds[-2:] == [b"INDX", b"ENDF"]:
                    file[-2] = (b"INDX", rebuild.index_of(file[2:-2]))
                    counts[outcome(rebuild.join(file))] += 1
    # Once the index agrees, a segment or an ancillary chunk may be missing, or an ancillary chunk have moved.
    assert counts["DamagedFileError"] > 3 * counts["read"]


def test_damage_is_told_with_its_place_and_time(sound: bytes, tmp_path: Path) -> None:
    places = rebuild.extents(sound)
    data = bytearray(sound)
    data[places[6][1] - 5] ^= 1
    path = tmp_path / "a.linr"
    path.write_bytes(data)
    (problem,) = verify(path)
    assert (problem.kind, problem.offset) == ("SEGM", places[6][0])
    assert problem.start == 40 and problem.end == Fraction(1390, 25)
    assert str(problem) == f"SEGM at byte {places[6][0]} (40.000 s to 55.600 s): the checksum does not match"
    with LinrReader(path) as reader:
        assert reader.read_segment(0) == b"first", "damage stays in its segment"
        with pytest.raises(DamagedFileError) as error:
            reader.read_segment(2)
        assert str(error.value).startswith(f"{path}: SEGM at byte {places[6][0]}: ")
        assert "licodec verify" in str(error.value)


def test_every_damaged_chunk_is_told_not_only_the_first(sound: bytes) -> None:
    places = rebuild.extents(sound)
    data = bytearray(sound)
    for i in (2, 3, 6):
        data[places[i][1] - 1] ^= 0x80
    assert [p.offset for p in verify(bytes(data))] == [places[i][0] for i in (2, 3, 6)]


def test_salvage_finds_every_intact_segment_without_the_index(sound: bytes) -> None:
    places, want = rebuild.extents(sound), read(sound)
    for end in range(places[1][1], len(sound)):
        with LinrReader(sound[:end], salvage=True) as reader:
            whole = [i for i in (2, 4, 6) if places[i][1] <= end]
            assert [reader.read_segment(i) for i in range(len(reader.segments))] == want["segments"][: len(whole)]
            assert list(reader.pts) == want["pts"][: len(reader.pts)]
            assert list(reader.durations) == want["durations"][: len(reader.pts)]
            assert reader.verify()


@pytest.mark.parametrize("byte", [0, 2, 4, 6, 9])
def test_salvage_finds_the_segments_behind_a_damaged_one(sound: bytes, byte: int) -> None:
    places, want = rebuild.extents(sound), read(sound)
    data = bytearray(sound[: places[7][0]])
    data[places[2][0] + byte] ^= 0x11
    with LinrReader(bytes(data), salvage=True) as reader:
        assert [reader.read_segment(i) for i in range(2)] == want["segments"][1:]
        assert list(reader.pts) == want["pts"][4:]
        assert places[2][0] in [p.offset for p in reader.verify()]


def test_salvage_does_not_read_on_behind_the_end_marker(sound: bytes) -> None:
    late = rebuild.file_of((b"SEGM", rebuild.times(10**6, (1, 1, 0)) + b"another film"))
    with pytest.raises(DamagedFileError, match="bytes follow the end marker"):
        read(sound + late)
    with LinrReader(sound + late, salvage=True) as reader:
        assert len(reader.segments) == 3


def test_salvage_still_refuses_unknown_critical_chunks(sound: bytes) -> None:
    chunks = rebuild.split(sound)
    with pytest.raises(UnsupportedError, match="XTRA"):
        verify(rebuild.join([*chunks[:3], (b"XTRA", b""), *chunks[3:]])[:-1])


def test_the_scan_finds_a_chunk_behind_what_looks_like_another() -> None:
    chunk = rebuild.chunk(b"SEGM", b"payload")
    found = list(scan(rebuild.PREFIX + b"\0\0aux" + chunk))
    assert [(c.kind, c.length, c.crc_ok) for c in found] == [("????", 5, False), ("SEGM", len(chunk), True)]


def test_false_chunks_do_not_make_the_scan_slow() -> None:
    # Each claims to reach nearly to the end of the file, so checking them all would be quadratic.
    count = 40_000
    fakes = b"".join(b"SEGM" + rebuild.varint(10 * (count - i)).ljust(6, b"\0") for i in range(count))
    file = CountingFile(rebuild.PREFIX + fakes + bytes(100))
    size = len(file.getvalue())
    assert sum(c.length for c in scan(file)) == size - len(rebuild.PREFIX)
    print(f"a file of {count} false chunks, {size} bytes: {file.total} bytes read to scan it")
    assert file.total < 9 * size + 70_000_000
