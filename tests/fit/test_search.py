"""Motion search on pictures that really move: what it finds, and what it spends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fit.patterns import grid, panned, texture, with_neutral_chroma
from licodec.entropy.segment import PictureCoder
from licodec.fit.hadamard import scale_of
from licodec.fit.matching import Reference, to_bytes
from licodec.fit.motion import FieldSearch, left_by
from licodec.fit.presets import PRESETS, Quality
from licodec.fit.search import MotionSearch
from licodec.model import motion
from licodec.model.geometry import Geometry
from licodec.model.motion import UNIT, Field
from licodec.model.pyramid import Picture
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.video.info import VideoInfo

INFO = VideoInfo(96, 64)
GEOMETRY = Geometry.of(INFO)
NODES = GEOMETRY.node_shapes[0]
TEXTURE = texture(3)
WORTH = Quality(24).bit_worth(1)
ANCHOR = Picture(1, 1, (0, 0))
PICTURES = PictureCoder(GEOMETRY)
RATES = {level: [PICTURES.motion_rates(level, second) for second in range(2)] for level in (1, 2)}
PRESET = pytest.mark.parametrize("preset", ["ultrafast", "medium"])


def search(
    luma: np.ndarray, reference: np.ndarray, preset: str = "ultrafast", bit_worth: float = WORTH
) -> tuple[np.ndarray, int]:
    """Vectors in samples [rows, columns, 2] from a picture into its one reference, and how many corrections."""
    references = {0: with_neutral_chroma(reference, INFO)}
    starts, found, blend = MotionSearch(GEOMETRY, PRESETS[preset]).search(
        ANCHOR, luma, {0: []}, references, bit_worth, RATES[1]
    )
    assert blend is None
    (field,) = motion.fields(ANCHOR, starts, found, {0: []}, NODES)
    return field.vectors / UNIT, sum(int(step.any(axis=-1).sum()) for step in found[0])


@PRESET
@pytest.mark.parametrize("speed", [(1.25, -0.75), (3.0, 2.0), (-4.5, 2.25), (6.0, -3.0)])
def test_a_global_shift_is_recovered_to_a_quarter_sample(speed: tuple[float, float], preset: str) -> None:
    before, after = (panned(TEXTURE, 96, 64, t, speed) for t in (0, 1))
    vectors, corrections = search(after, before, preset)
    # At the border the shift brings in what the reference does not show.
    assert np.abs(vectors[1:-1, 1:-1] + speed).max() <= 0.25
    # One vector for everything: the coarsest level has four nodes here.
    assert corrections <= 16 < NODES[0] * NODES[1]


@PRESET
def test_two_regions_are_recovered_each_to_a_quarter_sample(preset: str) -> None:
    left, right = (3.0, -1.0), (-2.0, 1.5)
    x, _ = grid(96, 64)
    before, after = (
        np.where(x < 48, panned(TEXTURE, 96, 64, t, left), panned(TEXTURE, 96, 64, t, right)).astype(np.float32)
        for t in (0, 1)
    )
    vectors, _ = search(after, before, preset)
    # Twelve columns of nodes, the edge between the sixth and the seventh.
    assert np.abs(vectors[1:-1, 1:4] + left).max() <= 0.25
    assert np.abs(vectors[1:-1, 8:-1] + right).max() <= 0.25


@PRESET
def test_nothing_is_spent_where_nothing_moves(preset: str) -> None:
    still = panned(TEXTURE, 96, 64, 0, (0, 0))
    vectors, corrections = search(still, still, preset)
    assert not vectors.any()
    assert corrections == 0


def test_nothing_is_spent_on_flat_pictures() -> None:
    _, corrections = search(np.full((64, 96), 90, np.float32), np.full((64, 96), 100, np.float32))
    assert corrections == 0


def test_nothing_is_spent_when_bits_are_too_dear() -> None:
    before, after = (panned(TEXTURE, 96, 64, t, (3, 2)) for t in (0, 1))
    assert search(after, before, bit_worth=1e9)[1] == 0


def test_dearer_bits_buy_fewer_corrections() -> None:
    x, y = grid(96, 64)
    before = TEXTURE(x, y)
    after = TEXTURE(x + 2 * np.sin(y / 9), y + 1.5 * np.cos(x / 11))
    counts = [search(after, before, bit_worth=Quality(crf).bit_worth(1))[1] for crf in (10, 25, 40, 51)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


def test_motion_that_the_base_field_already_tells_is_free() -> None:
    """The picture half way between two references that are known to be (4, -2) apart."""
    picture = Picture(2, 2, (0, 4))
    lumas = {t: panned(TEXTURE, 96, 64, t, (1.0, -0.5)) for t in (0, 2, 4)}
    known = {0: [], 4: [Field(0, np.broadcast_to(np.array([-16, 8], np.int32), (*NODES, 2)))]}
    references = {t: with_neutral_chroma(lumas[t], INFO) for t in (0, 4)}
    starts, found, _ = MotionSearch(GEOMETRY, PRESETS["ultrafast"]).search(
        picture, lumas[2], known, references, WORTH, RATES[2]
    )
    for start, steps in zip(starts, found, strict=True):
        assert not start.any()
        # Away from the borders, which one of the two references does not show.
        assert not steps[0][2:-2, 2:-2].any()
        assert not steps[1][1:-1, 1:-1].any()


def test_the_blend_trusts_the_reference_that_shows_the_place() -> None:
    """The past lacks the left half, the future the right half; both show the middle."""
    picture = Picture(1, 2, (0, 2))
    whole = panned(TEXTURE, 96, 64, 0, (0, 0))
    x, _ = grid(96, 64)
    grey = np.float32(128)
    past, future = np.where(x < 32, grey, whole), np.where(x >= 64, grey, whole)
    references = {0: with_neutral_chroma(past, INFO), 2: with_neutral_chroma(future, INFO)}
    known = {0: [], 2: [Field(0, np.zeros((*NODES, 2), np.int32))]}
    _, _, blend = MotionSearch(GEOMETRY, PRESETS["ultrafast"]).search(
        picture, whole, known, references, WORTH, RATES[2]
    )
    assert blend is not None
    assert blend.shape == GEOMETRY.blend_shape == (4, 6)
    assert (blend[:, :2] == 2).all()
    assert (blend[:, 2:4] == 0).all()
    assert (blend[:, 4:] == 1).all()


BETWEEN = Picture(1, 2, (0, 2))
STILL = {0: [], 2: [Field(0, np.zeros((*NODES, 2), np.int32))]}


def between(
    luma: np.ndarray, past: np.ndarray, future: np.ndarray, rounds: int
) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """Corrections of a picture between two others, and its luma as the renderer predicts it by them."""
    references = {0: with_neutral_chroma(past, INFO), 2: with_neutral_chroma(future, INFO)}
    search = MotionSearch(GEOMETRY, replace(PRESETS["ultrafast"], rounds=rounds))
    starts, found, blend = search.search(BETWEEN, luma, STILL, references, WORTH, RATES[2])
    fields = motion.fields(BETWEEN, starts, found, STILL, NODES)
    made = NumpyRenderer(GEOMETRY).predict(fields, blend, [references[f.target] for f in fields])
    return found, made.planes[0]


def test_a_block_of_cells_is_blended_in_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The past lacks the left half of a block; in the future its halves have moved apart.

    The left half needs the future alone, so that the right half does, too: it needs a vector, although the past has it.
    """
    luma = panned(TEXTURE, 96, 64, 0, (0, 0))
    past, future, moved = luma.copy(), luma.copy(), np.zeros((*NODES, 2), np.int32)
    past[16:32, 32:40] = 255 - luma[16:32, 32:40]
    future[16:32, 28:36], future[16:32, 44:52] = luma[16:32, 32:40], luma[16:32, 40:48]
    moved[2:4, 4], moved[2:4, 5] = (-4 * UNIT, 0), (4 * UNIT, 0)
    monkeypatch.setattr("licodec.fit.motion.match", lambda *_: moved)
    base = np.zeros((*NODES, 2), np.int32)
    reference = Reference(to_bytes(future))
    _, steps = FieldSearch(luma, reference, base, WORTH, sweeps=1, refine=True).corrections(
        base, scale_of(WORTH), left_by(luma, past), RATES[2][1]
    )
    np.testing.assert_array_equal(motion.compose(steps)[2:4, 4:6], moved[2:4, 4:6])


