"""Semantic latents made with the video, and added to it: the video itself is the same in every byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from container import rebuild
from video.clips import write_av

import licodec
from licodec.container import Limits, LinrReader, verify
from licodec.errors import DamagedFileError, LimitError, UsageError
from licodec.fit.presets import PRESETS
from licodec.semantics import fingerprints, realign, tracks
from licodec.semantics.align import allowed_bytes
from licodec.semantics.embedder import Picture, Vectors
from licodec.semantics.teacher import picture
from licodec.video.info import Plane, VideoInfo

from .samples import COLOURS, ColourEmbedder

INFO = VideoInfo(64, 48, primaries=1, transfer=1, matrix=1)
FRAMES = 10
SETTINGS = licodec.EncodeSettings(preset="ultrafast", crf=34, semantics_weight=1.0)


@pytest.fixture(autouse=True, scope="module")
def no_training() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "ultrafast", replace(PRESETS["ultrafast"], steps=0))
        yield


def coloured(colour: Sequence[int], shade: float) -> tuple[Plane, ...]:
    """Planes of one colour, BT.709, with a soft edge across it."""
    r, g, b = (c / 255 * shade for c in colour)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    values = (16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748)
    planes = []
    for value, (rows, columns) in zip(values, INFO.plane_shapes, strict=True):
        edge = 6 * np.tanh((np.arange(columns) - columns / 2) / 4)
        planes.append(np.rint(value + np.broadcast_to(edge, (rows, columns))).clip(16, 235).astype(np.uint8))
    return tuple(planes)


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red scene that darkens, then a green one."""
    path = tmp_path_factory.mktemp("movie") / "movie.mp4"
    shades = np.linspace(1, 0.7, FRAMES)
    scenes = [[coloured(COLOURS[name], s) for s in shades] for name in ("red", "green")]
    write_av(path, [*scenes[0], *scenes[1]], tags=(1, 1, 1, 1))
    return path


