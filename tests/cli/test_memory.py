"""Peak memory of the program, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from api.movies import encoded, pan

from licodec.video.info import VideoInfo

from .conftest import environment

_RUN = """
import resource, sys
from licodec.cli.main import main
try:
    main()
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""
FRAMES = 12
"""More than the encoder looks ahead."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in other units")
def test_8k_output_of_a_720p_file_takes_less_than_two_gibibytes(tmp_path: Path) -> None:
    path = encoded(pan(VideoInfo(1280, 720), range(FRAMES), speed=(3.0, -1.0)), tmp_path, crf=30).path
    for target in ("null:", "out.mp4"):
        command = [sys.executable, "-c", _RUN, "decode", str(path), target, "--size", "7680x4320", "-q"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        peak = int(done.stderr.rpartition("peak ")[2])
        print(f"{target}: {peak} MiB")
        assert peak < 2048
