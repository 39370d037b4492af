"""Training of the modulated network on degradations that are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
import torch

from fit.patterns import panned, texture, with_neutral_chroma
from licodec.fit.presets import PRESETS, Quality
from licodec.fit.segment import fit_segment
from licodec.fit.synthesis import CROP, CropSet, TrainedSynthesis, lost_structure, train
from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry, Planes
from licodec.quant.steps import LATENT_STEP, weight_step_of
from licodec.render.network import apply
from licodec.video.info import ChromaFormat, VideoInfo

CONFIG = ModelConfig(width=8)
FRAMES = 4
TEXTURE = texture(4, shortest=5, longest=20)


@dataclass
class Lesson:
    """Pictures, what the network is given of them, and what it learnt."""

    geometry: Geometry
    sources: list[Planes]
    contents: list[Planes]
    trained: TrainedSynthesis

    @property
    def importance(self) -> list[int]:
        """A chroma sample counts as much as the luma samples it covers."""
        sx, sy = self.geometry.subsampling
        return [1, sx * sy, sx * sy][: len(self.geometry.shapes)]

    def error(self, latents: np.ndarray | None = None) -> float:
        """Squared error of all pictures as a decoder renders them with these latents."""
        latents = self.trained.network.latents if latents is None else latents
        return sum(
            self._apart(s, self._shown(c, z)) for s, c, z in zip(self.sources, self.contents, latents, strict=True)
        )

    def error_before(self) -> float:
        """Squared error of what the network is given."""
        return sum(self._apart(s, c) for s, c in zip(self.sources, self.contents, strict=True))

    def _apart(self, a: Planes, b: Planes) -> float:
        return sum(k * float(np.square(p - q).sum()) for p, q, k in zip(a, b, self.importance, strict=True))

    def _shown(self, content: Planes, latent: np.ndarray) -> Planes:
        """A decoder's arithmetic: single precision and quantised parameters."""
        parameters = [
            torch.from_numpy(w) for w in synthesis.dequantise(self.trained.network.weights, self.trained.network.steps)
        ]
        z = torch.from_numpy(latent.astype(np.float32) * np.float32(LATENT_STEP))
        shapes = synthesis.layer_shapes(self.geometry, CONFIG)
        factors = synthesis.modulations(parameters, z, shapes, CONFIG.rank, torch.tanh)
        seen = synthesis.network_input(content, None, np.zeros_like(content[0]), self.geometry)
        x = np.concatenate([seen, synthesis.phases(seen.shape[1:])])
        made = synthesis.OUTPUT_SCALE * apply(parameters, factors, torch.from_numpy(x)[None])[0].numpy()
        return tuple(c + p for c, p in zip(content, synthesis.unpack(made, self.geometry), strict=True))


def pictures(info: VideoInfo) -> list[Planes]:
    lumas = [panned(TEXTURE, info.width, info.height, t, (2.5, 1)) for t in range(FRAMES)]
    return [with_neutral_chroma(luma, info) for luma in lumas]


def crops_of(geometry: Geometry, sources: list[Planes], contents: list[Planes], steps: int) -> CropSet:
    crops = CropSet(geometry, len(sources), seed=0, steps=steps)
    for t, (source, content) in enumerate(zip(sources, contents, strict=True)):
        crops.add(t, source, content, None, np.zeros_like(source[0]))
    return crops


def lesson(
    sources: list[Planes], contents: list[Planes], info: VideoInfo, steps: int, bit_worth: float = 1.0
) -> Lesson:
    geometry = Geometry.of(info)
    crops = crops_of(geometry, sources, contents, steps)
    trained = train(crops, geometry, CONFIG, len(sources), steps, bit_worth=bit_worth, seed=0)
    return Lesson(geometry, sources, contents, trained)


def blurred(planes: Planes) -> Planes:
    return tuple(cv2.GaussianBlur(p, (0, 0), 1.2) for p in planes)


@pytest.fixture(scope="module", params=["gray", "420"])
def sharpening(request: pytest.FixtureRequest) -> Lesson:
    """The content is the source, blurred."""
    chroma: ChromaFormat = request.param
    info = VideoInfo(48, 32, chroma)
    sources = pictures(info)
    return lesson(sources, [blurred(s) for s in sources], info, steps=120)


