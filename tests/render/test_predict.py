"""Predictions from references whose samples are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from licodec.model.geometry import BLEND, Geometry
from licodec.model.motion import Field
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.renderer import Renderer
from licodec.render.torch_renderer import TorchRenderer
from licodec.video.info import VideoInfo

INFO = VideoInfo(5 * BLEND + 3, 3 * BLEND + 2)


@pytest.mark.parametrize("kind", [NumpyRenderer, partial(TorchRenderer, device="cpu")])
def test_every_block_is_blended_as_its_mode_says(kind: Callable[[Geometry], Renderer[Any]]) -> None:
    geometry = Geometry.of(INFO)
    renderer = kind(geometry)
    blend = np.random.default_rng(0).integers(0, 3, geometry.blend_shape).astype(np.uint8)
    still = np.zeros((*geometry.node_shapes[0], 2), np.int32)
    first, second = (tuple(np.full(s, v, np.float32) for s in geometry.shapes) for v in (40, 200))
    references = [tuple(renderer.upload(p) for p in planes) for planes in (first, second)]
    made = renderer.predict([Field(0, still), Field(2, still)], blend, references)
    wanted = np.array([120, 40, 200])[blend]
    for i, plane in enumerate(made.planes):
        across, down = (BLEND // step for step in geometry.step(i))
        rows, columns = geometry.shapes[i]
        np.testing.assert_allclose(
            renderer.fetch(plane), wanted.repeat(down, 0).repeat(across, 1)[:rows, :columns], atol=1e-3
        )
    assert made.apart is not None
    np.testing.assert_allclose(renderer.fetch(made.apart), -160, atol=1e-3)
