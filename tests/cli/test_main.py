from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import licodec
from licodec.cli.failures import explain
from licodec.cli.main import cli
from licodec.errors import (
    DamagedFileError,
    LicodecError,
    LimitError,
    TargetError,
    UnsupportedError,
    UsageError,
)

from .conftest import Run, environment, one_error

COMMANDS = sorted(cli.commands)
HEAVY = {"torch", "numpy", "av", "cv2", "matplotlib", "rich", "zstandard", "constriction"}


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"licodec {licodec.__version__}\n", "")


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "licodec", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    assert (result.stdout, result.stderr) == (f"licodec {licodec.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([name, "--help"] for name in COMMANDS)])
def test_help(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: licodec")


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from licodec.cli.main import run; run(['encode', '--help']); run(['--help']);"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=True
    )
    assert result.stderr == "[]\n"


def test_on_the_cpu_torch_is_loaded_only_for_what_needs_it(clip: Path, tmp_path: Path) -> None:
    """It takes longer to load than a small video to decode."""
    program = f"""
import sys
from licodec.cli.main import run
def cpu(*words):
    assert run([*words, "--device", "cpu"]) == 0
cpu("encode", {str(clip)!r}, "a.linr", "--preset", "ultrafast", "--crf", "40")
cpu("decode", "a.linr", "a.mkv")
cpu("decode", "a.linr", "half.mkv", "--scale", "1/2")
assert run(["compare", {str(clip)!r}, "a.linr", "--no-plot"]) == run(["verify", "a.linr"]) == 0
assert "torch" not in sys.modules
cpu("decode", "a.linr", "twice.mkv", "--scale", "2", "--threads", "1", "--at", "0")
assert sys.modules["torch"].get_num_threads() == 1
"""
    subprocess.run([sys.executable, "-c", program], env=environment(), cwd=tmp_path, check=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    for parameter in cli.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts


def test_no_arguments_give_help_and_fail(run: Run) -> None:
    result = run()
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: licodec")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["transcode"], ["'transcode'", "licodec --help"]),
        (["encode"], ["INPUT", "licodec encode --help"]),
        (["encode", "a.mp4"], ["OUTPUT"]),
        (["encode", "a.mp4", "b.linr", "--presett", "slow"], ["--presett", "--preset"]),
        (["encode", "a.mp4", "b.linr", "--preset", "slowest"], ["--preset", "placebo"]),
        (["encode", "a.mp4", "b.linr", "--crf", "52"], ["--crf", "51"]),
        (["encode", "a.mp4", "b.linr", "--crf", "nan"], ["--crf", "finite"]),
        (["encode", "a.mp4", "b.linr", "--bitrate", "-1"], ["--bitrate", "negative", "800k"]),
        (["encode", "a.mp4", "b.linr", "--target-size", "0"], ["--target-size", "zero", "2M"]),
        (["encode", "a.mp4", "b.linr", "--max-time", "0s"], ["--max-time", "zero", "90s"]),
        (["encode", "a.mp4", "b.linr", "--keyint", "0"], ["--keyint", "zero"]),
        (["encode", "a.mp4", "b.linr", "--threads", "1.5"], ["--threads", "whole"]),
        (["encode", "a.mp4", "b.linr", "--crf", "20", "--bitrate", "1M"], ["--crf", "--bitrate", "one"]),
        (["decode", "a.linr", "--scale", "0"], ["--scale", "zero", "3/2"]),
        (["decode", "a.linr", "--size", "100"], ["--size", "1921x1081"]),
        (["decode", "a.linr", "--fps", "1/0"], ["--fps", "zero"]),
        (["decode", "a.linr", "--at", "-1"], ["--at", "negative"]),
        (["decode", "a.linr", "--scale", "2", "--size", "8x8"], ["--scale", "--size"]),
        (["decode", "a.linr", "--at", "1", "--fps", "30"], ["--at", "--fps"]),
        (["decode", "a.linr", "-", "--json"], ["--json", "OUTPUT"]),
        (["compare", "-", "a.linr", "--frames", "f.png"], ["--frames", "-"]),
        (["info", "missing.linr"], ["missing.linr"]),
        (["verify", "missing.linr"], ["missing.linr"]),
        (["info", "."], ["."]),
        (["info", "a\x1b[2Jb.linr"], ["\\x1b"]),
        (["info", "a\nb.linr"], ["a"]),
    ],
)
def test_wrong_usage_is_one_line(run: Run, arguments: list[str], words: list[str], tmp_path: Path) -> None:
    message = one_error(run(*arguments), 2)
    for word in words:
        assert word in message
    assert "\x1b" not in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (LicodecError("x"), 1, "internal"),
        (UsageError("x"), 2, "usage"),
        (DamagedFileError("x"), 3, "damaged"),
        (UnsupportedError("x"), 4, "unsupported"),
        (LimitError("x"), 5, "limit"),
        (TargetError("x"), 6, "target"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(errno.EPIPE, "x"), 141, "closed"),
        (OSError(errno.ENOSPC, "x", "out.linr"), 2, "usage"),
        (MemoryError("x"), 5, "limit"),
        (ZeroDivisionError("x\ny"), 1, "internal"),
    ],
)
def test_every_error_has_a_status_and_a_line(error: BaseException, status: int, kind: str) -> None:
    failure = explain(error)
    assert (failure.status, failure.kind) == (status, kind)
    assert "\n" not in failure.message
    assert failure.is_quiet == (kind == "closed")


def test_a_fault_of_licodec_says_how_to_see_more() -> None:
    assert "LICODEC_DEBUG=1" in explain(KeyError("x")).message
    assert explain(OSError(errno.ENOSPC, "No space left on device", "a.linr")).message.startswith("a.linr: No sp")


def test_debug_shows_the_traceback(run: Run) -> None:
    result = run("info", "missing.linr", env={"LICODEC_DEBUG": "1"})
    assert result.returncode == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("licodec: error: missing.linr")


def test_a_full_disk_under_standard_output(run: Run, sample: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = run("info", sample, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert "No space left" in one_error(result, 2)


def test_a_log_that_cannot_be_written_stops_nothing(run: Run, sample: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = run("verify", sample, "--fast", capture_output=False, stdout=subprocess.PIPE, stderr=full)
        assert (result.returncode, "sound" in result.stdout) == (0, True)
        sample.write_bytes(sample.read_bytes()[:-1])
        assert run("verify", sample, "--fast", capture_output=False, stderr=full).returncode == 3


def test_a_reader_that_ends_early_is_nothing_to_tell(run: Run, sample: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = run("info", sample, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_in_one_line(number: signal.Signals, status: int) -> None:
    program = (
        "import sys, time; from licodec.cli import main\n"
        "def endless(**options):\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(60)\n"
        "main.cli.commands['info'].callback = endless\n"
        "sys.argv = ['licodec', 'info', 'a.linr']\n"
        "main.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    assert errors == "licodec: error: interrupted\n"


def test_names_that_the_terminal_cannot_show(run: Run, sample: Path) -> None:
    name = sample.with_name("Žluť.linr")
    sample.rename(name)
    result = run("info", name.name, env={"PYTHONIOENCODING": "latin-1"})
    assert result.returncode == 0
    assert result.stdout.startswith("\\u017dlu\\u0165.linr")
