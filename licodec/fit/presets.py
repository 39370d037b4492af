"""What each preset spends its time on: values of one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass, replace

from licodec.model.pyramid import Picture


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
    steps: int
    """Training steps of the synthesis network; 0: no network."""
    width: int
    """Channels of the synthesis network."""
    worths: tuple[float, ...] = ()
    """Factors of lambda that motion is searched with, to choose from by what it costs to code (`choice`); none: it is
    searched once, and that is it."""
    simpler: bool = False
    """Choose from what is simpler, too."""
    leaves: bool = False
    """Choose for leaves of the pyramid, too."""
    group: int | None = None
    """Distance between anchors, in frames; None: by the length of a segment."""

    def chooses(self, picture: Picture) -> bool:
        """Whether motion is chosen for a picture, instead of taken as it is found."""
        return bool(self.worths and picture.refs) and (self.leaves or not picture.leaf)


_FAST = Preset(
    look_ahead=True,
    denoise=True,
    intra=8,
    sweeps=2,
    rounds=2,
    refine=True,
    steps=600,
    width=8,
    worths=(0.6, 1.7),
)
_SLOW = replace(_FAST, sweeps=4, rounds=4, worths=(1.0, 0.35, 0.6, 1.5, 2.5), simpler=True, leaves=True)
PRESETS = {
    "ultrafast": Preset(look_ahead=False, denoise=False, intra=1, sweeps=1, rounds=1, refine=False, steps=0, width=8),
    "fast": _FAST,
    "medium": replace(_FAST, steps=3000, worths=(1.0, 0.5, 2.0), simpler=True, leaves=True),
    "slow": replace(_SLOW, steps=12000, width=32),
    "placebo": replace(_SLOW, steps=40000, width=48),
}


_MIDDLES = (5.0, 4.0, 2.5, 0.5, -1.5, -3.5)
"""Added to the CRF for pictures between two others that are 1, 2, 4 .. 32 frames away: what many others are predicted
from is coded finely."""
_HANGS_ON_MIDDLES = (0.0, 1.0, 1.8, 2.6, 3.4, 3.7)
"""log2 of the importance that they have on average; anchors and first pictures have more."""


@dataclass(frozen=True)
class Quality:
    """The trade between squared error and bits, from a constant rate factor."""

    crf: float
    """0..51, lower is better; six steps double the quantisation step."""
    distance: int = 16
    """Frames between anchors."""
    worth: float = 0.10
    """lambda / step^2: squared error (8-bit scale) that a bit must save."""

    def offset(self, level: int) -> float:
        """Added to the CRF at a pyramid level, where what hangs on its pictures is as `hangs_on` says."""
        if level == 0:
            return -4.8 - 0.5 * self._depth
        return 1.7 - 1.5 * self._depth if level == 1 else _MIDDLES[self._height(level)]

    def hangs_on(self, level: int) -> float:
        """log2 of the usual importance of a level's pictures."""
        if level == 0:
            return 4.1
        return 3.7 if level == 1 else _HANGS_ON_MIDDLES[self._height(level)]

    @property
    def _depth(self) -> int:
        """Levels of pictures between two anchors."""
        return (self.distance - 1).bit_length()

    def _height(self, level: int) -> int:
        """log2 of how far away the references of a level are that lies between two anchors."""
        return max(0, self._depth + 1 - level)

    @property
    def plain_step(self) -> float:
        """Quantisation step of luma that the CRF itself stands for."""
        return float(2.0 ** ((self.crf - 4) / 6))

    def step(self, level: int) -> float:
        """Quantisation step of luma at a pyramid level."""
        return float(self.plain_step * 2.0 ** (self.offset(level) / 6))

    def bit_worth(self, level: int) -> float:
        """Squared luma error a bit is worth at a level."""
        return self.worth * self.step(level) ** 2

    @property
    def bit_worth_overall(self) -> float:
        """Squared luma error that a bit is worth which no other picture gains by.

        A finer CRF takes away 2.1 to 3.7 times `worth` of the squared plain step for each bit (bikes,
        crop, carphone): it improves what is predicted from, too.
        """
        return 3.5 * self.worth * self.plain_step**2
