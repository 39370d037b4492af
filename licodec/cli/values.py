"""What options take: sizes, rates, times, fractions.

Each parser is a plain function from text to a value; its ValueError is the rest of a sentence that begins
with the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, Generic, TypeVar, cast

import click

T = TypeVar("T")

MAX_DIMENSION = 2**16 - 1
MAX_TERM = 2**31 - 1
"""Largest numerator and denominator of a rate or a scale: FFmpeg's, and the container's."""
MAX_SECONDS = 10**8
"""About three years."""

# Nine decimals are a nanosecond; [0-9] and not \d, which takes digits of every script.
_NUMBER = r"(?:[0-9]{1,15}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_TIMES: dict[str, int | Fraction] = {"h": 3600, "m": 60, "min": 60, "s": 1, "ms": Fraction(1, 1000)}
_UNIT_TIME = rf"(?:{_NUMBER}h)?(?:{_NUMBER}m(?:in)?)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?"


class Value(click.ParamType, Generic[T]):  # type: ignore[type-arg]  # click below 8.2 has no argument here
    """An option's type: a parser, the name shown in `--help` and an example shown with every error."""

    def __init__(self, name: str, parse: Callable[[str], T], example: str) -> None:
        self.name = name
        self._parse = parse
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """The parsed value; what is no text is a default and taken as it is."""
        if not isinstance(value, str):
            return cast(T, value)
        try:
            return self._parse(value.strip())
        except ValueError as error:
            option = max(param.opts, key=len) + " " if param else ""
            self.fail(f"{value!r} {error}; example: {option}{self._example}", param, ctx)


def decimal(text: str) -> Fraction:
    """A plain decimal number that is not negative, exactly."""
    if re.fullmatch(r"[+-]?(nan|inf|infinity)", text, re.IGNORECASE):
        raise ValueError("is not a finite number")
    if re.fullmatch("-" + _NUMBER, text):
        raise ValueError("is negative")
    if not re.fullmatch(_NUMBER, text):
        raise ValueError("is not a plain number" if text else "is empty")
    return Fraction(text)


def size(text: str) -> int:
    """Bytes: `2M` is 2,000,000, `1.5MiB` is 1,572,864."""
    return int(_between(_with_unit(text, "b?"), 1, 10**12, "1 byte", "1 TB"))


def bitrate(text: str) -> float:
    """Bits a second: `800k` is 800,000."""
    try:
        return float(_between(_with_unit(text, "(?:bps|bit/s|b/s)?"), 1000, 10**12, "1k", "1000G"))
    except ValueError as error:
        # x264 and HandBrake count in kilobits, so this is the slip to expect.
        if re.fullmatch("[0-9]{1,3}", text) and int(text):
            raise ValueError(f"is in bits a second: did you mean {text}k?") from None
        raise error


def _with_unit(text: str, tail: str) -> Fraction:
    match = re.fullmatch(rf"(.*?)([kmg]i?)?{tail}", text, re.IGNORECASE | re.DOTALL)
    assert match  # the first group takes whatever the others leave
    return decimal(match[1].strip()) * _UNITS[(match[2] or "").lower()]


def time(text: str) -> Fraction:
    """Seconds from `90`, `1.25`, `90s`, `500ms`, `5m`, `1h30m`, `1:30` or `1:02:03.5`; zero is allowed."""
    if match := re.fullmatch(r"(?:([0-9]{1,5}):)?([0-9]{1,7}):([0-9]{2}(?:\.[0-9]{1,9})?)", text):
        hours, minutes, rest = int(match[1] or 0), int(match[2]), Fraction(match[3])
        if rest >= 60 or (match[1] and minutes >= 60):
            raise ValueError("has more than 59 minutes or seconds after a colon")
        total = 3600 * hours + 60 * minutes + rest
    elif re.fullmatch(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m(?:in)?)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?", text) and text:
        parts = re.findall(rf"({_NUMBER})(h|min|ms|m|s)", text)
        total = sum((Fraction(number) * _TIMES[unit] for number, unit in parts), Fraction(0))
    else:
        total = decimal(text)
    if total > MAX_SECONDS:
        raise ValueError("is longer than three years")
    return total


def length(text: str) -> Fraction:
    """Seconds as `time` reads them, above zero."""
    if not (seconds := time(text)):
        raise ValueError("is zero")
    return seconds


