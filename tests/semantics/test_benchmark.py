"""The retrieval benchmark: its measures, its clips, and that data of one's own goes through it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import retrieval, shapes
from benchmarks.retrieval_report import page
from licodec.semantics import open_embedder, tracks

from .samples import ColourEmbedder, held, write


def test_recall() -> None:
    similarity = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.1, 0.2, 0.3]])
    found = retrieval.recall(similarity, [0, 1, 2])
    assert found["r1"] == pytest.approx(100 * 2 / 3)
    assert (found["r5"], found["medr"]) == (100.0, 1.0)
    # Ties are no hits: an embedder that says the same of everything finds nothing.
    assert retrieval.recall(np.ones((4, 4)), range(4)) == {"r1": 0.0, "r5": 100.0, "r10": 100.0, "medr": 4.0}


def test_overlap_and_cuts() -> None:
    assert retrieval.iou((0, 2), (1, 3)) == pytest.approx(1 / 3)
    assert retrieval.iou((0, 1), (2, 3)) == 0
    assert retrieval.iou((1, 2), (1, 2)) == 1
    assert retrieval._f1([10, 50, 51], [11, 52, 90]) == (2, 3, 3)
    assert retrieval._f1([10, 12], [11]) == (1, 2, 1)
    assert retrieval._total([(2, 3, 3)])["f1"] == pytest.approx(100 * 4 / 6)


def test_scenes() -> None:
    known, held_out = shapes.split()
    assert len(shapes.SCENES) == len(known) + len(held_out) == 480
    assert len(held_out) == 200
    assert not {s.caption for s in known} & {s.caption for s in held_out}
    for part in ("colour", "shape", "motion"):
        assert {getattr(s, part) for s in known} == {getattr(s, part) for s in shapes.SCENES}
    assert shapes.Scene("orange", "bar", "climbs on the left").caption == "an orange bar climbs on the left"


def test_clips_show_what_their_captions_say() -> None:
    clip = shapes.clip(shapes.Scene("red", "circle", "slides along the top"), seed=4)
    centres = []
    for picture in clip:
        red = picture[:, :, 0].astype(int) - picture[:, :, 2]
        rows, columns = np.nonzero(red > 100)
        centres.append((rows.mean(), columns.mean()))
    rows, columns = np.transpose(centres)
    assert rows.max() < shapes.SIDE / 2.5
    assert abs(columns[-1] - columns[0]) > shapes.SIDE / 2
    assert np.array_equal(clip[0], shapes.clip(shapes.Scene("red", "circle", "slides along the top"), seed=4)[0])


def test_the_small_clip_knows_the_shapes() -> None:
    pytest.importorskip("transformers", reason="needs the extra 'semantics'")
    assert (retrieval.SMALL_CLIP / "model.safetensors").stat().st_size < 1_000_000
    embedder = open_embedder(f"hf:{retrieval.SMALL_CLIP}")
    _, scenes = shapes.split()
    scenes = scenes[:40]
    vectors = np.stack(
        [retrieval.video_vector(embedder.embed_images(shapes.clip(s, i)[::12])) for i, s in enumerate(scenes)]
    )
    found = retrieval.recall(embedder.embed_texts([s.caption for s in scenes]) @ vectors.T, range(40))
    assert found["r1"] > 60, found


@pytest.fixture
def filed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ColourEmbedder:
    """Instead of encoding: files whose frames are what their names say."""
    embedder = ColourEmbedder()

    def encode(source: Path, target: Path, given: Any, **_: Any) -> retrieval.Filed:
        vectors = [held(embedder.embed_texts([colour])[0], 20, i) for i, colour in enumerate(source.stem.split("-"))]
        write(target, vectors, about=embedder.fingerprint)
        (track,) = tracks(target)
        return retrieval.Filed(track, np.concatenate(vectors))

    monkeypatch.setattr(retrieval, "encode", encode)
    (tmp_path / "data" / "videos").mkdir(parents=True)
    for name in ("red", "green", "blue", "red-blue"):
        (tmp_path / "data" / "videos" / f"{name}.mp4").touch()
    return embedder


def test_msrvtt(filed: ColourEmbedder, tmp_path: Path) -> None:
    rows = "key,vid_key,video_id,sentence\nret0,msr,red,red\nret1,msr,green,green\nret2,msr,blue,blue\n"
    (tmp_path / "data" / "MSRVTT_JSFUSION_test.csv").write_text(rows)
    found = retrieval.msrvtt(tmp_path / "data", tmp_path, filed, lambda _: None)
    assert found["teacher"]["r1"] == found["latent"]["r1"] == 100.0
    assert found["cosine"] > 0.99


def test_activitynet(filed: ColourEmbedder, tmp_path: Path) -> None:
    about = {
        "red-blue": {"duration": 4.0, "sentences": [" red", "blue "], "timestamps": [[0, 2], [2, 4]]},
        "green": {"duration": 2.0, "sentences": ["green"], "timestamps": [[0, 2]]},
        "missing": {"duration": 2.0, "sentences": ["x"], "timestamps": [[0, 2]]},
    }
    (tmp_path / "data" / "val_1.json").write_text(json.dumps(about))
    found = retrieval.activitynet(tmp_path / "data", tmp_path, filed, lambda _: None)
    assert (found["videos"], found["of"]) == (2, 3)
    assert found["moments"]["latent"] == {"iou0.5": 100.0, "iou0.7": 100.0}


def test_an_index_is_timed_and_both_backends_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "QUICK_COUNTS", (1000,))
    found = retrieval.index(tmp_path, True, lambda _: None)
    assert found["1000"]["same_hits"]
    about = {"command": "x", "machine": "y", "commit": "z", "quick": True}
    shown = page({"index": about | found})
    assert "| 1,000 | numpy |" in shown
    assert "`x`, y, commit z, quick" in shown
    assert not list(tmp_path.iterdir())


def test_results_of_an_older_form_are_left_out(tmp_path: Path) -> None:
    """The page could not tell them; others stay."""
    about = {"command": "x", "machine": "y", "commit": "z", "quick": True}
    known = {"real": about | {"windows": 19}, "shots": about | {"skipped": "no package"}}
    (tmp_path / "retrieval.json").write_text(json.dumps(known))
    row = {"ready_seconds": 1.0, **{name: {"median_ms": 2.0, "worst_ms": 3.0} for name in ("nearest", "whole")}}
    retrieval.write(tmp_path, {"index": {"10": {"numpy": row, "same_hits": True}}}, True)
    assert set(json.loads((tmp_path / "retrieval.json").read_text())) == {"shots", "index"}
    shown = (tmp_path / "retrieval.md").read_text()
    assert "| 10 | numpy | 1.00 s | 2.0 ms | 3.0 ms | 2.0 ms | 3.0 ms | yes |" in shown
    assert "Not run: no package" in shown
