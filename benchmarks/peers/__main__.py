"""Command line of the implicit codecs of others.

    python -m benchmarks.peers encode clip.y4m clip.peer --model hnerv --bpp 0.05 --time 300
    python -m benchmarks.peers encode clip.y4m clip.peer --model nerv --parameters 1.5M --epochs 300
    python -m benchmarks.peers decode clip.peer clip.y4m
    python -m benchmarks.peers published --out benchmarks/results

A time counts from the start of the program to the file, reading and packing included.
"""

from __future__ import annotations

import time

STARTED = time.monotonic()  # before the imports, which take seconds of the time that there is

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

# As the program licodec does: threads that wait sleep. Read when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch  # noqa: E402

from benchmarks.clips import SUITE, clips_of, prepare  # noqa: E402
from benchmarks.peers import coding, published  # noqa: E402
from benchmarks.peers.models import MODELS  # noqa: E402
from benchmarks.peers.training import EPOCHS, Budget  # noqa: E402
from licodec.errors import LicodecError, UnsupportedError  # noqa: E402
from licodec.runtime import pick_device, use_threads  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        use_threads(options.threads)
        options.command(options)
    except LicodecError as error:
        print(f"benchmarks.peers: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def _encode(options: argparse.Namespace) -> None:
    budget = Budget(options.epochs, options.time, STARTED)
    device = pick_device(options.device)
    done = coding.encode(
        *(options.source, options.target, options.model, options.parameters, options.bpp, budget),
        device=device,
        seed=options.seed,
        progress=_every(10.0),
    )
    print(done)


def _decode(options: argparse.Namespace) -> None:
    coding.decode(options.source, options.target, pick_device(options.device))


def _published(options: argparse.Namespace) -> None:
    device = pick_device("cuda" if options.device == "auto" else options.device)
    if options.clip is None:
        [clip] = clips_of(SUITE, only=["bunny-640x1280"])
        options.clip = prepare(clip, options.work / "clips").path
    elif not options.clip.exists():
        raise UnsupportedError(f"{options.clip}: no such file")
    print(
        published.check(
            *(options.clip, options.out, options.models, options.sizes, options.epochs, device),
            lambda text: print(text, file=sys.stderr, flush=True),
        )
    )


def _every(seconds: float) -> Callable[[float, torch.Tensor], None]:
    """Progress on standard error, not more often than that."""
    told = time.monotonic()

    def progress(share: float, error: torch.Tensor) -> None:
        nonlocal told
        if time.monotonic() - told > seconds:
            told = time.monotonic()
            print(f"{share:.1%}, squared error of a batch {float(error):.2e}", file=sys.stderr, flush=True)

    return progress


def _number(text: str) -> float:
    return float(text[:-1]) * 1e6 if text.endswith("M") else float(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    encode = commands.add_parser("encode", help="train a network on a y4m and write it")
    encode.add_argument("source", type=Path)
    encode.add_argument("target", type=Path)
    encode.add_argument("--model", choices=list(MODELS), required=True)
    size = encode.add_mutually_exclusive_group(required=True)
    size.add_argument("--parameters", type=_number, help="stored values: 750000 or 0.75M")
    size.add_argument("--bpp", type=float, help="bits a pixel that the file is to take, about")
    until = encode.add_mutually_exclusive_group()
    until.add_argument("--time", type=float, help="seconds that the whole encode may take")
    until.add_argument("--epochs", type=int, default=EPOCHS, help=f"default: {EPOCHS}, as published")
    encode.add_argument("--seed", type=int, default=0)
    encode.set_defaults(command=_encode)
    decode = commands.add_parser("decode", help="write the video of such a file as y4m")
    decode.add_argument("source", type=Path)
    decode.add_argument("target", type=Path)
    decode.set_defaults(command=_decode)
    check = commands.add_parser(
        "published", help="check against the published figures", description=published.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    check.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    check.add_argument("--work", type=Path, default=Path("build/benchmarks"))
    check.add_argument("--clip", type=Path, help="another clip than Bunny's crop")
    check.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    check.add_argument("--sizes", nargs="+", type=float, default=[0.75, 1.5, 3.0], help="millions of stored values")
    check.add_argument("--epochs", type=int, default=EPOCHS)
    check.set_defaults(command=_published)
    for command in (encode, decode, check):
        command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
        command.add_argument("--threads", type=int)
    return parser


if __name__ == "__main__":
    sys.exit(main())
