"""Writing: all or nothing, and never a file that the reader would refuse."""

import dataclasses
import errno
import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from licodec.container import LinrReader, LinrWriter
from licodec.container.limits import Limits
from licodec.errors import DamagedFileError, LimitError, UnsupportedError, UsageError

from .samples import INFO, read, write


def names(folder: Path) -> list[str]:
    """What lies in a folder: an unfinished or leftover file would show."""
    return sorted(path.name for path in folder.iterdir())


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), LinrWriter(path, INFO, b"") as writer:
        writer.add_segment(b"x", [0], [1])
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.linr"]


def test_leaving_without_finish_writes_nothing(tmp_path: Path) -> None:
    with LinrWriter(tmp_path / "a.linr", INFO, b"") as writer:
        writer.add_segment(b"x", [0], [1])
        assert not (tmp_path / "a.linr").exists()
    assert names(tmp_path) == []
    for call in (
        writer.finish,
        lambda: writer.add_segment(b"x", [1], [1]),
        lambda: writer.add_ancillary("auxS", b""),
    ):
        with pytest.raises(ValueError, match="finished or aborted"):
            call()


def test_finish_replaces_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    path.write_bytes(b"old")
    data = write(path)
    assert read(data)["conf"] == b"conf bytes"
    assert names(tmp_path) == ["a.linr"]


def test_a_symbolic_link_keeps_pointing(tmp_path: Path) -> None:
    target, link = tmp_path / "target.linr", tmp_path / "link.linr"
    link.symlink_to(target)
    write(link)
    assert link.is_symlink() and target.is_file()


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write(tmp_path / "a.linr")
    finally:
        os.umask(old)
    assert (tmp_path / "a.linr").stat().st_mode & 0o777 == 0o640


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    for path, reason in (
        (tmp_path, "it is a directory"),
        (tmp_path / "fifo", "it is not a regular file"),
        (Path("/dev/null"), "it is not a regular file"),
        (tmp_path / "missing" / "a.linr", "No such file or directory"),
        (file / "a.linr", "Not a directory"),
        (tmp_path / "nul\0", "null"),
    ):
        with pytest.raises(UsageError, match=f"cannot be written: .*{reason}") as error:
            LinrWriter(path, INFO, b"")
        assert str(error.value).isprintable()
    assert names(tmp_path) == ["fifo", "file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied"):
        LinrWriter(tmp_path / "a.linr", INFO, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    path.write_bytes(b"old")
    writer = LinrWriter(path, INFO, b"")
    writer._file.close()
    writer._file = Path("/dev/full").open("wb")  # noqa: SIM115
    with (
        pytest.raises(UsageError, match=r"a\.linr: cannot be written: the disk is full; nothing was left there"),
        writer,
    ):
        writer.add_segment(bytes(100_000), [0], [1])
    assert names(tmp_path) == ["a.linr"] and path.read_bytes() == b"old"


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_failures_at_the_very_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    path = tmp_path / "a.linr"
    path.write_bytes(b"old")

    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os if function == "fsync" else Path, function, fail)
    writer = LinrWriter(path, INFO, b"")
    writer.add_segment(b"x", [0], [1])
    with pytest.raises(UsageError, match="Input/output error"):
        writer.finish()
    assert names(tmp_path) == ["a.linr"] and path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width of 0"),
        ({"height": 65536}, "height of 65536"),
        ({"bit_depth": 7}, "bit depth of 7"),
        ({"bit_depth": 32}, "bit depth of 32"),
        ({"rotation": 45}, "rotation of 45"),
        ({"primaries": 256}, "colour primaries of 256"),
        ({"chroma_location": 7}, "chroma location of 7"),
        ({"sample_aspect": Fraction(0)}, "sample aspect numerator of 0"),
        ({"sample_aspect": Fraction(-1)}, "sample aspect numerator of -1"),
        ({"time_base": Fraction(1, 2**31)}, "time base denominator of 2147483648"),
    ],
)
def test_videos_that_the_format_cannot_hold(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        LinrWriter(tmp_path / "a.linr", dataclasses.replace(INFO, **change), b"")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("pts", "durations"),
    [
        ([], []),
        ([0, 1], [1]),
        ([0, 0], [1, 1]),
        ([1, 0], [1, 1]),
        ([0, 1], [0, 1]),
        ([0], [-1]),
        ([2**62], [1]),
        ([2**62 - 1], [1]),
        ([-(2**62) - 1], [1]),
        ([0, 1], [2**62, 1]),
        ([-(2**62), 2**62 - 2], [1, 1]),
    ],
)
def test_times_that_make_no_sense(tmp_path: Path, pts: list[int], durations: list[int]) -> None:
    with LinrWriter(tmp_path / "a.linr", INFO, b"") as writer:
        size = writer.size
        with pytest.raises(ValueError):
            writer.add_segment(b"", pts, durations)
        assert writer.size == size


