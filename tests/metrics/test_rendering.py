"""The stages of decoding that are timed are the ones that a decode goes through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, rendering
from licodec.render.resample import View
from licodec.video.info import VideoInfo

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


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_dry_run_goes_through_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PyTorch on the CPU in the GPU's place: what has never run would fail on the first GPU."""
    monkeypatch.setattr(gpu, "_tests", lambda: (rendering.Table("Tests", "", [{"result": "none"}]), 0))
    words = ["--quick", "--device", "cpu", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    assert gpu.main(words) == 0
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())
    tables = {table["title"]: table["rows"] for table in found["tables"]}
    assert [*tables] == [
        "Tests",
        "Encoding",
        "Limits of cpu",
        "Decoding",
        "Rendering",
        "Differences from the CPU's reference",
        "Synthesis network",
        "Training",
    ]
    assert all(tables.values())
    ways = {(row["device"], row["network"], row["compiled"]) for row in tables["Rendering"]}
    assert {("torch cpu", "float32", ""), ("torch cpu", "float16", ""), ("torch cpu", "float16", "yes")} < ways
    reached = [row["of bandwidth, %"] for row in tables["Rendering"] if row["device"] == "torch cpu"]
    assert all(0 < share < 100 for share in reached)
    assert (tmp_path / "out" / "gpu.md").read_text().count("## ") == len(tables)


def test_without_a_gpu_the_benchmark_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "CUDA", False)
    with pytest.raises(SystemExit, match="no CUDA device"):
        gpu.main([])


def test_the_bytes_that_must_be_moved() -> None:
    info = VideoInfo(64, 48)
    samples = 64 * 48 * 3 // 2
    assert rendering.least_bytes(info, View.of(info)) == 44 * samples + 3 * 64 * 48
    larger = rendering.least_bytes(info, View.of(info, (96, 128)))
    assert larger == 40 * samples + 4 * (samples + 4 * samples) + 4 * 4 * samples + 3 * 4 * 64 * 48


def test_limits_of_a_device_are_measured() -> None:
    machine, table = rendering.capabilities("cpu", quick=True)
    assert machine.copied > 1e8
    assert set(machine.multiplied) == {torch.float32, torch.float16, torch.bfloat16}
    assert len(table.rows) == 4
