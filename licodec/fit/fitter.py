"""The fit of a segment by profile: frames in, payload out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from licodec.container import Limits
from licodec.fit.guard import Warn
from licodec.fit.presets import PRESETS, Preset, Quality
from licodec.fit.segment import fit_segment, split_groups
from licodec.fit.settings import EncodeSettings
from licodec.model.config import ModelConfig
from licodec.model.costs import check_segment
from licodec.model.geometry import Geometry, to_working
from licodec.runtime import load_torch
from licodec.video.info import Frame, VideoInfo

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Budget:
    """Seconds that a segment's fit may take."""

    seconds: float | None
    """None: as long as the preset takes."""
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float | None:
        """Seconds left, at least 0."""
        return None if self.seconds is None else max(0.0, self.seconds - (time.monotonic() - self.started))


class Fitter(Protocol):
    """Makes payloads."""

    conf: bytes
    """CONF of the file."""

    def fit(
        self,
        frames: Sequence[Frame],
        crf: float,
        budget: Budget,
        *,
        quick: bool,
        report: Report,
        partial: bytes | None,
        save_partial: Callable[[bytes], None] | None,
        warn: Warn,
    ) -> bytes:
        """Payload of a segment. `quick`: good enough to tell the size; `partial`: what `save_partial` got before.

        `warn` is told what the user should know.
        """
        ...


class DefaultFitter:
    """Motion, residual and modulated synthesis."""

    def __init__(self, info: VideoInfo, preset: Preset, seed: int, device: str, limits: Limits) -> None:
        self._info, self._preset, self._seed, self._device, self._limits = info, preset, seed, device, limits
        self._geometry = Geometry.of(info)
        self._config = ModelConfig(width=preset.width)
        self.conf = self._config.to_bytes()

    def fit(
        self,
        frames: Sequence[Frame],
        crf: float,
        budget: Budget,
        *,
        quick: bool,
        report: Report,
        partial: bytes | None,
        save_partial: Callable[[bytes], None] | None,
        warn: Warn,
    ) -> bytes:
        groups = split_groups(len(frames), self._preset.group)
        check_segment(self._geometry, self._config, len(frames), groups, self._limits)
        return fit_segment(
            self._geometry,
            self._config,
            lambda i: to_working(frames[i].planes, self._info),
            len(frames),
            Quality(crf),
            replace(self._preset, steps=0) if quick else self._preset,
            seed=self._seed,
            device=self._device,
            time_left=lambda: budget.left,
            report=report,
            partial=partial,
            save_partial=save_partial,
            warn=warn,
        )


def make_fitter(info: VideoInfo, settings: EncodeSettings, device: str) -> Fitter:
    """The fitter that the settings ask for."""
    preset = PRESETS[settings.preset]
    if settings.group is not None:
        preset = replace(preset, group=settings.group)
    if settings.profile == "paper":
        load_torch()
        from licodec.fit.latent_inr import LatentINRFitter

        return LatentINRFitter(info, settings, device)
    return DefaultFitter(info, preset, settings.seed, device, settings.limits)
