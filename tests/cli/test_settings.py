"""What the commands make of their options, with stand-ins for the codec."""

from __future__ import annotations

import sys
from fractions import Fraction
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from licodec.cli.main import run
from licodec.container import Limits
from licodec.errors import DamagedFileError, TargetError, UnsupportedError

from .conftest import events

ENCODE = {
    "preset": "medium",
    "crf": None,
    "bitrate": None,
    "target_size": None,
    "target_psnr": None,
    "max_time": None,
    "profile": "default",
    "keyint": 250,
    "group": None,
    "copy_streams": True,
    "device": "auto",
    "threads": None,
    "seed": 0,
    "limits": Limits(),
    "semantics": None,
    "semantics_weight": None,
}
DECODE = {
    "scale": None,
    "size": None,
    "fps": None,
    "at": (),
    "start": None,
    "duration": None,
    "roi": None,
    "device": "auto",
    "threads": None,
    "codec": None,
    "crf": None,
    "copy_streams": True,
    "limits": Limits(),
    "salvage": False,
}
STEP = {"stage": "fit", "segment": 0, "segments": 1, "step": 1, "steps": 2}
UNKNOWN = {"psnr": None, "kbps": None, "elapsed": 1.0, "eta": None}


class Codec:
    """Stands in for `licodec.encoder` and `licodec.decoder`: records the call, tells a step, and succeeds."""

    error: BaseException | None = None
    call: tuple[Any, ...] = ()

    def encode(self, input: str, output: str, settings: Any, **rest: Any) -> Any:
        self._run(input, output, settings, **rest)
        return EncodeReport()

    def decode(self, input: str, output: str | None, settings: Any, **rest: Any) -> Any:
        self._run(input, output, settings, **rest)
        return DecodeReport()

    def _run(self, *arguments: Any, progress: Any, **flags: bool) -> None:
        self.call = (*arguments, flags)
        progress(SimpleNamespace(**STEP, **UNKNOWN))
        if self.error:
            raise self.error


def _report(name: str, **fields: Any) -> Any:
    from dataclasses import field, make_dataclass

    return make_dataclass(name, [(key, Any, field(default=value)) for key, value in fields.items()])


EncodeReport = _report(
    "EncodeReport",
    path="o.linr",
    bytes=1000,
    frames=8,
    duration=0.32,
    bpp=0.3,
    psnr_y=38.0,
    psnr_yuv=39.0,
    seconds=61.0,
    segments=1,
    warnings=("careful",),
    crf=28.0,
    semantics_bytes=0,
    semantics_cosine=None,
    semantics_seconds=0.0,
    embedder_seconds=0.0,
)
DecodeReport = _report(
    "DecodeReport",
    path="o.mp4",
    frames=8,
    width=64,
    height=48,
    seconds=0.5,
    warnings=(),
    problems=(),
    stood_in=0,
)


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> Codec:
    stand_in = Codec()
    for name, contents in (
        ("licodec.encoder", {"encode": stand_in.encode, "EncodeSettings": dict}),
        ("licodec.decoder", {"decode": stand_in.decode, "DecodeSettings": dict}),
    ):
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    return stand_in


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ("", {}),
        ("--preset slow --crf 24", {"preset": "slow", "crf": 24.0}),
        ("--crf 0", {"crf": 0.0}),
        ("--bitrate 800k", {"bitrate": 800e3}),
        ("--target-size 2M", {"target_size": 2_000_000}),
        ("--target psnr=38", {"target_psnr": 38.0}),
        ("--max-time 5m --crf 30", {"max_time": 300.0, "crf": 30.0}),
        ("--profile paper --keyint 64 --group 8", {"profile": "paper", "keyint": 64, "group": 8}),
        ("--no-audio", {"copy_streams": False}),
        ("--semantics hf:/m --semantics-weight 0.01", {"semantics": "hf:/m", "semantics_weight": 0.01}),
        ("--device cuda:1 --threads 2 --seed 7", {"device": "cuda:1", "threads": 2, "seed": 7}),
        ("--limit max_macs=9 --limit max_width=8", {"limits": Limits(max_macs=9, max_width=8)}),
    ],
)
def test_encode_settings(codec: Codec, options: str, changes: dict[str, Any]) -> None:
    assert run(["encode", "i.mp4", "o.linr", *options.split()]) == 0
    assert codec.call == ("i.mp4", "o.linr", ENCODE | changes, {"overwrite": False, "resume": False})


