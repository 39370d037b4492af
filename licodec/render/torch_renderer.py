"""The steps of rendering with PyTorch on any device, to which only symbols go. Its twin is `numpy_renderer`.

Bicubic reading is the same function in both (a = -3/4, edges repeated), positions and vectors are exact in
float32 up to the normalisation that `grid_sample` wants; planes as fine as luma are read by `torch_cells`. Planes agree
to about 0.001 on the 8-bit scale. (Between two frames as far as the flows do, which are found in luma rounded to 8
bits.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from licodec.model.config import ModelConfig
from licodec.model.cosine import CELL
from licodec.model.geometry import BLEND, PEAK, Floats, Geometry
from licodec.model.motion import NODE, Field, Vectors
from licodec.model.symbols import NetworkSymbols, PictureSymbols, SparseLevels
from licodec.render import colour
from licodec.render.bidirectional import DOUBT, LEAST
from licodec.render.cells import SMALL
from licodec.render.deblock import WINDOW
from licodec.render.flow import Motion
from licodec.render.fused import Fused
from licodec.render.loop_filter import OFFSETS, REACH
from licodec.render.network import Network, without_tf32
from licodec.render.renderer import FIRST_SHARE, Content, Renderer, Unfiltered
from licodec.render.resample import BAND, Sampling, Taps, View, nearby, samplings
from licodec.render.tiles import Tiles
from licodec.render.torch_cells import CellReader
from licodec.render.upsample import Upsampler
from licodec.render.warp import to_samples
from licodec.render.window import MOVED, Window
from licodec.video.info import Plane, VideoInfo


class TorchRenderer(Renderer[Tensor]):
    """Renders on a device, into tensors. Between symbols and planes nothing waits for the device, but for two things.

    The flow between two pictures is found on the host, which waits for their luma (`fetch`), once for each pair; and
    intra blocks are put in there, which takes the planes of pictures that have some to the host and back.
    """

    # Whether products are of TF32 is a setting of the process.
    one_by_one = True

    def __init__(
        self, geometry: Geometry, device: str, network_type: torch.dtype = torch.float32, *, fused: bool = False
    ) -> None:
        """`network_type`: what the synthesis network computes in; everything else is float32.

        `fused`: let torch.compile make one kernel of many, which takes seconds once and pays in long videos.
        """
        self.device, self._network_type = device, network_type
        self._halves: dict[torch.Size, Tensor] = {}
        self._smooth: Callable[..., Tensor] = Fused(_smooth) if fused else _smooth
        self._filtered: Callable[..., Tensor] = Fused(_filtered) if fused else _filtered
        self._pictures = Tiles(1 << 16)
        self._tiles, self._bands = Tiles(geometry.shapes[0][0]), Tiles(BAND)
        self._upsampler, self._reader = Upsampler(device), CellReader(device)
        super().__init__(geometry)

    def content(
        self,
        fields: Sequence[Field],
        symbols: PictureSymbols,
        references: Sequence[tuple[Tensor, ...]],
        steps: Sequence[float],
        window: Window,
    ) -> Content[Tensor]:
        around = self.around(window, symbols)

        def before_filters(tile: Window) -> Unfiltered[Tensor]:
            return self._with_residual(self.predict(fields, symbols.blend, references, tile), symbols, steps, tile)

        def behind_filters(tile: Window) -> Content[Tensor]:
            wide = tile.before_filters(self.geometry)
            part = _cut(made, wide.within(around), self.geometry)
            return self._behind_filters(part, fields, symbols, steps, tile, wide)

        tiles = [tile for _, tile in self._tiles.of(around, before_filters)]
        made = self._with_intra(_stacked(tiles), symbols, around)
        return self._joined(window, behind_filters)

    def between(
        self,
        first: tuple[Tensor, ...],
        second: tuple[Tensor, ...],
        motion: Motion,
        share: float,
        window: Window | None = None,
    ) -> Content[Tensor]:
        def part(tile: Window) -> Content[Tensor]:
            return super(TorchRenderer, self).between(first, second, motion, share, tile)

        return self._joined(window or self.whole, part)

    def _joined(self, window: Window, part: Callable[[Window], Content[Tensor]]) -> Content[Tensor]:
        """A content made of tiles."""
        whole: Content[Tensor] | None = None
        for tile, made in self._tiles.of(window, part):
            whole = made if whole is None else _join(whole, made, tile, self.geometry)
        assert whole is not None
        return replace(whole, window=window)

    def synthesise(
        self,
        network: Any,
        content: Content[Tensor],
        latent: npt.NDArray[np.float32],
        window: Window | None = None,
    ) -> tuple[Tensor, ...]:
        def part(tile: Window) -> tuple[Tensor, ...]:
            return super(TorchRenderer, self).synthesise(network, content, latent, tile)

        whole: tuple[Tensor, ...] = ()
        for tile, made in self._tiles.of(window or self.whole, part):
            for i, (plane, more) in enumerate(zip(whole, made, strict=False)):
                place = tile.of(self.geometry.step(i))
                plane[place] = more[place]
            whole = whole or made
        return whole

    def load(self, config: ModelConfig, network: NetworkSymbols) -> Network:
        return Network(self.geometry, config, network, device=self.device, dtype=self._network_type)

    def _corrected(
        self, network: Any, content: Content[Tensor], latent: npt.NDArray[np.float32], window: Window
    ) -> tuple[Tensor, ...]:
        made = network(content.planes, content.apart, content.residual, self.upload(latent), window)
        steps = [self.geometry.step(i) for i in range(len(made))]
        return tuple(self._add(p[window.of(s)], c) for p, s, c in zip(content.planes, steps, made, strict=True))

    def upload(self, array: npt.NDArray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        # From pinned memory the copy waits for nothing that the device is still busy with.
        tensor = tensor.pin_memory() if self.device.startswith("cuda") else tensor
        return tensor.to(self.device, non_blocking=True)

    def fetch(self, array: Tensor) -> Floats:
        return array.cpu().numpy()

    def _zeros(self, shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(shape, device=self.device)

    def _empty(self, shape: tuple[int, ...]) -> Tensor:
        return torch.empty(shape, device=self.device)

    def _dense(self, nodes: npt.NDArray, spacing: int, step: tuple[int, int], part: tuple[slice, slice]) -> Tensor:
        rows, columns = part
        size = (nodes.shape[0] * spacing // step[1], nodes.shape[1] * spacing // step[0])
        channels = self.upload(nodes.reshape(*nodes.shape[:2], -1)).permute(2, 0, 1)[None]
        full = F.interpolate(channels, size, mode="bilinear", align_corners=False)[0, :, rows, columns]
        return full.permute(1, 2, 0).reshape(*full.shape[1:], *nodes.shape[2:])

    def _follow(self, planes: tuple[Tensor, ...], vectors: Vectors, window: Window) -> tuple[Tensor, ...]:
        fine = self._offsets(vectors, window)
        coarse = {step: self._along(vectors, step, window) for step in self._shapes if step != (1, 1)}
        steps = [self.geometry.step(i) for i in range(len(planes))]
        return tuple(
            self._warp(plane, coarse[step]) if step in coarse else self._read_cells(plane, fine, window, NODE)
            for plane, step in zip(planes, steps, strict=True)
        )

    def _offsets(self, vectors: Vectors, window: Window) -> Tensor:
        """[down, across, 2] samples of luma that the cells of a window are moved by."""
        return self.upload(to_samples(vectors[window.of((NODE, NODE))], (1, 1)))

    def _read_cells(self, plane: Tensor, offsets: Tensor, window: Window, size: int) -> Tensor:
        rows, columns = window.shape((1, 1))
        return self._reader(plane, offsets, (window.top, window.left), size)[:rows, :columns]

    def _along(self, vectors: Vectors, step: tuple[int, int], window: Window) -> Tensor:
        """[rows, columns, 2] where the samples of such a plane in a window read, along the vectors of cells."""
        nodes, part = self._nodes_around(vectors, NODE, step, window)
        return self._blocks(to_samples(nodes, step), NODE, step, part) + self._samples[step][window.of(step)]

    def _part(self, plane: Tensor, part: tuple[slice, slice]) -> Tensor:
        return plane[part]

    def _refined(
        self,
        references: Sequence[tuple[Tensor, ...]],
        fields: Sequence[Field],
        first: tuple[Tensor, ...],
        second: tuple[Tensor, ...],
        blend: npt.NDArray[np.uint8],
        window: Window,
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        moves = _moves(first[0], second[0], self.upload(blend[window.of((BLEND, BLEND))] == 0))
        luma = list[Tensor]()
        for planes, field, sign in zip(references, fields, (-1, 1), strict=True):
            offsets = _enlarged(self._offsets(field.vectors, window), NODE // SMALL, moves) + sign * moves
            luma.append(self._read_cells(planes[0], offsets, window, SMALL))
        return (luma[0], *first[1:]), (luma[1], *second[1:])

    def _blended(
        self, first: tuple[Tensor, ...], second: tuple[Tensor, ...], blend: npt.NDArray[np.uint8], window: Window
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        share = {}
        for step in self._shapes:
            nodes, part = self._nodes_around(blend, BLEND, step, window)
            share[step] = self._blocks(FIRST_SHARE[nodes], BLEND, step, part)
        apart = [a - b for a, b in zip(first, second, strict=True)]
        shares = (share[self.geometry.step(i)] for i in range(len(apart)))
        return apart[0], tuple(b + s * d for b, s, d in zip(second, shares, apart, strict=True))

    def _blocks(self, nodes: npt.NDArray, spacing: int, step: tuple[int, int], part: tuple[slice, slice]) -> Tensor:
        """Node values [rows, columns(, c)] of the host, each at all samples of its cell, in a part of them."""
        across = self.upload(nodes).repeat_interleave(spacing // step[0], 1)
        return across.repeat_interleave(spacing // step[1], 0)[part]

    def _weighed(self, accounts: Sequence[Tensor], weights: Tensor, step: tuple[int, int]) -> Tensor:
        rows, columns = accounts[0].shape
        out = self._zeros((rows, columns))
        for plane, weight in zip(accounts, weights, strict=True):
            wide = weight.repeat_interleave(2 // step[1], 0).repeat_interleave(2 // step[0], 1)
            out += plane * wide[:rows, :columns]
        return out.clip(0, PEAK)

    def _warp(self, plane: Tensor, at: Tensor, linear: bool = False) -> Tensor:
        if plane.shape not in self._halves:
            last = np.array([plane.shape[1] - 1, plane.shape[0] - 1], np.float32)
            self._halves[plane.shape] = self.upload(2 / np.maximum(last, 1))
        source, grid = plane[None, None], (at * self._halves[plane.shape] - 1)[None]
        mode = "bilinear" if linear else "bicubic"
        return F.grid_sample(source, grid, mode=mode, padding_mode="border", align_corners=True)[0, 0]

    def _deblock(self, plane: Tensor, left: npt.NDArray, above: npt.NDArray, most: float, uneven: float) -> Tensor:
        plane = self._smooth(plane, self.upload(left), most, uneven)
        return self._smooth(plane.T, self.upload(above).T, most, uneven).T

    def _filter(self, plane: Tensor, weights: npt.NDArray[np.float32], most: float) -> Tensor:
        return self._filtered(plane, self.upload(weights), most)

    def _residual(
        self, sizes: npt.NDArray[np.uint8], levels: SparseLevels, step: float, part: tuple[slice, slice]
    ) -> list[Tensor]:
        with without_tf32():
            return super()._residual(sizes, levels, step, part)

    def _as_tensor(self, array: Tensor) -> Tensor:
        return array

    def view(self, planes: tuple[Tensor, ...], view: View, info: VideoInfo) -> tuple[Tensor, ...]:
        if view.is_native(info):
            return planes
        return tuple(self._read(plane, s) for plane, s in zip(planes, samplings(view, info), strict=True))

    def _read(self, plane: Tensor, sampling: Sampling) -> Tensor:
        plane = self._upsampler(plane, sampling.doubled) if sampling.doubled else plane
        plane, sampling = nearby(plane, sampling)
        rows, columns = sampling.rows, sampling.columns
        plane = self._taps(rows.mean).of_rows(plane) if rows.mean else plane
        plane = self._taps(columns.mean).of_columns(plane) if columns.mean else plane
        if not sampling.between:
            return plane
        if samples := sampling.samples(plane.shape):
            return plane[samples].clip(0, PEAK)
        out = torch.empty((len(rows.positions), len(columns.positions)), device=self.device)
        at_columns = self.upload(columns.positions)
        at_rows = self.upload(rows.positions)

        def read(band: slice) -> None:
            at = torch.meshgrid(at_rows[band], at_columns, indexing="ij")
            out[band] = self._warp(plane, torch.stack(at[::-1], dim=-1))

        self._bands.each(len(out), read)
        return out.clip_(0, PEAK)

    def _taps(self, taps: Taps[npt.NDArray]) -> Taps[Tensor]:
        return Taps(self.upload(taps.index), self.upload(taps.weight))

    def download(self, planes: tuple[Tensor, ...], info: VideoInfo) -> tuple[Plane, ...]:
        return tuple(samples.cpu().numpy() for samples in self._codes(planes, info))

    def rgb(self, planes: tuple[Tensor, ...], info: VideoInfo) -> Tensor:
        samples = self._codes(planes, info)
        out = torch.empty((3, info.height, info.width), dtype=samples[0].dtype, device=self.device)

        def convert(rows: slice) -> None:
            out[:, rows] = colour.to_rgb(samples, info, rows)

        self._pictures.each(info.height, convert)
        return out

    def _codes(self, planes: tuple[Tensor, ...], info: VideoInfo) -> list[Tensor]:
        steps = [(1, 1) if i == 0 else info.subsampling for i in range(len(planes))]

        def part(rows: slice) -> list[Tensor]:
            pieces = zip(planes, steps, strict=True)
            return colour.codes([plane[rows.start // sy : -(-rows.stop // sy)] for plane, (_, sy) in pieces], info)

        parts = self._pictures.each(info.height, part)
        return parts[0] if len(parts) == 1 else [torch.cat(pieces) for pieces in zip(*parts, strict=True)]


def _stacked(tiles: list[Unfiltered[Tensor]]) -> Unfiltered[Tensor]:
    """One of tiles below each other."""
    if len(tiles) == 1:
        return tiles[0]
    planes, parts = (
        tuple(torch.cat(column) for column in zip(*rows, strict=True))
        for rows in ([tile.planes for tile in tiles], [tile.parts for tile in tiles])
    )
    aparts = [tile.apart for tile in tiles if tile.apart is not None]
    return Unfiltered(planes, parts, torch.cat(aparts) if aparts else None)


def _cut(made: Unfiltered[Tensor], window: Window, geometry: Geometry) -> Unfiltered[Tensor]:
    """A window of it, counted from its own corner."""
    planes, parts = (
        tuple(plane[window.of(geometry.step(i))] for i, plane in enumerate(planes))
        for planes in (made.planes, made.parts)
    )
    return Unfiltered(planes, parts, None if made.apart is None else made.apart[window.of((1, 1))])


def _join(first: Content[Tensor], second: Content[Tensor], tile: Window, geometry: Geometry) -> Content[Tensor]:
    """The first content with a tile of the second."""
    pairs = [(a, b, geometry.step(i)) for i, (a, b) in enumerate(zip(first.planes, second.planes, strict=True))]
    pairs.append((first.residual, second.residual, (1, 1)))
    if first.apart is not None and second.apart is not None:
        pairs.append((first.apart, second.apart, (1, 1)))
    for a, b, step in pairs:
        a[tile.of(step)] = b[tile.of(step)]
    return first


def _moves(first: Tensor, second: Tensor, alike: Tensor) -> Tensor:
    """[rows / 4, columns / 4, 2] (x, y) that `bidirectional` moves the second prediction by.

    alike: [rows / 16, columns / 16] where the two count alike.
    """
    rows, columns = first.shape
    both = F.pad((first + second)[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    across, down = (both[1:-1, 2:] - both[1:-1, :-2]) / 2, (both[2:, 1:-1] - both[:-2, 1:-1]) / 2
    apart = first - second
    terms = torch.stack([across * across, across * down, down * down, across * apart, down * apart])
    terms = F.pad(terms, (0, -columns % SMALL, 0, -rows % SMALL))
    means = terms.unflatten(1, (-1, SMALL)).unflatten(3, (-1, SMALL)).mean((2, 4))
    for axis in (1, 2):
        beside = F.pad(means, (0, 0, 1, 1) if axis == 1 else (1, 1))
        count = means.shape[axis]
        means = (beside.narrow(axis, 0, count) + beside.narrow(axis, 2, count) + 2 * means) / 4
    xx, xy, yy, dx, dy = means.double()
    xx, yy = xx + DOUBT, yy + DOUBT
    moves = torch.stack([yy * dx - xy * dy, xx * dy - xy * dx], dim=-1) / (xx * yy - xy * xy)[..., None]
    moves = moves.clip(-MOVED, MOVED)
    length = moves.square().sum(-1, keepdim=True).sqrt()
    moves = (moves * (length / LEAST - 1).clip(0, 1)).float()
    return moves * _enlarged(alike, BLEND // SMALL, moves)[..., None]


def _enlarged(values: Tensor, factor: int, like: Tensor) -> Tensor:
    """Each of some values [down, across, ...] in place of factor x factor, as many as another array has."""
    rows, columns = like.shape[:2]
    return values.repeat_interleave(factor, 0)[:rows].repeat_interleave(factor, 1)[:, :columns]


def _smooth(plane: Tensor, strength: Tensor, most: float, uneven: float) -> Tensor:
    """`deblock.smooth` for all edges at once."""
    rows, columns = plane.shape
    half = WINDOW // 2
    edges = (columns - half) // CELL
    if edges < 1:
        return plane
    reach = slice(CELL - half, CELL - half + edges * WINDOW)
    window = plane[:, reach].unflatten(1, (edges, WINDOW))
    p3, p2, p1, p0, q0, q1, q2, q3 = window.unbind(-1)
    s = strength[:, 1 : edges + 1].repeat_interleave(CELL, 0)[:rows]
    t = s * most
    bend_p, bend_q = (p2 - 2 * p1 + p0).abs(), (q2 - 2 * q1 + q0).abs()
    gate = _ramp(bend_p + bend_q, 0.6 * uneven) * (s > 0)
    flat = _ramp(bend_p + bend_q, uneven / 6) * _ramp((p3 - p0).abs() + (q3 - q0).abs(), uneven / 6)
    # Where there is no edge the gate is closed, and this only must not be 0 / 0.
    strong = gate * flat * _ramp((q0 - p0).abs(), 3 * t + (s == 0))
    jump = (9 * (q0 - p0) - 3 * (q1 - p1)) / 16
    weak = (gate - strong) * _ramp(jump.abs(), 12 * t + (s == 0))
    jump = jump.clip(-t, t)
    changes = []
    for a3, a2, a1, a0, b0, b1, bend, move in (
        (p3, p2, p1, p0, q0, q1, bend_p, jump),
        (q3, q2, q1, q0, p0, p1, bend_q, -jump),
    ):
        outer = strong * ((2 * a3 - 5 * a2 + a1 + a0 + b0) / 8).clip(-2 * t, 2 * t)
        middle = strong * ((a2 - 3 * a1 + a0 + b0) / 4).clip(-2 * t, 2 * t)
        middle = middle + weak * _ramp(bend, uneven / 9) * ((a2 - 2 * a1 + a0 + 2 * move) / 4).clip(-t / 2, t / 2)
        inner = strong * ((a2 + 2 * a1 - 6 * a0 + 2 * b0 + b1) / 8).clip(-2 * t, 2 * t) + weak * move
        changes.append([torch.zeros_like(outer), outer, middle, inner])
    change = torch.stack([*changes[0], *changes[1][::-1]], dim=-1)
    out = plane.clone()
    out[:, reach] += change.flatten(1)
    return out


def _filtered(plane: Tensor, weights: Tensor, most: float) -> Tensor:
    """`loop_filter.filtered`."""
    rows, columns = plane.shape
    around = F.pad(plane[None, None], (REACH,) * 4, mode="replicate")[0, 0]

    def neighbour(dy: int, dx: int) -> Tensor:
        return around[REACH + dy : REACH + dy + rows, REACH + dx : REACH + dx + columns] - plane

    out = plane
    for k, (dy, dx) in enumerate(OFFSETS):
        before, after = neighbour(dy, dx), neighbour(-dy, -dx)
        out = out + weights[k] * (before.clip(-most, most) + after.clip(-most, most))
        out = out + weights[len(OFFSETS) + k] * (before + after)
    return out.clip(0, PEAK)


def _ramp(value: Tensor, end: Tensor | float) -> Tensor:
    """As `deblock._ramp`."""
    return (2 - 2 * value / end).clip(0, 1)
