"""The index of a directory."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from licodec.errors import UnsupportedError, UsageError
from licodec.semantics import Library, search_vector, tracks
from licodec.semantics.embedder import unit
from licodec.semantics.library import INDEX_NAME
from licodec.semantics.stores import NumpyStore, Part

from .samples import directions, fingerprint, held, write

PLACES = directions(12, seed=7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve files of two shots, three of them in a folder below."""
    (tmp_path / "below").mkdir()
    for i in range(12):
        parent = tmp_path / "below" if i % 4 == 0 else tmp_path
        shots = [held(PLACES[i], 20, i), held(PLACES[(i + 5) % 12], 15, i + 50)]
        write(parent / f"clip{i:02}.linr", shots, stride=1 + i % 3)
    return tmp_path


def counts(folder: Path, **options: bool) -> tuple[int, int, int, int]:
    with Library(folder, **options) as library:
        done = library.update()
    return done.added, done.changed, done.removed, done.unchanged


def test_what_is_new_changed_and_gone_is_noticed(folder: Path) -> None:
    assert counts(folder) == (12, 0, 0, 0)
    assert counts(folder) == (0, 0, 0, 12)
    write(folder / "clip01.linr", [held(PLACES[3], 9)])
    (folder / "clip02.linr").unlink()
    (folder / "clip03.linr").rename(folder / "moved.linr")
    os.utime(folder / "clip05.linr", ns=(1, 1))
    write(folder / "new.linr", [held(PLACES[3], 9)])
    (folder / ".hidden.linr").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    assert counts(folder) == (2, 1, 2, 9)
    assert counts(folder) == (0, 0, 0, 12)
    assert counts(folder, rebuild=True) == (12, 0, 0, 0)


def test_a_file_of_the_same_size_and_time_is_believed(folder: Path) -> None:
    """As make and rsync do: reading everything each time would be no index."""
    counts(folder)
    path = folder / "clip01.linr"
    state = path.stat()
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert counts(folder) == (0, 0, 0, 12)


def test_the_same_hits_as_without(folder: Path) -> None:
    counts(folder)
    paths = sorted(folder.rglob("*.linr"))
    for place in PLACES[:2]:
        wanted = search_vector(place, [tracks(p)[0] for p in paths])[:5]
        with Library(folder) as library:
            found = library.search(place, fingerprint(), count=5)
        assert [(h.path, h.start, h.end, h.peak) for h in found] == [(h.path, h.start, h.end, h.peak) for h in wanted]
        np.testing.assert_allclose([h.score for h in found], [h.score for h in wanted], rtol=1e-3)


def test_lance_finds_the_same(folder: Path) -> None:
    pytest.importorskip("lancedb", reason="needs the extra 'index'")
    counts(folder)
    with Library(folder) as exact, Library(folder, backend="lance") as lance:
        for place in PLACES[:3]:
            heads, cosines = exact.store(fingerprint()).top(place, 5)
            same, close = lance.store(fingerprint()).top(place, 5)
            np.testing.assert_allclose(close, cosines, atol=1e-5)
            assert heads.tolist() == same.tolist()
            one, other = (library.search(place, fingerprint(), count=6) for library in (exact, lance))
            assert [(h.path, h.start, h.end) for h in one] == [(h.path, h.start, h.end) for h in other]
    # A changed index is a changed table.
    write(folder / "new.linr", [held(PLACES[0], 30, 99)])
    with Library(folder, backend="lance") as lance:
        lance.update()
        hits = lance.search(PLACES[0], fingerprint(), count=10)
    assert folder / "new.linr" in {h.path for h in hits}


def test_an_interrupted_update_loses_nothing(folder: Path) -> None:
    def stop(done: int, files: int) -> None:
        assert files == 12
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Library(folder) as library:
        library.update(progress=stop)
    assert counts(folder) == (7, 0, 0, 5)


