"""Nothing in a file is executed, and nothing is fetched: Python's own audit events would tell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conformance.check import FOLDER

ROOT = Path(__file__).parents[1]
WATCH = """
import sys
from pathlib import Path
import licodec, licodec.container
from licodec.decoder import decode, verify_symbols

FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "pickle.", "urllib.", "ctypes.dlopen")
folder, scratch = Path(sys.argv[1]), Path(sys.argv[2])
seen = set()

def read(name):
    for path in (folder / f"{name}.linr" for name in ("420-8", "variable", "sound", "paper")):
        licodec.container.verify(path)
        verify_symbols(path)
        with licodec.open(path, salvage=True) as video:
            video.other_streams()
            video[0]
    decode(folder / "sound.linr", scratch / name)

def watch(event, arguments):
    if event.startswith(FORBIDDEN):
        seen.add((event, repr(arguments)[:200]))
    if event == "open" and isinstance(arguments[0], (str, bytes)) and isinstance(arguments[1], str):
        path = Path(str(arguments[0]))
        if set(arguments[1]) & set("wax+") and scratch not in path.parents:
            seen.add((event, str(path)))

read("warm.mkv")  # numba reads what it has compiled, and libraries load what they load late
sys.addaudithook(watch)
read("a.mkv")
print(len(seen), *sorted(seen), sep="\\n")
"""


def test_opening_verifying_and_decoding_starts_and_fetches_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCH, FOLDER, tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "warm.mkv"]
