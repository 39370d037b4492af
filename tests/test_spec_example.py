"""bitstream_spec.md against the code: its worked example is a real file, and its tables are the ones in use."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from golden import make_example as example

from licodec.container import LinrReader, verify
from licodec.entropy import kernels, residual_kernels
from licodec.entropy.reference import grids
from licodec.entropy.segment import SegmentReader
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry

TEXT = example.SPEC.read_text()


def part(name: str) -> str:
    """A part of the text that the script writes."""
    (found,) = example.block(name).finditer(TEXT)
    return found[2]


def test_hex_is_the_file() -> None:
    lines = re.findall(r"^([0-9a-f]{4})  ((?:[0-9A-F]{2} )*[0-9A-F]{2})(?:  |$)", part("example"), re.MULTILINE)
    data = b""
    for offset, shown in lines:
        assert int(offset, 16) == len(data)
        data += bytes.fromhex(shown)
    assert data == example.EXAMPLE.read_bytes()


def test_the_file_is_what_the_text_says() -> None:
    assert verify(example.EXAMPLE) == []
    with LinrReader(example.EXAMPLE) as reader:
        assert reader.info == example.INFO
        assert reader.conf == example.CONFIG.to_bytes()
        assert (list(reader.pts), list(reader.durations)) == ([0, 1], [1, 1])
        payload = reader.read_segment(0)
    segment = SegmentReader(payload, Geometry.of(example.INFO), ModelConfig(), example.FRAMES)
    for _ in segment.batches():
        pass
    listing = "\n".join(example.listing(segment.symbols))
    assert listing in part("example"), "the fast decoder finds other symbols"
    assert "reference 0, depth 3, node (0, 0):" in listing, "the spot moves"


@pytest.mark.parametrize("name", ["example", "models", "networks", "priors", "tables"])
def test_text_is_up_to_date(name: str) -> None:
    """If not: python tests/golden/make_example.py --update-spec."""
    assert part(name) == example.generated(example.EXAMPLE.read_bytes())[name]


def test_trace_digest() -> None:
    text = part("example")
    lines = re.findall(r"```text\n(.*?)\n```", text, re.DOTALL)[2]
    assert f"`{hashlib.sha256(lines.encode()).hexdigest()}`" in text


def test_bins_and_classes() -> None:
    bins = [int(v) for v in re.findall(r"does not exceed v:\n\n    ([0-9, ]+)\n", TEXT)[0].split(", ")]
    assert tuple(bins) == grids.NEAR
    assert [np.flatnonzero(i == kernels.BIN)[0] for i in range(kernels.BINS)] == bins
    for name, values in (("first extent", residual_kernels.CLASS_START), ("extra bits", residual_kernels.CLASS_EXTRA)):
        assert f"| {name} | {' | '.join(map(str, values))} |" in TEXT
