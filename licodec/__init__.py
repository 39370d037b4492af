"""licodec: video files that are functions of place and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from licodec.api import Frame, FrameBatch, Video, VideoMetadata, open
    from licodec.decoder import DecodeReport, DecodeSettings, decode
    from licodec.encoder import EncodeReport, EncodeSettings, Progress, encode

__all__ = [
    "DecodeReport", "DecodeSettings", "EncodeReport", "EncodeSettings", "Frame", "FrameBatch", "Progress", "Video",
    "VideoMetadata", "decode", "encode", "open",
]  # fmt: skip

_HOME = {
    **dict.fromkeys(("Frame", "FrameBatch", "Video", "VideoMetadata", "open"), "licodec.api"),
    **dict.fromkeys(("DecodeReport", "DecodeSettings", "decode"), "licodec.decoder"),
    **dict.fromkeys(("EncodeReport", "EncodeSettings", "Progress", "encode"), "licodec.encoder"),
}


def __getattr__(name: str) -> Any:
    """Import the interface on first use: `import licodec` and `licodec --help` do not load PyTorch."""
    if name not in _HOME:
        raise AttributeError(f"module 'licodec' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
