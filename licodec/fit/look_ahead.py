"""Looking ahead: luma is coded at half the size first, to learn what hangs on each place of each picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from licodec.fit.closed_loop import ClosedLoop, Source, pad_to
from licodec.fit.importance import Importance, cell_errors, propagate
from licodec.fit.presets import Preset, Quality
from licodec.model import motion
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.model.pyramid import Picture
from licodec.model.symbols import PictureSymbols
from licodec.render.renderer import Content

_HALF_SIZE_CRF = -3.0
"""Added to the CRF: a sample stands for four and holds less noise."""


class LookAhead(ClosedLoop):
    """Decides by the shipped entropy models, and keeps what importance is found from.

    Pictures between two anchors that nothing is predicted from, half of a segment, are not coded: about all of what
    they are predicted with gets through (.86 to .98 of it).
    """

    def __init__(
        self,
        geometry: Geometry,
        source: Source,
        groups: tuple[int, ...],
        quality: Quality,
        preset: Preset,
    ) -> None:
        quick = replace(preset, sweeps=1, rounds=1, worths=(), refine=False, denoise=False, intra=-1)
        super().__init__(geometry, source, groups, quality, quick)
        self._passed_on: dict[int, Floats] = {}

    def batches(self) -> list[list[Picture]]:
        referred_to = {r for picture in self._pictures for r in picture.refs}
        batches = [[p for p in batch if p.level <= 1 or p.frame in referred_to] for batch in super().batches()]
        return [batch for batch in batches if batch]

    def _learn(self, batch: list[Picture], jobs: Sequence[Future[Content[Floats]]]) -> None:
        """Nothing is coded."""

    def _past(self, picture: Picture, g: int) -> npt.NDArray[np.uint8]:
        return np.zeros((2, *self._geometry.cells(g)), np.uint8)

    def _made(self, picture: Picture, source: Planes, prediction: Planes, content: Planes) -> None:
        left, expected = (cell_errors(source[0] - planes[0]) for planes in (content, prediction))
        self._passed_on[picture.frame] = left / expected

    def importance(self) -> Importance:
        """What hangs on each cell of each picture, after `code`."""
        shape, known, passed_on = self._geometry.node_shapes[0], dict(self._motion), dict(self._passed_on)
        blends = {frame: symbols.blend for frame, symbols in self.symbols.pictures.items()}
        for picture in self._pictures:
            if picture.frame not in passed_on:
                expected = PictureSymbols.blank(self._geometry, picture)
                known[picture.frame] = motion.fields(picture, expected.starts, expected.corrections, known, shape)
                passed_on[picture.frame], blends[picture.frame] = np.ones(shape, np.float32), expected.blend
        return propagate(self._pictures, passed_on, known, blends)


def look_ahead(
    geometry: Geometry,
    source: Source,
    groups: tuple[int, ...],
    quality: Quality,
    preset: Preset,
    done: Callable[[int, int], None],
) -> Importance:
    """Importance of a segment's cells, at an eighth of the work of coding it or less.

    `done`: is told how many pictures are coded, and of how many.
    """
    rows, columns = geometry.shapes[0]
    half = Geometry(((-(-rows // 2), -(-columns // 2)),), (1, 1))

    def halved(frame: int) -> Planes:
        luma = pad_to(source(frame)[0], (2 * half.shapes[0][0], 2 * half.shapes[0][1]))
        return (cv2.resize(luma, half.shapes[0][::-1], interpolation=cv2.INTER_AREA),)

    finer = replace(quality, crf=quality.crf + _HALF_SIZE_CRF)
    fit = LookAhead(half, halved, groups, finer, preset)
    pictures = sum(len(batch) for batch in fit.batches())
    fit.code(None, lambda picture: done(len(fit.symbols.pictures), pictures))
    node_rows, node_columns = geometry.node_shapes[0]
    return {
        frame: values.repeat(2, axis=0).repeat(2, axis=1)[:node_rows, :node_columns]
        for frame, values in fit.importance().items()
    }
