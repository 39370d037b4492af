"""Video files out: an encoder that loses nothing one can see, exact timestamps, the other streams back in.

Default encoders, by what has to be held:

    8 or 10 bit 4:2:0, 4:2:2, 4:4:4             libx264       crf 10
    8 bit RGB                                   libx264rgb    crf 10
    gray up to 12 bit, 12 bit YCbCr,
    RGB of 10 or 12 bit                         libx265       crf 8
    odd sizes in 4:2:0 and 4:2:2, 8 bit         libvpx-vp9    crf 10, not in .mov
    odd sizes in 4:2:0, 10 bit                  libsvtav1     crf 12, not in .mov
    anything else                               ffv1          lossless, .mkv only
    .webm                                       libvpx-vp9 for 8 bit, otherwise libsvtav1

h264_nvenc, hevc_nvenc and av1_nvenc, which encode on an NVIDIA GPU, are used when they are asked for.

H.264 and HEVC cut their pictures in whole chroma samples, so they have no odd sizes. Where an encoder has
no gray, gray becomes 4:2:0 with colourless chroma. Nothing else is ever converted.
"""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from pathlib import Path

import av

from licodec.errors import LicodecError, UsageError
from licodec.video.ffmpeg import reason
from licodec.video.info import Frame, VideoInfo
from licodec.video.output import PartFile, VideoSink, write_error
from licodec.video.pixels import from_planes, storing_formats
from licodec.video.streams import OtherStreams

_MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
VIDEO_SUFFIXES = tuple(_MUXERS)
_MP4 = (".mp4", ".m4v", ".mov")
_ALIASES = {
    "h264": "libx264",
    "x264": "libx264",
    "hevc": "libx265",
    "h265": "libx265",
    "x265": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "prores": "prores_ks",
    "nvenc": "h264_nvenc",
}
_NVENC = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")
# No B-frames: MP4 stores durations in decoding order, so a reordered last frame would lose its own.
_OPTIONS = {
    "libx264": {"crf": "10", "preset": "fast", "bf": "0"},
    "libx264rgb": {"crf": "10", "preset": "fast", "bf": "0"},
    "libx265": {"crf": "8", "preset": "fast", "x265-params": "log-level=none:bframes=0"},
    "libsvtav1": {"crf": "12", "preset": "8"},
    "libvpx-vp9": {"crf": "10", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
    "ffv1": {"level": "3", "slicecrc": "1"},
    "prores_ks": {"profile": "4"},
    **{name: {"rc": "vbr", "cq": "12", "b": "0", "preset": "p5", "bf": "0"} for name in _NVENC},
}
_AHEAD_BYTES = 1 << 27
_MOST_AHEAD = {"libx264": 30, "libx264rgb": 30, "libx265": 15}
"""Pictures that their preset looks ahead."""
_QUALITY = dict.fromkeys(_NVENC, "cq")
"""What an encoder calls its constant quality, where that is not crf."""
# These write the sample aspect ratio themselves; PyAV cannot set the container's.
_KEEP_ASPECT = ("libx264", "libx264rgb", "libx265", "ffv1", "mpeg4", "mpeg2video", *_NVENC[:2])
_SITES = {1: "left", 2: "center", 3: "topleft", 4: "top", 5: "bottomleft", 6: "bottom"}


def default_codec(suffix: str, info: VideoInfo) -> str:
    """FFmpeg's encoder for a file suffix: see the table above."""
    depth, chroma = info.bit_depth, info.chroma
    if suffix == ".webm":
        return "libvpx-vp9" if depth == 8 else "libsvtav1"
    if _is_odd(info):
        choice = {("420", 8): "libvpx-vp9", ("422", 8): "libvpx-vp9", ("420", 10): "libsvtav1"}
        return "ffv1" if suffix == ".mov" else choice.get((chroma, depth), "ffv1")
    if (chroma, depth) == ("rgb", 8):
        return "libx264rgb"
    if chroma not in ("gray", "rgb") and depth in (8, 10):
        return "libx264"
    return "libx265" if depth in (8, 10, 12) else "ffv1"  # FFmpeg decodes gray H.264 as 4:2:0, gray HEVC as gray


def _is_odd(info: VideoInfo) -> bool:
    """Whether chroma planes cover more than the picture."""
    sx, sy = info.subsampling
    return info.width % sx + info.height % sy > 0


class FileSink(VideoSink):
    """An mp4, mov, mkv or webm file; see `open_sink`.

    MP4 and QuickTime keep the timestamps of any time base exactly; Matroska and WebM round them to the
    millisecond, which FFmpeg's muxer cannot change.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        *,
        overwrite: bool,
        codec: str | None,
        crf: float | None,
        other_streams: bytes | None,
    ) -> None:
        super().__init__(info)
        self._path = path
        suffix = path.suffix.lower()
        self._codec = _ALIASES.get(codec, codec) if codec else default_codec(suffix, info)
        if codec is None and self._codec == "ffv1" and suffix != ".mkv":
            what = f"{info.bit_depth} bit {info.chroma} video of {info.width}x{info.height}"
            raise UsageError(f"{path}: {what} cannot be in {suffix}: write .mkv")
        self._pix_fmt = self._choose_format()
        options = self._choose_options(crf)
        self._durations: dict[int, int] = {}
        self._shift = 0
        self._started = False
        self._part = PartFile(path, overwrite=overwrite)
        self._others: OtherStreams | None = None
        try:
            # MP4 writes a late start down in this clock; in its usual milliseconds it would be rounded.
            clock = {"movie_timescale": str(info.time_base.denominator)} if suffix in _MP4 else {}
            # Audio may start a little before zero; moving everything for it, FFmpeg's habit, would show.
            clock["avoid_negative_ts"] = "disabled"
            self._container = av.open(self._part.file, "w", format=_MUXERS[suffix], container_options=clock)
            self._add_video(options)
            if other_streams is not None:
                self._others = OtherStreams(other_streams, self._container)
                self.warnings += [f"{path}: {text}" for text in self._others.warnings]
        except (LicodecError, av.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise self._named(error) from None

    def write(self, frame: Frame) -> None:
        self._check(frame)
        if not self._started:
            self._started = True
            rate = 1 / (frame.duration * self.info.time_base)
            self._stream.codec_context.framerate = rate.limit_denominator(1_000_000)
            self._shift = max(0, -frame.pts)  # files show nothing before zero; MP4 would cut frames off
            if self._shift:
                start = float(frame.pts * self.info.time_base)
                self.warnings.append(f"{self._path}: the video starts at {start:.3f} s: all is moved to zero")
                if self._others:
                    self._others.shift = self._shift * self.info.time_base
        picture = from_planes(frame.planes, self.info, self._pix_fmt)
        picture.pts, picture.time_base = frame.pts + self._shift, self.info.time_base
        self._durations[picture.pts] = frame.duration
        self._mux(picture)

    def close(self) -> None:
        if not self._started:
            self.abort()
            raise UsageError(f"{self._path}: there is no frame to write")
        self._mux(None)
        try:
            if self._others:
                self._others.mux_until(None)
                self._others.close()
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise write_error(self._path, error) from None
        self._part.commit()

    def abort(self) -> None:
        self._part.discard()
        if self._others:
            self._others.close()
        if hasattr(self, "_container"):
            self._container.close()  # its file is closed already, so it writes nothing

    def _choose_format(self) -> str:
        try:
            known = av.Codec(self._codec, "w")
        except (av.FFmpegError, ValueError):
            others = ": leave --codec out, or use h264" if self._codec in _NVENC else ""
            raise UsageError(f"--codec {self._codec}: FFmpeg has no such encoder here{others}") from None
        if known.type != "video":
            raise UsageError(f"--codec {self._codec}: not a video encoder")
        if self._codec in ("libx264", "libx265", *_NVENC) and _is_odd(self.info):
            raise UsageError(
                f"{self._path}: {self._codec} has no odd sizes in 4:2:0 and 4:2:2, such as this "
                f"{self.info.width}x{self.info.height}: leave --codec out, or use vp9 or ffv1"
            )
        wanted = storing_formats(self.info)
        offered = [form.name for form in known.video_formats or []]
        for name in wanted:
            if not offered or name in offered:
                return name
        raise UsageError(
            f"{self._path}: {self._codec} cannot hold {self.info.bit_depth} bit {self.info.chroma} video "
            f"without conversion: write .mkv with --codec ffv1, or .png"
        )

    def _choose_options(self, crf: float | None) -> dict[str, str]:
        options = dict(_OPTIONS.get(self._codec, {}))
        if crf is not None:
            context = av.CodecContext.create(self._codec, "w")
            name = _QUALITY.get(self._codec, "crf")
            if name not in {option.name for option in context.supported_options.private}:
                raise UsageError(f"--crf: {self._codec} has no such quality setting")
            options[name] = f"{crf:g}"
        if self.info.chroma_location in _SITES:
            options["chroma_sample_location"] = _SITES[self.info.chroma_location]
        # These look ahead over whole pictures, of which 30 of 8K take 3 GiB; one more is in work.
        size = sum(2 * h * w if self.info.bit_depth > 8 else h * w for h, w in self.info.plane_shapes)
        ahead = _AHEAD_BYTES // size - 1
        if self._codec in _MOST_AHEAD and ahead < _MOST_AHEAD[self._codec]:
            if self._codec == "libx265":
                options["x265-params"] += f":rc-lookahead={max(ahead, 2)}"
            else:
                options["rc-lookahead"] = str(max(ahead, 1))
        if self._codec == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # it prints its settings on the terminal otherwise
        return options

    def _add_video(self, options: dict[str, str]) -> None:
        info = self.info
        stream = self._container.add_stream(self._codec, options=options)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = info.width, info.height, self._pix_fmt
        context.time_base = stream.time_base = info.time_base
        context.sample_aspect_ratio = info.sample_aspect
        context.color_primaries, context.color_trc = info.primaries, info.transfer
        context.colorspace = 0 if info.chroma == "rgb" else info.matrix
        context.color_range = 2 if info.full_range or info.chroma == "rgb" else 1
        if info.sample_aspect != 1 and self._codec not in _KEEP_ASPECT:
            ratio = f"{info.sample_aspect.numerator}:{info.sample_aspect.denominator}"
            self.warnings.append(f"{self._path}: the sample aspect ratio {ratio} is not kept with {self._codec}")
        if self._codec in ("libx265", "hevc_nvenc") and self._path.suffix.lower() in _MP4:
            context.codec_tag = "hvc1"  # Apple's players take no other
        if info.rotation:
            stream.set_display_rotation(info.rotation)
        self._stream = stream

    def _mux(self, picture: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(picture):
                if packet.pts is not None:
                    packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
                if self._others and packet.dts is not None:
                    self._others.mux_until(packet.dts * Fraction(packet.time_base))
                self._container.mux(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._named(error) from None

    def _named(self, error: Exception) -> LicodecError:
        if isinstance(error, LicodecError):
            return error
        # FFmpeg says "not permitted" of a driver that is not there.
        no_driver = self._codec in _NVENC and getattr(error, "errno", None) in (errno.EPERM, errno.ENOSYS, errno.ENODEV)
        if isinstance(error, OSError) and not no_driver:
            return write_error(self._path, error)
        hint = "; it needs an NVIDIA GPU with its driver: h264 does not" if self._codec in _NVENC else ""
        return UsageError(f"{self._path}: {self._codec} cannot write this video: {reason(error)}{hint}")
