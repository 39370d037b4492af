"""The stages of decoding that are timed are the ones that a decode goes through."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import rendering

EXAMPLE = Path(__file__).parents[1] / "golden" / "example.linr"


def test_every_stage_is_timed_once_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    timed = rendering._timed

    def counted(function, name, seconds, device):
        inner = timed(function, name, seconds, device)

        def wrapper(*arguments):
            calls.append(name)
            return inner(*arguments)

        return wrapper

    monkeypatch.setattr(rendering, "_timed", counted)
    stages = rendering.decoding(EXAMPLE, 1)
    with rendering.LinrReader(EXAMPLE) as reader:
        frames = sum(entry.frame_count for entry in reader.segments)
    for name in ("predict", "reconstruct", "synthesise", "download", "rgb"):
        assert calls.count(name) == frames
    assert list(stages) == ["entropy", "predict", "reconstruct", "synthesise", "colour", "sum", "rgb"]
    assert all(spent > 0 for spent in stages.values())
    parts = [stages[name] for name in ("entropy", "predict", "reconstruct", "synthesise", "colour")]
    assert stages["sum"] == pytest.approx(sum(parts))
