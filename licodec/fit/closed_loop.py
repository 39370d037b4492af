"""The coding of a segment's pictures: motion, residual and filters of one after the other.

References are always the pictures as a decoder will render them (closed loop), so errors do not build up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from licodec.entropy.coder import BitEncoder
from licodec.entropy.motion import MotionRates
from licodec.entropy.segment import PictureCoder, quantiser_rows
from licodec.fit.blocks import Terms
from licodec.fit.choice import Motion, choose, largest_size, motion_bits, residual_bits
from licodec.fit.denoise import Denoiser
from licodec.fit.importance import Importance, error_weights, quantiser_offsets
from licodec.fit.intra import IntraBlocks
from licodec.fit.loop_filter import fit_filter
from licodec.fit.presets import Preset, Quality
from licodec.fit.residual import Inter, intra_blocks, least_costs, quantise
from licodec.fit.search import MotionSearch
from licodec.fit.threads import each
from licodec.model import motion
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.model.intra import NO_LUMA, under_chroma
from licodec.model.motion import Field, Known
from licodec.model.pyramid import Picture, pyramid
from licodec.model.symbols import PictureSymbols, SegmentSymbols, SparseLevels
from licodec.quant.steps import STEPS_PER_OCTAVE, quantiser_of
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.player import Contents
from licodec.render.renderer import Content, Prediction
from licodec.runtime import one_torch_thread

if TYPE_CHECKING:
    from licodec.fit.synthesis import CropSet

Source = Callable[[int], Planes]
"""Working planes of a frame of the segment, by index."""


def with_next_anchor(batches: Sequence[list[Picture]]) -> Iterator[tuple[list[Picture], list[Picture]]]:
    """Batches in coding order, each with what is to be decided on besides.

    Anchors and the middle pictures between two of them are alone in their batches, where half of an encode is spent.
    The next anchor is predicted from what is known before any picture between the last two: it keeps another thread
    busy.
    """
    anchors = deque(batch for batch in batches if batch[0].level == 1)
    for batch in batches:
        if batch[0].level == 1:
            anchors.popleft()
        yield batch, anchors[0] if batch[0].level == 2 and anchors else []


class ClosedLoop:
    """Codes the pictures of a segment; `symbols` is complete after `code`."""

    def __init__(
        self,
        geometry: Geometry,
        source: Source,
        groups: tuple[int, ...],
        quality: Quality,
        preset: Preset,
    ) -> None:
        self._geometry, self._source = geometry, source
        self._quality, self._preset = replace(quality, distance=max(groups, default=1)), preset
        # What the entropy coder will have learnt when it comes to a picture.
        self._coder = PictureCoder(geometry)
        self._bits = BitEncoder()
        self._renderer = NumpyRenderer(geometry)
        self._search = MotionSearch(geometry, preset)
        self._denoised = Denoiser(source, geometry, sum(groups) + 1, quality.plain_step) if preset.denoise else None
        self.symbols = SegmentSymbols(groups, self._quantisers(groups))
        self._importance: Importance = {}
        self._offsets: dict[int, int] = {}
        self._motion: Known = {}

    def _quantisers(self, groups: tuple[int, ...]) -> np.ndarray:
        sx, sy = self._geometry.subsampling
        # A chroma sample covers sx * sy luma samples. By RGB alone its step would be their root finer; PSNR of YUV and
        # similarity, which is of luma, pull either way.
        chroma = (sx * sy) ** (-1 / 3)
        rows = [
            [
                quantiser_of(self._quality.step(level) * (chroma if g else 1.0))
                for g in range(len(self._geometry.groups))
            ]
            for level in range(quantiser_rows(groups))
        ]
        return np.array(rows, np.uint8)

    @property
    def _pictures(self) -> list[Picture]:
        return [picture for batch in pyramid(self.symbols.groups) for picture in batch]

    def batches(self) -> list[list[Picture]]:
        """What is coded, in order."""
        return pyramid(self.symbols.groups, self._geometry.batch)

    @property
    def complete(self) -> bool:
        """Whether every picture has its symbols."""
        return len(self.symbols.pictures) == self.symbols.frames

    def weigh(self, importance: Importance) -> None:
        """Code from now on what matters more more finely."""
        self._importance = importance
        self._offsets = quantiser_offsets(self._pictures, importance, self._quality.hangs_on)

    def code(self, crops: CropSet | None, done: Callable[[Picture], None] | None = None) -> None:
        """Find the motion and the residual of every picture in coding order, in closed loop, and take their crops.

        Pictures that have symbols already (of a resumed fit) are only rendered.
        """
        contents = Contents(self._renderer, self.symbols)
        pictures: dict[int, Picture] = {}
        under_way: deque[tuple[Picture, Future[Content[Floats]]]] = deque()
        taken = set[int]()

        def take() -> None:
            picture, made = under_way.popleft()
            contents.put(picture, made.result())
            taken.add(picture.frame)
            if done:
                done(picture)

        threads, before = max(1, cv2.getNumThreads()), list[Picture]()
        begun: dict[int, Future[Content[Floats]]] = {}
        jobs: list[Future[Content[Floats]]] = []
        # NumPy's and torch's own threads would only get into the way of these.
        blas = threadpool_limits(1, user_api="blas")
        with blas, one_torch_thread(), ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(1) as behind:
            for batch, ahead in with_next_anchor(self.batches()):
                new = [picture for picture in (*batch, *ahead) if picture.frame not in begun]
                pictures.update({p.frame: p for p in new})
                # What this batch's motion is found by does not know yet of the batch before, which is coded meanwhile.
                rates = {level: behind.submit(self._motion_rates, level) for level in {p.level for p in new}}
                coded = behind.submit(self._learn, before, jobs)
                if threads == 1:
                    coded.result()
                for picture in new:
                    while len(under_way) > threads or any(r not in taken for r in picture.refs):
                        take()
                    references = {r: contents(pictures[r], pictures).planes for r in picture.refs}
                    begun[picture.frame] = pool.submit(
                        self._code_picture, picture, contents, references, rates[picture.level], coded, crops
                    )
                    under_way.append((picture, begun[picture.frame]))
                # Of the next anchor, too: while it is decided on, the models that it asks must not learn.
                jobs = [begun.pop(p.frame) for p in batch] + [begun[p.frame] for p in ahead]
                before = batch
            while under_way:
                take()
            coded.result()
            self._learn(before, jobs)
        self._motion = contents.motion

    def _motion_rates(self, level: int) -> list[MotionRates]:
        """Of the first and the second reference."""
        return [self._coder.motion_rates(level, second) for second in range(2)]

    def _learn(self, batch: list[Picture], jobs: Sequence[Future[Content[Floats]]]) -> None:
        """Code what is decided of a batch, when all of it is, and learn from it."""
        for job in jobs:
            job.result()
        if batch:
            self._coder.code(self._bits, batch, self.symbols.pictures)

    def _code_picture(
        self,
        picture: Picture,
        contents: Contents[Floats],
        references: dict[int, Planes],
        rates: Future[list[MotionRates]],
        coded: Future[None],
        crops: CropSet | None,
    ) -> Content[Floats]:
        """The content of a picture, whose symbols are set if they were not there; `coded`: the batch before."""
        original = source = self._source(picture.frame)
        known = self.symbols.pictures.get(picture.frame)
        if self._denoised and not known:
            importance = self._importance.get(picture.frame)
            source = self._denoised(picture.frame, picture.level, original, importance)
        symbols = known or self._blank(picture)
        self.symbols.pictures[picture.frame] = symbols
        if not known:
            self._find_motion(picture, source, contents.motion, references, rates.result(), coded)
        contents.add(picture)
        fields = contents.motion[picture.frame]
        prediction = self._predict(fields, symbols.blend, references)
        steps = self._steps(picture)
        if not known:
            coded.result()
            self._quantise(picture, source, prediction.planes, steps)
        content = self._renderer.reconstruct(prediction, fields, symbols, steps)
        if not known:
            content = replace(content, planes=self._fit_filters(picture, source, content.planes, steps))
        self._made(picture, source, prediction.planes, content.planes)
        if crops is not None:
            # The network is to give the source back, noise and all.
            crops.add(picture.frame, original, content.planes, content.apart, content.residual)
        # References are planes; what else there is to a content is of use to the network alone.
        return replace(content, apart=None, residual=content.planes[0][:0])

    def _made(self, picture: Picture, source: Planes, prediction: Planes, content: Planes) -> None:
        """For those who want to know what became of a picture."""

    def _blank(self, picture: Picture) -> PictureSymbols:
        symbols = PictureSymbols.blank(self._geometry, picture)
        symbols.quantiser = self._offsets.get(picture.frame, 0)
        return symbols

    def _steps(self, picture: Picture) -> list[float]:
        return [self.symbols.step(picture, g) for g in range(len(self._geometry.groups))]

    def _predict(
        self, fields: Sequence[Field], blend: npt.NDArray[np.uint8] | None, references: dict[int, Planes]
    ) -> Prediction[Floats]:
        return self._renderer.predict(fields, blend, [references[f.target] for f in fields])

    def _find_motion(
        self,
        picture: Picture,
        source: Planes,
        known: Known,
        references: dict[int, Planes],
        rates: Sequence[MotionRates],
        coded: Future[None],
    ) -> None:
        def searched(factor: float) -> Motion:
            worth = factor * self._quality.bit_worth(picture.level)
            return self._search.search(picture, source[0], known, references, worth, rates)

        if self._preset.chooses(picture):
            proposals = each(searched, self._preset.worths)
            coded.result()
            found = self._choose_motion(picture, source, proposals, known, references, rates)
        else:
            found = searched(1.0)
        symbols = self.symbols.pictures[picture.frame]
        symbols.starts, symbols.corrections, symbols.blend = found

    def _choose_motion(
        self,
        picture: Picture,
        source: Planes,
        proposals: Sequence[Motion],
        known: Known,
        references: dict[int, Planes],
        rates: Sequence[MotionRates],
    ) -> Motion:
        """What is cheapest to code of some proposals, with all that they leave."""
        steps, groups = self._steps(picture), range(len(self._geometry.groups))
        terms = [self._terms(picture, g, steps) for g in groups]
        wanted = [self._padded(g, source) for g in groups]
        largest = [largest_size(self._geometry, g) for g in groups]

        def left_by(tried: Motion) -> tuple[list[Inter], list[Floats]]:
            fields = motion.fields(picture, tried.starts, tried.corrections, known, self._geometry.node_shapes[0])
            prediction = self._predict(fields, tried.blend, references).planes
            predicted = [self._padded(g, prediction) for g in groups]
            return [Inter.of(wanted[g], predicted[g], terms[g]) for g in groups], predicted

        # Intra blocks hang little on what the rest is predicted by.
        inter, predicted = left_by(proposals[0])
        luma = self._under_chroma(source[0])
        intra = each(lambda g: self._intra(picture, g, inter[g], wanted[g], predicted[g], terms[g], luma), groups)

        def judge(tried: Motion) -> Floats:
            left = inter if tried is proposals[0] else left_by(tried)[0]
            costs = [least_costs(left[g], terms[g], intra[g], largest[g]) for g in groups]
            return motion_bits(tried, rates, self._geometry) + residual_bits(costs, self._geometry)

        return choose(proposals, judge, simpler=self._preset.simpler)

    def _quantise(self, picture: Picture, source: Planes, prediction: Planes, steps: Sequence[float]) -> None:
        symbols, luma = self.symbols.pictures[picture.frame], NO_LUMA

        def inter(g: int) -> tuple[Terms, Floats, Floats, Inter]:
            terms, wanted, known = self._terms(picture, g, steps), self._padded(g, source), self._padded(g, prediction)
            return terms, wanted, known, Inter.of(wanted, known, terms)

        for g, (terms, wanted, known, left) in enumerate(each(inter, range(len(self._geometry.groups)))):
            intra = self._intra(picture, g, left, wanted, known, terms, luma)
            shape = self._geometry.shapes[self._geometry.groups[g][0]]
            found = quantise(left, wanted, known, shape, terms, intra, luma)
            symbols.sizes[g], symbols.modes[g] = found.sizes, found.modes
            symbols.levels[g] = SparseLevels.of(found.levels)
            if g == 0 and found.made is not None:
                luma = self._under_chroma(found.made[0, : shape[0], : shape[1]])

    def _under_chroma(self, luma: Floats) -> Floats:
        if len(self._geometry.groups) == 1:
            return NO_LUMA
        return under_chroma(luma, self._geometry.subsampling, self._geometry.shapes[1])

    def _intra(
        self, picture: Picture, g: int, inter: Inter, wanted: Floats, known: Floats, terms: Terms, luma: Floats
    ) -> list[IntraBlocks] | None:
        """What blocks of a plane group would be if they were intra, where that is allowed; luma: see `quantise`."""
        if picture.level > self._preset.intra:
            return None
        shape = self._geometry.shapes[self._geometry.groups[g][0]]
        return intra_blocks(inter, wanted, known, shape, terms, luma if g else NO_LUMA, first=not picture.refs)

    def _terms(self, picture: Picture, g: int, steps: Sequence[float]) -> Terms:
        """What blocks of a plane group are weighed by."""
        quantiser = self.symbols.pictures[picture.frame].quantiser
        worth = self._bit_worth(picture, g, steps) * 4 ** (quantiser / STEPS_PER_OCTAVE)
        importance = self._importance.get(picture.frame)
        weights = None if importance is None else error_weights(importance, self._geometry, g)
        return Terms.of(steps[g], worth, self._coder.rates(g, picture.level), self._past(picture, g), weights)

    def _padded(self, g: int, planes: Planes) -> Floats:
        """[planes, rows, columns] of a plane group, in whole blocks."""
        return np.stack([pad_to(planes[i], self._geometry.padded(g)) for i in self._geometry.groups[g]])

    def _past(self, picture: Picture, g: int) -> npt.NDArray[np.uint8]:
        """[2, rows / 8, columns / 8] activity of the references in a plane group."""
        return self._coder.past(picture, g)

    def _fit_filters(self, picture: Picture, source: Planes, planes: Planes, steps: Sequence[float]) -> Planes:
        """The planes of a picture behind the loop filters that suit them, which are its symbols from now on."""
        filters, last = self.symbols.pictures[picture.frame].filters, self._coder.last_filters(picture.level)
        out = list(planes)
        for g, members in enumerate(self._geometry.groups):
            wanted, made = [source[i] for i in members], [planes[i] for i in members]
            filters[g] = fit_filter(wanted, made, steps[g], self._bit_worth(picture, g, steps), last[g])
            for i in members:
                out[i] = self._renderer.filter(planes[i], filters[g], steps[g])
        return tuple(out)

    def _bit_worth(self, picture: Picture, g: int, steps: Sequence[float]) -> float:
        """Squared error that a bit of a plane group is worth, apart from what hangs on the picture."""
        # Of the CRF itself, of which steps are rounded: between two steps quality still has to change.
        return self._quality.bit_worth(picture.level) * (steps[g] / steps[0]) ** 2


def pad_to(plane: Floats, shape: tuple[int, int]) -> Floats:
    """A plane continued by its last samples."""
    return cv2.copyMakeBorder(plane, 0, shape[0] - plane.shape[0], 0, shape[1] - plane.shape[1], cv2.BORDER_REPLICATE)
