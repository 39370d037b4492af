from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run, events, one_error


def test_a_sound_container(run: Run, sample: Path) -> None:
    result = run("verify", sample.name, "--fast")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "sample.linr: sound (symbols not checked)\n"
    assert run("verify", sample.name, "--fast", "-q").stdout == ""


@pytest.fixture
def damaged(sample: Path) -> Path:
    data = bytearray(sample.read_bytes())
    data[data.index(b"second")] ^= 1
    sample.write_bytes(data)
    return sample


def test_damage_is_told_with_its_place(run: Run, damaged: Path) -> None:
    result = run("verify", damaged.name)
    assert "1 fault(s)" in one_error(result, 3)
    assert result.stdout.startswith("sample.linr: SEGM at byte ")
    assert "(0.200 s to 0.440 s): " in result.stdout


def test_damage_in_json(run: Run, damaged: Path) -> None:
    result = run("verify", damaged.name, "--json")
    assert result.returncode == 3
    (event,) = events(result.stdout)
    (problem,) = event.pop("problems")
    assert event == {
        "event": "result",
        "command": "verify",
        "path": "sample.linr",
        "ok": False,
        "symbols_checked": True,
    }
    assert (problem["chunk"], problem["start"], problem["end"]) == ("SEGM", 0.2, 0.44)


def test_every_cut_is_found(call: Run, sample: Path, tmp_path: Path) -> None:
    data = sample.read_bytes()
    for length in (0, 1, 9, 20, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.linr").write_bytes(data[:length])
        one_error(call("verify", "cut.linr"), 3)


def test_a_real_file(run: Run, encoded: Path) -> None:
    result = run("verify", encoded / "clip.linr", cwd=encoded)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("clip.linr: sound\n")


def test_a_real_file_with_one_changed_byte(call: Run, encoded: Path, tmp_path: Path) -> None:
    data = bytearray((encoded / "clip.linr").read_bytes())
    for place in range(7, len(data), len(data) // 5):
        changed = bytearray(data)
        changed[place] ^= 0x40
        (tmp_path / "changed.linr").write_bytes(changed)
        assert call("verify", "changed.linr").returncode in (3, 4)