@pytest.fixture(scope="module")
def plain(movie: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "plain.linr"
    licodec.encode(movie, path, replace(SETTINGS, semantics_weight=None))
    return path


@pytest.fixture(scope="module")
def aligned(movie: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, licodec.EncodeReport]:
    path = tmp_path_factory.mktemp("aligned") / "aligned.linr"
    return path, licodec.encode(movie, path, SETTINGS, embedder=ColourEmbedder())


def video_of(path: Path) -> list[rebuild.Chunk]:
    """Everything but semantics, settings, and what counts offsets."""
    return [c for c in rebuild.split(path.read_bytes()) if c[0] not in (b"semL", b"encS", b"INDX", b"ENDF")]


def shown(path: Path, embedder: ColourEmbedder) -> Vectors:
    """What the embedder says of all decoded frames."""
    with licodec.open(path) as video:
        return embedder.embed_images([picture(video.planes(i), video.info) for i in range(len(video))])


def test_the_file_has_the_embedders_vectors(aligned: tuple[Path, licodec.EncodeReport]) -> None:
    path, report = aligned
    assert verify(path) == []
    (track,) = tracks(path)
    embedder = ColourEmbedder()
    assert track.fingerprint == embedder.fingerprint
    assert (len(track), len(track.segments)) == (2 * FRAMES, 2)
    wanted = shown(path, embedder)
    found = track.vectors()
    assert (found * wanted).sum(axis=1).min() > 0.99
    assert report.semantics_cosine == pytest.approx((found * wanted)[track.knots()].sum(axis=1).mean(), abs=1e-4)
    red, green = embedder.embed_texts(["red", "green"])
    assert ((found @ red > found @ green) == (np.arange(2 * FRAMES) < FRAMES)).all()
    with LinrReader(path) as reader:
        (payload,) = reader.ancillary("semL")
    assert (
        report.semantics_bytes
        == len(payload)
        <= allowed_bytes(track.fingerprint, len(track.segments), path.stat().st_size)
    )


def test_the_video_is_not_touched(plain: Path, aligned: tuple[Path, licodec.EncodeReport]) -> None:
    assert video_of(aligned[0]) == video_of(plain)


def test_between_two_frames(aligned: tuple[Path, licodec.EncodeReport]) -> None:
    (track,) = tracks(aligned[0])
    a, b = track.latents(np.array([3, 4]))
    np.testing.assert_allclose(track.latents(np.array([3.5]))[0], (a + b) / 2, atol=1e-5)
    half = (track.times[3] + track.times[4]) / 2
    np.testing.assert_allclose(track.frame_numbers([half]), [3.5], atol=1e-6)
    np.testing.assert_allclose(track.at([half]), track.vectors(np.array([3.5])), atol=1e-6)
    # Across the cut, and outside the video, nothing is interpolated.
    across = (track.times[FRAMES - 1] + track.times[FRAMES]) / 2
    np.testing.assert_allclose(track.frame_numbers([across, -1, 1e6]), [FRAMES - 1, 0, 2 * FRAMES - 1])


def test_realigned_is_the_same_as_aligned(
    plain: Path, aligned: tuple[Path, licodec.EncodeReport], tmp_path: Path
) -> None:
    out = tmp_path / "out.linr"
    before = plain.read_bytes()
    report = realign(plain, ColourEmbedder(), out, weight=1.0)
    assert plain.read_bytes() == before
    assert verify(out) == []
    chunks = dict(rebuild.split(out.read_bytes()))
    assert chunks[b"semL"] == dict(rebuild.split(aligned[0].read_bytes()))[b"semL"]
    kept = [c for c in rebuild.split(before) if c[0] not in (b"INDX", b"ENDF")]
    assert [c for c in rebuild.split(out.read_bytes()) if c[0] not in (b"semL", b"INDX", b"ENDF")] == kept
    assert (report.replaced, report.heads, report.bytes) == (False, 1, out.stat().st_size)


@pytest.mark.parametrize("limit", ["max_macs", "max_parameters", "max_segment_bytes"])
def test_realign_holds_to_the_limits_of_its_caller(limit: str, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(LimitError, match=limit):
        realign(plain, ColourEmbedder(), tmp_path / "out.linr", limits=Limits(**{limit: 1}))
    assert not list(tmp_path.iterdir())


def test_several_heads(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    path.write_bytes(plain.read_bytes())
    first, second = ColourEmbedder(), ColourEmbedder("c1" * 32)
    assert realign(path, first).heads == 1
    assert realign(path, second).heads == 2
    assert fingerprints(path) == [first.fingerprint, second.fingerprint]
    again = realign(path, first, weight=50.0)
    assert (again.replaced, again.heads) == (True, 2)
    assert fingerprints(path) == [second.fingerprint, first.fingerprint]
    assert [len(tracks(path, only=e.fingerprint)) for e in (first, second)] == [1, 1]
    assert tracks(path, only=ColourEmbedder("c2" * 32).fingerprint) == []
    assert video_of(path) == video_of(plain)
    assert verify(path) == []


def test_two_at_once_do_not_lose_a_head(plain: Path, tmp_path: Path) -> None:
    """The one that ended last would put back a file without the head of the other."""
    path = tmp_path / "a.linr"
    path.write_bytes(plain.read_bytes())
    first, second = ColourEmbedder(), ColourEmbedder("c1" * 32)
    refused: list[str] = []

    def meanwhile(_: licodec.Progress) -> None:
        if not refused:
            with pytest.raises(UsageError, match="another licodec is writing it") as caught:
                realign(path, second)
            refused.append(str(caught.value))

    realign(path, first, progress=meanwhile)
    assert refused[0].startswith(f"{path}: ")
    realign(path, second)
    assert fingerprints(path) == [first.fingerprint, second.fingerprint]
    assert [file.name for file in tmp_path.iterdir()] == ["a.linr"]


def test_two_heads_of_one_fingerprint_are_refused(aligned: tuple[Path, licodec.EncodeReport], tmp_path: Path) -> None:
    front = [c for c in rebuild.split(aligned[0].read_bytes()) if c[0] not in (b"INDX", b"ENDF")]
    front.append(next(c for c in front if c[0] == b"semL"))
    path = tmp_path / "twice.linr"
    path.write_bytes(rebuild.join([*front, (b"INDX", rebuild.index_of(front[2:])), (b"ENDF", b"")]))
    with pytest.raises(DamagedFileError, match=r"twice\.linr: has two heads of the same fingerprint"):
        tracks(path)


def test_damage_changes_nothing(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.linr"
    data = bytearray(plain.read_bytes())
    offset = rebuild.extents(bytes(data))[2][0] + 40
    data[offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="checksum"):
        realign(path, ColourEmbedder())
    assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["damaged.linr"]


def test_unknown_and_large_chunks_are_kept(plain: Path, tmp_path: Path) -> None:
    front = [c for c in rebuild.split(plain.read_bytes()) if c[0] not in (b"INDX", b"ENDF")]
    front[2:2] = [(b"zzzZ", b"first"), (b"zzzZ", bytes(3_000_000)), (b"auxS", b"blob")]
    path = tmp_path / "a.linr"
    path.write_bytes(rebuild.join([*front, (b"INDX", rebuild.index_of(front[2:])), (b"ENDF", b"")]))
    realign(path, ColourEmbedder())
    assert [c for c in rebuild.split(path.read_bytes()) if c[0] not in (b"semL", b"INDX", b"ENDF")] == front


def test_outputs_are_not_overwritten(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.linr"
    out.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists"):
        realign(plain, ColourEmbedder(), out)
    assert out.read_bytes() == b"mine"
    realign(plain, ColourEmbedder(), out, overwrite=True)
    assert verify(out) == []


class Interrupting(ColourEmbedder):
    """Stops the encode when it sees the second scene."""

    def embed_images(self, pictures: Sequence[Picture]) -> Vectors:
        if self.pictures:
            raise KeyboardInterrupt
        return super().embed_images(pictures)


def test_a_resumed_encode_asks_only_for_what_is_missing(
    movie: Path, aligned: tuple[Path, licodec.EncodeReport], tmp_path: Path
) -> None:
    path = tmp_path / "out.linr"
    with pytest.raises(KeyboardInterrupt):
        licodec.encode(movie, path, SETTINGS, embedder=Interrupting())
    assert not path.exists()
    with pytest.raises(UsageError, match="other settings"):
        licodec.encode(movie, path, SETTINGS, embedder=ColourEmbedder("c1" * 32), resume=True)
    embedder, whole = ColourEmbedder(), ColourEmbedder()
    licodec.encode(movie, path, SETTINGS, embedder=embedder, resume=True)
    licodec.encode(movie, tmp_path / "whole.linr", SETTINGS, embedder=whole)
    assert 0 < embedder.pictures < whole.pictures
    assert path.read_bytes() == aligned[0].read_bytes()


def test_a_target_counts_the_latents(movie: Path, plain: Path, tmp_path: Path) -> None:
    size = plain.stat().st_size + 150
    settings = replace(SETTINGS, crf=None, target_size=size)
    report = licodec.encode(movie, tmp_path / "a.linr", settings, embedder=ColourEmbedder())
    assert report.semantics_bytes > 0
    assert report.bytes <= size


def test_the_file_does_not_tell_where_a_model_lies() -> None:
    settings = replace(SETTINGS, semantics="hf:/home/someone/model")
    assert "someone" not in settings.describe()
    assert "semantics=hf" in settings.describe()


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), 1e9])
def test_weights_that_make_no_sense(movie: Path, plain: Path, tmp_path: Path, weight: float) -> None:
    with pytest.raises(UsageError, match="lambda"):
        licodec.encode(
            movie, tmp_path / "a.linr", replace(SETTINGS, semantics_weight=weight), embedder=ColourEmbedder()
        )
    with pytest.raises(UsageError, match="lambda"):
        realign(plain, ColourEmbedder(), tmp_path / "a.linr", weight=weight)
    assert list(tmp_path.iterdir()) == []


def test_pictures_stand_upright_and_have_square_samples() -> None:
    from fractions import Fraction

    info = VideoInfo(6, 4, "rgb", sample_aspect=Fraction(2), rotation=90)
    planes = tuple(np.zeros((4, 6), np.uint8) for _ in range(3))
    planes[0][:, 5] = 255  # the right edge: a quarter turn counter-clockwise makes it the upper one
    found = picture(planes, info)
    assert found.shape == (12, 4, 3)
    assert found[0, :, 0].min() == 255
    assert found[-1].max() == 0