def test_files_that_cannot_be_read_stop_nothing(folder: Path) -> None:
    (folder / "bad.linr").write_bytes(b"no video")
    (folder / "cut.linr").write_bytes((folder / "clip01.linr").read_bytes()[:-60])
    with Library(folder) as library:
        done = library.update()
    assert done.files == 12
    assert [p.partition(":")[0] for p in done.problems] == ["bad.linr", "cut.linr"]
    shutil.copy(folder / "clip01.linr", folder / "bad.linr")
    with Library(folder) as library:
        done = library.update()
    assert (done.files, done.changed, len(done.problems)) == (13, 1, 1)


@pytest.mark.parametrize("damage", ["text", "cut", "version"])
def test_a_damaged_index_is_made_anew(folder: Path, damage: str) -> None:
    counts(folder)
    path = folder / INDEX_NAME
    if damage == "text":
        path.write_bytes(b"this is no database" * 400)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:50])
    else:
        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version = 99")
        database.close()
    assert counts(folder) == (12, 0, 0, 0)


def test_what_is_not_there(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="not a directory"):
        Library(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="backend"):
        Library(folder, backend="magic")
    with Library(folder) as library:
        library.update()
        with pytest.raises(UnsupportedError, match="no file of the index"):
            library.search(PLACES[0], fingerprint("cd" * 32))


def test_heads_of_several_embedders(folder: Path) -> None:
    for i in range(3):
        write(folder / f"other{i}.linr", [held(PLACES[i], 9)], about=fingerprint("cd" * 32))
    with Library(folder) as library:
        library.update()
        assert library.fingerprints() == [fingerprint(), fingerprint("cd" * 32)]
        found = {hit.path.stem for hit in library.search(PLACES[0], fingerprint("cd" * 32), count=20)}
    assert found == {"other0", "other1", "other2"}


def test_all_cosines_are_those_of_the_vectors() -> None:
    random = np.random.default_rng(0)
    parts = [
        Part(i, random.normal(size=(16, k + 1)).astype(np.float32), random.integers(-9, 9, (n, k)).astype(np.int32))
        for i, (k, n) in enumerate([(3, 5), (0, 1), (7, 20), (1, 1)])
    ]
    query = unit(random.normal(size=(1, 16)), "query")[0]
    store = NumpyStore(parts)
    np.testing.assert_allclose(store.cosines(query), np.concatenate([p.vectors() for p in parts]) @ query, atol=1e-5)
    heads, cosines = store.top(query, 1000)
    assert (len(store), sorted(heads.tolist())) == (27, [0, 1, 2, 3])
    assert (np.diff(cosines) <= 0).all()
    assert cosines[0] == store.cosines(query).max()


def test_a_long_video_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path / "long.linr", [held(PLACES[0], 3000, 1)])
    for i in range(3):
        write(tmp_path / f"short{i}.linr", [held(PLACES[0], 10, i + 2, noise=0.05)])
    for backend in ("numpy", "lance"):
        if backend == "lance":
            pytest.importorskip("lancedb", reason="needs the extra 'index'")
        with Library(tmp_path, backend=backend) as library:
            library.update()
            hits = library.search(PLACES[0], fingerprint(), count=4)
        assert {hit.path.stem for hit in hits} >= {"long", "short0"}
        assert len({hit.path for hit in hits}) == 4


def fill(folder: Path, files: int) -> None:
    """Copies of a few files: the index does not know that they are alike."""
    models = [write(folder / f"model{i}.linr", [held(PLACES[i], 20, i)], stride=5) for i in range(4)]
    for i in range(files - len(models)):
        target = folder / f"{i // 500:02}" / f"copy{i:05}.linr"
        target.parent.mkdir(exist_ok=True)
        os.link(models[i % 4], target)


@pytest.mark.parametrize("files", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_files(tmp_path: Path, files: int) -> None:
    fill(tmp_path, files)
    assert counts(tmp_path) == (files, 0, 0, 0)
    assert counts(tmp_path) == (0, 0, 0, files)
    with Library(tmp_path) as library:
        hits = library.search(PLACES[2], fingerprint(), count=10)
        assert len(hits) == 10
        assert len(library.store(fingerprint())) == 5 * files
    assert all(hit.cosine > 0.98 for hit in hits)
