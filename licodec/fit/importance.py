"""How much of a segment hangs on each place of each picture, and what is therefore coded more finely there.

A cell's importance is 1 for itself, plus that of everything predicted from it as far as its error is passed on. In a
cell whose prediction has the squared error E and which comes out with D, what is coded replaces the rest: of an error
in the reference, D / E gets through (rate-distortion theory: where a component is coded, its error is the quantiser's,
and a better reference saves bits worth D / E of its gain). So from the last picture back to the first

    I_reference(x + v(x)) += share(x) * D(x) / E(x) * I(x),     I = 1 at first

along the motion v, with the blend's share. x264 calls a measure of this kind the macroblock tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from licodec.model.geometry import Floats, Geometry
from licodec.model.motion import NODE, UNIT, Field
from licodec.model.pyramid import Picture
from licodec.quant.steps import STEPS_PER_OCTAVE

STRENGTH = 1 / 3
"""Octaves that a step falls by for each octave of importance (.42 and .5: the same within .3%)."""

Importance = dict[int, Floats]
"""For each frame, [rows, columns] of motion nodes: log2 of the importance."""


def cell_errors(difference: Floats) -> Floats:
    """Squared error of each cell of NODE x NODE samples of a plane; 1 is added so that none is 0."""
    rows, columns = (-(-n // NODE) for n in difference.shape)
    padded = np.zeros((rows * NODE, columns * NODE), np.float32)
    padded[: difference.shape[0], : difference.shape[1]] = np.square(difference)
    return padded.reshape(rows, NODE, columns, NODE).sum(axis=(1, 3)) + 1


def propagate(
    pictures: Sequence[Picture],
    passed_on: dict[int, Floats],
    fields: dict[int, list[Field]],
    blends: dict[int, npt.NDArray[np.uint8] | None],
) -> Importance:
    """Importance of every picture's cells.

    Args:
        pictures: in coding order.
        passed_on: for each frame, [rows, columns] D / E of its cells.
        fields: its motion.
        blends: its blend map.
    """
    total = {p.frame: np.ones(passed_on[p.frame].shape) for p in pictures}
    for picture in reversed(pictures):
        given = total[picture.frame] * np.minimum(passed_on[picture.frame], 1)
        shares = _shares(blends[picture.frame], given.shape)
        for field, share in zip(fields[picture.frame], shares, strict=False):
            _splat(total[field.target], given * share, field.vectors)
    return {frame: np.log2(values).astype(np.float32) for frame, values in total.items()}


def _shares(blend: npt.NDArray[np.uint8] | None, shape: tuple[int, ...]) -> list[Floats]:
    """Part of each reference in the prediction of every cell."""
    if blend is None:
        return [np.ones(shape)]
    first = np.array([0.5, 1.0, 0.0])[blend].repeat(2, axis=0).repeat(2, axis=1)[: shape[0], : shape[1]]
    return [first, 1 - first]


def _splat(onto: Floats, values: Floats, vectors: npt.NDArray[np.int32]) -> None:
    """Add the value of each cell to the four cells around where it points, by their nearness."""
    rows, columns = onto.shape
    y, x = np.mgrid[:rows, :columns] + np.moveaxis(vectors[..., ::-1], -1, 0) / (UNIT * NODE)
    y, x = np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    for row, down in ((top, 1 - (y - top)), (np.minimum(top + 1, rows - 1), y - top)):
        for column, right in ((left, 1 - (x - left)), (np.minimum(left + 1, columns - 1), x - left)):
            np.add.at(onto, (row, column), values * down * right)


def quantiser_offsets(
    pictures: Sequence[Picture], importance: Importance, usual: Callable[[int], float]
) -> dict[int, int]:
    """Quantiser indices to add for each frame, as it matters more or less than its level's step is for.

    usual: log2 of the importance that the steps of a level suit.
    """
    return {
        p.frame: round(-STEPS_PER_OCTAVE * STRENGTH * (float(importance[p.frame].mean()) - usual(p.level)))
        for p in pictures
    }


def error_weights(importance: Floats, geometry: Geometry, group: int) -> Floats:
    """[rows / 8, columns / 8] of a plane group: factors of the squared error of its cells; their log2 has the mean 0.

    A finer step would need bits to say where; the quantiser's decisions alone get most of the gain.
    """
    weights = np.exp2(2 * STRENGTH * (importance - importance.mean()))
    across, down = geometry.step(geometry.groups[group][0])
    rows, columns = geometry.cells(group)
    missing = [(0, rows * down - weights.shape[0]), (0, columns * across - weights.shape[1])]
    padded = np.pad(weights, [(0, max(0, after)) for _, after in missing], mode="edge")
    blocks = padded[: rows * down, : columns * across].reshape(rows, down, columns, across)
    return blocks.mean(axis=(1, 3)).astype(np.float32)
