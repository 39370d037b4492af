"""The paper profile: Latent-INR (Maiya et al., ECCV 2024, arXiv 2408.02672), in its variant over patches.

    f_theta_t(x, y) = Y_t(x, y),   theta_t^l = theta^l * sigmoid(P_t^l Q_t^l),   [P_t^l, Q_t^l] = h_l(z_t)

A dictionary holds one latent z_t a frame; a hypernetwork h_l for each layer of the base network turns it into
a low-rank modulation of that layer's weights; the base network, an MLP with ReLU, maps the encoded centroid
(x, y) of a patch to all samples of the patch (the last step, PixelShuffle, is `unpack`). Between two frames
z = b z_t + (1-b) z_{t-1}. The continuous head is the one of every profile: `render.resample` reads the native
planes through a bicubic kernel at any (x, y).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import struct
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.entropy.latent_inr import LatentINRSymbols, read_symbols, step_size
from licodec.errors import DamagedFileError
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.video.info import VideoInfo

_CHUNK = 4096
"""Patches that are rendered at once."""
_PARSE_BYTES = 80
"""Of memory for each parameter, at most, while it is parsed."""
_STRUCT = struct.Struct("<HBHBHBBBB")
_RANGES = {
    "latent_dim": (1, 1024),
    "layers": (2, 16),
    "width": (1, 2048),
    "rank": (1, 64),
    "hyper_width": (1, 1024),
    "frequencies": (0, 16),
    "grid_levels": (0, 8),
    "grid_features": (1, 64),
    "patch": (2, 64),
}


@dataclass(frozen=True)
class LatentINRConfig:
    """Shape of the paper profile's networks.

    Raises:
        ValueError: a field is out of its range.
    """

    latent_dim: int = 128
    """Components of a frame's latent z_t."""
    layers: int = 6
    """Layers of the base network, the output layer included."""
    width: int = 512
    """Units of each hidden layer of the base network."""
    rank: int = 4
    """Rank r of the modulation P Q."""
    hyper_width: int = 128
    """Units of each hypernetwork's hidden layer."""
    frequencies: int = 0
    """Octaves of the Fourier encoding of the centroid (sine and cosine of x and of y each); 0: none."""
    grid_levels: int = 5
    """Levels of the learned multi-resolution grid, from one cell a patch, halving; 0: none."""
    grid_features: int = 16
    """Features of each grid level."""
    patch: int = 16
    """Luma samples a side of a patch; even."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}, outside {low}..{high}")
        if self.patch % 2:
            raise ValueError(f"patch is {self.patch}, which is odd")
        if not self.frequencies and not self.grid_levels:
            raise ValueError("frequencies and grid_levels are both 0, so there is no coordinate")

    def to_bytes(self) -> bytes:
        """What follows the profile number in CONF: the fields in order, `u16 u8 u16 u8 u16 u8 u8 u8 u8`."""
        return _STRUCT.pack(*dataclasses.astuple(self))

    @staticmethod
    def from_bytes(data: bytes) -> LatentINRConfig:
        """Inverse of `to_bytes`.

        Raises:
            DamagedFileError: too short or too long, or a field out of range.
        """
        if len(data) != _STRUCT.size:
            raise DamagedFileError(f"paper profile configuration of {len(data)} bytes, not {_STRUCT.size}")
        try:
            return LatentINRConfig(*_STRUCT.unpack(data))
        except ValueError as error:
            raise DamagedFileError(f"paper profile configuration: {error}") from None


class PatchEncoding(nn.Module):
    """gamma(x, y) of every patch's centroid: Fourier features, learned grids, or both.

    The grids are those of a hash encoding (Mueller et al. 2022): at one cell a patch and coarser, every level
    is smaller than a hash table, and the published scheme stores such a level as it is, without hashing.
    """

    def __init__(self, config: LatentINRConfig, grid: tuple[int, int]) -> None:
        super().__init__()
        self.frequencies, self.grid = config.frequencies, grid
        self.levels = nn.ParameterList(
            torch.zeros(config.grid_features, -(-grid[0] >> k), -(-grid[1] >> k)) for k in range(config.grid_levels)
        )
        self.features = 4 * config.frequencies + config.grid_levels * config.grid_features

    def forward(self) -> Tensor:
        """[patches, features]"""
        parts = [self._fourier()]
        for level in self.levels:
            parts.append(F.interpolate(level[None], self.grid, mode="bilinear").flatten(2)[0].T)
        return torch.cat(parts, dim=1)

    def _fourier(self) -> Tensor:
        rows, columns = self.grid
        y, x = ((2 * torch.arange(n, dtype=torch.float32) + 1) / n - 1 for n in (rows, columns))
        centroids = torch.cartesian_prod(y, x)
        angles = centroids[..., None] * (math.pi / 2 * 2.0 ** torch.arange(self.frequencies))
        return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


class ModulatedLinear(nn.Module):
    """x theta_t + b with theta_t = theta * sigmoid(P Q) and [P, Q] = h(z), one hidden layer of tanh."""

    def __init__(self, inputs: int, outputs: int, config: LatentINRConfig) -> None:
        super().__init__()
        self.inputs, self.outputs, self.rank = inputs, outputs, config.rank
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.hidden = nn.Linear(config.latent_dim, config.hyper_width)
        self.factors = nn.Linear(config.hyper_width, config.rank * (inputs + outputs))

    def initialise(self, generator: torch.Generator) -> None:
        """He et al. 2015 for ReLU, twice as large because the modulation starts around sigmoid(0) = 1/2."""
        self.weight.normal_(0, 2 * math.sqrt(2 / self.inputs), generator=generator)
        self.bias.zero_()
        for linear in (self.hidden, self.factors):
            bound = 1 / math.sqrt(linear.in_features)
            linear.weight.uniform_(-bound, bound, generator=generator)
            linear.bias.uniform_(-bound, bound, generator=generator)
        # P and Q start far enough from zero that each passes gradients to the other.
        self.factors.bias.normal_(0, self.rank**-0.25, generator=generator)

    def matrices(self) -> list[Tensor]:
        """The weights that multiply: of the layer and of its hypernetwork."""
        return [self.weight, self.hidden.weight, self.factors.weight]

    def modulated(self, z: Tensor) -> Tensor:
        """[frames, latent_dim] to theta_t [frames, inputs, outputs]."""
        factors = self.factors(torch.tanh(self.hidden(z)))
        p, q = factors.split([self.inputs * self.rank, self.rank * self.outputs], dim=1)
        product = p.view(-1, self.inputs, self.rank) @ q.view(-1, self.rank, self.outputs)
        return self.weight * torch.sigmoid(product)


class LatentINR(nn.Module):
    """One segment as a function of (x, y, t). The order of `parameters()` is their order in the file."""

    def __init__(self, config: LatentINRConfig, info: VideoInfo, frames: int) -> None:
        super().__init__()
        self.config, self.info, self.frames = config, info, frames
        self.geometry = Geometry.of(info)
        self.grid = patch_grid(self.geometry, config.patch)
        self.latents = nn.Parameter(torch.zeros(frames, config.latent_dim))
        self.encoding = PatchEncoding(config, self.grid)
        self.base = nn.ModuleList(ModulatedLinear(i, o, config) for i, o in layer_sizes(config, self.geometry))

    @torch.no_grad()
    def initialise(self, mean: Tensor, generator: torch.Generator) -> None:
        """Random initial values; the output starts near `mean` [samples of a patch]."""
        self.latents.normal_(0, 0.1, generator=generator)
        for level in self.encoding.levels:
            level.normal_(0, 0.3, generator=generator)
        for layer in self.layers:
            layer.initialise(generator)
        self.layers[-1].weight.mul_(0.3)
        self.layers[-1].bias.copy_(mean)

    @property
    def layers(self) -> list[ModulatedLinear]:
        """The base network's layers in order."""
        return [layer for layer in self.base if isinstance(layer, ModulatedLinear)]

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        """Base network, modulated.

        Args:
            z: [frames, latent_dim].
            features: [patches, features] of `encoding`.

        Returns:
            [frames, patches, samples of a patch] of `pack`, scaled so that 0..255 is -0.5..0.5.
        """
        x = features.expand(len(z), -1, -1)
        for i, layer in enumerate(self.layers):
            x = torch.baddbmm(layer.bias, F.relu(x) if i else x, layer.modulated(z))
        return x

    def latent(self, time: float) -> Tensor:
        """[latent_dim] z at a time in frames, held at both ends: b z_t + (1 - b) z_{t-1}."""
        time = min(max(time, 0.0), self.frames - 1.0)
        before = math.floor(time)
        b = time - before
        return b * self.latents[min(before + 1, self.frames - 1)] + (1 - b) * self.latents[before]

    def planes(self, time: float, part: tuple[slice, slice] | None = None) -> Planes:
        """The picture at `time` (in frames, any real number) at the native size: working planes, 0..255.

        `part`: (rows, columns) of patches that are wanted, the rest is zero; None: all.
        """
        with torch.inference_mode():
            z = self.latent(time)[None]
            wanted = torch.arange(self.grid[0] * self.grid[1]).view(self.grid)[part or ...].flatten()
            parts = [self(z, chunk)[0] for chunk in self.encoding()[wanted].split(_CHUNK)]
            samples = torch.nan_to_num(torch.cat(parts).add(0.5).mul(255)).clamp(0, 255)
            picture = samples.new_zeros(self.grid[0] * self.grid[1], samples.shape[1])
            picture[wanted] = samples
        return unpack(picture.numpy(), self.geometry, self.config.patch)


