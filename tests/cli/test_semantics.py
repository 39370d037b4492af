"""The commands of search by meaning, through the real entry point; the model is a tiny CLIP on disk."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from semantics import models
from semantics.samples import directions, faded, held, write

from licodec.semantics import tracks
from licodec.semantics.chunk import VALUE_MAX, ChunkReader, write_chunk

from .conftest import Run, events, one_error

BIRD, SEA, TREE = directions(3, seed=3)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`hf:` and the directory of a tiny CLIP."""
    pytest.importorskip("transformers", reason="needs the extra 'semantics'")
    return f"hf:{models.save(tmp_path_factory.mktemp('clip'))}"


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A directory of files without video: what is searched are latents."""
    folder = tmp_path / "videos"
    folder.mkdir()
    write(folder / "a.linr", [held(TREE, 40), held(BIRD, 20), held(SEA, 30)], stride=2)
    write(folder / "b.linr", [held(SEA, 40), held(TREE, 30, 4)])
    write(folder / "päge ✓.linr", [faded(TREE, SEA, 60)])
    return folder


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return events(done.stdout)[-1]


def test_encode_search_and_thumbnails(run: Run, call: Run, encoded: Path, model: str, tmp_path: Path) -> None:
    shutil.copy(encoded / "clip.mp4", tmp_path / "in.mp4")
    done = result(
        run("encode", "in.mp4", "a.linr", "--preset", "ultrafast", "--max-time", "1s", "--semantics", model, "--json")
    )
    assert 0 < done["semantics_bytes"] <= 4096
    assert done["semantics_cosine"] > 0.9
    shutil.copy(encoded / "sound.linr", tmp_path / "b.linr")
    aligned = result(call("realign", "b.linr", "--semantics", model, "--json"))
    assert (aligned["heads"], aligned["replaced"]) == (1, False)
    found = result(run("search", "a red square", "a.linr", "b.linr", "--semantics", model, "--frames", "2", "--json"))
    assert {hit["path"] for hit in found["hits"]} == {"a.linr", "b.linr"}
    assert [Path(path).exists() for path in map(tmp_path.joinpath, found["frames"])] == [True] * 3
    again = call("search", "a red square", "a.linr", "b.linr", "--semantics", model, "--frames", "2")
    assert "use -y to overwrite" in one_error(again, 2)
    about = result(call("info", "a.linr", "--json"))
    assert [head["provider"] for head in about["semantics"]] == ["hf"]
    assert model not in (tmp_path / "a.linr").read_bytes().decode("latin-1")


def test_search_by_picture(call: Run, videos: Path, model: str, encoded: Path, tmp_path: Path) -> None:
    shutil.copy(encoded / "clip.linr", tmp_path / "clip.linr")
    assert call("realign", "clip.linr", "--semantics", model, "--semantics-weight", "1", "-q").returncode == 0
    assert call("decode", "clip.linr", "photo.png", "--at", "0.08", "-q").returncode == 0
    found = result(call("search", "--image", "photo.png", "clip.linr", "--semantics", model, "--json"))
    assert found["hits"][0]["cosine"] > 0.9
    assert found["query"] is None


def test_search_by_a_moment(call: Run, videos: Path) -> None:
    found = result(call("search", "--like", "videos/a.linr@4.55", "videos", "--json"))
    best = found["hits"][0]
    assert (Path(best["path"]).name, best["start"], best["end"]) == ("a.linr", 4.0, 6.0)
    text = call("search", "--like", "videos/a.linr@0:04.5", "videos/a.linr", "videos/b.linr")
    assert text.returncode == 0
    assert "a.linr" in text.stdout.splitlines()[1]


def test_search_through_an_index(call: Run, videos: Path) -> None:
    plain = result(call("search", "--like", "videos/a.linr@4.5", "videos", "--json"))
    done = result(call("index", "videos", "--json"))
    assert (done["added"], done["files"], done["problems"]) == (3, 3, [])
    assert [head["provider"] for head in done["embedders"]] == ["fake"]
    indexed = result(call("search", "--like", "videos/a.linr@4.5", "videos", "--json"))
    assert [(h["path"], h["start"], h["end"]) for h in indexed["hits"]] == [
        (h["path"], h["start"], h["end"]) for h in plain["hits"]
    ]
    (videos / "b.linr").unlink()
    (videos / "bad.linr").write_bytes(b"no video")
    again = call("index", "videos")
    assert again.returncode == 0
    assert "1 added, 0 changed, 1 removed" in again.stderr
    assert "warning: bad.linr: " in again.stderr


def test_shots(call: Run, videos: Path) -> None:
    found = result(call("shots", "videos/a.linr", "--json"))
    assert [(s["first"], s["last"], s["begins_with"]) for s in found["shots"]] == [
        (0, 39, "start"),
        (40, 59, "cut"),
        (60, 89, "cut"),
    ]
    assert len(call("shots", "videos/a.linr").stdout.splitlines()) == 4


def test_similar(call: Run, videos: Path) -> None:
    shutil.copy(videos / "a.linr", videos / "copy.linr")
    found = result(call("similar", "videos/a.linr", "videos/b.linr", "videos/copy.linr", "--json"))
    best = found["matches"][0]
    assert (best["first"], best["second"], best["kind"]) == ("videos/a.linr", "videos/copy.linr", "duplicate")
    assert "duplicate" in call("similar", "videos/a.linr", "videos/copy.linr").stdout


def test_models_verify(call: Run, model: str) -> None:
    found = result(call("models", "verify", model, "--json"))
    assert (found["provider"], found["dimension"]) == ("hf", 12)
    assert -1 <= found["similarity"] <= 1
    assert found["weights"] in call("models", "verify", model).stderr


def test_warnings_name_what_was_left_out(call: Run, videos: Path, encoded: Path, model: str) -> None:
    shutil.copy(encoded / "clip.linr", videos / "clip.linr")
    assert call("realign", "videos/clip.linr", "--semantics", model, "-q").returncode == 0
    done = call("search", "red", "videos/clip.linr", "videos/b.linr", "--semantics", model, "--json")
    assert result(done)["skipped"] == ["videos/b.linr"]
    assert [e["message"] for e in events(done.stdout) if e["event"] == "warning"] == [
        "videos/b.linr: has no vectors of this embedder; left out"
    ]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["search"], 2, "give a text and at least one file"),
        (["search", "text"], 2, "give a text and at least one file"),
        (["search", "", "videos/a.linr"], 2, "empty"),
        (["search", "  ", "videos/a.linr"], 2, "empty"),
        (["search", "--image", "x.png"], 2, "give at least one file"),
        (["search", "--image", "x.png", "--like", "a@1", "videos"], 2, "contradict"),
        (["search", "--like", "videos/a.linr", "videos"], 2, "FILE@TIME"),
        (["search", "--like", "videos/a.linr@soon", "videos"], 2, "soon"),
        (["search", "--like", "videos/a.linr@99", "videos"], 2, "ends at 9 s"),
        (["search", "--like", "missing.linr@1", "videos"], 2, "no such file"),
        (["search", "--like", "videos/a.linr@1", "missing.linr"], 2, "no such file"),
        (["search", "--like", "videos/a.linr@1", "empty"], 2, "no .linr files"),
        (["search", "x", "videos/a.linr", "--semantics", "magic"], 2, "is no embedder"),
        (["search", "x", "videos/a.linr", "--semantics", "hf:/nowhere"], 2, "no directory"),
        (["shots", "missing.linr"], 2, "no such file"),
        (["shots", "plain.linr"], 2, "no semantic latents"),
        (["shots", "bad.linr"], 3, "bad.linr"),
        (["similar", "videos/a.linr"], 2, "at least two"),
        (["similar", "videos/a.linr", "plain.linr"], 4, "in common"),
        (["index", "missing"], 2, "not a directory"),
        (["index", "bad.linr"], 2, "not a directory"),
        (["realign", "videos/a.linr"], 2, "--semantics"),
        (["realign", "missing.linr", "--semantics", "hf:/nowhere"], 2, "nowhere"),
        (["encode", "clip.mp4", "o.linr", "--semantics", "nothing:x"], 2, "is no embedder"),
        (["encode", "clip.mp4", "o.linr", "--semantics", "builtin", "--semantics-weight", "0"], 2, "zero"),
        (["models", "verify", "nothing"], 2, "is no embedder"),
    ],
)
def test_refused(
    call: Run, videos: Path, encoded: Path, tmp_path: Path, words: list[str], status: int, message: str
) -> None:
    (tmp_path / "bad.linr").write_bytes(b"no video")
    (tmp_path / "empty").mkdir()
    shutil.copy(encoded / "clip.linr", tmp_path / "plain.linr")
    shutil.copy(encoded / "clip.mp4", tmp_path / "clip.mp4")
    before = sorted(tmp_path.rglob("*"))
    assert message in one_error(call(*words), status)
    assert sorted(tmp_path.rglob("*")) == before


def beyond_range(payload: bytes) -> bytes:
    """A chunk `semL` of a segment of 8 frames, of which a latent is larger than the format holds."""
    chunk = ChunkReader(payload, [8])
    head, (latents,) = chunk.head(), chunk.segments()
    latents.codes[0, 0] = VALUE_MAX + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("licodec.semantics.chunk.VALUE_MAX", 2 * VALUE_MAX)
        return write_chunk(head, [latents])


def test_damaged_latents_are_found_by_verify(call: Run, encoded: Path, model: str, tmp_path: Path) -> None:
    from container import rebuild

    shutil.copy(encoded / "clip.linr", tmp_path / "a.linr")
    assert call("realign", "a.linr", "--semantics", model, "-q").returncode == 0
    assert call("verify", "a.linr").returncode == 0
    front = [c for c in rebuild.split((tmp_path / "a.linr").read_bytes()) if c[0] not in (b"INDX", b"ENDF")]
    front = [(k, beyond_range(p) if k == b"semL" else p) for k, p in front]
    whole = rebuild.join([*front, (b"INDX", rebuild.index_of(front[2:])), (b"ENDF", b"")])
    (tmp_path / "b.linr").write_bytes(whole)
    done = call("verify", "b.linr", "--json")
    assert done.returncode == 3
    (fault,) = json.loads(done.stdout.splitlines()[0])["problems"]
    assert fault["chunk"] == "semL"
    assert "latents of segment" in fault["what"]
    # The video is as it was, and info tells what it can.
    assert call("decode", "b.linr", "null:", "-q").returncode == 0
    with pytest.raises(Exception, match="semL"):
        tracks(tmp_path / "b.linr")
