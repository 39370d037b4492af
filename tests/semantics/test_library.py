"""The index of a directory."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from licodec.errors import UnsupportedError, UsageError
from licodec.semantics import Library, search_vector, tracks
from licodec.semantics import library as library_module
from licodec.semantics.embedder import unit
from licodec.semantics.fingerprint import Fingerprint
from licodec.semantics.library import INDEX_NAME
from licodec.semantics.stores import LanceStore, NumpyStore, Part

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


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_table_never_outlives_what_it_was_made_of(folder: Path, rebuild: bool) -> None:
    """Also where numbers and counts are as before: the file with the last number changes, as long as it was."""
    pytest.importorskip("lancedb", reason="needs the extra 'index'")
    last = folder / "zz.linr"
    for place in (PLACES[4], PLACES[6]):
        write(last, [held(place, 20, 3)])
        with Library(folder, backend="lance", rebuild=rebuild) as library:
            library.update()
            heads, _ = library.store(fingerprint()).top(place, 3)
            assert last in {library._track(int(head)).path for head in heads}


def test_the_backend_is_remembered(folder: Path) -> None:
    pytest.importorskip("lancedb", reason="needs the extra 'index'")
    counts(folder)
    with Library(folder) as library:
        assert library.backend == "numpy"
    with Library(folder, backend="lance") as library:
        library.store(fingerprint())
    with Library(folder) as library:
        assert isinstance(library.store(fingerprint()), LanceStore)
        library.remove_table()
    with Library(folder) as library:
        assert isinstance(library.store(fingerprint()), NumpyStore)


def test_a_table_that_is_there_needs_no_latents(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may not fit into memory: only the sample of the background is read."""
    pytest.importorskip("lancedb", reason="needs the extra 'index'")
    counts(folder)
    with Library(folder, backend="lance") as library:
        wanted = library.search(PLACES[1], fingerprint(), count=3)
    monkeypatch.setattr(library_module, "_SAMPLE", 7)
    read: list[int] = []
    real = Library._parts

    def counting(self: Library, about: Fingerprint, numbers: Iterable[int]) -> Iterator[Part]:
        for part in real(self, about, numbers):
            read.append(part.head)
            yield part

    monkeypatch.setattr(Library, "_parts", counting)
    with Library(folder) as library:
        found = library.search(PLACES[1], fingerprint(), count=3)
    assert [h.path for h in found] == [h.path for h in wanted]
    assert len(read) <= 7


def test_what_changed_since_is_counted(folder: Path) -> None:
    counts(folder)
    with Library(folder) as library:
        assert library.stale() == 0
        write(folder / "clip01.linr", [held(PLACES[3], 9)])
        (folder / "clip02.linr").unlink()
        write(folder / "new.linr", [held(PLACES[3], 9)])
        assert library.stale() == 3


def test_an_index_that_another_process_holds_is_not_removed(folder: Path) -> None:
    counts(folder)
    (folder / "clip02.linr").unlink()
    other = sqlite3.connect(folder / INDEX_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with Library(folder) as library:
        assert len(library.fingerprints()) == 1
        library._database.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(UsageError, match="cannot be used: database is locked"):
            library.update()
    other.execute("ROLLBACK")
    other.close()
    assert counts(folder) == (0, 0, 1, 11)


def test_an_index_that_another_process_makes_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: real(*args, **options, timeout=0.01))
    other = real(tmp_path / INDEX_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UsageError, match="cannot be used: database is locked"):
        Library(tmp_path)
    assert (tmp_path / INDEX_NAME).exists()
    other.close()


def test_an_index_damaged_inside_is_told(folder: Path) -> None:
    counts(folder)
    path = folder / INDEX_NAME
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"is damaged .*index --rebuild"), Library(folder) as library:
        library.update()
    assert counts(folder, rebuild=True) == (12, 0, 0, 0)


def test_a_directory_that_cannot_be_written_is_searched_all_the_same(folder: Path) -> None:
    """As another user where this is root, who may write anywhere."""
    counts(folder)
    for part in (folder, *folder.parents[:3]):
        part.chmod(0o755)
    folder.chmod(0o555)
    code = (
        "import os, sys\n"
        "from licodec.semantics import Library, tracks\n"
        "query = tracks(sys.argv[1] + '/clip01.linr')[0].at([0.5])[0]\n"
        "for user in (None, 65534):\n"  # everything is imported while it can be
        "    if user and os.geteuid() == 0: os.setuid(user)\n"
        "    with Library(sys.argv[1]) as library:\n"
        "        (about,) = library.fingerprints()\n"
        "        print(library.search(query, about, count=1)[0].path.name, library.stale())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    folder.chmod(0o755)
    assert done.stdout == 2 * "clip01.linr 0\n", done.stderr


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
