"""The two profiles behind one door each way: a fitter that makes payloads, a player that renders them."""

from __future__ import annotations

from typing import Protocol

from licodec.container import ByteReader
from licodec.errors import UnsupportedError
from licodec.model.config import PROFILE_DEFAULT, PROFILE_PAPER, ModelConfig
from licodec.model.geometry import Geometry, Planes
from licodec.render.player import SegmentPlayer
from licodec.video.info import VideoInfo


class Player(Protocol):
    """Renders one segment."""

    frames: int

    def parse(self) -> object:
        """Read every symbol; raises DamagedFileError."""
        ...

    def render(self, frame: int) -> Planes:
        """Working planes of a frame."""
        ...

    def between(self, frame: int, share: float) -> Planes:
        """Working planes at a time `share` of the way from a frame to the next."""
        ...


def open_player(payload: bytes, conf: bytes, info: VideoInfo, frames: int, where: str) -> Player:
    """The player of a segment, by the profile that CONF names."""
    reader = ByteReader(conf, where)
    profile = reader.u8()
    if profile == PROFILE_DEFAULT:
        return SegmentPlayer(payload, Geometry.of(info), ModelConfig.from_reader(reader), frames, where)
    if profile == PROFILE_PAPER:
        from licodec.render.latent_inr import LatentINRPlayer

        return LatentINRPlayer(payload, conf[1:], info, frames, where)
    raise UnsupportedError(f"{where}: profile {profile} is not known to this version")
