"""Search, shots and near-duplicates, in files that hold nothing but meaning."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from licodec.errors import DamagedFileError, LicodecError, UnsupportedError, UsageError
from licodec.semantics import find_shots, search, search_vector, shots, similar, tracks
from licodec.semantics.embedder import Vectors, unit
from licodec.semantics.retrieval import SMOOTH_SECONDS, smoothed

from .samples import (
    DIMENSION,
    FPS,
    ColourEmbedder,
    directions,
    faded,
    fingerprint,
    held,
    write,
)

BIRD, BIKE, CLOCK, TREE, SEA = directions(5, seed=3)


def shot(vector: Vectors, frames: int, seed: int = 0) -> Vectors:
    return held(vector, frames, seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three videos; the second has the bird in its middle shot, from 3 to 5 seconds."""
    write(tmp_path / "a.linr", [shot(BIKE, 40), shot(CLOCK, 30)])
    write(tmp_path / "b.linr", [shot(TREE, 30), shot(BIRD, 20), shot(SEA, 40)], stride=2)
    write(tmp_path / "c.linr", [shot(CLOCK, 50), shot(SEA, 30)])
    return tmp_path


def found(folder: Path) -> list:
    return [tracks(path)[0] for path in sorted(folder.glob("*.linr"))]


def test_the_moment_and_its_bounds(folder: Path) -> None:
    best, *others = search_vector(BIRD, found(folder))
    assert best.path == folder / "b.linr"
    assert (best.start, best.end) == (pytest.approx(3.0), pytest.approx(5.0))
    assert best.start <= best.peak <= best.end
    assert best.cosine > 0.95
    assert best.score > 5 + max(hit.score for hit in others)
    assert {hit.path.name for hit in (best, *others)} == {"a.linr", "b.linr", "c.linr"}


def test_several_moments_of_one_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.linr", [shot(BIRD, 20), shot(TREE, 40), shot(BIRD, 25, 1), shot(SEA, 40)])
    hits = search_vector(BIRD, tracks(path), moments=5)
    assert sorted((round(h.start, 3), round(h.end, 3)) for h in hits) == [(0.0, 2.0), (6.0, 8.5)]
    assert len(search_vector(BIRD, tracks(path), moments=1)) == 1


def test_a_video_that_fits_as_a_whole_is_one_moment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.linr", [shot(BIRD, 60)])
    (hit,) = search_vector(BIRD, tracks(path))
    assert (hit.start, hit.end) == (0.0, 6.0)


def test_scores_do_not_depend_on_the_level_of_cosines(tmp_path: Path) -> None:
    """Some embedders find everything alike: what all vectors have in common changes cosines, not the order."""
    common = unit(np.ones((1, DIMENSION)), "common")[0] * 4
    plain = write(tmp_path / "plain.linr", [shot(TREE, 40), shot(BIRD, 20), shot(SEA, 40)])
    alike = write(
        tmp_path / "alike.linr", [unit(shot(v, n) + common, "x") for v, n in ((TREE, 40), (BIRD, 20), (SEA, 40))]
    )
    (first, *_), (second, *_) = (search_vector(BIRD, tracks(path)) for path in (plain, alike))
    assert (first.start, first.end) == (second.start, second.end) == (4.0, 6.0)
    assert second.cosine < 0.5 < first.cosine
    assert second.score > 4


def test_times_that_do_not_begin_at_zero(tmp_path: Path) -> None:
    path = write(tmp_path / "a.linr", [shot(TREE, 30), shot(BIRD, 20), shot(SEA, 30)], start=70)
    best = search_vector(BIRD, tracks(path))[0]
    assert (best.start, best.end) == (10.0, 12.0)


def test_half_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.linr", [faded(TREE, BIRD, 21)], stride=5)
    (track,) = tracks(path)
    at = track.at(np.arange(0, 2.0, 0.05))
    rising = at @ BIRD
    assert (np.diff(rising) > -1e-3).all()
    np.testing.assert_allclose(track.at([0.55])[0], track.vectors(np.array([5.5]))[0], atol=1e-5)
    both = track.latents(np.array([5, 6])).mean(axis=0)
    np.testing.assert_allclose(track.latents(np.array([5.5]))[0], both, atol=1e-4)


