"""Models on disk, and no way out to a network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import models


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks a hub fails."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def clip_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tiny CLIP."""
    pytest.importorskip("transformers", reason="needs the extra 'semantics'")
    return models.save(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def siglip_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a tiny SigLIP."""
    pytest.importorskip("transformers", reason="needs the extra 'semantics'")
    yield models.save(tmp_path_factory.mktemp("siglip"), "siglip")
