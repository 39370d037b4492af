"""`licodec models`"""

from __future__ import annotations

from dataclasses import asdict

import click

from licodec.cli import options, progress


@click.group()
def models() -> None:
    """Embedders: what turns pictures and texts into vectors."""


@models.command()
@click.argument("embedder")
@options.compute
@options.json_output
def verify(*, embedder: str, device: str, threads: int | None, as_json: bool) -> None:
    """Load an embedder and let it embed a fixed picture and text.

    EMBEDDER is builtin, hf:/path, open_clip:local-dir:/path, open_clip:ARCH/PRETRAINED or onnx:/dir. Two machines
    that print the same fingerprint have the same model; the similarity then agrees to about five digits.
    """
    with progress.reporter("models verify", as_json=as_json, quiet=False) as report:
        from licodec.runtime import pick_device, use_threads
        from licodec.semantics import open_embedder
        from licodec.semantics.embedder import PROBE_TEXT, probe_picture

        use_threads(threads)
        model = open_embedder(embedder, pick_device(device))
        picture, text = model.embed_images([probe_picture()]), model.embed_texts([PROBE_TEXT])
        similarity = float(picture[0] @ text[0])
        about = model.fingerprint
        report.result(
            "\n".join(
                (
                    embedder,
                    f"  provider       {about.provider}",
                    f"  architecture   {about.architecture}",
                    f"  dimension      {about.dimension}",
                    f"  weights        sha256 {about.weights}",
                    f"  preprocessing  {about.preprocessing}",
                    f"  similarity     {similarity:.5f} of the test picture to {PROBE_TEXT!r}",
                )
            ),
            {"embedder": embedder, **asdict(about), "text": PROBE_TEXT, "similarity": similarity},
        )