def ratio(text: str) -> Fraction:
    """A positive number: `2`, `1.5` or `3/2`, with both terms in 31 bits."""
    top, slash, bottom = text.partition("/")
    denominator = decimal(bottom) if slash else Fraction(1)
    if not denominator:
        raise ValueError("divides by zero")
    value = decimal(top) / denominator
    if not value:
        raise ValueError("is zero")
    if max(value.numerator, value.denominator) > MAX_TERM:
        raise ValueError("needs terms above 2147483647")
    return value


def scale(text: str) -> Fraction:
    """Output size over native size, in each direction."""
    return _between(ratio(text), Fraction(1, 100), 100, "1/100", "100")


def frame_rate(text: str) -> Fraction:
    """Frames a second."""
    return _between(ratio(text), Fraction(1, 1000), 10_000, "1/1000", "10000")


def width_height(text: str) -> tuple[int, int]:
    """(width, height) from `1921x1081`."""
    match = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", text, re.IGNORECASE)
    if not match:
        raise ValueError("is not WIDTHxHEIGHT")
    width, height = int(match[1]), int(match[2])
    if not width or not height:
        raise ValueError("has no pixels")
    if max(width, height) > MAX_DIMENSION:
        raise ValueError(f"is more than {MAX_DIMENSION} pixels wide or high")
    return width, height


def rectangle(text: str) -> tuple[int, int, int, int]:
    """(x, y, width, height) from `64,32,320,180`; x and y are the top left corner."""
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9}){3}", text):
        raise ValueError("is not X,Y,WIDTH,HEIGHT in whole pixels")
    x, y, width, height = (int(number) for number in text.split(","))
    if not width or not height:
        raise ValueError("has no pixels")
    if max(x + width, y + height) > MAX_DIMENSION:
        raise ValueError(f"reaches beyond pixel {MAX_DIMENSION}")
    return x, y, width, height


def crf(text: str, worst: int = 51) -> float:
    """Quality, from 0 (best) to `worst`."""
    return float(_between(decimal(text), 0, worst, "0", str(worst)))


def target(text: str) -> float:
    """PSNR in dB from `psnr=38`."""
    metric, equals, value = text.partition("=")
    if metric.lower() != "psnr" or not equals:
        raise ValueError("is not psnr=DECIBELS")
    return float(_between(decimal(value), 10, 80, "10 dB", "80 dB"))


def whole(text: str, low: int = 1, high: int = 1_000_000) -> int:
    """A whole number from `low` to `high`."""
    value = decimal(text)
    if value.denominator != 1:
        raise ValueError("is not a whole number")
    return int(_between(value, low, high, str(low), str(high)))


def weight(text: str) -> float:
    """lambda of the cosine loss."""
    return float(_between(decimal(text), Fraction(1, 10**6), 100, "0.000001", "100"))


def device(text: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", text):
        raise ValueError("is not auto, cpu, cuda or cuda:N")
    return text


def limit(text: str) -> tuple[str, int]:
    """(name, value) from `max_width=20000`; the names are the fields of `licodec.container.Limits`."""
    from dataclasses import fields

    from licodec.container import Limits

    name, equals, value = text.partition("=")
    known = [field.name for field in fields(Limits)]
    if name not in known or not equals:
        raise ValueError(f"is not NAME=VALUE with a name of {', '.join(known)}")
    if not re.fullmatch("[0-9]{1,18}", value) or not int(value):
        raise ValueError("has a value that is not a whole number above zero")
    return name, int(value)


def _between(value: Fraction, low: Fraction | int, high: int, low_name: str, high_name: str) -> Fraction:
    if not value and low:
        raise ValueError("is zero")
    if not low <= value <= high:
        raise ValueError(f"is not between {low_name} and {high_name}")
    return value


SIZE = Value("size", size, "2M")
BITRATE = Value("bitrate", bitrate, "800k")
TIME = Value("time", time, "1:30.5")
LENGTH = Value("time", length, "90s")
SCALE = Value("ratio", scale, "3/2")
FRAME_RATE = Value("rate", frame_rate, "30000/1001")
WIDTH_HEIGHT = Value("WxH", width_height, "1921x1081")
RECTANGLE = Value("x,y,w,h", rectangle, "64,32,320,180")
CRF = Value("number", crf, "28")
OUTPUT_CRF = Value("number", partial(crf, worst=63), "18")
TARGET = Value("psnr=dB", target, "psnr=38")
WEIGHT = Value("number", weight, "0.01")
DEVICE = Value("device", device, "cuda:0")
LIMIT = Value("name=value", limit, "max_width=20000")
COUNT = Value("n", whole, "250")
THREADS = Value("n", partial(whole, high=4096), "2")
SEED = Value("n", partial(whole, low=0, high=2**31 - 1), "1")