def layer_sizes(config: LatentINRConfig, geometry: Geometry) -> list[tuple[int, int]]:
    """(inputs, outputs) of each layer of the base network."""
    ends = [4 * config.frequencies + config.grid_levels * config.grid_features, *[config.width] * (config.layers - 1)]
    ends.append(sum(a * b for a, b in patch_shapes(geometry, config.patch)))
    return list(itertools.pairwise(ends))


def parameter_count(config: LatentINRConfig, geometry: Geometry, frames: int) -> int:
    """Parameters of a segment's model, latents and grids included; a plain integer, nothing is allocated."""
    rows, columns = patch_grid(geometry, config.patch)
    total = frames * config.latent_dim
    total += sum(config.grid_features * -(-rows >> k) * -(-columns >> k) for k in range(config.grid_levels))
    for inputs, outputs in layer_sizes(config, geometry):
        low_rank = config.rank * (inputs + outputs)
        total += (inputs + 1) * outputs + (config.latent_dim + 1) * config.hyper_width
        total += (config.hyper_width + 1) * low_rank
    return total


def frame_macs(config: LatentINRConfig, geometry: Geometry) -> int:
    """Multiply-accumulate operations to render a picture at native size."""
    rows, columns = patch_grid(geometry, config.patch)
    layers = layer_sizes(config, geometry)
    modulations = sum((config.rank + 1) * i * o + config.hyper_width * config.rank * (i + o) for i, o in layers)
    return rows * columns * (layers[0][0] + sum(i * o for i, o in layers)) + modulations