def test_extreme_times_that_do(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    pts, durations = [-(2**62), -(2**61), 2**62 - 2], [1, 2**62, 1]
    with LinrWriter(path, INFO, b"") as writer:
        writer.add_segment(b"", pts, durations)
        writer.finish()
    got = read(path.read_bytes())
    assert got["pts"] == pts and got["durations"] == durations


def test_misuse(tmp_path: Path) -> None:
    with LinrWriter(tmp_path / "a.linr", INFO, b"") as writer:
        with pytest.raises(ValueError, match="at least one frame"):
            writer.finish()
        writer.add_segment(b"", [5], [1])
        with pytest.raises(ValueError, match="cannot follow"):
            writer.add_segment(b"", [5], [1])
        for kind in ("SEGM", "Xxxx", "abc", "abcde", "a1bc", "äbcd", ""):
            with pytest.raises(ValueError, match="type"):
                writer.add_ancillary(kind, b"")
        writer.add_ancillary("auxS", b"")
        with pytest.raises(ValueError, match="already"):
            writer.add_ancillary("auxS", b"")


def test_the_writer_keeps_the_limits_of_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    with pytest.raises(LimitError, match="max_width"):
        LinrWriter(path, dataclasses.replace(INFO, width=20_000), b"")
    with pytest.raises(LimitError, match="max_conf_bytes"):
        LinrWriter(path, INFO, bytes(2**16 + 1))
    calls: list[tuple[Limits, Callable[[LinrWriter], Any]]] = [
        (Limits(max_frames=2), lambda w: w.add_segment(b"", [1, 2, 3], [1] * 3)),
        (Limits(max_chunks=0), lambda w: w.add_segment(b"", [1], [1])),
        (Limits(max_chunks=0), lambda w: w.add_ancillary("auxS", b"")),
        (Limits(max_inflated_bytes=9), lambda w: w.add_segment(b"", [1], [1])),
        (Limits(max_chunk_bytes=30), lambda w: w.add_segment(bytes(30), [1], [1])),
    ]
    for limits, call in calls:
        with LinrWriter(path, INFO, b"", limits) as writer, pytest.raises(LimitError):
            call(writer)
    assert names(tmp_path) == []


class Shrinking(io.BytesIO):
    """Says that it is longer than it is."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return super().seek(offset, whence) + (10 if whence == os.SEEK_END else 0)


def test_an_ancillary_file_that_shrinks(tmp_path: Path) -> None:
    with (
        LinrWriter(tmp_path / "a.linr", INFO, b"") as writer,
        pytest.raises(UsageError, match="changed while it was copied"),
    ):
        writer.add_ancillary("auxS", Shrinking(b"abc"))
    assert names(tmp_path) == []


def test_inputs_that_cannot_be_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, message in (
        (tmp_path / "missing.linr", "no such file"),
        (tmp_path, "a directory"),
        (tmp_path / "fifo", "not a regular file"),
        (tmp_path / "nul\0", "null"),
    ):
        with pytest.raises(UsageError, match=message):
            LinrReader(path)
    # The name of a file must not steer the terminal.
    (tmp_path / "\x1b[31m.linr").write_bytes(b"")
    with pytest.raises(DamagedFileError, match="is empty") as error:
        LinrReader(tmp_path / "\x1b[31m.linr")
    assert str(error.value).isprintable()
