"""Trainings that diverge come back, say so, and leave nothing that is not a number."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from api.movies import pan, psnr, ultrafast

import licodec
from fit.test_training import CONFIG, FRAMES, blurred, crops_of, pictures
from licodec.fit import latent_inr, synthesis
from licodec.fit.guard import EVERY, LOWER, MOST, Guard
from licodec.fit.presets import PRESETS
from licodec.model.geometry import Geometry
from licodec.model.latent_inr import LatentINRConfig
from licodec.video.info import VideoInfo

TINY = LatentINRConfig(latent_dim=4, layers=2, width=8, rank=1, hyper_width=4, grid_levels=2, grid_features=4, patch=8)


def watched(losses: list[float], worst: float = 2.0) -> tuple[Guard, torch.Tensor, list[str], list[int]]:
    """A guard after these losses, the tensor in training (its value: the steps made), warnings, steps taken back."""
    tensor, told, back = torch.zeros(3), list[str](), list[int]()
    guard = Guard([tensor], worst, told.append)
    for step, loss in enumerate(losses):
        tensor += 1
        if guard.watch(torch.tensor(loss), look=step + 1 == len(losses)):
            back.append(step + 1)
    return guard, tensor, told, back


def test_a_training_that_goes_well_is_left_alone() -> None:
    guard, tensor, told, back = watched([1.0] * (3 * EVERY + 7))
    assert (told, back, guard.factor) == ([], [], 1.0)
    assert float(tensor[0]) == 3 * EVERY + 7


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e6])
def test_it_goes_back_to_the_last_good_state(bad: float) -> None:
    losses = [1.0] * (2 * EVERY) + [bad] * EVERY
    guard, tensor, told, back = watched(losses)
    assert back == [3 * EVERY]
    assert float(tensor[0]) == 2 * EVERY
    assert guard.factor == LOWER
    assert len(told) == 1
    assert f"after step {2 * EVERY}" in told[0]


def test_one_value_that_is_not_finite_is_enough() -> None:
    tensor = torch.ones(3)
    guard = Guard([tensor], 2.0, lambda text: None)
    tensor[1] = math.nan
    assert guard.watch(torch.tensor(1.0), look=True)
    assert tensor.tolist() == [1.0] * 3


def test_it_gives_up_in_the_end() -> None:
    guard, tensor, told, _ = watched([math.nan] * (MOST * EVERY))
    assert guard.gave_up
    assert float(tensor[0]) == 0
    assert len(told) == MOST
    assert "given up" in told[-1]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six frames of 48x32."""
    pan(VideoInfo(48, 32), range(6)).write(tmp_path / "source.nut")
    return tmp_path / "source.nut"


@pytest.mark.parametrize("rate", [30.0, 1e30])
def test_a_network_with_steps_far_too_large(
    rate: float, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is as good as one without a network, or better, and the user is told."""
    monkeypatch.setattr("licodec.fit.segment._MOST_OF_PAYLOAD", float("inf"))
    monkeypatch.setattr("licodec.fit.segment._FULL_TRAINING", 1)
    monkeypatch.setitem(PRESETS, "ultrafast", replace(PRESETS["ultrafast"], steps=120))
    plain = licodec.encode(source, tmp_path / "plain.linr", ultrafast())
    monkeypatch.setattr(synthesis, "_RATES", (rate, rate))
    report = licodec.encode(source, tmp_path / "a.linr", ultrafast())
    assert any("segment 1: training diverged" in text for text in report.warnings), report.warnings
    assert not plain.warnings
    assert report.psnr_y > plain.psnr_y - 0.5
    with licodec.open(tmp_path / "a.linr") as video:
        assert len(video) == 6
        assert psnr(video.planes(5)[0], pan(video.info, range(6)).pictures[5][0]) > 30


def test_latents_that_run_away_are_still_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite, but too large for the file: kept within its range."""
    sources = pictures(info := VideoInfo(32, 32, "gray"))
    crops = crops_of(Geometry.of(info), sources, [blurred(s) for s in sources], 12)
    real = synthesis._Model.__init__

    def far(self: synthesis._Model, *rest: object) -> None:
        real(self, *rest)  # type: ignore[arg-type]
        with torch.no_grad():
            self._rest += 1e4

    monkeypatch.setattr(synthesis._Model, "__init__", far)
    trained = synthesis.train(crops, Geometry.of(info), CONFIG, FRAMES, 4, bit_worth=1.0, seed=0)
    assert np.abs(trained.network.latents).max() <= 1 << 12


def test_the_paper_profile_with_steps_far_too_large(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent_inr, "_CONFIG", TINY)
    monkeypatch.setitem(latent_inr._STEPS, "ultrafast", 8 * EVERY)
    monkeypatch.setattr(latent_inr, "_ADAM_RATE", 1e25)
    report = licodec.encode(source, tmp_path / "a.linr", ultrafast(profile="paper"))
    assert any("training diverged" in text for text in report.warnings)
    assert report.psnr_y > 5
    with licodec.open(tmp_path / "a.linr") as video:
        assert np.isfinite(video[5].numpy()).all()
