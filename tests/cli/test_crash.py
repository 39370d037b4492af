"""The program interrupted, crowded and cut off, through its real entry point."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from .conftest import LICODEC, Run, environment, events


def begin(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """A command, as far as its first progress."""
    process = subprocess.Popen(
        [*LICODEC, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout
    assert '"progress"' in process.stdout.readline()
    return process


def test_ctrl_c_twice_and_a_second_encoder(run: Run, clip: Path, tmp_path: Path) -> None:
    """The second encoder ends with one line and status 2; the fingers on Ctrl-C do not break the clean-up."""
    encode = ("encode", clip, "out.linr", "--preset", "placebo", "--profile", "paper", "--json")
    process = begin(tmp_path, *encode)
    second = run(*encode, "-y")
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "another licodec is writing it" in second.stderr
    assert process.poll() is None
    # Again and again, for less than the two seconds after which it would end at once: also while Python shuts down.
    until = time.monotonic() + 1.5
    while process.poll() is None and time.monotonic() < until:
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "licodec: error: interrupted\n"
    assert events(out)[-1]["kind"] == "interrupted"
    assert {path.name for path in tmp_path.iterdir()} == {"out.linr.resume"}


def test_a_program_that_has_seen_enough(encoded: Path, tmp_path: Path) -> None:
    """EPIPE on standard output, in the middle of the frames."""
    process = subprocess.Popen(
        [*LICODEC, "decode", str(encoded / "clip.linr"), "-", "--scale", "20"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.read(100).startswith(b"YUV4MPEG2 W1280")
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert b"error" not in process.stderr.read()
