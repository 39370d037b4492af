"""Encoding for real, through the entry point."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import LICODEC, Run, environment, events, one_error

FAST = ("--preset", "ultrafast", "--max-time", "1s")


def outputs(folder: Path) -> set[str]:
    """Names of all files in a directory, hidden ones too."""
    return {path.name for path in folder.iterdir()}


def test_a_clip(run: Run, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.linr"
    out.write_bytes(b"precious")
    assert "-y" in one_error(run("encode", clip, "out.linr", *FAST), 2)
    assert out.read_bytes() == b"precious"
    result = run("encode", clip, "out.linr", *FAST, "-y")
    assert (result.returncode, result.stdout) == (0, "")
    size = out.stat().st_size
    summary = result.stderr.splitlines()[-1]
    assert summary.startswith(f"out.linr: 8 frames in 1 segment(s), {size:,} bytes, ")
    assert outputs(tmp_path) == {"out.linr"}


def test_json(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("encode", clip, "out.linr", *FAST, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    *steps, last = events(result.stdout)
    assert {step["event"] for step in steps} <= {"progress", "warning"}
    assert any(step["event"] == "progress" for step in steps)
    assert last["event"] == "result"
    assert last["bytes"] == (tmp_path / "out.linr").stat().st_size
    assert last["bpp"] == pytest.approx(8 * last["bytes"] / (64 * 48 * 8))
    assert last["psnr_y"] > 15


def test_the_paper_profile(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("encode", clip, "out.linr", *FAST, "--profile", "paper")
    assert result.returncode == 0, result.stderr
    (fields,) = events(run("info", "out.linr", "--json").stdout)
    assert (fields["profile"], fields["frames"]) == ("paper", 8)
    assert run("verify", "out.linr").returncode == 0
    whole = run("decode", "out.linr", "-", "--scale", "2", text=False)
    assert whole.returncode == 0, whole.stderr
    header, _, body = whole.stdout.partition(b"\n")
    assert b"W128 H96" in header
    assert len(body) == 8 * (len(b"FRAME\n") + 128 * 96 * 3 // 2)


def test_from_standard_input(run: Run, encoded: Path) -> None:
    y4m = subprocess.run(
        [*LICODEC, "decode", "clip.linr", "-"],
        cwd=encoded,
        env=environment(),
        capture_output=True,
        check=True,
    ).stdout
    result = run("encode", "-", "out.linr", *FAST, input=y4m, text=False)
    assert result.returncode == 0, result.stderr
    (fields,) = events(run("info", "out.linr", "--json").stdout)
    assert fields["frames"] == 8


def test_quietly_and_without_sound(run: Run, sound_clip: Path) -> None:
    result = run("encode", sound_clip, "out.linr", *FAST, "--no-audio", "-q")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (fields,) = events(run("info", "out.linr", "--json").stdout)
    assert fields["streams"] == []


@pytest.mark.slow
def test_a_seed_gives_the_same_file_again(run: Run, clip: Path, tmp_path: Path) -> None:
    # Without a limit of time, which would stop each run at another step.
    for name in ("a.linr", "b.linr"):
        result = run("encode", clip, name, "--preset", "ultrafast", "--seed", "3", "--device", "cpu")
        assert result.returncode == 0
    assert (tmp_path / "a.linr").read_bytes() == (tmp_path / "b.linr").read_bytes()


@pytest.fixture
def bad(tmp_path: Path, clip: Path, sound_clip: Path) -> Path:
    """A directory of inputs that cannot be encoded."""
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("This is not a video.\n" * 100)
    data = clip.read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    (folder / "head.mkv").write_bytes(sound_clip.read_bytes()[:300])
    return folder


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("missing.mp4", 2),
        ("empty.mp4", 2),
        ("text.mp4", 2),
        (".", 2),
        ("cut.mp4", 3),
        ("head.mkv", 3),
    ],
)
def test_bad_inputs(call: Run, bad: Path, name: str, status: int) -> None:
    before = outputs(bad)
    one_error(call("encode", name, "out.linr", *FAST, "-q", cwd=bad), status)
    assert outputs(bad) == before


def test_input_and_output_are_the_same(call: Run, clip: Path, tmp_path: Path) -> None:
    copy = tmp_path / "same.mp4"
    copy.write_bytes(clip.read_bytes())
    os.link(copy, tmp_path / "link.linr")
    for output in ("same.mp4", "./same.mp4", "link.linr"):
        one_error(call("encode", "same.mp4", output, *FAST, "-y", "-q"), 2)
    assert copy.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize("output", ("missing/out.linr", ".", "/proc/out.linr", "/dev/full"))
def test_outputs_that_cannot_be_written(call: Run, clip: Path, tmp_path: Path, output: str) -> None:
    one_error(call("encode", clip, output, *FAST, "-y", "-q"), 2)
    assert outputs(tmp_path) == set()


def test_a_target_out_of_reach(call: Run, clip: Path, tmp_path: Path) -> None:
    one_error(call("encode", clip, "out.linr", *FAST, "--target-size", "10", "-q"), 6)
    assert outputs(tmp_path) == set()


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_an_interrupt_leaves_no_output(call: Run, clip: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*LICODEC, "encode", str(clip), "out.linr", "--preset", "placebo", "--profile", "paper", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout
    assert '"progress"' in process.stdout.readline()
    time.sleep(1)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors == "licodec: error: interrupted\n"
    *_, warning, error = events(out)
    assert error["kind"] == "interrupted"
    assert outputs(tmp_path) == {"out.linr.resume"}
    assert "--resume" in warning["message"]
    assert "other settings" in one_error(call("encode", clip, "out.linr", *FAST, "--resume", "-q"), 2)
