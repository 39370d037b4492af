"""The fast decoder against the slow one that was written from the specification."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from licodec.entropy.reference import decode_segment
from licodec.entropy.reference import parameter_shapes as reference_shapes
from licodec.entropy.segment import write_segment
from licodec.model.geometry import Geometry
from licodec.model.symbols import SegmentSymbols
from licodec.model.synthesis import parameter_shapes
from licodec.video.info import ChromaFormat

from .samples import CONFIG, GEOMETRIES, assert_same, decoded, encoded, segments


@pytest.mark.parametrize("frames", [3, 6])
@pytest.mark.parametrize("chroma", ["gray", "420", "444"])
def test_real_payloads(chroma: ChromaFormat, frames: int) -> None:
    payload, geometry, config = encoded(chroma, frames, network=frames == 6)
    fast = decoded(payload, geometry, config, frames)
    assert_same(fast, decode_segment(payload, geometry, config, frames))
    assert (fast.network is not None) == (frames == 6), "the sample no longer covers both cases"
    assert any(np.any(nodes) for p in fast.pictures.values() for c in p.corrections for nodes in c)
    assert all(len(levels.index) for levels in fast.pictures[0].levels)


@given(segments())
@settings(max_examples=16, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_symbols(sample: tuple[Geometry, SegmentSymbols]) -> None:
    geometry, symbols = sample
    payload = write_segment(symbols, geometry)
    fast = decoded(payload, geometry, CONFIG, symbols.frames)
    assert_same(symbols, fast)
    assert_same(fast, decode_segment(payload, geometry, CONFIG, symbols.frames))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_parameter_shapes(geometry: Geometry) -> None:
    assert reference_shapes(geometry, CONFIG) == parameter_shapes(geometry, CONFIG)
