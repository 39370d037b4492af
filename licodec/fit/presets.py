"""What each preset spends its time on: values of one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Effort of a fit; the file format knows nothing of it."""

    look_ahead: bool
    """Learn first what hangs on each place (`importance`)."""
    denoise: bool
    """Take noise out of what many pictures are predicted from."""
    intra: int
    """Deepest level of the pyramid whose pictures may have intra blocks (-1: none)."""
    sweeps: int
    """Sweeps of the motion search over a picture at full size."""
    rounds: int
    """Searches for each of two fields, given the other."""
    refine: bool
    """Look once more for the vectors of cells over 8 samples, each as a whole."""
    group: int
    """Distance between anchors, in frames."""
    steps: int
    """Training steps of the synthesis network; 0: no network."""
    width: int
    """Channels of the synthesis network."""


PRESETS = {
    "ultrafast": Preset(
        look_ahead=False, denoise=False, intra=1, sweeps=1, rounds=1, refine=False, group=16, steps=0, width=8
    ),
    "fast": Preset(
        look_ahead=True, denoise=True, intra=8, sweeps=2, rounds=2, refine=True, group=16, steps=600, width=8
    ),
    "medium": Preset(
        look_ahead=True, denoise=True, intra=8, sweeps=2, rounds=3, refine=True, group=16, steps=3000, width=8
    ),
    "slow": Preset(
        look_ahead=True, denoise=True, intra=8, sweeps=4, rounds=4, refine=True, group=16, steps=12000, width=32
    ),
    "placebo": Preset(
        look_ahead=True, denoise=True, intra=8, sweeps=4, rounds=4, refine=True, group=16, steps=40000, width=48
    ),
}


@dataclass(frozen=True)
class Quality:
    """The trade between squared error and bits, from a constant rate factor."""

    crf: float
    """0..51, lower is better; six steps double the quantisation step."""

    level_offsets: tuple[float, ...] = (-6.0, -3.0, 0.0, 2.0, 3.5, 4.5, 4.5, 4.5)
    """Added to the CRF for each level of the pyramid: what many others are predicted from is coded finely."""
    worth: float = 0.10
    """lambda / step^2: squared error (8-bit scale) that a bit must save."""

    def step(self, level: int) -> float:
        """Quantisation step of luma at a pyramid level."""
        offset = self.level_offsets[min(level, len(self.level_offsets) - 1)]
        return float(2.0 ** ((self.crf + offset - 4) / 6))

    def bit_worth(self, level: int) -> float:
        """Squared luma error a bit is worth at a level."""
        return self.worth * self.step(level) ** 2

    @property
    def bit_worth_overall(self) -> float:
        """Squared luma error that a bit is worth which no other picture gains by.

        A finer CRF takes away 2.1 to 3.7 times `bit_worth(2)` for each bit (bikes, crop, carphone): it improves what
        is predicted from, too.
        """
        return 3.5 * self.bit_worth(2)