@pytest.fixture(scope="module")
def signs() -> Lesson:
    """The content is too dark or too bright, as nothing but the number of the frame tells."""
    info = VideoInfo(48, 32, "gray")
    sources = pictures(info)
    contents = [tuple(p + (8 if t % 2 else -8) for p in s) for t, s in enumerate(sources)]
    return lesson(sources, contents, info, steps=150)


def test_a_blur_is_mostly_undone(sharpening: Lesson) -> None:
    assert sharpening.error() < 0.25 * sharpening.error_before()


def test_the_gain_reported_is_the_gain_a_decoder_shows(sharpening: Lesson, signs: Lesson) -> None:
    """Trained in bfloat16, shown in single precision: within 1%."""
    for learnt in (sharpening, signs):
        assert learnt.trained.gain == pytest.approx(learnt.error_before() - learnt.error(), rel=0.01)


def test_what_only_the_latent_tells_is_learnt(signs: Lesson) -> None:
    assert signs.error() < 0.15 * signs.error_before()


def test_another_frame_s_latent_makes_another_picture(signs: Lesson) -> None:
    """With the latents of dark and bright frames exchanged, what was corrected is made worse than before."""
    swapped = signs.trained.network.latents[[1, 0, 3, 2]]
    assert signs.error(swapped) > 2 * signs.error_before()


def test_frames_of_a_kind_can_stand_in_for_each_other(signs: Lesson) -> None:
    assert signs.error(signs.trained.network.latents[[2, 3, 0, 1]]) < 0.5 * signs.error_before()


def test_what_comes_out_fits_the_file(sharpening: Lesson) -> None:
    trained = sharpening.trained
    shapes = synthesis.parameter_shapes(sharpening.geometry, CONFIG)
    assert [w.shape for w in trained.network.weights] == shapes
    assert all(w.dtype == np.int32 and np.abs(w).max() < 1 << 15 for w in trained.network.weights)
    assert len(trained.network.steps) == len(shapes)
    assert all(0 <= k <= 255 for k in trained.network.steps)
    assert trained.network.latents.shape == (FRAMES, CONFIG.latent_dim)
    assert trained.network.latents.dtype == np.int32
    assert np.abs(trained.network.latents).max() < 1 << 12


def test_the_less_error_a_bit_is_worth_the_more_a_network_costs_and_gains() -> None:
    info = VideoInfo(48, 32, "gray")
    sources = pictures(info)
    fine, coarse = (lesson(sources, [blurred(s) for s in sources], info, 120, worth) for worth in (0.1, 100.0))
    symbols = [np.concatenate([w.ravel() for w in made.trained.network.weights]) for made in (fine, coarse)]
    assert np.count_nonzero(symbols[0]) > 1.5 * np.count_nonzero(symbols[1])
    assert fine.trained.gain > coarse.trained.gain > 0
    # What is coarse is so by its steps, too.
    steps = [[weight_step_of(k) for k in made.trained.network.steps] for made in (fine, coarse)]
    assert all(a <= b for a, b in zip(*steps, strict=True))
    assert steps[0][0] < steps[1][0]


@pytest.fixture(scope="module")
def small_crops() -> tuple[CropSet, Geometry]:
    info = VideoInfo(32, 32, "gray")
    sources = pictures(info)
    return crops_of(Geometry.of(info), sources, [blurred(s) for s in sources], 12), Geometry.of(info)


def test_the_same_seed_gives_the_same_numbers(small_crops: tuple[CropSet, Geometry]) -> None:
    a, b, other = (train(*small_crops, CONFIG, FRAMES, 12, bit_worth=1.0, seed=seed) for seed in (3, 3, 4))
    for p, q in zip([*a.network.weights, a.network.latents], [*b.network.weights, b.network.latents], strict=True):
        np.testing.assert_array_equal(p, q)
    assert a.network.steps == b.network.steps
    assert any((p != q).any() for p, q in zip(a.network.weights, other.network.weights, strict=True))


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_progress_counts_every_step(small_crops: tuple[CropSet, Geometry], steps: int) -> None:
    told: list[tuple[int, int]] = []
    train(*small_crops, CONFIG, FRAMES, steps, bit_worth=1.0, seed=0, progress=lambda *step: told.append(step))
    assert told == [(i + 1, steps) for i in range(steps)]


def test_a_time_limit_shortens_the_schedule_to_what_fits(small_crops: tuple[CropSet, Geometry]) -> None:
    told: list[tuple[int, int]] = []
    train(
        *small_crops,
        CONFIG,
        FRAMES,
        10**7,
        bit_worth=1.0,
        seed=0,
        seconds=0.3,
        progress=lambda *step: told.append(step),
    )
    assert 1 <= told[-1][1] < 10**4
    assert told[-1][0] == told[-1][1]


