"""Crashes, full disks and two at once: nothing half-written, nothing lost, nothing left behind."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import licodec
from api.movies import ultrafast
from benchmarks.crash import Torture, write_clip
from licodec.container import DEFAULT_LIMITS, LinrReader, LinrWriter
from licodec.errors import DamagedFileError, UsageError
from licodec.files import UnfinishedFile, reserved
from licodec.fit.checkpoint import Checkpoint, FinishedSegment
from licodec.video.info import VideoInfo

ROOT = Path(__file__).parents[2]


def test_killed_five_times_and_resumed(tmp_path: Path) -> None:
    """`python -m benchmarks.crash` does it as often as wanted."""
    torture = Torture(tmp_path, seed=len(list(Path("/proc").iterdir())))
    while torture.counts["killed"] < 5:
        torture.kill(at_operation=torture.counts["killed"] % 2 == 1)
    torture.finish()
    print(dict(torture.counts))
    assert torture.counts["encodes completed with the same bytes"] >= 1


# Files in work.


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def other_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that says `ready` and then waits for its input to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys\nfrom pathlib import Path\n{code}", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def rest(process: subprocess.Popen[str]) -> str:
    """Let it go on, and what it says then. (`communicate` would drop what is buffered already.)"""
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    with process.stdout:
        text = process.stdout.read()
    assert process.wait(timeout=120) == 0
    return text


WRITE = """
from licodec.files import UnfinishedFile
part = UnfinishedFile(Path(sys.argv[1]))
part.file.write(b"half of it")
part.file.flush()
print("ready", flush=True)
sys.stdin.read()
part.file.write(b", and the rest")
part.commit()
"""


def test_two_at_once_the_second_is_refused_and_the_first_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    first = other_process(WRITE, path)
    with pytest.raises(OSError, match="another licodec is writing it"):
        UnfinishedFile(path)
    assert len(names(tmp_path)) == 1
    rest(first)
    assert path.read_bytes() == b"half of it, and the rest"
    assert names(tmp_path) == ["a"]


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    first = other_process(WRITE, path)
    first.kill()
    first.communicate(timeout=60)
    assert len(names(tmp_path)) == 2
    assert path.read_bytes() == b"old"
    part = UnfinishedFile(path)
    part.file.write(b"new")
    part.commit()
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_a_lock_that_was_renamed_or_removed_meanwhile_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the hidden name and locking it, its owner puts it in its place: that file must not be cut."""
    import fcntl

    path = tmp_path / "a"
    owner: list[UnfinishedFile] = [UnfinishedFile(path)]
    owner[0].file.write(b"complete")
    real = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        if owner:
            owner.pop().commit()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    second = UnfinishedFile(path)
    assert path.read_bytes() == b"complete"
    second.discard()
    assert (path.read_bytes(), names(tmp_path)) == (b"complete", ["a"])


def test_a_trap_in_a_shared_directory_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part = UnfinishedFile(tmp_path / "a")
    part.discard()
    for trap in (part.part.symlink_to, part.part.hardlink_to):
        trap(victim)
        with pytest.raises(OSError, match=r"symbolic link|in the way"):
            UnfinishedFile(tmp_path / "a")
        part.part.unlink()
        assert victim.read_bytes() == b"precious"


def test_discarding_after_committing_removes_nothing_of_another(tmp_path: Path) -> None:
    first = UnfinishedFile(tmp_path / "a")
    first.commit()
    second = UnfinishedFile(tmp_path / "a")
    first.discard()
    second.file.write(b"2")
    second.commit()
    assert (tmp_path / "a").read_bytes() == b"2"