def test_vectors_of_others_are_never_compared(tmp_path: Path) -> None:
    write(tmp_path / "a.linr", [shot(BIRD, 20)])
    write(tmp_path / "b.linr", [shot(BIRD, 20)], about=fingerprint("cd" * 32))
    with pytest.raises(UsageError, match="different embedders"):
        search_vector(BIRD, found(tmp_path))
    with pytest.raises(UsageError, match="different embedders"):
        search_vector(BIRD[:5], tracks(tmp_path / "a.linr"))
    with pytest.raises(UnsupportedError, match="have no vectors of one embedder in common"):
        similar(sorted(tmp_path.glob("*.linr")))


def test_files_that_are_left_out_are_told(tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    colours = embedder.embed_texts(["red", "green"])
    write(tmp_path / "a.linr", [held(colours[0], 20), held(colours[1], 20)], about=embedder.fingerprint)
    write(tmp_path / "b.linr", [shot(BIRD, 20)])
    (tmp_path / "c.linr").write_bytes(b"no video")
    told: list[tuple[str, LicodecError | None]] = []
    paths = [tmp_path / name for name in ("c.linr", "b.linr", "a.linr")]
    hits = search("green", paths, embedder, skipped=lambda path, error: told.append((path.name, error)))
    assert {hit.path.name for hit in hits} == {"a.linr"}
    assert (hits[0].start, hits[0].end) == (2.0, 4.0)
    assert [name for name, _ in told] == ["c.linr", "b.linr"]
    assert isinstance(told[0][1], DamagedFileError)
    assert told[1][1] is None
    with pytest.raises(UnsupportedError, match="none of 1 file"):
        search("green", [tmp_path / "b.linr"], embedder)
    with pytest.raises(DamagedFileError, match=r"c\.linr"):
        search("green", [tmp_path / "c.linr"], embedder)


def test_cosines_are_those_of_the_vectors(tmp_path: Path) -> None:
    write(tmp_path / "a.linr", [held(BIRD, 30, 1), held(BIKE, 12, 2)], stride=4)
    (track,) = tracks(tmp_path / "a.linr")
    for query in (BIRD, BIKE, CLOCK):
        np.testing.assert_allclose(track.cosines(query), track.vectors() @ query, atol=1e-6)


def test_smoothing_is_a_gaussian_mean_inside_a_shot(tmp_path: Path) -> None:
    """Each frame by a sum of its own, at uneven times too."""
    write(tmp_path / "a.linr", [held(BIRD, 30, 1), held(BIKE, 12, 2)])
    (track,) = tracks(tmp_path / "a.linr")
    random = np.random.default_rng(0)
    uneven = replace(track, times=np.cumsum(random.uniform(0.01, 0.6, len(track))))
    values = random.normal(size=len(track))
    for t in (track, uneven):
        parts = find_shots(t)
        assert [part.first for part in parts] == [0, 30]
        smooth = smoothed(t, values, parts)
        for part in parts:
            frames = np.arange(part.first, part.last + 1)
            for i in frames:
                gap = t.times[frames] - t.times[i]
                weights = np.exp(-0.5 * (gap / SMOOTH_SECONDS) ** 2) * (abs(gap) <= 3 * SMOOTH_SECONDS + 1e-9)
                assert smooth[i] == pytest.approx(weights @ values[frames] / weights.sum(), rel=1e-2, abs=1e-2)


@pytest.mark.parametrize("query", ["", " ", "\t\n"])
def test_an_empty_query(tmp_path: Path, query: str) -> None:
    path = write(tmp_path / "a.linr", [held(directions(1, 0, 4)[0], 9)], about=ColourEmbedder().fingerprint)
    with pytest.raises(UsageError, match="empty"):
        search(query, [path], ColourEmbedder())


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "a.linr", [BIRD[None]])
    (hit,) = search_vector(BIRD, tracks(path))
    assert (hit.start, hit.end) == (0.0, pytest.approx(1 / FPS))
    assert [(s.first, s.last) for s in shots(path)] == [(0, 0)]


