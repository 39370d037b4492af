"""What the frames of a file mean: embedders, alignment, search.

from licodec import semantics

embedder = semantics.open_embedder("builtin")
semantics.realign("clip.linr", embedder)
for hit in semantics.search("a bird", ["clip.linr"], embedder):
    print(hit.path, hit.start, hit.end, hit.score)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from licodec.semantics.duplicates import Match, similar
    from licodec.semantics.embedder import Embedder
    from licodec.semantics.fingerprint import Fingerprint
    from licodec.semantics.library import Library, UpdateReport
    from licodec.semantics.providers import open_embedder
    from licodec.semantics.realignment import RealignReport, realign
    from licodec.semantics.retrieval import Hit, search, search_vector
    from licodec.semantics.shot_list import Shot, find_shots, shots
    from licodec.semantics.track import Track, fingerprints, tracks

__all__ = [
    "Embedder", "Fingerprint", "Hit", "Library", "Match", "RealignReport", "Shot", "Track", "UpdateReport",
    "find_shots", "fingerprints", "open_embedder", "realign", "search", "search_vector", "shots", "similar", "tracks",
]  # fmt: skip

# Modules are not named as what is in them: a submodule, once imported, would hide the function of its name.
_HOME = {
    "Embedder": "embedder",
    "Fingerprint": "fingerprint",
    "open_embedder": "providers",
    **dict.fromkeys(("Library", "UpdateReport"), "library"),
    **dict.fromkeys(("Match", "similar"), "duplicates"),
    **dict.fromkeys(("RealignReport", "realign"), "realignment"),
    **dict.fromkeys(("Hit", "search", "search_vector"), "retrieval"),
    **dict.fromkeys(("Shot", "find_shots", "shots"), "shot_list"),
    **dict.fromkeys(("Track", "fingerprints", "tracks"), "track"),
}


def __getattr__(name: str) -> Any:
    """Import on first use, as `licodec` does: reading a file's heads needs no PyTorch."""
    if name not in _HOME:
        raise AttributeError(f"module 'licodec.semantics' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"licodec.semantics.{_HOME[name]}"), name)
