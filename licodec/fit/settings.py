"""What a user asks of an encode, and what the encoder tells while it works."""

from __future__ import annotations

from dataclasses import dataclass, fields

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.errors import UsageError
from licodec.fit.presets import PRESETS

PROFILES = ("default", "paper")
CRF_RANGE = (0.0, 51.0)
DEFAULT_CRF = 28.0


@dataclass(frozen=True)
class EncodeSettings:
    """Options of an encode; of crf, bitrate, target_size and target_psnr at most one is given."""

    preset: str = "medium"
    """ultrafast, fast, medium, slow or placebo: how long to look for a better file."""
    crf: float | None = None
    """Constant rate factor 0..51, lower is better; six more double the quantisation step. Default 28."""
    bitrate: float | None = None
    """Bits a second of video, the whole file counted."""
    target_size: int | None = None
    """Bytes of the whole file, not to be exceeded."""
    target_psnr: float | None = None
    """Mean luma PSNR in dB."""
    max_time: float | None = None
    """Seconds the encode may take."""
    profile: str = "default"
    """default (with motion) or paper (Latent-INR as published)."""
    keyint: int = 250
    """Longest segment in frames."""
    group: int | None = None
    """Frames between anchors; None: the preset's."""
    copy_streams: bool = True
    """Keep audio and subtitle streams."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:n: where networks are trained."""
    threads: int | None = None
    """CPU threads; None: all cores."""
    seed: int = 0
    """Of every random choice."""
    limits: Limits = DEFAULT_LIMITS
    """Refuse to make a file that a reader with these limits refuses."""
    semantics: str | None = None
    """Embedder whose vectors the file shall hold, as `licodec.semantics.open_embedder` takes it; None: none."""
    semantics_weight: float | None = None
    """lambda of the cosine loss: what 1 - cos is worth in squared error (peak 1); None: 0.002."""

    def check(self) -> None:
        """Raise UsageError for values that make no sense."""
        if self.preset not in PRESETS:
            raise UsageError(f"preset {self.preset!r} is not one of {', '.join(PRESETS)}")
        if self.profile not in PROFILES:
            raise UsageError(f"profile {self.profile!r} is not one of {', '.join(PROFILES)}")
        targets = [t for t in (self.crf, self.bitrate, self.target_size, self.target_psnr) if t is not None]
        if len(targets) > 1:
            raise UsageError("give one of crf, bitrate, target size and target PSNR")
        if self.crf is not None and not CRF_RANGE[0] <= self.crf <= CRF_RANGE[1]:
            raise UsageError(f"crf {self.crf:g} is outside {CRF_RANGE[0]:g}..{CRF_RANGE[1]:g}")
        for name in ("bitrate", "target_size", "target_psnr", "max_time", "keyint", "group", "threads"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 2**53:
                raise UsageError(f"{name} is {value}, but must be positive")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed is {self.seed}, outside 0..2^63 - 1")
        if self.group is not None and self.group > 64:
            raise UsageError(f"group is {self.group}, but at most 64 frames may lie between anchors")

    def describe(self) -> str:
        """The preset and the options that are not the defaults, in one line; of an embedder the kind, not where it
        lies."""
        values = {f.name: (getattr(self, f.name), f.default) for f in fields(self) if f.name != "limits"}
        options = {name: value for name, (value, default) in values.items() if name == "preset" or value != default}
        if self.semantics:
            options["semantics"] = self.semantics.partition(":")[0]
        return " ".join(f"{name}={value}" for name, value in options.items())


@dataclass(frozen=True)
class Progress:
    """One step forward."""

    stage: str
    """search (for a target), code, train, check or write."""
    segment: int
    """Segment in work, from 0."""
    segments: int | None
    """How many there will be; None while that is unknown."""
    step: int
    steps: int
    """Step of the stage out of how many."""
    psnr: float | None
    """Luma PSNR so far, in dB."""
    kbps: float | None
    """Bits so far, in kb/s of video."""
    elapsed: float
    """Seconds since the start."""
    eta: float | None
    """Seconds until the end, if it can be told."""
