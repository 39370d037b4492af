"""How much a file may ask for before the reader refuses it."""

from __future__ import annotations

from dataclasses import dataclass

from licodec.errors import LimitError


@dataclass(frozen=True)
class Limits:
    """Checked in plain integers before anything of that size is allocated, on reading and on writing.

    The writer applies them too, so that it never makes a file which its own reader refuses by default.
    """

    max_width: int = 16384
    """Luma samples a row."""
    max_height: int = 16384
    """Luma rows."""
    max_pixels: int = 2**27
    """Luma samples a frame (16384x8192)."""
    max_frames: int = 2**22
    """Frames of the whole file (19 hours at 60 a second); each costs 16 bytes once the file is open."""
    max_chunks: int = 2**17
    """Chunks between CONF and INDX: segments (at five seconds each, a week) and ancillary ones."""
    max_chunk_bytes: int = 2**30
    """Payload of a chunk that is held in memory as a whole (`copy_ancillary` is not bound by it)."""
    max_conf_bytes: int = 2**16
    """Payload of CONF."""
    max_inflated_bytes: int = 2**23
    """What a zstandard frame may inflate to; for the index, 13 hours of wholly irregular timestamps."""
    max_parameters: int = 2**24
    """Parameters of a segment's networks and latents."""
    max_segment_bytes: int = 2**35
    """Memory to decode a segment: its symbols and motion, the pictures of a group, a batch in work. 4K takes 5 GiB."""
    max_macs: int = 2**54
    """Multiply-accumulates to render all frames at native size; two hours of 4K at 60 a second take 2**53."""
    max_latent_values: int = 2**24
    """Numbers of a chunk of semantic latents: 19 hours with five latents of 48 components a second."""

    def check(self, limit: str, value: int, where: str = "") -> None:
        """Raise LimitError, beginning with `where`, if `value` is above the limit of that name."""
        allowed: int = getattr(self, limit)
        if value > allowed:
            place = f"{where}: " if where else ""
            raise LimitError(
                f"{place}needs {limit} of {value}, but the limit is {allowed}; "
                f"raise it with --limit {limit}={value} (in Python: Limits({limit}={value}))"
            )


DEFAULT_LIMITS = Limits()
