"""The two profiles behind one door each way: a fitter that makes payloads, a player that renders them."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from licodec.container import DEFAULT_LIMITS, ByteReader, Limits
from licodec.errors import UnsupportedError
from licodec.model import costs
from licodec.model.config import PROFILE_DEFAULT, PROFILE_PAPER, ModelConfig
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.render.device import open_renderer
from licodec.render.player import SegmentPlayer
from licodec.render.renderer import Array, Renderer
from licodec.render.window import Window
from licodec.runtime import load_torch
from licodec.video.info import VideoInfo

Array_co = TypeVar("Array_co", covariant=True)


class Player(Protocol[Array_co]):
    """Renders one segment, into arrays of its renderer."""

    frames: int

    def parse(self) -> object:
        """Read every symbol; raises DamagedFileError."""
        ...

    def render(self, frame: int, *, window: Window | None = None) -> tuple[Array_co, ...]:
        """Working planes of a frame, of the picture's size; right in a window (default: everywhere)."""
        ...

    def between(self, frame: int, share: float, *, window: Window | None = None) -> tuple[Array_co, ...]:
        """Working planes at a time `share` of the way from a frame to the next."""
        ...


class _Uploaded(Generic[Array]):
    """A player on the host, what it renders handed to a renderer."""

    def __init__(self, player: Player[Floats], renderer: Renderer[Array]) -> None:
        self._player = player
        self._renderer: Renderer[Array] = renderer
        self.frames, self.parse = player.frames, player.parse

    def render(self, frame: int, *, window: Window | None = None) -> tuple[Array, ...]:
        return self._upload(self._player.render(frame, window=window))

    def between(self, frame: int, share: float, *, window: Window | None = None) -> tuple[Array, ...]:
        return self._upload(self._player.between(frame, share, window=window))

    def _upload(self, planes: Planes) -> tuple[Array, ...]:
        return tuple(self._renderer.upload(plane) for plane in planes)


def open_player(
    payload: bytes,
    conf: bytes,
    info: VideoInfo,
    frames: int,
    where: str,
    renderer: Renderer[Any] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Player[Any]:
    """The player of a segment, by the profile that CONF names; `renderer`: None is the reference."""
    reader = ByteReader(conf, where)
    profile = reader.u8()
    geometry = Geometry.of(info)
    renderer = renderer or open_renderer(geometry)
    if profile == PROFILE_DEFAULT:
        return SegmentPlayer(payload, renderer, ModelConfig.from_reader(reader), frames, where, limits)
    if profile == PROFILE_PAPER:
        load_torch()
        from licodec.render.latent_inr import LatentINRPlayer

        return _Uploaded(LatentINRPlayer(payload, conf[1:], info, frames, where, limits), renderer)
    raise _unknown(profile, where)


def check_compute(conf: bytes, info: VideoInfo, frames: int, limits: Limits, where: str) -> None:
    """Raise LimitError if so many frames take more compute, or the shortest segment more memory, than allowed."""
    reader = ByteReader(conf, where)
    profile = reader.u8()
    geometry = Geometry.of(info)
    if profile == PROFILE_DEFAULT:
        config = ModelConfig.from_reader(reader)
        parameters, macs = costs.parameters(geometry, config), costs.frame_macs(geometry, config)
        memory = costs.segment_bytes(geometry, config, 1, ())
    elif profile == PROFILE_PAPER:
        from licodec.model.latent_inr import LatentINRConfig, frame_macs, parameter_count, segment_bytes

        paper = LatentINRConfig.from_bytes(conf[1:])
        parameters, macs = parameter_count(paper, geometry, 1), frame_macs(paper, geometry)
        memory = segment_bytes(paper, geometry, 1)
    else:
        raise _unknown(profile, where)
    limits.check("max_parameters", parameters, where)
    limits.check("max_segment_bytes", memory, where)
    limits.check("max_macs", frames * macs, where)


def _unknown(profile: int, where: str) -> UnsupportedError:
    return UnsupportedError(f"{where}: profile {profile} is not known to this version")
