"""The model's shape, a frozen dataclass that is itself stored in the file (chunk CONF)."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from licodec.container import ByteReader, ByteWriter

PROFILE_DEFAULT = 1
PROFILE_PAPER = 2

_MOST = {"latent_dim": 256, "width": 256, "hyper_width": 256, "rank": 16}


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the default profile's networks."""

    latent_dim: int = 8
    """Components of a frame's latent z_t."""
    width: int = 16
    """Channels of the synthesis network's hidden layers."""
    hyper_width: int = 8
    """Hidden units of each layer's hypernetwork."""
    rank: int = 1
    """Rank r of the modulation P Q."""

    def to_bytes(self) -> bytes:
        """CONF payload: profile number, then the fields as varints in order."""
        writer = ByteWriter()
        writer.u8(PROFILE_DEFAULT)
        for value in astuple(self):
            writer.varint(value)
        return writer.to_bytes()

    @staticmethod
    def from_reader(reader: ByteReader) -> ModelConfig:
        """Read what follows the profile number; raises DamagedFileError or LimitError."""
        values = {}
        for f in fields(ModelConfig):
            value = reader.varint()
            if not 1 <= value <= _MOST[f.name]:
                raise reader.damaged(f"{f.name} is {value}, outside 1..{_MOST[f.name]}")
            values[f.name] = value
        reader.end()
        return ModelConfig(**values)


def profile_name(conf: bytes) -> str:
    """`default`, `paper` or the number."""
    return {PROFILE_DEFAULT: "default", PROFILE_PAPER: "paper"}.get(conf[0], str(conf[0])) if conf else "none"
