"""Encodes that are killed and resumed: `python -m benchmarks.crash --kills 60 --out benchmarks/results`.

An encode runs in a process of its own, over an old file or none, until it is killed (SIGKILL). Then the output must be
the old file, nothing, or the whole new one, byte for byte what an encode makes that nobody disturbs; and the encode is
resumed, to be killed again, until it ends. Half of the kills fall anywhere in the time that it takes, half right before
or after an operation that makes something durable: a flush to the disk, a renaming, a removal.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from licodec.container import LinrReader, verify

OLD = b"an older file, which is not lost either"
HUNG = 240.0
"""Seconds after which an encode that should end by itself counts as hung."""
_FORK = multiprocessing.get_context("forkserver")
# Loads torch once: a process begins in milliseconds, and what it would compute with has no threads yet.
_FORK.set_forkserver_preload(["licodec.encoder", "licodec.fit.segment", "torch._dynamo"])
_DURABLE = ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree"))


def write_clip(path: Path, frames: int = 12) -> None:
    """A textured 32x24 that moves, as y4m."""
    y, x = np.mgrid[:24, :32]
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W32 H24 F25:1 Ip Cmono\n")
        for t in range(frames):
            plane = 128 + 60 * np.sin((x + 1.5 * t) / 3) * np.cos((y - 0.7 * t) / 4) + 20 * np.sin(x * y / 9 + t)
            file.write(b"FRAME\n" + plane.astype(np.uint8).tobytes())


def _encode(source: str, output: str, resume: bool, kill_at: int | None) -> None:
    """In the child: encode, killing itself before (odd) or after (even) the operation (`kill_at` + 1) // 2."""
    import licodec
    import licodec.fit.segment
    from licodec.fit.presets import PRESETS

    vars(licodec.fit.segment).update(_SAVE_EVERY=0.0, _MOST_OF_PAYLOAD=float("inf"))
    PRESETS["ultrafast"] = replace(PRESETS["ultrafast"], steps=10)
    _watch(kill_at, Path(source).with_name("operations"))
    settings = licodec.EncodeSettings(preset="ultrafast", keyint=5, group=2, threads=1, device="cpu")
    licodec.encode(source, output, settings, overwrite=True, resume=resume)


def _watch(kill_at: int | None, log: Path) -> None:
    """Count what makes something durable, in a file; and die there."""
    done = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if 2 * done - 1 == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*words, **options)
            if 2 * done == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            log.write_text(str(done))
            return result

        return call

    for owner, name in _DURABLE:
        setattr(owner, name, counted(getattr(owner, name)))


def run(source: Path, output: Path, *, resume: bool, delay: float | None = None, kill_at: int | None = None) -> bool:
    """Whether an encode came to its end; killed after `delay` seconds, or at an operation."""
    child = _FORK.Process(target=_encode, args=(str(source), str(output), resume, kill_at))
    child.start()
    child.join(HUNG if delay is None else delay)
    if child.is_alive():
        child.kill()
        if delay is None:
            raise SystemExit(f"the encode has not ended after {HUNG:g} s")
    child.join()
    if child.exitcode not in (0, -signal.SIGKILL):
        raise SystemExit(f"the encode ended with {child.exitcode}")
    return child.exitcode == 0


class Torture:
    """One clip, encoded once undisturbed; then `kill` as often as wanted."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._source = folder / "source.y4m"
        self._folder = folder / "out"
        self._folder.mkdir()
        self._output = self._folder / "out.linr"
        write_clip(self._source)
        started = time.monotonic()
        run(self._source, self._output, resume=False)
        self._seconds = time.monotonic() - started
        self._whole = self._output.read_bytes()
        self.operations = int((folder / "operations").read_text())
        if verify(self._output):
            raise SystemExit("the undisturbed encode is not sound")
        self.counts: Counter[str] = Counter()
        """What was found, by name."""
        self._begin()

    def _begin(self) -> None:
        self._output.unlink(missing_ok=True)
        self._before = self._random.choice((OLD, None))
        if self._before:
            self._output.write_bytes(self._before)
        self._resume = False

    def kill(self, *, at_operation: bool) -> None:
        """Start or resume the encode, kill it, and look at what is there; SystemExit when something is lost."""
        moment = (
            {"kill_at": self._random.randint(1, 2 * self.operations)}
            if at_operation
            else {"delay": self._random.uniform(0.02, 1.1 * self._seconds)}
        )
        started = time.monotonic()
        ended = run(self._source, self._output, resume=self._resume, **moment)  # type: ignore[arg-type]
        if ended:  # how long it takes depends on what else the machine does
            self._seconds = time.monotonic() - started
        self.counts["ended before it was killed" if ended else "killed"] += 1
        found = self._output.read_bytes() if self._output.exists() else None
        if found == self._whole:
            self.counts["output whole"] += 1
            if not ended:  # killed behind the renaming: what is left is the next encode's to remove
                run(self._source, self._output, resume=True)
            self._look()
        elif ended or found != self._before:
            raise SystemExit(f"after {moment} the output is neither the old file nor the new one")
        else:
            self.counts["output as before" if found else "no output"] += 1
            self._resume = True

    def _look(self) -> None:
        """At a complete encode: the same bytes, and no litter."""
        with LinrReader(self._output) as reader:
            frames = len(reader.pts)
        if self._output.read_bytes() != self._whole or frames != 12:
            raise SystemExit("the resumed encode is not the undisturbed one")
        litter = sorted(path.name for path in self._folder.iterdir() if path != self._output)
        if litter:
            raise SystemExit(f"left behind: {', '.join(litter)}")
        self.counts["encodes completed with the same bytes"] += 1
        self._begin()

    def finish(self) -> None:
        """Bring the last encode to its end."""
        run(self._source, self._output, resume=self._resume)
        self._look()


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a folder for crash.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder), options.seed)
        while torture.counts["killed"] < options.kills:
            torture.kill(at_operation=torture.counts["killed"] % 2 == 1)
        torture.finish()
    command = f"python -m benchmarks.crash --kills {options.kills} --seed {options.seed}"
    report: dict[str, Any] = {"command": command, **torture.counts}
    report["durable operations of an encode"] = torture.operations
    print(json.dumps(report, indent=1))
    if options.out:
        (options.out / "crash.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