def test_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, then the name, then the directory: after a power cut there is the old file or the whole new one."""
    done: list[object] = []
    fsync, replace = os.fsync, Path.replace

    def flushed(descriptor: int) -> None:
        status = os.fstat(descriptor)
        done.append(("flush", status.st_ino, status.st_size if stat.S_ISREG(status.st_mode) else None))
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    part = UnfinishedFile(tmp_path / "a")
    part.file.write(b"12345")
    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    part.commit()
    file, folder = (path.stat().st_ino for path in (tmp_path / "a", tmp_path))
    assert done == [("flush", file, 5), "rename", ("flush", folder, None)]


def test_names_of_the_greatest_length(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 255)
    with reserved(path):
        UnfinishedFile(path).commit()
    assert names(tmp_path) == [path.name]


# Encodes.


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crash") / "source.y4m"
    write_clip(path, 4)
    return path


def encode(clip: Path, output: Path, **options: Any) -> licodec.EncodeReport:
    return licodec.encode(clip, output, ultrafast(group=2), **options)


def test_a_second_encoder_on_one_output_is_refused(clip: Path, tmp_path: Path) -> None:
    """While the first one works: neither its checkpoint nor its result is touched."""
    output = tmp_path / "out.linr"
    refused: list[str] = []
    code = (
        "import licodec\n"
        "settings = licodec.EncodeSettings(preset='ultrafast')\n"
        "try:\n    licodec.encode(sys.argv[1], sys.argv[2], settings, overwrite=True)\n"
        "except licodec.errors.UsageError as error:\n    print('ready', flush=True)\n    print(error)\n"
    )

    def progress(step: licodec.Progress) -> None:
        if not refused:
            before = names(tmp_path)
            refused.append(rest(other_process(code, clip, output)))
            assert names(tmp_path) == before

    encode(clip, output, progress=progress)
    assert refused == [
        f"{output}: cannot be written: another licodec is writing it: let that one end, or choose another name\n"
    ]
    with licodec.open(output) as video:
        assert len(video) == 4
    assert names(tmp_path) == ["out.linr"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this may be made."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(clip: Path, small_disk: Path) -> None:
    """Old output and checkpoint survive; with room again the same encode goes on."""
    output = small_disk / "out.linr"
    output.write_bytes(b"old")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(56 * 1024))
    with pytest.raises(UsageError, match=r"out\.linr.*(disk is full|No space left)"):
        encode(clip, output, overwrite=True)
    assert output.read_bytes() == b"old"
    assert not [name for name in names(small_disk) if name.endswith((".part", ".lock"))]
    filler.unlink()
    # Not even the first file of a checkpoint had room: there is nothing to go on from, and nothing to refuse.
    (small_disk / "out.linr.resume").mkdir(exist_ok=True)
    encode(clip, output, overwrite=True, resume=True)
    with licodec.open(output) as video:
        assert len(video) == 4


@pytest.mark.parametrize("call", range(1, 9))
def test_an_input_or_output_error_at_any_flush(
    call: int, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EIO from the `call`-th fsync: one error, the old file whole, and the next encode succeeds."""
    output = tmp_path / "out.linr"
    output.write_bytes(b"old")
    calls = iter(range(1, 100))
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if next(calls) == call:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr("licodec.encoder.make_fitter", lambda *_: StandIn())
        patch.setattr("licodec.encoder.open_player", lambda *_, **__: StandIn())
        try:
            licodec.encode(clip, output, ultrafast(), overwrite=True)
        except (UsageError, OSError) as error:
            assert "Input/output error" in str(error)
            assert output.read_bytes() == b"old"
        else:
            # The flush of a directory, which some file systems cannot do, or one that is not reached.
            assert LinrReader(output).read_segment(0) == StandIn.payload
        assert not [name for name in names(tmp_path) if name.endswith((".part", ".lock"))]
    encode(clip, output, overwrite=True, resume=False)
    assert names(tmp_path) == ["out.linr"]


class StandIn:
    """A fitter and a player without work."""

    conf = b"\1\1\1\1\1"
    payload = b"no real payload"
    frames = 4

    def fit(self, *_: object, **__: object) -> bytes:
        return self.payload

    def render(self, frame: int) -> tuple[np.ndarray, ...]:
        return (np.zeros((24, 32), np.float32),)