def test_encode_flags(codec: Codec) -> None:
    assert run(["encode", "-", "o.linr", "-y", "--resume"]) == 0
    assert codec.call == ("-", "o.linr", ENCODE, {"overwrite": True, "resume": True})


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ("", {}),
        ("--scale 1.5", {"scale": Fraction(3, 2)}),
        ("--size 1921x1081", {"size": (1921, 1081)}),
        ("--fps 30000/1001", {"fps": Fraction(30000, 1001)}),
        ("--at 1.25 --at 1:30", {"at": (Fraction(5, 4), Fraction(90))}),
        ("--start 0 --duration 90s", {"start": Fraction(0), "duration": Fraction(90)}),
        ("--roi 0,8,16,24", {"roi": (0, 8, 16, 24)}),
        ("--codec ffv1 --crf 18 --no-audio", {"codec": "ffv1", "crf": 18.0, "copy_streams": False}),
        ("--limit max_width=9", {"limits": Limits(max_width=9)}),
        ("--salvage", {"salvage": True}),
        ("--device cpu --threads 1", {"device": "cpu", "threads": 1}),
    ],
)
def test_decode_settings(codec: Codec, options: str, changes: dict[str, Any]) -> None:
    assert run(["decode", "i.linr", *options.split()]) == 0
    assert codec.call == ("i.linr", None, DECODE | changes, {"overwrite": False})


@pytest.mark.parametrize("output", ("-", "null:", "frames/%05d.png"))
def test_outputs_are_passed_on_as_they_are(codec: Codec, output: str) -> None:
    assert run(["decode", "i.linr", output, "-y"]) == 0
    assert codec.call == ("i.linr", output, DECODE, {"overwrite": True})


def test_text_goes_to_standard_error(codec: Codec, capsys: pytest.CaptureFixture[str]) -> None:
    run(["encode", "i.mp4", "o.linr"])
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.splitlines() == [
        "licodec: fit  step 1/2  0:01",
        "licodec: warning: careful",
        "o.linr: 8 frames in 1 segment(s), 1,000 bytes, 0.3000 bpp, 25.0 kb/s, "
        "PSNR Y 38.00 YUV 39.00 dB at crf 28, in 1:01",
    ]


@pytest.mark.parametrize("arguments", (["encode", "i.mp4", "o.linr"], ["decode", "i.linr"]))
def test_quiet(codec: Codec, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run([*arguments, "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_json_of_an_encode(codec: Codec, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["encode", "i.mp4", "o.linr", "--json"]) == 0
    out, errors = capsys.readouterr()
    assert errors == ""
    assert events(out) == [
        {"event": "progress", **STEP, **UNKNOWN},
        {"event": "warning", "message": "careful"},
        {
            "event": "result",
            "command": "encode",
            "path": "o.linr",
            "bytes": 1000,
            "frames": 8,
            "duration": 0.32,
            "bpp": 0.3,
            "psnr_y": 38.0,
            "psnr_yuv": 39.0,
            "seconds": 61.0,
            "segments": 1,
            "warnings": ["careful"],
            "crf": 28.0,
            "semantics_bytes": 0,
            "semantics_cosine": None,
            "semantics_seconds": 0.0,
            "embedder_seconds": 0.0,
            "kbps": 25.0,
        },
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DamagedFileError("i.linr: cut short"), 3),
        (UnsupportedError("i.linr: too new"), 4),
        (TargetError("9 kB cannot be reached"), 6),
        (KeyboardInterrupt(), 130),
        (RuntimeError("shape mismatch\nover many lines"), 1),
    ],
)
def test_errors(codec: Codec, capsys: pytest.CaptureFixture[str], error: BaseException, status: int) -> None:
    codec.error = error
    assert run(["decode", "i.linr", "--json"]) == status
    out, errors = capsys.readouterr()
    last = events(out)[-1]
    assert (last["event"], last["exit_status"]) == ("error", status)
    assert errors == f"licodec: error: {last['message']}\n"
