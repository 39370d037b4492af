from __future__ import annotations

from fractions import Fraction

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.cli import values

PARSERS = {name: value for name, value in vars(values).items() if isinstance(value, values.Value)}
BAD_NUMBERS = (
    "",
    " ",
    "-1",
    "-0.5",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "1e3",
    "1e999",
    "0x10",
    "1_0",
    "½",
    "٣",
)


def refused(value: values.Value, text: str) -> str:
    with pytest.raises(click.BadParameter) as caught:
        value.convert(text, click.Option(["--it"]), None)
    message = caught.value.message
    assert repr(text) in message
    assert "example: --it " in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("text", BAD_NUMBERS)
def test_no_option_takes_what_is_no_plain_number(name: str, text: str) -> None:
    refused(PARSERS[name], text)


@pytest.mark.parametrize("name", sorted(set(PARSERS) - {"CRF", "OUTPUT_CRF", "TIME", "SEED"}))
@pytest.mark.parametrize("text", ("0", "0.0"))
def test_zero_is_refused_where_it_makes_no_sense(name: str, text: str) -> None:
    refused(PARSERS[name], text)


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("text", ("9" * 15, "9" * 400, "9" * 15 + "G", "1/" + "9" * 15, "1" * 9 + "x" + "1" * 9))
def test_absurd_sizes_are_refused(name: str, text: str) -> None:
    refused(PARSERS[name], text)


@pytest.mark.parametrize("name", PARSERS)
@given(text=st.text(max_size=20) | st.from_regex(r"[0-9.:/xX,=kmgiKMGhs ]{0,12}", fullmatch=True))
def test_any_text_gives_a_value_or_a_message(name: str, text: str) -> None:
    try:
        PARSERS[name].convert(text, None, None)
    except click.BadParameter as error:
        assert "example: " in error.message


@pytest.mark.parametrize("name", PARSERS)
def test_the_example_of_every_message_is_valid(name: str) -> None:
    message = refused(PARSERS[name], "?")
    PARSERS[name].convert(message.rsplit(" ", 1)[1], None, None)


def test_what_is_no_text_is_a_default() -> None:
    assert values.SCALE.convert(Fraction(2), None, None) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("500k", 500_000),
        ("2M", 2_000_000),
        ("1.5MiB", 1_572_864),
        ("2 GB", 2 * 10**9),
        ("1kib", 1024),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert values.size(text) == expected


@given(st.integers(1, 10**9), st.sampled_from(["", "k", "M", "Ki", "mi"]), st.sampled_from(["", "B", "b"]))
def test_every_whole_size_is_exact(number: int, unit: str, tail: str) -> None:
    factor = {"": 1, "k": 1000, "M": 10**6, "Ki": 1024, "mi": 2**20}[unit]
    if number * factor <= 10**12:
        assert values.size(f"{number}{unit}{tail}") == number * factor


@pytest.mark.parametrize(
    ("text", "expected"),
    [("800k", 800e3), ("1.2M", 1.2e6), ("64kbps", 64e3), ("2Mbit/s", 2e6), ("5000", 5e3)],
)
def test_bitrates(text: str, expected: float) -> None:
    assert values.bitrate(text) == expected


def test_a_bitrate_that_lacks_its_unit_is_guessed() -> None:
    assert "did you mean 800k?" in refused(values.BITRATE, "800")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1.25", "1.25"),
        ("90s", 90),
        ("500ms", "0.5"),
        ("5m", 300),
        ("5min", 300),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1h2m3.5s", "3723.5"),
        ("1:30", 90),
        ("90:00", 5400),
        ("1:02:03.5", "3723.5"),
    ],
)
def test_times(text: str, expected: int | str) -> None:
    assert values.time(text) == Fraction(expected)


@pytest.mark.parametrize("text", ("1:60", "1:99:00", "1:2", ":30", "1m1h", "5x", "s", "1:-3", "99999999999"))
def test_times_that_mean_nothing(text: str) -> None:
    refused(values.TIME, text)


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 999))
def test_times_of_a_clock_are_exact(minutes: int, seconds: int, thousandths: int) -> None:
    expected = 60 * minutes + seconds + Fraction(thousandths, 1000)
    assert values.time(f"{minutes}:{seconds:02}.{thousandths:03}") == expected
    assert values.time(f"{minutes}m{seconds}.{thousandths:03}s") == expected


@given(st.fractions(Fraction(1, 100), 100, max_denominator=10**6))
def test_every_fraction_is_a_scale(value: Fraction) -> None:
    assert values.scale(f"{value.numerator}/{value.denominator}") == value


@pytest.mark.parametrize(
    ("text", "expected"), [("2", (2, 1)), ("1.5", (3, 2)), ("3/2", (3, 2)), (".5", (1, 2)), ("1.5/3", (1, 2))]
)
def test_scales(text: str, expected: tuple[int, int]) -> None:
    assert values.scale(text) == Fraction(*expected)


@pytest.mark.parametrize("text", ("1/0", "0/1", "1//2", "/2", "2/", "1/-2", "101", "1/101"))
def test_scales_that_mean_nothing(text: str) -> None:
    refused(values.SCALE, text)


def test_a_frame_rate_is_exact() -> None:
    assert values.frame_rate("30000/1001") == Fraction(30000, 1001)
    assert values.frame_rate("29.97") == Fraction(2997, 100)


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_every_size_in_pixels(width: int, height: int) -> None:
    assert values.width_height(f"{width}x{height}") == (width, height)


@pytest.mark.parametrize("text", ("1921", "x1081", "1921x", "1920*1080", "0x10", "10x0", "65536x1", "1.5x2"))
def test_sizes_in_pixels_that_mean_nothing(text: str) -> None:
    refused(values.WIDTH_HEIGHT, text)


def test_a_rectangle() -> None:
    assert values.rectangle("0,32,320,180") == (0, 32, 320, 180)


@pytest.mark.parametrize("text", ("1,2,3", "1,2,3,4,5", "0,0,0,1", "0,0,1,0", "-1,0,1,1", "65535,0,1,1", "a,b,c,d"))
def test_rectangles_that_mean_nothing(text: str) -> None:
    refused(values.RECTANGLE, text)


def test_a_target() -> None:
    assert values.target("psnr=38") == values.target("PSNR=38.0") == 38


@pytest.mark.parametrize("text", ("38", "psnr", "psnr=", "vmaf=95", "psnr=nan", "psnr=0", "psnr=500", "psnr=-3"))
def test_targets_that_mean_nothing(text: str) -> None:
    refused(values.TARGET, text)


@pytest.mark.parametrize("text", ("auto", "cpu", "cuda", "cuda:0", "cuda:15"))
def test_devices(text: str) -> None:
    assert values.device(text) == text


@pytest.mark.parametrize("text", ("", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:x", "cpu:0"))
def test_devices_that_do_not_exist(text: str) -> None:
    refused(values.DEVICE, text)


def test_a_limit() -> None:
    assert values.limit("max_width=20000") == ("max_width", 20000)


@pytest.mark.parametrize("text", ("max_width", "width=3", "max_width=", "max_width=0", "max_width=1.5", "=3"))
def test_limits_that_do_not_exist(text: str) -> None:
    assert "max_width" in refused(values.LIMIT, text)
