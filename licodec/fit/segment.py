"""The fit of one segment: look ahead, code its pictures, train the synthesis network, code again behind it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from licodec.entropy.segment import SegmentReader, frames_in, quantiser_rows, write_network, write_segment
from licodec.fit.closed_loop import ClosedLoop, Source
from licodec.fit.guard import Warn
from licodec.fit.look_ahead import look_ahead
from licodec.fit.presets import Preset, Quality
from licodec.model import costs
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.pyramid import Picture
from licodec.runtime import load_torch

if TYPE_CHECKING:
    from licodec.fit.synthesis import CropSet

_PARAMETER_BYTES = 0.1
"""Of a trained parameter, where bits are dear (measured: .03 to .5)."""
_MOST_OF_PAYLOAD = 0.12
"""Networks that are a larger part of a segment were never worth it (12 encodes of three clips)."""
_FULL_TRAINING = 96
"""Frames from which on a segment is worth all steps of a preset; of fewer the network learns little."""
_NEAR, _FAR, _LONG = 16, 32, 96
"""Distances between anchors in short and in long segments, and from how many frames on one is long: the more anchors
there are, the more is known of what comes back, and the less a far one costs."""
_SAVE_EVERY = 60.0
"""Seconds of work that an interruption may cost."""


def split_groups(frames: int, distance: int | None = None) -> tuple[int, ...]:
    """Full groups of `distance` frames (None: what suits so many frames) and what is left."""
    if distance is None:
        distance = _NEAR if frames < _LONG else _FAR
    whole, rest = divmod(max(frames - 1, 0), distance)
    return (distance,) * whole + ((rest,) if rest else ())


class SegmentFit(ClosedLoop):
    """A segment's pictures, the network behind them, and the payload of both."""

    def __init__(
        self,
        geometry: Geometry,
        config: ModelConfig,
        source: Source,
        groups: tuple[int, ...],
        quality: Quality,
        preset: Preset,
    ) -> None:
        super().__init__(geometry, source, groups, quality, preset)
        self._config = config

    @property
    def training_steps(self) -> int:
        """Steps that the synthesis network is trained for."""
        return min(self._preset.steps, -(-self._preset.steps * self.symbols.frames // _FULL_TRAINING))

    def network_may_pay(self) -> bool:
        """Whether a network is worth trying: its bytes must be few beside those it is to save a part of."""
        # All told, a byte for each level that is not zero is close.
        payload = sum(len(levels.value) for picture in self.symbols.pictures.values() for levels in picture.levels)
        return costs.parameters(self._geometry, self._config) * _PARAMETER_BYTES < _MOST_OF_PAYLOAD * payload

    def network_pays(self, gain: float, size: int) -> bool:
        """Whether a network of `size` bytes that takes away `gain` of the squared error is to be kept."""
        return gain > 8 * size * self._quality.bit_worth_overall

    def train(
        self,
        crops: CropSet,
        *,
        seed: int,
        device: str,
        seconds: float | None,
        progress: Callable[[int, int], None] | None,
        warn: Warn = lambda text: None,
    ) -> bytes:
        """Fit the synthesis network and the latents, keep them if they are worth their bits; the payload."""
        from licodec.fit.synthesis import train

        trained = train(
            crops,
            self._geometry,
            self._config,
            self.symbols.frames,
            self.training_steps,
            bit_worth=self._quality.bit_worth_overall,
            seed=seed,
            device=device,
            seconds=seconds,
            progress=progress,
            warn=warn,
        )
        pays = self.network_pays(trained.gain, len(write_network(trained.network)))
        self.symbols.network = trained.network if pays else None
        return self.to_bytes()

    def to_bytes(self) -> bytes:
        """Payload of the segment as it stands."""
        return write_segment(self.symbols, self._geometry, self._bits)

    def partial(self, groups: int) -> bytes:
        """Payload of the first `groups` groups: a shorter segment in its own right."""
        head = replace(self.symbols, groups=self.symbols.groups[:groups])
        head.quantisers = head.quantisers[: quantiser_rows(head.groups)]
        return write_segment(head, self._geometry)

    def resume(self, payload: bytes) -> int:
        """Take the pictures of a `partial` payload over; how many groups these are."""
        reader = SegmentReader(payload, self._geometry, self._config, frames_in(payload))
        for _ in reader.batches():
            pass
        self.symbols.pictures.update(reader.symbols.pictures)
        return len(reader.symbols.groups)


def _crops(geometry: Geometry, frames: int, seed: int, steps: int) -> CropSet:
    """What a network is trained on; presets without one do not load torch."""
    load_torch()
    from licodec.fit.synthesis import CropSet

    return CropSet(geometry, frames, seed, steps)


def fit_segment(
    geometry: Geometry,
    config: ModelConfig,
    source: Source,
    frames: int,
    quality: Quality,
    preset: Preset,
    *,
    seed: int = 0,
    device: str = "cpu",
    time_left: Callable[[], float | None] = lambda: None,
    report: Callable[[str, int, int], None] = lambda stage, step, steps: None,
    partial: bytes | None = None,
    save_partial: Callable[[bytes], None] | None = None,
    warn: Warn = lambda text: None,
) -> bytes:
    """Payload of a segment: look ahead, code every picture, then train the synthesis on what came out."""
    groups = split_groups(frames, preset.group)
    fit = SegmentFit(geometry, config, source, groups, quality, preset)
    kept = fit.resume(partial) if partial is not None else 0
    if preset.look_ahead and not fit.complete:
        fit.weigh(
            look_ahead(
                geometry, source, groups, quality, preset, lambda done, pictures: report("look ahead", done, pictures)
            )
        )
    crops = _crops(geometry, frames, seed, fit.training_steps) if preset.steps else None
    ends = list(itertools.accumulate(fit.symbols.groups))
    done, saved = set[int](), time.monotonic()

    def picture_done(picture: Picture) -> None:
        nonlocal kept, saved
        done.add(picture.frame)
        report("code", len(done), frames)
        if save_partial and time.monotonic() - saved > _SAVE_EVERY:
            whole = sum(done.issuperset(range(end + 1)) for end in ends)
            if whole > kept:
                save_partial(fit.partial(whole))
                kept, saved = whole, time.monotonic()

    fit.code(crops, picture_done)
    if crops is None or not fit.network_may_pay():
        return fit.to_bytes()
    if save_partial and time.monotonic() - saved > _SAVE_EVERY:
        save_partial(fit.to_bytes())
    return fit.train(
        crops,
        seed=seed,
        device=device,
        seconds=time_left(),
        progress=lambda step, steps: report("train", step, steps),
        warn=warn,
    )
