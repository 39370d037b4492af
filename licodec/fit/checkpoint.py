"""What an interrupted encode leaves behind, so that it can be resumed: a directory of safetensors files.

Finished segments are kept whole. A segment in work is kept as the payload of the groups coded so far: that is
itself a valid segment, so the decoder's own parser restores it. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from licodec.errors import UsageError
from licodec.files import sync_directory

_SUFFIX = ".resume"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class FinishedSegment:
    """A segment's payload and what is known about it."""

    payload: bytes
    pts: tuple[int, ...]
    durations: tuple[int, ...]
    squared_error: npt.NDArray[np.float64]
    """[frames, planes] mean squared error of each plane, for a peak of 255."""
    vectors: npt.NDArray[np.float32] | None = None
    """[knots, dimension] an embedder's vectors of its decoded frames (`licodec.semantics`), if they are wanted."""


def fingerprint(input_: str | Path, description: str) -> str:
    """SHA-256 over the input's bytes and the settings; a directory or pattern counts by its files."""
    digest = hashlib.sha256(description.encode())
    path = Path(input_)
    files = [path] if path.is_file() else sorted((path if path.is_dir() else path.parent).glob("*.png"))
    for file in files:
        digest.update(file.name.encode() if path.is_dir() else b"")
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


class Checkpoint:
    """The directory `<output>.resume` beside an output. Every file in it appears whole or not at all."""

    def __init__(self, output: Path, identity: str, *, resume: bool) -> None:
        """Start afresh, or with `resume` go on; raises UsageError if it belongs to another input or settings."""
        self._directory = output.with_name(output.name + _SUFFIX)
        self._identity = identity
        self.exists = False
        if resume and self._directory.is_dir():
            found = self._read("job")
            if found is None or found[1].get("identity") != identity:
                raise UsageError(
                    f"{self._directory}: left by an encode of another input or with other settings; "
                    "use the same ones, or encode without --resume"
                )
            self.exists = True
            return
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self, crf: float) -> None:
        """Begin writing; `crf` is the rate factor in use, which a search may have found at some cost."""
        self.remove()
        self._directory.mkdir(parents=True)
        self._write("job", {}, {"crf": repr(crf)})
        self.exists = True

    @property
    def crf(self) -> float | None:
        """Rate factor of the encode that was interrupted."""
        found = self._read("job") if self.exists else None
        return float(found[1]["crf"]) if found else None

    def save_segment(self, index: int, segment: FinishedSegment) -> None:
        """Keep a finished segment and forget the partial one."""
        tensors: dict[str, npt.NDArray] = {
            "payload": np.frombuffer(segment.payload, np.uint8),
            "pts": np.array(segment.pts, np.int64),
            "durations": np.array(segment.durations, np.int64),
            "squared_error": segment.squared_error,
        }
        if segment.vectors is not None:
            tensors["vectors"] = segment.vectors
        self._write(f"segment-{index:05d}", tensors, {})
        (self._directory / "partial.safetensors").unlink(missing_ok=True)

    def load_segment(self, index: int, pts: Sequence[int]) -> FinishedSegment | None:
        """A segment kept earlier, if it covers just these frames."""
        found = self._read(f"segment-{index:05d}")
        if found is None:
            return None
        tensors = found[0]
        segment = FinishedSegment(
            tensors["payload"].tobytes(),
            tuple(tensors["pts"].tolist()),
            tuple(tensors["durations"].tolist()),
            tensors["squared_error"],
            tensors.get("vectors"),
        )
        return segment if segment.pts == tuple(pts) else None

    def save_partial(self, index: int, payload: bytes) -> None:
        """Keep the groups coded so far of segment `index`."""
        self._write("partial", {"payload": np.frombuffer(payload, np.uint8)}, {"segment": str(index)})

    def load_partial(self, index: int) -> bytes | None:
        """What `save_partial` kept of this segment."""
        found = self._read("partial")
        if found is None or found[1].get("segment") != str(index):
            return None
        return found[0]["payload"].tobytes()

    def remove(self) -> None:
        """The encode is complete: nothing is left to resume."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _write(self, name: str, tensors: dict[str, npt.NDArray], metadata: dict[str, str]) -> None:
        metadata = {"identity": self._identity, **metadata}
        data = save(tensors, metadata | {"digest": _digest(tensors, metadata)})
        target = self._directory / f"{name}.safetensors"
        temporary = target.with_suffix(".part")
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
        sync_directory(self._directory)

    def _read(self, name: str) -> tuple[dict[str, npt.NDArray], dict[str, str]] | None:
        path = self._directory / f"{name}.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as stream:
                tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
                metadata = dict(stream.metadata() or {})
        except (SafetensorError, OSError):
            return None
        # Hours may lie between writing and reading, and a payload is not decoded again.
        return (tensors, metadata) if metadata.pop("digest", None) == _digest(tensors, metadata) else None


def _digest(tensors: dict[str, npt.NDArray], metadata: dict[str, str]) -> str:
    """SHA-256 of everything in a file."""
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    return digest.hexdigest()