def test_nodes_find_what_fits_all_their_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matching is half a sample off everywhere, to the right, below or both: nodes begin with what is not right."""
    shift = np.array([3 * UNIT, -2 * UNIT], np.int32)
    before, after = (panned(TEXTURE, 96, 64, t, (-3.0, 2.0)) for t in (0, 1))
    around = np.array([(2, 0), (0, 2), (2, 2)], np.int32)
    off = np.random.default_rng(5).integers(0, 3, NODES)
    monkeypatch.setattr("licodec.fit.motion.match", lambda *_: shift + around[off])
    base = np.zeros((*NODES, 2), np.int32)
    starts, steps = FieldSearch(after, Reference(to_bytes(before)), base, WORTH, sweeps=1, refine=True).corrections(
        base, scale_of(WORTH), None, RATES[1][0]
    )
    assert not starts.any()
    # At the border the shift brings in what the reference does not show.
    np.testing.assert_array_equal(motion.compose(steps)[1:-1, 1:-1], np.broadcast_to(shift, (*NODES, 2))[1:-1, 1:-1])


def test_what_the_other_reference_shows_needs_no_vectors() -> None:
    """The future shows it all; the past something alike in its left half, for which the first field alone is bent."""
    luma = panned(TEXTURE, 96, 64, 0, (0, 0))
    x, y = grid(96, 64)
    bent = TEXTURE(x + 4 * np.sin(y / 7), y + 4 * np.cos(x / 9))
    past = np.where(x < 48, 0.6 * bent + 0.4 * luma[:, ::-1], luma).astype(np.float32)
    counts, errors = [], []
    for rounds in (1, 2):
        found, made = between(luma, past, luma, rounds)
        counts.append(sum(int(step.any(axis=-1).sum()) for step in found[0]))
        errors.append(np.square(made - luma).mean())
    assert counts[1] < counts[0] / 4
    assert errors[1] < errors[0] + 1


def test_what_stands_still_does_not_follow_its_base() -> None:
    """Motion is known between the references, but in the right half of the picture there is none."""
    picture = Picture(2, 2, (0, 4))
    x, _ = grid(96, 64)
    lumas = {t: np.where(x < 64, panned(TEXTURE, 96, 64, t, (1.0, -0.5)), TEXTURE(x, _)) for t in (0, 2, 4)}
    lumas = {t: luma.astype(np.float32) for t, luma in lumas.items()}
    known = {0: [], 4: [Field(0, np.broadcast_to(np.array([-16, 8], np.int32), (*NODES, 2)))]}
    references = {t: with_neutral_chroma(lumas[t], INFO) for t in (0, 4)}
    starts, found, _ = MotionSearch(GEOMETRY, PRESETS["fast"]).search(
        picture, lumas[2], known, references, WORTH, RATES[2]
    )
    # The second field's base is the first one, which is right.
    np.testing.assert_array_equal(starts, [[[0, 1]], [[0, 0]]])
    for field in motion.fields(picture, starts, found, known, NODES):
        assert not field.vectors[:, 9:].any()
