"""Made container_v0.linr. Not to be run again: every later version must keep reading the file as it is.

python tests/golden/make_container_v0.py
"""

from fractions import Fraction
from pathlib import Path

from licodec.container import LinrWriter
from licodec.video.info import VideoInfo

INFO = VideoInfo(
    width=1921,
    height=1081,
    chroma="422",
    bit_depth=10,
    sample_aspect=Fraction(64, 45),
    rotation=270,
    primaries=9,
    transfer=16,
    matrix=9,
    full_range=True,
    chroma_location=3,
    time_base=Fraction(1, 1000),
)


def main() -> None:
    path = Path(__file__).with_name("container_v0.linr")
    with LinrWriter(path, INFO, b"a configuration") as writer:
        writer.add_ancillary("auxS", bytes(range(64)))
        for i in range(12):
            # 30 frames a second in milliseconds, from just before zero, and a pause after every segment.
            pts = [3000 * i - 50 + round(j * 1000 / 30) for j in range(30)]
            writer.add_segment(f"payload of segment {i}".encode(), pts, [33] * 29 + [34])
        writer.add_ancillary("encS", "crf=30 préréglage=lent".encode())
        writer.add_ancillary("exmP", b"an ancillary chunk that nobody knows")
        print(path, writer.finish(), "bytes")


if __name__ == "__main__":
    main()
