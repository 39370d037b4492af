"""Strict little-endian parsing and writing of small byte strings, for every layer that has a syntax."""

from __future__ import annotations

from licodec.errors import DamagedFileError

VARINT_MAX = 2**63 - 1
"""Largest value of a varint: nine bytes, and it fits a signed 64-bit integer everywhere."""
SIGNED_MIN, SIGNED_MAX = -(2**62), 2**62 - 1
"""Range of a signed varint (zigzag: 0, -1, 1, -2, ... are written as 0, 1, 2, 3, ...)."""


class ByteReader:
    """Reads fields front to back. Whatever does not parse raises DamagedFileError beginning with `where`."""

    def __init__(self, data: bytes | bytearray | memoryview, where: str = "") -> None:
        self._data = memoryview(data)
        self._where = where
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self.position

    def damaged(self, what: str) -> DamagedFileError:
        """The error to raise for a field that was read and makes no sense."""
        return DamagedFileError(f"{self._where}: {what}" if self._where else what)

    def raw(self, count: int) -> bytes:
        """The next `count` bytes."""
        # `count` often comes from the file: compare before slicing, which would silently return less.
        if not 0 <= count <= self.remaining:
            raise self.damaged(f"cut short: needs {count} bytes at byte {self.position}, has {self.remaining}")
        start = self.position
        self.position += count
        return bytes(self._data[start : self.position])

    def u8(self) -> int:
        return self.raw(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.raw(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.raw(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.raw(8), "little")

    def varint(self) -> int:
        """An unsigned LEB128 integer of at most nine bytes, refused when it is not the shortest form."""
        # Nearly all are one byte, and a time table may have millions.
        if self.position < len(self._data) and (value := self._data[self.position]) < 0x80:
            self.position += 1
            return value
        value = shift = 0
        while shift < 63:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise self.damaged(f"varint with a needless last byte at byte {self.position - 1}")
                return value
            shift += 7
        raise self.damaged(f"varint longer than nine bytes at byte {self.position - 9}")

    def signed(self) -> int:
        """A zigzag varint."""
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def end(self) -> None:
        """Raise unless everything has been read."""
        if self.remaining:
            raise self.damaged(f"{self.remaining} bytes too many after byte {self.position}")


class ByteWriter:
    """Collects fields. A value outside the range of its field raises ValueError."""

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def to_bytes(self) -> bytes:
        """Everything written so far."""
        return bytes(self._data)

    def raw(self, data: bytes | bytearray | memoryview) -> None:
        self._data += data

    def u8(self, value: int) -> None:
        self._fixed(value, 1)

    def u16(self, value: int) -> None:
        self._fixed(value, 2)

    def u32(self, value: int) -> None:
        self._fixed(value, 4)

    def u64(self, value: int) -> None:
        self._fixed(value, 8)

    def _fixed(self, value: int, size: int) -> None:
        if not 0 <= value < 1 << 8 * size:
            raise ValueError(f"{value} does not fit an unsigned field of {8 * size} bits")
        self._data += value.to_bytes(size, "little")

    def varint(self, value: int) -> None:
        """An unsigned LEB128 integer, shortest form."""
        if not 0 <= value <= VARINT_MAX:
            raise ValueError(f"{value} does not fit a varint (0 to 2**63 - 1)")
        while value >= 0x80:
            self._data.append(value & 0x7F | 0x80)
            value >>= 7
        self._data.append(value)

    def signed(self, value: int) -> None:
        """A zigzag varint."""
        if not SIGNED_MIN <= value <= SIGNED_MAX:
            raise ValueError(f"{value} does not fit a signed varint (-2**62 to 2**62 - 1)")
        self.varint(value << 1 if value >= 0 else ~(value << 1))