def test_a_time_limit_that_is_long_changes_nothing(small_crops: tuple[CropSet, Geometry]) -> None:
    told: list[tuple[int, int]] = []
    train(
        *small_crops, CONFIG, FRAMES, 3, bit_worth=1.0, seed=0, seconds=3600, progress=lambda *step: told.append(step)
    )
    assert told[-1] == (3, 3)


def test_crops_take_the_same_number_from_every_picture_and_lie_inside() -> None:
    info = VideoInfo(2 * CROP + 40, 70, "gray")
    geometry = Geometry.of(info)
    x = np.arange(info.width, dtype=np.float32)
    crops = CropSet(geometry, 3, seed=1, steps=100)
    for t in range(3):
        ramp = np.broadcast_to(x, geometry.shapes[0]).copy()
        crops.add(t, (ramp,), (np.zeros_like(ramp),), None, np.zeros_like(ramp))
    assert crops.wanted.shape[:2] == (3, 2)
    for wanted in np.moveaxis(crops.wanted.numpy(), -1, 2).reshape(6, 4, 35, CROP):
        # Every packed sample keeps its four samples, and columns follow one another.
        np.testing.assert_array_equal(wanted[1] - wanted[0], 1)
        np.testing.assert_array_equal(wanted[2], wanted[0])
        np.testing.assert_array_equal(np.diff(wanted[0], axis=1), 2)
    assert crops.coverage == pytest.approx((CROP + 20) / (2 * CROP))


def test_no_more_crops_are_kept_than_training_will_see() -> None:
    geometry = Geometry.of(VideoInfo(4 * 2 * CROP, 4 * 2 * CROP, "gray"))
    assert [CropSet(geometry, 4, 0, steps).inputs.shape[1] for steps in (2, 4, 6, 1000)] == [2, 4, 6, 16]


@pytest.mark.parametrize(("crf", "tried"), [(51, False), (10, True)])
def test_a_network_is_tried_only_beside_a_payload_that_it_can_save_a_part_of(crf: float, tried: bool) -> None:
    """Noise, coarsely and finely."""
    info = VideoInfo(64, 64, "gray")
    noise = np.random.default_rng(0).uniform(0, 255, (4, 64, 64)).astype(np.float32)
    geometry, stages = Geometry.of(info), set[str]()
    preset = replace(PRESETS["ultrafast"], steps=1)
    fit_segment(
        geometry,
        CONFIG,
        lambda i: (noise[i],),
        len(noise),
        Quality(crf),
        preset,
        report=lambda stage, step, steps: stages.add(stage),
    )
    assert ("train" in stages) == tried


def test_lost_structure_is_what_ssim_says_of_the_sum_of_content_and_correction() -> None:
    """Window by window, at half and a quarter of the size; nothing is lost of what is as wanted."""
    random = np.random.default_rng(4)
    content, wanted, made = (random.normal(0, s, (2, 4, 24, 20)).astype(np.float32) for s in (40, 9, 9))
    tensors = [torch.from_numpy(x) for x in (content, wanted, made)]
    a, b = ((content + x).mean(axis=1).astype(np.float64) for x in (wanted, made))
    expected = 0.0
    for scale in range(2):
        found = []
        for y in range(0, a.shape[1] - 7, 4):
            for x in range(0, a.shape[2] - 7, 4):
                for p, q in zip(a[:, y : y + 8, x : x + 8], b[:, y : y + 8, x : x + 8], strict=True):
                    covariance = ((p - p.mean()) * (q - q.mean())).mean()
                    found.append(1 - (2 * covariance + 58.5225) / (p.var() + q.var() + 58.5225))
        assert len(found) == 2 * (20 if scale == 0 else 2)
        expected += float(np.mean(found))
        a, b = (p.reshape(2, p.shape[1] // 2, 2, p.shape[2] // 2, 2).mean(axis=(2, 4)) for p in (a, b))
    assert expected > 0.05
    assert float(lost_structure(*tensors)) == pytest.approx(expected, rel=1e-4)
    assert float(lost_structure(tensors[0], tensors[1], tensors[1])) == 0
    assert float(lost_structure(*(t[..., :7, :] for t in tensors))) == 0  # smaller than a window
