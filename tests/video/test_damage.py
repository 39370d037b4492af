"""Input that is missing, empty, cut or changed: one line, the right kind, and where."""

import random
import re

import av
import numpy as np
import pytest

from licodec.errors import DamagedFileError, UsageError
from licodec.video.info import VideoInfo
from licodec.video.source import open_source
from licodec.video.streams import copy_other_streams

from .clips import noise, python, write_av, write_av_sound

SMALL = VideoInfo(64, 48)
KINDS = {
    "mp4": {},
    "mkv": {},
    "avi": {"codec": "mpeg4"},
    "ts": {"container": "mpegts"},
    "y4m": {"codec": "wrapped_avframe", "container": "yuv4mpegpipe"},
    "webm": {"codec": "libvpx-vp9"},
}


@pytest.fixture(scope="module", params=[*KINDS, "faststart"])
def whole(request, tmp_path_factory):
    """A file of 40 frames of noise, of each kind."""
    kind = request.param
    suffix = "mp4" if kind == "faststart" else kind
    path = tmp_path_factory.mktemp("whole") / f"a.{suffix}"
    muxer = {"movflags": "faststart"} if kind == "faststart" else {}
    write_av(path, [noise(SMALL, i) for i in range(40)], **KINDS[suffix], muxer=muxer)
    return path


def read_all(path, **options):
    with open_source(path, **options) as video:
        return len(list(video.frames()))


def test_whole_files_are_not_damaged(whole):
    assert read_all(whole) == 40