def test_cuts_are_told_from_segments_that_are_merely_long(tmp_path: Path) -> None:
    path = write(tmp_path / "a.linr", [shot(BIRD, 30), shot(BIRD, 30, 1), shot(SEA, 30), shot(SEA, 9, 1)], stride=3)
    assert [(s.first, s.last, s.begins_with) for s in shots(path)] == [(0, 59, "start"), (60, 98, "cut")]
    assert shots(path)[1].start == pytest.approx(6.0)
    assert shots(path)[1].end == pytest.approx(9.9)


def test_a_fade_inside_a_segment(tmp_path: Path) -> None:
    scene = np.concatenate([shot(BIRD, 30), faded(BIRD, SEA, 11), shot(SEA, 30)])
    path = write(tmp_path / "a.linr", [scene])
    _, second = shots(path)
    assert second.begins_with == "fade"
    assert 33 <= second.first <= 38


def test_a_slow_pan_is_one_shot(tmp_path: Path) -> None:
    path = write(tmp_path / "a.linr", [faded(BIRD, SEA, 120)], stride=2)
    assert len(shots(path)) == 1


def test_shots_cover_the_video(folder: Path) -> None:
    for track in found(folder):
        listed = find_shots(track)
        assert listed[0].first == 0
        assert listed[-1].last == len(track) - 1
        assert all(a.last + 1 == b.first and a.end == pytest.approx(b.start) for a, b in itertools.pairwise(listed))


def test_no_latents(tmp_path: Path, sample_without: Path) -> None:
    with pytest.raises(UsageError, match="no semantic latents"):
        shots(sample_without)


@pytest.fixture
def sample_without(tmp_path: Path) -> Path:
    from licodec.container import LinrWriter

    from .samples import INFO

    path = tmp_path / "plain.linr"
    with LinrWriter(path, INFO, b"conf") as writer:
        writer.add_segment(b"", range(5), [1] * 5)
        writer.finish()
    return path


def walk(seed: int, frames: int) -> Vectors:
    """A video in which something happens."""
    random = np.random.default_rng(seed)
    places = directions(-(-frames // 15) + 1, seed)
    knots = np.linspace(0, len(places) - 1, frames)
    low = np.minimum(knots.astype(int), len(places) - 2)
    share = (knots - low)[:, None]
    moved = (1 - share) * places[low] + share * places[low + 1]
    return unit(moved + random.normal(0, 0.01, moved.shape), "walk")


def test_duplicates_and_sub_clips(tmp_path: Path) -> None:
    long, other = walk(1, 200), walk(2, 150)
    noise = np.random.default_rng(5)
    write(tmp_path / "a.linr", [long[:90], long[90:]], stride=2)
    write(tmp_path / "b.linr", [unit(long + noise.normal(0, 0.02, long.shape), "x")], stride=3)
    write(tmp_path / "c.linr", [long[60:120]], stride=2)
    write(tmp_path / "d.linr", [other])
    write(tmp_path / "e.linr", [np.concatenate([other[100:], long[:50]])])
    matches = {(m.first.stem, m.second.stem): m for m in similar(sorted(tmp_path.glob("*.linr")))}
    assert matches["a", "b"].kind == "duplicate"
    assert matches["a", "b"].similarity > 0.95
    assert matches["a", "c"].kind == "sub-clip"
    assert matches["a", "c"].first_start == pytest.approx(6.0, abs=0.21)
    assert matches["a", "c"].second_start == pytest.approx(0.0, abs=0.21)
    assert matches["a", "c"].duration == pytest.approx(6.0, abs=0.41)
    assert matches["d", "e"].first_start == pytest.approx(10.0, abs=0.41)
    assert matches["a", "e"].kind == "shared"
    assert ("a", "d") not in matches
    assert ("c", "d") not in matches


def test_two_files_suffice(tmp_path: Path) -> None:
    write(tmp_path / "a.linr", [walk(1, 80)])
    write(tmp_path / "b.linr", [walk(2, 80)])
    paths = sorted(tmp_path.glob("*.linr"))
    assert similar(paths) == []
    write(tmp_path / "b.linr", [walk(1, 80)], stride=2)
    (match,) = similar(paths)
    assert (match.kind, match.first_start, match.second_start) == ("duplicate", 0.0, 0.0)
    with pytest.raises(UsageError, match="at least two"):
        similar(paths[:1])
