"""What made a vector: vectors of different origin are never compared."""

from __future__ import annotations

from dataclasses import dataclass

from licodec.container import ByteReader, ByteWriter

PROVIDER_BYTES_MAX, TEXT_BYTES_MAX = 64, 1024
DIMENSION_MAX = 8192
DIGEST_BYTES = 32


@dataclass(frozen=True)
class Fingerprint:
    """Everything that decides what an embedder makes of a picture. Two are the same model if all of it is equal."""

    provider: str
    """Kind of embedder: builtin, open_clip, hf, onnx."""
    architecture: str
    """Name of the model, as its own configuration has it."""
    weights: str
    """SHA-256 of the weights, 64 hexadecimal digits."""
    preprocessing: str
    """Size, crop, interpolation, mean and deviation of the pictures, as text."""
    dimension: int
    """Components of a vector."""

    def __post_init__(self) -> None:
        """Raises ValueError for what the file format cannot hold."""
        for name, most in (
            ("provider", PROVIDER_BYTES_MAX),
            ("architecture", TEXT_BYTES_MAX),
            ("preprocessing", TEXT_BYTES_MAX),
        ):
            if not 1 <= len(getattr(self, name).encode()) <= most:
                raise ValueError(
                    f"the fingerprint's {name} has {len(getattr(self, name).encode())} bytes, not 1..{most}"
                )
        if len(self.weights) != 2 * DIGEST_BYTES or self.weights != bytes.fromhex(self.weights).hex():
            raise ValueError(f"{self.weights!r} is no SHA-256 in lower-case hexadecimal digits")
        if not 1 <= self.dimension <= DIMENSION_MAX:
            raise ValueError(f"dimension {self.dimension} is outside 1..{DIMENSION_MAX}")

    def __str__(self) -> str:
        return f"{self.provider} {self.architecture}, {self.dimension} dimensions, weights {self.weights[:12]}"

    def write(self, out: ByteWriter) -> None:
        """The fields of the chunk, in its order."""
        _write_text(out, self.provider)
        _write_text(out, self.architecture)
        out.raw(bytes.fromhex(self.weights))
        _write_text(out, self.preprocessing)
        out.varint(self.dimension)

    @staticmethod
    def read(data: ByteReader) -> Fingerprint:
        """The fields that come next; raises DamagedFileError."""
        provider = _read_text(data, PROVIDER_BYTES_MAX)
        architecture = _read_text(data, TEXT_BYTES_MAX)
        weights = data.raw(DIGEST_BYTES).hex()
        preprocessing = _read_text(data, TEXT_BYTES_MAX)
        dimension = data.varint()
        if not 1 <= dimension <= DIMENSION_MAX:
            raise data.damaged(f"vectors of {dimension} components, outside 1..{DIMENSION_MAX}")
        return Fingerprint(provider, architecture, weights, preprocessing, dimension)


def _write_text(out: ByteWriter, text: str) -> None:
    encoded = text.encode()
    out.varint(len(encoded))
    out.raw(encoded)


def _read_text(data: ByteReader, most: int) -> str:
    size = data.varint()
    if not 1 <= size <= most:
        raise data.damaged(f"a text of {size} bytes, outside 1..{most}")
    try:
        return data.raw(size).decode()
    except UnicodeDecodeError:
        raise data.damaged("a text that is not UTF-8") from None
