"""Writing: what comes back is what went in, and a failed output leaves nothing behind."""

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from licodec.errors import UsageError
from licodec.video.encode import default_codec
from licodec.video.info import Frame, VideoInfo
from licodec.video.sink import open_sink, same_file
from licodec.video.source import open_source

from .clips import moving, python

SMALL = VideoInfo(64, 48)
FULL_RGB = {"matrix": 0, "full_range": True}


def write(spec, info, frames, **options):
    with open_sink(spec, info, **options) as sink:
        for frame in frames:
            sink.write(frame)
    return sink


def read(path):
    with open_source(path) as video:
        return video.info, list(video.frames())


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rms(frames, expected, depth):
    """Root mean square error of the worst plane, in steps of 8 bits."""
    planes = zip(*(zip(a.planes, b.planes, strict=True) for a, b in zip(frames, expected, strict=True)), strict=True)
    scale = 1 << (depth - 8)
    return max(np.sqrt(np.mean([((a.astype(float) - b) / scale) ** 2 for a, b in plane])) for plane in planes)


def worst(frames, expected):
    assert len(frames) == len(expected)
    return max(
        int(np.abs(a.astype(int) - b.astype(int)).max())
        for one, other in zip(frames, expected, strict=True)
        for a, b in zip(one.planes, other.planes, strict=True)
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("size", [(64, 48), (175, 143)])
@pytest.mark.parametrize("depth", [8, 10, 12])
@pytest.mark.parametrize("chroma", ["gray", "420", "422", "444", "rgb"])
def test_every_sample_format_is_kept(tmp_path, chroma, depth, size, suffix):
    info = VideoInfo(*size, chroma, depth, **(FULL_RGB if chroma == "rgb" else {}))
    path = tmp_path / f"a{suffix}"
    if suffix == ".mp4" and default_codec(suffix, info) == "ffv1":
        with pytest.raises(UsageError, match=r"cannot be in \.mp4: write \.mkv"):
            open_sink(path, info)
        assert list(tmp_path.iterdir()) == []
        return
    frames = moving(info)
    write(path, info, frames)
    found, back = read(path)
    assert found == replace(info, time_base=found.time_base, chroma_location=found.chroma_location)
    assert rms(back, frames, depth) <= (0 if default_codec(suffix, info) == "ffv1" else 2.5)


@pytest.mark.parametrize("depth", [9, 14, 16])
@pytest.mark.parametrize("chroma", ["gray", "420", "422", "444", "rgb"])
def test_unusual_depths_are_lossless_in_matroska(tmp_path, chroma, depth):
    info = VideoInfo(64, 48, chroma, depth, **(FULL_RGB if chroma == "rgb" else {}))
    frames = moving(info)
    write(tmp_path / "a.mkv", info, frames)
    found, back = read(tmp_path / "a.mkv")
    assert (found.chroma, found.bit_depth, found.full_range) == (chroma, depth, info.full_range)
    assert worst(back, frames) == 0


def test_the_default_is_visually_lossless(tmp_path):
    frames = moving(VideoInfo(176, 144), range(25))
    write(tmp_path / "a.mp4", VideoInfo(176, 144), frames)
    _, back = read(tmp_path / "a.mp4")
    assert rms(back, frames, 8) < 1.4  # 45 dB
    assert (tmp_path / "a.mp4").stat().st_size < sum(p.nbytes for f in frames for p in f.planes) / 10


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(("full", "location"), [(False, 1), (True, 3)])
def test_description_is_kept(tmp_path, suffix, full, location):
    info = VideoInfo(
        64, 48, rotation=270, primaries=9, transfer=16, matrix=9, full_range=full, chroma_location=location,
        sample_aspect=Fraction(1) if suffix == ".webm" else Fraction(64, 45),
    )  # fmt: skip
    write(tmp_path / f"a{suffix}", info, moving(info))
    found, _ = read(tmp_path / f"a{suffix}")
    assert found == replace(info, time_base=found.time_base)


def test_aspect_that_cannot_be_kept_is_reported(tmp_path):
    """PyAV cannot set the container's aspect ratio, and VP9 has none of its own."""
    info = replace(SMALL, sample_aspect=Fraction(4, 3))
    sink = write(tmp_path / "a.webm", info, moving(info))
    assert "sample aspect ratio 4:3 is not kept" in sink.warnings[0]
    assert write(tmp_path / "a.mkv", info, moving(info)).warnings == []


TIMES = {
    "regular": (Fraction(1, 25), [0, 1, 2, 3], 1),
    "ntsc": (Fraction(1001, 30000), [0, 1, 2, 3, 4], 1),
    "variable": (Fraction(1, 90000), [0, 3003, 3004, 9000, 12000, 15000, 18000, 21001, 90001], 1234),
    "late": (Fraction(1, 90000), [500001, 503004, 509000], 700),
    "hours late": (Fraction(1, 90000), [90000 * 100000, 90000 * 100000 + 3001], 3000),
    "prime": (Fraction(1, 1000000007), [0, 40000000, 80000001], 39999999),
    "one": (Fraction(1, 12800), [0], 77),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("kind", TIMES)
def test_mp4_keeps_times_exactly(tmp_path, kind, suffix):
    time_base, pts, last = TIMES[kind]
    info = replace(SMALL, time_base=time_base)
    frames = moving(info, pts, last)
    write(tmp_path / f"a{suffix}", info, frames)
    found, back = read(tmp_path / f"a{suffix}")
    assert [f.pts * found.time_base for f in back] == [f.pts * time_base for f in frames]
    assert [f.duration * found.time_base for f in back] == [f.duration * time_base for f in frames]


def test_hevc_keeps_times_too(tmp_path):
    time_base, pts, last = TIMES["variable"]
    info = replace(SMALL, time_base=time_base)
    write(tmp_path / "a.mp4", info, moving(info, pts, last), codec="hevc")
    found, back = read(tmp_path / "a.mp4")
    assert ([f.pts for f in back], back[-1].duration, found.time_base) == (pts, last, time_base)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
@pytest.mark.parametrize("kind", [kind for kind in TIMES if kind != "prime"])  # VP9 takes no such clock
def test_matroska_keeps_times_to_the_millisecond(tmp_path, kind, suffix):
    time_base, pts, last = TIMES[kind]
    if kind == "variable":
        pts, last = [0, 3003, 3103, 9000], 1234  # one tick apart would be the same millisecond
    info = replace(SMALL, time_base=time_base)
    frames = moving(info, pts, last)
    write(tmp_path / f"a{suffix}", info, frames)
    found, back = read(tmp_path / f"a{suffix}")
    for one, other in zip(back, frames, strict=True):
        assert abs(one.pts * found.time_base - other.pts * time_base) <= Fraction(1, 2000)
        assert abs(one.duration * found.time_base - other.duration * time_base) <= Fraction(1, 1000)


def test_a_start_before_zero_is_moved(tmp_path):
    frames = moving(SMALL, (-5, 0, 3))
    sink = write(tmp_path / "a.mp4", SMALL, frames)
    assert "starts at -0.200 s" in sink.warnings[0]
    found, back = read(tmp_path / "a.mp4")
    assert [f.pts * found.time_base for f in back] == [Fraction(i, 25) for i in (0, 5, 8)]


@pytest.mark.parametrize(
    ("codec", "name", "crf"),
    [
        ("libx265", "hevc", 20),
        ("av1", "libdav1d", 30),
        ("vp9", "vp9", None),
        ("ffv1", "ffv1", None),
        ("h264", "h264", 0),
    ],
)
def test_codec_and_crf(tmp_path, codec, name, crf):
    frames = moving(SMALL)
    write(tmp_path / "a.mkv", SMALL, frames, codec=codec, crf=crf)
    with av.open(tmp_path / "a.mkv") as opened:
        assert opened.streams.video[0].codec_context.name in (name, "av1")
    _, back = read(tmp_path / "a.mkv")
    lossless = codec in ("ffv1", "h264")
    assert (worst(back, frames) == 0) == lossless


def test_crf_is_a_quality(tmp_path):
    sizes = []
    for crf in (10, 30, 45):
        write(tmp_path / f"{crf}.mp4", SMALL, moving(SMALL, range(10)), crf=crf)
        sizes.append((tmp_path / f"{crf}.mp4").stat().st_size)
    assert sizes == sorted(sizes, reverse=True)


def test_hevc_in_mp4_plays_on_apple_devices(tmp_path):
    write(tmp_path / "a.mp4", SMALL, moving(SMALL), codec="hevc")
    assert b"hvc1" in (tmp_path / "a.mp4").read_bytes()


@pytest.mark.parametrize(
    ("spec", "info", "options", "words"),
    [
        ("a.mp4", SMALL, {"codec": "nosuch"}, "no such encoder"),
        ("a.mp4", SMALL, {"codec": "aac"}, "not a video encoder"),
        ("a.mp4", SMALL, {"codec": "mpeg4", "crf": 3}, "--crf: mpeg4 has no such"),
        ("a.mp4", VideoInfo(64, 48, "444", 12), {"codec": "libx264"}, "libx264 cannot hold 12 bit 444"),
        ("a.mp4", VideoInfo(175, 143), {"codec": "libx264"}, "no odd sizes in 4:2:0"),
        ("a.mp4", VideoInfo(64, 47, "420"), {"codec": "hevc"}, "libx265 has no odd sizes"),
        ("a.webm", SMALL, {"codec": "libx264"}, "cannot write this video"),
        ("a.mov", VideoInfo(175, 143), {}, r"cannot be in \.mov: write \.mkv"),
        ("a.xyz", SMALL, {}, "unknown kind of output"),
        ("a", SMALL, {}, "unknown kind of output"),
        ("a.png", SMALL, {"crf": 3}, "need a video file"),
        ("a.y4m", VideoInfo(64, 48, "rgb"), {}, "y4m cannot hold RGB"),
        ("no/where/a.mp4", SMALL, {}, "cannot be written: No such file"),
        ("no/where/%d.png", SMALL, {}, "cannot be written: No such file"),
        ("no/where/frames/", SMALL, {}, "cannot be written: No such file"),
        ("a.mp4/b.y4m", SMALL, {}, "cannot be written: Not a directory"),
    ],
)
def test_requests_that_cannot_be_met_fail_at_once(in_folder, spec, info, options, words):
    tmp_path = in_folder
    if spec.startswith("a.mp4/"):
        Path("a.mp4").touch()
    before = list(tmp_path.iterdir())
    with pytest.raises(UsageError, match=words):
        write(spec, info, moving(info), **options)
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.y4m", "a.png", "f%02d.png", "frames/"])
def test_existing_files_are_kept_unless_asked(tmp_path, name):
    spec = f"{tmp_path}/{name}"
    existing = {"f%02d.png": "f07.png", "frames/": "frames/00003.png"}.get(name, name)
    (tmp_path / existing).parent.mkdir(exist_ok=True)
    (tmp_path / existing).write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already: -y overwrites it"):
        open_sink(spec, SMALL)
    assert (tmp_path / existing).read_bytes() == b"precious"
    frames = moving(SMALL, [0] if name == "a.png" else range(8))
    write(spec, SMALL, frames, overwrite=True)
    assert (tmp_path / existing).read_bytes() != b"precious"
    assert [p.name for p in tmp_path.rglob("*") if "part" in p.name] == []


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    with pytest.raises(UsageError, match="exists already"), open_sink(tmp_path / "a.mp4", SMALL) as sink:
        sink.write(moving(SMALL)[0])
        (tmp_path / "a.mp4").write_bytes(b"precious")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.y4m", "f%02d.png", "frames/", "a.png"])
@pytest.mark.parametrize("written", [0, 1])
def test_abort_leaves_nothing(tmp_path, name, written):
    with pytest.raises(KeyboardInterrupt), open_sink(f"{tmp_path}/{name}", SMALL) as sink:
        for frame in moving(SMALL)[:written]:
            sink.write(frame)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_abort_leaves_what_was_there_before(tmp_path):
    (tmp_path / "00001.png").write_bytes(b"asked to be overwritten")
    (tmp_path / "00009.png").write_bytes(b"precious")
    with pytest.raises(ValueError, match="stop"), open_sink(f"{tmp_path}/", SMALL, overwrite=True) as sink:
        for frame in moving(SMALL):
            sink.write(frame)
        raise ValueError("stop")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00001.png", "00009.png"]
    assert (tmp_path / "00009.png").read_bytes() == b"precious"


def test_nothing_appears_before_it_is_complete(tmp_path):
    with open_sink(tmp_path / "a.mp4", SMALL) as sink:
        sink.write(moving(SMALL)[0])
        assert not (tmp_path / "a.mp4").exists()
    assert (tmp_path / "a.mp4").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_video_without_frames_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no frame to write"), open_sink(tmp_path / "a.mp4", SMALL):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", ["a.mp4", "a.y4m", "null:"])
def test_wrong_frames_are_refused(tmp_path, spec):
    first, second, _ = moving(SMALL)
    with open_sink(spec if ":" in spec else tmp_path / spec, SMALL) as sink:
        sink.write(first)
        with pytest.raises(ValueError, match="planes"):
            sink.write(Frame(second.planes[:1], 5, 1))
        with pytest.raises(ValueError, match="must increase"):
            sink.write(Frame(second.planes, 0, 1))
        sink.write(second)


def test_full_disk(tmp_path):
    """A limit on the size of files stands in for it: the error is the same kind."""
    code = """
import resource, signal
from licodec.errors import UsageError
from licodec.video.sink import open_sink
from licodec.video.info import Frame, VideoInfo
import numpy as np
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
for spec in ("a.mkv", "a.mp4", "a.y4m", "%d.png"):
    info = VideoInfo(640, 480, "rgb" if "png" in spec else "420")
    noise = lambda shape: np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    try:
        with open_sink(spec, info) as sink:
            for number in range(30):
                sink.write(Frame(tuple(noise(s) for s in info.plane_shapes), number, 1))
    except UsageError as error:
        print(error)
"""
    out = python(code, cwd=tmp_path)
    assert out.stderr == b""
    lines = out.stdout.decode().splitlines()
    assert lines == [f"{name}: cannot be written: File too large" for name in ("a.mkv", "a.mp4", "a.y4m", "1.png")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_unwritable_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied"):
        open_sink(tmp_path / "a.mp4", SMALL)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux only")
@pytest.mark.parametrize("name", ["a.mp4", "a.y4m", "%d.png", "a.png"])
def test_a_folder_where_even_root_cannot_write(name):
    with pytest.raises(UsageError, match=r"/proc/self/[a1]\.\w+: cannot be written"):
        open_sink(f"/proc/self/{name}", SMALL)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("chroma", ["gray", "420", "422", "444"])
def test_y4m_files(tmp_path, chroma, depth, full):
    info = VideoInfo(175, 143, chroma, depth, Fraction(64, 45), full_range=full, time_base=Fraction(1001, 30000))
    if (chroma, depth) == ("420", 8):
        info = replace(info, chroma_location=3)  # the format has a place for it here only
    frames = moving(info)
    assert write(tmp_path / "a.y4m", info, frames).warnings == []
    found, back = read(tmp_path / "a.y4m")
    assert found == info
    assert worst(back, frames) == 0
    assert [(f.pts, f.duration) for f in back] == [(0, 1), (1, 1), (2, 1)]


def test_y4m_says_what_it_does_not_keep(tmp_path):
    info = replace(SMALL, rotation=90, matrix=1, time_base=Fraction(1, 1000))
    sink = write(tmp_path / "a.y4m", info, moving(info, (0, 40, 80, 200), 40))
    assert [text.split(":")[0] for text in sink.warnings] == [
        "y4m does not keep the rotation",
        "y4m does not keep the colour primaries, transfer and matrix",
        "y4m has no timestamps",
    ]
    assert b" F25:1 " in (tmp_path / "a.y4m").read_bytes()[:60]


STREAM = """
from licodec.video.sink import open_sink, PipeClosedError
from licodec.video.info import Frame, VideoInfo
import numpy as np
info = VideoInfo(64, 48)
try:
    with open_sink("-", info) as sink:
        for number in range({count}):
            sink.write(Frame(tuple(np.full(s, number, np.uint8) for s in info.plane_shapes), number, 1))
except PipeClosedError as error:
    print("closed", error.exit_status, error, file=sys.stderr)
"""


def test_y4m_on_standard_output(tmp_path):
    out = python(STREAM.format(count=3))
    assert out.stderr == b""
    (tmp_path / "a.y4m").write_bytes(out.stdout)
    _, back = read(tmp_path / "a.y4m")
    assert [int(f.planes[2][0, 0]) for f in back] == [0, 1, 2]


def test_a_reader_that_ends_early():
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n" + STREAM.format(count=100000)
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout.read(9) == b"YUV4MPEG2"
    writer.stdout.close()
    text = writer.stderr.read()
    assert writer.wait(timeout=250) == 0
    assert text == b"closed 0 standard output: the reader has ended\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_full_standard_output():
    with Path("/dev/full").open("wb") as full:
        out = python(STREAM.format(count=3), stdout=full)
    assert b"UsageError: standard output: cannot be written: No space left on device" in out.stderr


@pytest.mark.parametrize(
    ("chroma", "depth"), [("420", 8), ("gray", 8), ("rgb", 8), ("gray", 10), ("rgb", 10), ("rgb", 16)]
)
def test_png(tmp_path, chroma, depth):
    info = VideoInfo(19, 13, chroma, depth, matrix=1 if chroma == "420" else 2)
    frames = moving(info)
    sink = write(f"{tmp_path}/out/f%03d.png", info, frames) if (tmp_path / "out").mkdir() else None
    sink = write(f"{tmp_path}/out/f%03d.png", info, frames)
    assert sink.warnings == []
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["f001.png", "f002.png", "f003.png"]
    from licodec.video.colour import to_rgb

    rgb = to_rgb(frames[1].planes, info).astype(float)
    found = cv2.imread(str(tmp_path / "out" / "f002.png"), cv2.IMREAD_UNCHANGED)
    assert found.dtype == (np.uint8 if depth == 8 else np.uint16)
    if chroma == "gray":
        assert found.ndim == 2
        rgb = rgb[..., 0]
    else:
        found = found[..., ::-1]
    peak = (1 << depth) - 1
    np.testing.assert_array_equal(found, np.rint(rgb * ((255 if depth == 8 else 65535) / peak)))
    if depth == 10 and chroma == "gray":
        return
    if depth != 10 and chroma == "rgb":
        _, back = read(tmp_path / "out")
        assert worst(back, frames) == 0


def test_png_keeps_colour_tags(tmp_path):
    info = VideoInfo(19, 13, "rgb", primaries=9, transfer=16, **FULL_RGB)
    write(tmp_path / "a.png", info, moving(info, [0]))
    found, _ = read(tmp_path / "a.png")
    assert (found.primaries, found.transfer) == (9, 16)


def test_png_places(tmp_path):
    write(f"{tmp_path}/frames/", SMALL, moving(SMALL))
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == ["00001.png", "00002.png", "00003.png"]
    write(tmp_path / "one.png", SMALL, moving(SMALL, [0]))
    assert cv2.imread(str(tmp_path / "one.png")).shape == (48, 64, 3)
    with pytest.raises(UsageError, match="use a name with %05d"):
        write(tmp_path / "two.png", SMALL, moving(SMALL))
    assert not (tmp_path / "two.png").exists()
    turned = replace(SMALL, rotation=90)
    assert "not rotated" in write(tmp_path / "three.png", turned, moving(turned, [0])).warnings[0]


def test_null(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write("null:", SMALL, moving(SMALL), other_streams=b"anything").warnings == []
    assert list(tmp_path.iterdir()) == []


def test_encoders_do_not_talk(tmp_path):
    code = """
from licodec.video.sink import open_sink
from licodec.video.info import Frame, VideoInfo
import numpy as np
for number, codec in enumerate(("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1")):
    info = VideoInfo(64, 64)
    with open_sink(f"{number}.mkv", info, codec=codec) as sink:
        sink.write(Frame(tuple(np.zeros(s, np.uint8) for s in info.plane_shapes), 0, 1))
"""
    out = python(code, cwd=tmp_path)
    assert (out.returncode, out.stdout, out.stderr) == (0, b"", b"")
    assert len(list(tmp_path.iterdir())) == 5


def test_same_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").touch()
    Path("b.mp4").symlink_to("a.mp4")
    Path("frames").mkdir()
    assert same_file("a.mp4", tmp_path / "a.mp4")
    assert same_file("a.mp4", "b.mp4")
    assert same_file("frames", "frames/")
    assert same_file("frames/", "frames/%05d.png")
    assert same_file("frames/%05d.png", "./frames/%05d.png")
    assert not same_file("frames/%05d.png", "frames/x%05d.png")
    assert not same_file("a.mp4", "c.mp4")
    assert not same_file("-", "-")
    assert not same_file("a.mp4", "null:")