def segment_bytes(config: LatentINRConfig, geometry: Geometry, frames: int) -> int:
    """Memory to decode a segment: its parameters while they are parsed, features and samples of every patch."""
    rows, columns = patch_grid(geometry, config.patch)
    layers = layer_sizes(config, geometry)
    patches = rows * columns * 4 * (2 * layers[0][0] + 3 * layers[-1][1])
    return patches + parameter_count(config, geometry, frames) * _PARSE_BYTES


def check_segment(config: LatentINRConfig, geometry: Geometry, frames: int, limits: Limits, where: str = "") -> None:
    """Raise LimitError for a segment that needs more than the limits allow."""
    limits.check("max_parameters", parameter_count(config, geometry, frames), where)
    limits.check("max_segment_bytes", segment_bytes(config, geometry, frames), where)


def build(
    config: LatentINRConfig, info: VideoInfo, frames: int, limits: Limits = DEFAULT_LIMITS, where: str = ""
) -> LatentINR:
    """A model whose parameters are yet to be filled in.

    Raises:
        LimitError: it would be too big; found out before anything of that size is allocated.
    """
    check_segment(config, Geometry.of(info), frames, limits, where)
    with torch.device("meta"):
        model = LatentINR(config, info, frames)
    return model.to_empty(device="cpu")


def read_payload(
    data: bytes,
    config: LatentINRConfig,
    info: VideoInfo,
    frames: int,
    where: str = "",
    limits: Limits = DEFAULT_LIMITS,
) -> LatentINR:
    """The model of a segment, ready to render, from its payload (`write_symbols`).

    Raises:
        DamagedFileError: the payload does not parse.
        LimitError: the model is too big.
    """
    model = build(config, info, frames, limits, where)
    return load(model, read_symbols(data, [tuple(p.shape) for p in model.parameters()], where))


def load(model: LatentINR, symbols: LatentINRSymbols) -> LatentINR:
    """Set a model's parameters to symbol times step, in float32."""
    with torch.no_grad():
        for parameter, index, tensor in zip(model.parameters(), symbols.steps, symbols.tensors, strict=True):
            parameter.copy_(torch.from_numpy(tensor.astype(np.float32) * np.float32(step_size(index))))
    return model.requires_grad_(False)


def patch_grid(geometry: Geometry, patch: int) -> tuple[int, int]:
    """(rows, columns) of patches that cover a picture."""
    rows, columns = geometry.shapes[0]
    return -(-rows // patch), -(-columns // patch)


def patch_shapes(geometry: Geometry, patch: int) -> list[tuple[int, int]]:
    """(rows, columns) of a patch in each plane."""
    steps = [geometry.step(i) for i in range(len(geometry.shapes))]
    return [(patch // sy, patch // sx) for sx, sy in steps]


def pack(planes: Planes, geometry: Geometry, patch: int) -> Floats:
    """[patches, samples]: each patch's luma, then its chroma, row by row; the edge samples repeat outside."""
    rows, columns = patch_grid(geometry, patch)
    out = []
    for plane, (a, b) in zip(planes, patch_shapes(geometry, patch), strict=True):
        missing = ((0, rows * a - plane.shape[0]), (0, columns * b - plane.shape[1]))
        cells = np.pad(plane, missing, mode="edge").reshape(rows, a, columns, b)
        out.append(cells.swapaxes(1, 2).reshape(rows * columns, a * b))
    return np.concatenate(out, axis=1)


def unpack(patches: Floats, geometry: Geometry, patch: int) -> Planes:
    """Inverse of `pack`."""
    rows, columns = patch_grid(geometry, patch)
    out, first = [], 0
    for (height, width), (a, b) in zip(geometry.shapes, patch_shapes(geometry, patch), strict=True):
        cells = patches[:, first : first + a * b].reshape(rows, columns, a, b)
        out.append(cells.swapaxes(1, 2).reshape(rows * a, columns * b)[:height, :width])
        first += a * b
    return tuple(out)
