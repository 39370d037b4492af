"""The file format: bytes to chunks and back. Knows nothing of what a segment holds."""

from licodec.container.bytesio import ByteReader, ByteWriter
from licodec.container.chunks import (
    AUDIO_SUBTITLES,
    ENCODER_SETTINGS,
    FORMAT_VERSION,
    MAGIC,
    MIN_READER_VERSION,
    SEMANTIC_LATENTS,
)
from licodec.container.header import encode_head
from licodec.container.index import SegmentEntry, inflate
from licodec.container.limits import DEFAULT_LIMITS, Limits
from licodec.container.problems import Problem, printable
from licodec.container.reader import LinrReader, verify
from licodec.container.scan import ChunkInfo, scan
from licodec.container.writer import LinrWriter

__all__ = [
    "AUDIO_SUBTITLES",
    "DEFAULT_LIMITS",
    "ENCODER_SETTINGS",
    "FORMAT_VERSION",
    "MAGIC",
    "MIN_READER_VERSION",
    "SEMANTIC_LATENTS",
    "ByteReader",
    "ByteWriter",
    "ChunkInfo",
    "Limits",
    "LinrReader",
    "LinrWriter",
    "Problem",
    "SegmentEntry",
    "encode_head",
    "inflate",
    "printable",
    "scan",
    "verify",
]
