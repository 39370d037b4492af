"""What a file asks of its reader, in plain integers, known before any of it is allocated or computed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from licodec.container import Limits
from licodec.model.config import ModelConfig
from licodec.model.cosine import CELL
from licodec.model.geometry import Geometry
from licodec.model.intra import QUARTER
from licodec.model.synthesis import input_channels, layer_shapes, parameter_shapes

_SAMPLE_MACS = 256
"""For each sample: two predictions by eight taps along rows and columns of cells, how they are moved, and both once
more, an inverse transform of 32 x 32, an intra prediction, deblocking, and the loop filter."""
_CONTENT_BYTES = 12
"""Three float32 for each sample of a picture that others refer to: planes, disagreement, residual."""
_KEPT_BEYOND_GROUP = 4
_VECTOR_BYTES = 2 * (2 + 4)
"""Of two components: the correction in 16 bits, the vector in 32."""
_LATENT_BYTES = 4 + 16
"""Of a latent's component: its integer, and what it is parsed with."""
_BATCH_BYTES = 40
"""For each coefficient of a batch while it is parsed (25 measured, of noise)."""
_RENDER_BYTES = 64
"""For each sample of a picture while it is rendered: positions, two predictions, their blend, the residual."""


def samples(geometry: Geometry) -> int:
    """Samples of all planes of a picture."""
    return sum(rows * columns for rows, columns in geometry.shapes)


def parameters(geometry: Geometry, config: ModelConfig) -> int:
    """Parameters of the default profile's network."""
    return sum(math.prod(shape) for shape in parameter_shapes(geometry, config))


def frame_macs(geometry: Geometry, config: ModelConfig) -> int:
    """Multiply-accumulate operations to render a picture of the default profile at native size, with its network."""
    network = sum(9 * outputs * inputs for outputs, inputs in layer_shapes(geometry, config))
    return _packed(geometry) * network + parameters(geometry, config) + samples(geometry) * _SAMPLE_MACS


def segment_bytes(geometry: Geometry, config: ModelConfig, frames: int, groups: Sequence[int]) -> int:
    """Memory to decode a segment of the default profile, in bytes.

    Symbols and motion of all its pictures, what a group's pictures refer to, a batch while it is parsed, and a picture
    while it is rendered. Not its levels, which take no more than 48 times the payload.
    """
    nodes = sum(math.prod(shape) for shape in geometry.node_shapes)
    picture = 2 * nodes * _VECTOR_BYTES + math.prod(geometry.blend_shape)
    coefficients = sum(len(planes) * math.prod(geometry.padded(g)) for g, planes in enumerate(geometry.groups))
    picture += coefficients // CELL**2 + coefficients // QUARTER**2
    contents = min(frames, max(groups, default=0) + _KEPT_BEYOND_GROUP) * samples(geometry) * _CONTENT_BYTES
    batch = min(geometry.batch, max(groups, default=1), frames) * coefficients * _BATCH_BYTES
    activations = 3 * input_channels(geometry) + 2 * config.width
    render = samples(geometry) * _RENDER_BYTES + _packed(geometry) * activations * 4
    return frames * (picture + config.latent_dim * _LATENT_BYTES) + contents + batch + render


def check_segment(
    geometry: Geometry, config: ModelConfig, frames: int, groups: Sequence[int], limits: Limits, where: str = ""
) -> None:
    """Raise LimitError for a segment that needs more memory than the limits allow."""
    limits.check("max_segment_bytes", segment_bytes(geometry, config, frames, groups), where)


def _packed(geometry: Geometry) -> int:
    """Places at which the network is evaluated: one for 2 x 2 luma samples."""
    rows, columns = geometry.shapes[0]
    return -(-rows // 2) * -(-columns // 2)
