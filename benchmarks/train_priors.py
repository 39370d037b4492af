"""Learn `licodec/entropy/priors.bin` from footage that is not in the benchmark suite.

    pip download --no-deps --dest wheels scikit-image scikit-learn gradio
    for wheel in wheels/*.whl; do unzip -d packages $wheel; done
    python -m benchmarks.train_priors --out licodec/entropy/priors.bin --packages packages

Videos are used as they are; a picture becomes a short clip in which it moves under a smooth random motion with a
second picture in front of it. Every clip is coded at several rate factors, and the context models carry what they
have learnt from one to the next. The shipped file was learnt from those of SOURCES, in the packages scikit-image
0.26.0, scikit-learn 1.9.1 and gradio 6.31.0.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from licodec.entropy import priors
from licodec.entropy.coder import BitEncoder
from licodec.entropy.mixing import State
from licodec.entropy.segment import PictureCoder
from licodec.fit.presets import PRESETS, Quality
from licodec.fit.segment import SegmentFit, split_groups
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry, Planes, to_working
from licodec.model.pyramid import pyramid
from licodec.runtime import use_threads
from licodec.video import colour
from licodec.video.info import VideoInfo
from licodec.video.source import open_source

CRFS = (18, 24, 30, 36)
FRAMES = 33
SIDE = (288, 352)
PICTURES = (".png", ".jpg", ".jpeg")
SOURCES = (
    *(
        f"skimage/data/{name}.png"
        for name in ["astronaut", "brick", "chelsea", "coffee", "coins", "grass", "gravel", "ihc"]
    ),
    *(f"skimage/data/{name}" for name in ("motorcycle_left.png", "rocket.jpg", "hubble_deep_field.jpg")),
    *(f"sklearn/datasets/images/{name}.jpg" for name in ("china", "flower")),
    *(f"gradio/media_assets/images/{name}" for name in ("lion.jpg", "cheetah1.jpg", "cheetah.jpg", "tower.jpg")),
    "gradio/media_assets/images/groot.jpeg",
    *(f"gradio/media_assets/videos/{name}.mp4" for name in ("a", "b", "world")),
)
"""Pictures and clips of photographs, in packages."""


def _picture(path: Path) -> npt.NDArray[np.uint8]:
    image = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    scale = max(1.4 * SIDE[0] / image.shape[0], 1.4 * SIDE[1] / image.shape[1], 0.4)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _moving(back: npt.NDArray[np.uint8], front: npt.NDArray[np.uint8], seed: int) -> Iterator[npt.NDArray[np.uint8]]:
    """A slow pan, zoom and turn of `back`, and a soft-edged piece of `front` that crosses it; a little noise."""
    rng = np.random.default_rng(seed)
    rows, columns = SIDE
    drift, turn, zoom = rng.normal(0, 1.2, 2), rng.normal(0, 0.15), 1 + rng.normal(0, 0.002)
    pace, start = rng.normal(0, 3.0, 2), rng.uniform(0.2, 0.6, 2) * (columns, rows)
    mask = cv2.GaussianBlur((np.hypot(*np.mgrid[-60:60, -60:60]) < rng.uniform(25, 50)).astype(np.float32), (0, 0), 1.0)
    piece = cv2.resize(front, (240, 240), interpolation=cv2.INTER_AREA)[60:180, 60:180]
    for t in range(FRAMES):
        m = cv2.getRotationMatrix2D((back.shape[1] / 2, back.shape[0] / 2), turn * t, zoom**t)
        m[:, 2] += drift * t - (np.array(back.shape[1::-1]) - (columns, rows)) / 2
        frame = cv2.warpAffine(back, m, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        shift = np.array([[1, 0, 0], [0, 1, 0]], np.float64)
        shift[:, 2] = start + pace * t - 60
        over = cv2.warpAffine(piece, shift, (columns, rows), flags=cv2.INTER_CUBIC)
        share = cv2.warpAffine(mask, shift, (columns, rows))[..., None]
        mixed = frame * (1 - share) + over * share + rng.normal(0, 1.0, frame.shape)
        yield np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def clips(paths: list[Path]) -> Iterator[tuple[str, VideoInfo, list[Planes]]]:
    """(name, info, working planes of each frame) of every clip."""
    pictures = [p for p in paths if p.suffix.lower() in PICTURES]
    info = VideoInfo(SIDE[1], SIDE[0], matrix=1)
    for i, path in enumerate(pictures):
        images = _moving(_picture(path), _picture(pictures[(i + 1) % len(pictures)]), i)
        yield path.name, info, [to_working(colour.from_rgb(image, info), info) for image in images]
    for path in paths:
        if path in pictures:
            continue
        with open_source(path) as source:
            frames = []
            for frame in source.frames():
                frames.append(to_working(frame.planes, source.info))
                if len(frames) == 2 * FRAMES:
                    break
            yield path.name, source.info, frames


def learn(paths: list[Path], out: Path) -> None:
    """Code everything once, in random order of clip and rate factor."""
    config = ModelConfig()
    preset = replace(PRESETS["fast"], look_ahead=False, denoise=False, steps=0)
    jobs = [(name, info, frames, crf) for name, info, frames in clips(paths) for crf in CRFS]
    random.Random(0).shuffle(jobs)
    state: dict[str, State] = {}
    for number, (name, info, frames, crf) in enumerate(jobs):
        geometry = Geometry.of(info)
        groups = split_groups(len(frames), preset.group)
        fit = SegmentFit(geometry, config, frames.__getitem__, groups, Quality(crf), preset)
        fit.code(None)
        coder, pictures = BitEncoder(), PictureCoder(geometry, priors=state)
        for batch in pyramid(groups, geometry.batch):
            pictures.code(coder, batch, fit.symbols.pictures)
        state.update({name: model.state() for name, model in pictures.models().items()})
        print(f"{number + 1}/{len(jobs)} {name} crf {crf}: {len(coder.finish())} bytes", flush=True)
    out.write_bytes(priors.pack(state))
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--packages", type=Path, help="folder with the packages that SOURCES are in")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    use_threads(None)
    shipped = [arguments.packages / name for name in SOURCES] if arguments.packages else []
    learn([*shipped, *arguments.paths], arguments.out)
