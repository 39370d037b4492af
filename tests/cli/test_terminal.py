"""Nothing that a file or a name says may steer a terminal: control characters are escaped wherever text is shown."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from video.clips import write_av_sound

from licodec.container import LinrReader, LinrWriter
from licodec.video.streams import copy_other_streams

from .conftest import Run

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202ereversed\u2028\x00"
"""Sets the title, clears the screen, colours, goes back, turns the writing round, ends the line."""


def assert_harmless(text: str) -> None:
    for character in text:
        assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"), repr(text)


@pytest.fixture
def evil(encoded: Path, tmp_path: Path) -> Path:
    """A file whose settings, stream titles, languages and own name are all of that kind; and a damaged copy."""
    import av

    name = f"a{EVIL.replace(chr(0), '')}.linr"
    plain = tmp_path / "plain.mkv"
    write_av_sound(plain, frames=4)
    titled = tmp_path / "titled.mkv"
    with av.open(plain) as source, av.open(titled, "w") as target:
        pairs = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for stream in pairs.values():
            stream.metadata.update(title=EVIL.replace("\0", ""), language="\x1b[2")
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = pairs[packet.stream.index]
                target.mux(packet)
    path = tmp_path / name
    with LinrReader(encoded / "clip.linr") as reader, LinrWriter(path, reader.info, reader.conf) as writer:
        writer.add_segment(reader.read_segment(0), list(reader.pts), list(reader.durations))
        writer.add_ancillary("encS", EVIL.encode())
        writer.add_ancillary("auxS", copy_other_streams(titled) or b"")
        writer.finish()
    return path


def test_every_command(call: Run, evil: Path, tmp_path: Path) -> None:
    damaged = tmp_path / f"damaged{evil.name}"
    data = bytearray(evil.read_bytes())
    data[-60] ^= 1
    damaged.write_bytes(data)
    runs = [
        call("info", evil.name, "--chunks"),
        call("info", evil.name, "--json"),
        call("verify", evil.name),
        call("verify", damaged.name),
        call("verify", damaged.name, "--json"),
        call("info", damaged.name),
        call("decode", evil.name, f"{evil.name}.mp4"),
        call("decode", evil.name, "null:", "--json"),
        call("decode", damaged.name, "null:", "--salvage"),
        call("decode", f"none{evil.name}"),
        call("compare", evil.name, evil.name),
        call("encode", evil.name, f"{evil.name}.linr"),
        call("encode", "plain.mkv", f"{EVIL[:-1]}/out.linr"),
    ]
    assert {r.returncode for r in runs[:3]} == {0}
    assert runs[3].returncode == 3
    for result in runs:
        assert_harmless(result.stdout + result.stderr)
    assert "\\x1b]0;owned\\x07" in runs[0].stdout


def test_nothing_else_is_made(call: Run, evil: Path, tmp_path: Path) -> None:
    """Looking into a file writes nothing and fetches nothing: every other descriptor would show up here."""
    before = sorted(tmp_path.iterdir())
    for command in ("info", "verify"):
        call(command, evil.name)
    assert sorted(tmp_path.iterdir()) == before