class FailingFile(io.BytesIO):
    """Reads as a failing disk does, from some byte on."""

    def __init__(self, data: bytes, bad: int) -> None:
        super().__init__(data)
        self._bad = bad

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() + (size or 0) > self._bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


def test_a_disk_that_cannot_be_read(tmp_path: Path) -> None:
    """EIO at any byte is damage, told with its place."""
    with LinrWriter(tmp_path / "a.linr", VideoInfo(16, 16), b"conf") as writer:
        writer.add_segment(b"payload", [0], [1])
        writer.finish()
    data = (tmp_path / "a.linr").read_bytes()
    for bad in range(len(data)):
        with (
            pytest.raises(DamagedFileError, match="cannot be read: Input/output error"),
            LinrReader(FailingFile(data, bad), DEFAULT_LIMITS) as reader,
        ):
            reader.read_segment(0)


def test_what_is_read_back_is_what_was_checked(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that loses a bit between the payload that was decoded and the file is noticed before the file appears."""
    output = tmp_path / "out.linr"
    output.write_bytes(b"old")
    real = LinrWriter.add_segment

    def losing(self: LinrWriter, payload: bytes, *times: Any) -> None:
        real(self, payload[:-1] + bytes([payload[-1] ^ 1]), *times)

    monkeypatch.setattr(LinrWriter, "add_segment", losing)
    with pytest.raises(UsageError, match="not what is read back"):
        encode(clip, output, overwrite=True)
    assert output.read_bytes() == b"old"
    assert names(tmp_path) == ["out.linr", "out.linr.resume"]


@pytest.mark.parametrize("change", [lambda d: d[:-9] + bytes([d[-9] ^ 4]) + d[-8:], lambda d: d.replace(b"me", b"my")])
def test_a_bit_lost_in_a_checkpoint_is_noticed(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """What is resumed is not decoded again, so nothing else would."""
    checkpoint = Checkpoint(tmp_path / "out.linr", "me", resume=False)
    checkpoint.start(28.0)
    checkpoint.save_segment(0, FinishedSegment(bytes(range(100)), (0, 1), (1, 1), np.zeros((2, 1))))
    path = tmp_path / "out.linr.resume" / "segment-00000.safetensors"
    path.write_bytes(change(path.read_bytes()))
    assert Checkpoint(tmp_path / "out.linr", "me", resume=True).load_segment(0, (0, 1)) is None


def test_an_input_that_changed_is_not_resumed(tmp_path: Path) -> None:
    source, output = tmp_path / "source.y4m", tmp_path / "out.linr"
    write_clip(source, 4)

    def stop(step: licodec.Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(source, output, progress=stop)
    with source.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    with pytest.raises(UsageError, match="another input"):
        encode(source, output, resume=True)
    assert names(tmp_path) == ["out.linr.resume", "source.y4m"]


def test_a_directory_that_cannot_be_written(clip: Path, tmp_path: Path) -> None:
    """As another user where this is root, who may write anywhere."""
    folder = tmp_path / "mine"
    folder.mkdir()
    folder.chmod(0o555)
    for part in (tmp_path, *tmp_path.parents[:3]):
        part.chmod(part.stat().st_mode | 0o055)
    code = (
        "import os\n"
        "from licodec.files import UnfinishedFile\n"
        "from licodec.container import LinrWriter\n"
        "from licodec.video.info import VideoInfo\n"
        "import licodec.errors\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "print('ready', flush=True)\n"
        "try: LinrWriter(sys.argv[1], VideoInfo(16, 16), b'')\n"
        "except licodec.errors.UsageError as error: print(error)\n"
    )
    assert (
        rest(other_process(code, folder / "a.linr")) == f"{folder / 'a.linr'}: cannot be written: Permission denied\n"
    )
    assert names(folder) == []