@pytest.mark.parametrize("part", [0.1, 0.5, 0.62, 0.95])
def test_cut_files(whole, tmp_path, part):
    data = whole.read_bytes()
    path = tmp_path / whole.name
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DamagedFileError) as caught:
        read_all(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert "cut" in text or "damaged" in text


def test_cut_files_can_be_read_up_to_the_cut(whole, tmp_path):
    data = whole.read_bytes()
    path = tmp_path / whole.name
    path.write_bytes(data[: len(data) // 2])
    if whole.suffix == ".mp4" and data.index(b"moov") > len(data) // 2:
        with pytest.raises(DamagedFileError):  # its index was at the end
            read_all(path, conceal=True)
    else:
        assert 15 <= read_all(path, conceal=True) <= 25


def test_an_incomplete_last_packet(tmp_path):
    """Where the file does not state its length, and the decoder, of VP9 here, does not mind half a picture."""
    path = tmp_path / "a.ivf"
    write_av(path, [noise(SMALL, i) for i in range(9)], codec="libvpx-vp9")
    with av.open(path) as opened:
        packet = [packet for packet in opened.demux() if packet.size][5]
    path.write_bytes(path.read_bytes()[: packet.pos + packet.size // 2])
    with pytest.raises(DamagedFileError, match=r"frame 5 \(near 0\.200 s\) is damaged: a packet is incomplete"):
        read_all(path)
    assert read_all(path, conceal=True) == 6


def test_the_first_missing_frame_of_a_cut_mp4_is_named_at_once(tmp_path):
    path = tmp_path / "a.mp4"
    # No B-frames, so that frames are stored in the order of their times.
    write_av(path, [noise(SMALL, i) for i in range(40)], options={"bf": "0"}, muxer={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DamagedFileError) as caught:
        open_source(path)
    number, time = re.search(r"frame (\d+) \((.*) s\) of 40", str(caught.value)).groups()
    assert 15 < int(number) < 25
    assert float(time) == pytest.approx(int(number) / 25)


def test_changed_bytes_name_the_frame(tmp_path):
    path = tmp_path / "a.mp4"
    write_av(path, [noise(SMALL, i) for i in range(40)])
    data = bytearray(path.read_bytes())
    chance = random.Random(1)
    for _ in range(30):
        data[chance.randrange(len(data) // 2, len(data) * 9 // 10)] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    with open_source(path) as video:
        frames = video.frames()
        good = 0
        with pytest.raises(DamagedFileError) as caught:
            for _ in frames:
                good += 1
    number, time = re.search(r"frame (\d+) \(near (.*) s\) is damaged", str(caught.value)).groups()
    assert good + 1 == int(number)  # the last good one waits for its duration
    assert float(time) == pytest.approx((int(number) - 1) / 25)
    with open_source(path, conceal=True) as video:
        assert len(list(video.frames())) >= 38
        assert f"frame {number}" in video.warnings[0]


def test_conceal_reads_what_is_there(tmp_path):
    path = tmp_path / "a.ts"
    write_av(path, [noise(SMALL, i) for i in range(40)], container="mpegts")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DamagedFileError, match=r"frame \d+ \(near 0\.\d+ s\)"):
        read_all(path)
    assert 15 < read_all(path, conceal=True) < 25


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", UsageError, "is empty"),
        (b"hello, world\n" * 100, UsageError, "not a video"),
        (bytes(5000), UsageError, "not a video"),
        (b"\x1a\x45\xdf\xa3" + bytes(3000), DamagedFileError, "cut or damaged"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(3000), DamagedFileError, "cut or damaged"),
        (b"YUV4MPEG2 W0 H0\n", DamagedFileError, "cut or damaged"),
        (b"YUV4MPEG2 W64 H48 F25:1\n", DamagedFileError, "is cut in the middle of frame 0"),
        (b"RIFF\xff\xff\xff\x00AVI LIST", DamagedFileError, "is cut: 16 bytes of 16777223"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", DamagedFileError, "damaged"),
    ],
)
def test_other_content(tmp_path, content, error, words):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(error, match=words) as caught:
        read_all(path)
    assert str(caught.value).startswith(str(path))


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.mp4: no such file"):
        open_source(tmp_path / "nothing.mp4")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UsageError, match="cannot be read: Not a directory"):
        open_source(tmp_path / "file" / "a.mp4")
    with pytest.raises(UsageError, match="no such file"):
        copy_other_streams_of_missing = open_source(tmp_path / "https:" / "example.org" / "a.mp4")
        copy_other_streams_of_missing.close()


def test_damaged_sound_is_named(tmp_path):
    write_av_sound(tmp_path / "a.mp4")
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(DamagedFileError, match=r"a\.mp4"):
        copy_other_streams(tmp_path / "a.mp4")


CATCH = """
from licodec.errors import LicodecError
from licodec.video.source import open_source
try:
    with open_source({spec!r}) as video:
        print(len(list(video.frames())))
except LicodecError as error:
    print(type(error).__name__, error.exit_status, error)
"""


def test_nothing_else_reaches_the_terminal(tmp_path):
    """FFmpeg complains at length about such a file; the user gets our line only."""
    write_av(tmp_path / "a.mp4", [noise(SMALL, i) for i in range(20)])
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    (tmp_path / "a.mp4").write_bytes(data)
    out = python(CATCH.format(spec="a.mp4"), cwd=tmp_path)
    assert out.stderr == b""
    assert re.fullmatch(rb"DamagedFileError 3 a\.mp4: frame \d+ \(near 0\.\d+ s\) is damaged: .*\n", out.stdout)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b"UsageError 2 standard input: there is nothing in it\n"),
        (b"no video at all" * 500, b"UsageError 2 standard input: not a video"),
        (
            b"YUV4MPEG2 W64 H48 F25:1 C420jpeg\n" + b"FRAME\n" + bytes(4608) + b"FRAME\n" + bytes(9),
            b"frame 1\n",
        ),
    ],
)
def test_standard_input(data, expected):
    out = python(CATCH.format(spec="-"), stdin=data)
    assert out.stderr == b""
    assert expected in out.stdout


def test_a_recording_may_start_between_two_key_frames(tmp_path):
    """The pictures before the first key frame cannot be decoded; that is no damage."""
    write_av(tmp_path / "a.ts", [noise(SMALL, i) for i in range(40)], options={"g": "20"}, container="mpegts")
    data = (tmp_path / "a.ts").read_bytes()
    (tmp_path / "b.ts").write_bytes(data[: 188 * 3] + data[188 * 44 :])
    with open_source(tmp_path / "b.ts") as video:
        frames = list(video.frames())
    assert len(frames) == 20
    for plane, expected in zip(frames[0].planes, noise(SMALL, 20), strict=True):
        np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize("frame", [0, 7])
def test_each_frame_counts_the_first_too(tmp_path, frame):
    path = tmp_path / "a.mp4"
    write_av(path, [noise(SMALL, i) for i in range(12)], options={"bf": "0"})
    with av.open(path) as source:
        entry = source.streams.video[0].index_entries[frame]
        place = entry.pos + entry.size // 2
    data = bytearray(path.read_bytes())
    data[place : place + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=rf"frame {frame} "):
        read_all(path)
