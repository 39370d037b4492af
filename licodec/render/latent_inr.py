"""Plays a segment of the paper profile: every picture by itself, at any time."""

from __future__ import annotations

from threading import Lock

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.model.geometry import Planes
from licodec.model.latent_inr import LatentINR, LatentINRConfig, read_payload
from licodec.render.window import Window
from licodec.video.info import VideoInfo


class LatentINRPlayer:
    """Renders one segment from its payload, which is parsed when it is first needed."""

    def __init__(
        self,
        payload: bytes,
        conf: bytes,
        info: VideoInfo,
        frames: int,
        where: str = "",
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`conf`: what follows the profile number in CONF; raises DamagedFileError."""
        self._payload, self._info, self._where, self._limits = payload, info, where, limits
        self._config = LatentINRConfig.from_bytes(conf)
        self._model: LatentINR | None = None
        self._one_by_one = Lock()
        self.frames = frames

    def parse(self) -> LatentINR:
        """Read every symbol; raises DamagedFileError or LimitError."""
        with self._one_by_one:
            if self._model is None:
                about = self._info, self.frames, self._where, self._limits
                self._model = read_payload(self._payload, self._config, *about)
        return self._model

    def render(self, frame: int, *, window: Window | None = None) -> Planes:
        """Working planes of a frame, as far as a window needs them (default: everywhere)."""
        return self._planes(frame, window)

    def between(self, frame: int, share: float, *, window: Window | None = None) -> Planes:
        """Working planes at a time `share` of the way from a frame to the next."""
        return self._planes(frame + share, window)

    def _planes(self, time: float, window: Window | None) -> Planes:
        patch = self._config.patch
        return self.parse().planes(time, None if window is None else window.of((patch, patch)))
