"""The two profiles behind one door each way: a fitter that makes payloads, a player that renders them."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from licodec.container import ByteReader
from licodec.errors import UnsupportedError
from licodec.model.config import PROFILE_DEFAULT, PROFILE_PAPER, ModelConfig
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.render.device import open_renderer
from licodec.render.player import SegmentPlayer
from licodec.render.renderer import Array, Renderer
from licodec.video.info import VideoInfo

Array_co = TypeVar("Array_co", covariant=True)


class Player(Protocol[Array_co]):
    """Renders one segment, into arrays of its renderer."""

    frames: int

    def parse(self) -> object:
        """Read every symbol; raises DamagedFileError."""
        ...

    def render(self, frame: int) -> tuple[Array_co, ...]:
        """Working planes of a frame."""
        ...

    def between(self, frame: int, share: float) -> tuple[Array_co, ...]:
        """Working planes at a time `share` of the way from a frame to the next."""
        ...


class _Uploaded(Generic[Array]):
    """A player on the host, what it renders handed to a renderer."""

    def __init__(self, player: Player[Floats], renderer: Renderer[Array]) -> None:
        self._player = player
        self._renderer: Renderer[Array] = renderer
        self.frames, self.parse = player.frames, player.parse

    def render(self, frame: int) -> tuple[Array, ...]:
        return self._upload(self._player.render(frame))

    def between(self, frame: int, share: float) -> tuple[Array, ...]:
        return self._upload(self._player.between(frame, share))

    def _upload(self, planes: Planes) -> tuple[Array, ...]:
        return tuple(self._renderer.upload(plane) for plane in planes)


def open_player(
    payload: bytes, conf: bytes, info: VideoInfo, frames: int, where: str, renderer: Renderer[Any] | None = None
) -> Player[Any]:
    """The player of a segment, by the profile that CONF names; `renderer`: None is the reference."""
    reader = ByteReader(conf, where)
    profile = reader.u8()
    renderer = renderer or open_renderer(Geometry.of(info))
    if profile == PROFILE_DEFAULT:
        return SegmentPlayer(payload, renderer, ModelConfig.from_reader(reader), frames, where)
    if profile == PROFILE_PAPER:
        from licodec.render.latent_inr import LatentINRPlayer

        return _Uploaded(LatentINRPlayer(payload, conf[1:], info, frames, where), renderer)
    raise UnsupportedError(f"{where}: profile {profile} is not known to this version")
