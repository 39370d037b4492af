"""Folders and patterns of pictures."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from licodec.errors import DamagedFileError, UnsupportedError, UsageError
from licodec.video.info import VideoInfo
from licodec.video.pictures import is_pattern, matches, numbered
from licodec.video.source import open_source

from .clips import noise


def rgb(seed, depth=8, size=(13, 9)):
    return noise(VideoInfo(*size, "rgb", depth), seed)


def save(path, planes):
    """PNG, written by OpenCV: R, G, B planes, or one of gray."""
    picture = planes[0] if len(planes) == 1 else np.stack(planes[::-1], -1)
    assert cv2.imwrite(str(path), picture)


def read(spec, **options):
    with open_source(spec, **options) as video:
        return video.info, list(video.frames()), video


@pytest.mark.parametrize("depth", [8, 16])
def test_a_folder_in_natural_order(tmp_path, depth):
    names = ["f1.png", "f2.png", "f9.png", "f10.png", "f100.PNG"]
    for seed, name in reversed(list(enumerate(names))):
        save(tmp_path / "x.png", rgb(seed, depth))
        (tmp_path / "x.png").rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    info, frames, video = read(tmp_path)
    assert info == VideoInfo(13, 9, "rgb", depth, matrix=0, full_range=True, time_base=Fraction(1, 25))
    assert [(f.pts, f.duration) for f in frames] == [(i, 1) for i in range(5)]
    for seed, frame in enumerate(frames):
        for plane, expected in zip(frame.planes, rgb(seed, depth), strict=True):
            np.testing.assert_array_equal(plane, expected)
    assert (video.frame_count_hint, video.warnings, video.path) == (5, [], tmp_path)
    assert len(list(video.frames())) == 5


def test_a_pattern_takes_its_own_files_only(tmp_path):
    for seed, name in enumerate(["f008.png", "f009.png", "f010.png", "f11.png", "g012.png", "f013.jpg"]):
        save(tmp_path / name, rgb(seed))
    _, frames, video = read(tmp_path / "f%03d.png", rate=Fraction(30000, 1001))
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[2].planes[0], rgb(2)[0])
    assert video.info.time_base == Fraction(1001, 30000)
    assert video.warnings == []


def test_a_gap_in_the_numbers_is_reported(tmp_path):
    for number in (1, 2, 4, 7):
        save(tmp_path / f"{number:05d}.png", rgb(number))
    _, frames, video = read(f"{tmp_path}/%05d.png")
    assert len(frames) == 4
    assert "picture 3 is missing" in video.warnings[0]


def test_colourless_pictures_among_coloured_ones(tmp_path):
    save(tmp_path / "1.png", rgb(1))
    save(tmp_path / "2.png", rgb(2)[:1])
    _, frames, _ = read(tmp_path)
    assert len(frames[1].planes) == 3
    for plane in frames[1].planes:
        np.testing.assert_array_equal(plane, rgb(2)[0])


def test_gray_pictures(tmp_path):
    save(tmp_path / "1.png", rgb(1, 16)[:1])
    info, frames, _ = read(tmp_path)
    assert (info.chroma, info.bit_depth, info.full_range) == ("gray", 16, True)
    np.testing.assert_array_equal(frames[0].planes[0], rgb(1, 16)[0])


def test_alpha_is_reported(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 13, 4), np.uint8)
    cv2.imwrite(str(tmp_path / "1.png"), picture)
    _, frames, video = read(tmp_path)
    assert video.warnings == ["rgba: the alpha channel is dropped"]
    np.testing.assert_array_equal(frames[0].planes[2], picture[..., 0])


def test_other_kinds_of_picture(tmp_path):
    for suffix in (".bmp", ".tiff", ".webp"):
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        bgr = np.stack(rgb(3)[::-1], -1)
        cv2.imwrite(str(folder / f"1{suffix}"), bgr, [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else [])
        _, frames, _ = read(folder)
        np.testing.assert_array_equal(frames[0].planes[1], rgb(3)[1])


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="holds no pictures"):
        open_source(tmp_path)
    with pytest.raises(UsageError, match="no file fits"):
        open_source(tmp_path / "%05d.png")
    with pytest.raises(UsageError, match="cannot be read"):
        open_source(tmp_path / "nowhere" / "%05d.png")
    save(tmp_path / "1.png", rgb(1))
    save(tmp_path / "2.jpg", rgb(1))
    with pytest.raises(UsageError, match="mixes mjpeg and png"):
        open_source(tmp_path)
    (tmp_path / "001.xyz").write_bytes(b"abc")
    with pytest.raises(UsageError, match="must be one of"):
        open_source(tmp_path / "%03d.xyz")


def test_pictures_that_differ_name_the_file(tmp_path):
    save(tmp_path / "1.png", rgb(1))
    save(tmp_path / "2.png", rgb(2, size=(13, 10)))
    with open_source(tmp_path) as video, pytest.raises(UnsupportedError, match=r"2\.png: frame 1: .* 13x10"):
        list(video.frames())
    save(tmp_path / "2.png", rgb(2, 16))
    with open_source(tmp_path) as video, pytest.raises(UnsupportedError, match=r"2\.png: frame 1: .*rgb48"):
        list(video.frames())


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "changed"])
def test_damaged_pictures_name_the_file(tmp_path, damage):
    save(tmp_path / "1.png", rgb(1))
    save(tmp_path / "2.png", rgb(2))
    good = (tmp_path / "2.png").read_bytes()
    changed = bytearray(good)
    changed[len(good) // 2] ^= 255
    bad = {"empty": b"", "cut": good[: len(good) // 2], "other": b"hello" * 99, "changed": bytes(changed)}[damage]
    (tmp_path / "2.png").write_bytes(bad)
    with open_source(tmp_path) as video, pytest.raises(DamagedFileError, match=r"2\.png"):
        list(video.frames())


def test_patterns(tmp_path):
    assert is_pattern(tmp_path / "a%05d.png")
    assert is_pattern(tmp_path / "%d.png")
    assert not is_pattern(tmp_path / "a.png")
    assert not is_pattern(tmp_path / "100%.png")
    assert not is_pattern(tmp_path / "%d%d.png")
    assert numbered(tmp_path / "a%03d.png", 7) == tmp_path / "a007.png"
    assert numbered(tmp_path / "a%d.png", 7) == tmp_path / "a7.png"
    for name in ("a007.png", "a1234.png", "a07.png", "b001.png", "a001.png.bak"):
        (tmp_path / name).touch()
    assert [number for number, _ in matches(tmp_path / "a%03d.png")] == [7, 1234]
