"""Which frame is predicted from which: a chain of anchors with hierarchical pictures between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A frame's place in the pyramid of its segment."""

    frame: int
    """Index in the segment, in time order."""
    level: int
    """0: coded alone; 1: anchor, from earlier anchors; 2 and up: between two coded frames."""
    refs: tuple[int, ...]
    """Frames it is predicted from: none, or (nearest earlier anchor, one before it or itself) or (past, future)."""

    @property
    def leaf(self) -> bool:
        """Whether it lies between its neighbours, and no other is predicted from it."""
        return self.refs == (self.frame - 1, self.frame + 1)


def pyramid(groups: Sequence[int], most: int | None = None) -> list[list[Picture]]:
    """Batches of pictures in coding order; a batch needs only earlier batches.

    groups: the distances between anchors; a segment of n frames has groups that sum to n - 1.
    most: pictures a batch; a level of a group with more makes several batches.
    """
    batches = [[Picture(0, 0, ())]]
    anchors = [0]
    for distance in groups:
        anchor = anchors[-1] + distance
        batches.append([Picture(anchor, 1, (anchors[-1], anchors[-2] if len(anchors) > 1 else anchors[-1]))])
        spans = [(anchors[-1], anchor)]
        level = 2
        while spans:
            batch, halves = [], []
            for first, last in spans:
                if last - first > 1:
                    middle = (first + last) // 2
                    batch.append(Picture(middle, level, (first, last)))
                    halves += [(first, middle), (middle, last)]
            if batch:
                batches.append(batch)
            spans, level = halves, level + 1
        anchors.append(anchor)
    if most is None:
        return batches
    return [batch[i : i + most] for batch in batches for i in range(0, len(batch), most)]
