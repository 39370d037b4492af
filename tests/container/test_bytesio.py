import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.container.bytesio import SIGNED_MAX, SIGNED_MIN, VARINT_MAX, ByteReader, ByteWriter
from licodec.errors import DamagedFileError

from . import rebuild


@given(st.integers(0, VARINT_MAX), st.integers(SIGNED_MIN, SIGNED_MAX))
def test_varints_round_trip_and_agree_with_the_slow_twin(unsigned: int, signed: int) -> None:
    out = ByteWriter()
    out.varint(unsigned)
    out.signed(signed)
    assert out.to_bytes() == rebuild.varint(unsigned) + rebuild.zigzag(signed)
    data = ByteReader(out.to_bytes())
    assert (data.varint(), data.signed()) == (unsigned, signed)
    data.end()


def test_fixed_fields_are_little_endian() -> None:
    out = ByteWriter()
    out.u8(0x01)
    out.u16(0x0302)
    out.u32(0x07060504)
    out.u64(0x0F0E0D0C0B0A0908)
    assert out.to_bytes() == bytes(range(1, 16))
    data = ByteReader(out.to_bytes())
    assert (data.u8(), data.u16(), data.u32(), data.u64()) == (1, 0x0302, 0x07060504, 0x0F0E0D0C0B0A0908)
    assert data.remaining == 0


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("u8", 256), ("u8", -1), ("u16", 2**16), ("u32", 2**32), ("u64", 2**64),
        ("varint", -1), ("varint", 2**63), ("signed", 2**62), ("signed", -(2**62) - 1),
    ],
)  # fmt: skip
def test_values_out_of_range_are_not_written(method: str, value: int) -> None:
    out = ByteWriter()
    with pytest.raises(ValueError, match="does not fit"):
        getattr(out, method)(value)
    assert len(out) == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (b"\x80", "cut short"),
        (b"\x80\x00", "needless"),
        (b"\xff\x80\x00", "needless"),
        (b"\xff" * 9 + b"\x01", "longer than nine bytes"),
    ],
)
def test_bad_varints(data: bytes, message: str) -> None:
    with pytest.raises(DamagedFileError, match=f"^segment 3: .*{message}"):
        ByteReader(data, "segment 3").varint()


@pytest.mark.parametrize("count", [4, 2**62, -1])
def test_raw_never_returns_fewer_bytes_than_asked_for(count: int) -> None:
    with pytest.raises(DamagedFileError, match="cut short"):
        ByteReader(b"abc").raw(count)


def test_bytes_left_over_are_refused() -> None:
    data = ByteReader(b"abc")
    assert data.raw(1) == b"a"
    with pytest.raises(DamagedFileError, match="2 bytes too many after byte 1"):
        data.end()
