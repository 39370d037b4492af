"""Nearest latents among millions: exactly in memory, or with LanceDB. Both find the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled
from licodec.semantics.embedder import Vectors, needs
from licodec.semantics.fingerprint import Fingerprint

_BATCH = 50_000
_LATENTS_A_FILE = 32


@dataclass(frozen=True)
class Part:
    """The latents of one file under one head."""

    head: int
    """Its number in the index."""
    matrix: Vectors
    """[dimension, components + 1] as `Head.matrix` has it."""
    codes: npt.NDArray[np.int32]
    """[latents, components]"""

    def vectors(self, rows: npt.NDArray[np.integer] | slice = slice(None)) -> Vectors:
        """[rows, dimension] of length 1."""
        found = self.codes[rows].astype(np.float32) @ self.matrix[:, :-1].T + self.matrix[:, -1]
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-20)


class NumpyStore:
    """All latents in memory, all compared: 4 bytes for each component of a latent, and 4 for its length."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._heads = np.array([p.head for p in parts], np.int64)
        self._rows = np.ascontiguousarray(np.concatenate([p.matrix.T for p in parts]), np.float32)
        self._first_row = np.cumsum([0, *(p.matrix.shape[1] for p in parts)])
        self._first_latent = np.cumsum([0, *(len(p.codes) for p in parts)])
        self._first_code = np.cumsum([0, *(p.codes.size for p in parts)])
        self._codes = np.concatenate([p.codes.ravel() for p in parts]).astype(np.float32)
        self._scale = np.empty(self._first_latent[-1], np.float32)
        for part, first, after in zip(parts, self._first_latent, self._first_latent[1:], strict=False):
            # |B s + m|^2 from the Gram matrix: no vector of the large dimension is made.
            gram = part.matrix.T @ part.matrix
            known = np.column_stack([part.codes, np.ones(len(part.codes))]).astype(np.float32)
            squared = np.einsum("ti,ij,tj->t", known, gram, known, optimize=True)
            self._scale[first:after] = 1 / np.sqrt(np.maximum(squared, 1e-30))

    def __len__(self) -> int:
        """Latents."""
        return len(self._scale)

    def cosines(self, query: Vectors) -> Vectors:
        """[latents] of a query with all of them."""
        out = np.empty(len(self._scale), np.float32)
        projected = self._rows @ query.astype(np.float32)
        _cosines(projected, self._codes, self._scale, self._first_row, self._first_latent, self._first_code, out)
        return out

    def top(self, query: Vectors, count: int) -> tuple[npt.NDArray[np.int64], Vectors]:
        """(heads, cosines) of the files whose best latents are nearest, best first."""
        found = np.maximum.reduceat(self.cosines(query), self._first_latent[:-1])
        count = min(count, len(found))
        best = np.argpartition(-found, count - 1)[:count]
        best = best[np.lexsort((best, -found[best]))]
        return self._heads[best], found[best]


@compiled
def _cosines(
    projected: Any, codes: Any, scale: Any, first_row: Any, first_latent: Any, first_code: Any, out: Any
) -> None:
    for part in range(len(first_row) - 1):
        row, components = first_row[part], first_row[part + 1] - first_row[part] - 1
        mean = projected[row + components]
        code = first_code[part]
        for latent in range(first_latent[part], first_latent[part + 1]):
            total = mean
            for k in range(components):
                total += codes[code + k] * projected[row + k]
            code += components
            out[latent] = total * scale[latent]


class LanceStore:
    """The vectors themselves in a table of LanceDB on disk, searched without an approximate index."""

    def __init__(self, path: Path, fingerprint: Fingerprint, parts: Iterable[Part], latents: int, state: str) -> None:
        """parts: read once, and only where a table is made; latents: of all of them; state: of the index; a table of
        another state, or one that was not finished, is made anew."""
        try:
            import lancedb
            import pyarrow
        except ImportError as error:
            raise needs("lancedb", "index", error) from None
        database = lancedb.connect(str(path))
        prefix = f"v{fingerprint.weights[:16]}_{fingerprint.dimension}_"
        name = prefix + state
        names = set(database.list_tables(limit=10_000).tables)
        self._table: Any = database.open_table(name) if name in names else None
        if self._table is not None and self._table.count_rows() == latents:
            return
        for old in names:
            if old.startswith(prefix):
                database.drop_table(old)
        schema = pyarrow.schema(
            [
                pyarrow.field("head", pyarrow.int64()),
                pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), fingerprint.dimension)),
            ]
        )
        self._table = database.create_table(name, schema=schema)
        for heads, vectors in _batches(parts):
            flat = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), fingerprint.dimension)
            self._table.add(pyarrow.table({"head": pyarrow.array(heads), "vector": flat}, schema=schema))

    def top(self, query: Vectors, count: int) -> tuple[npt.NDArray[np.int64], Vectors]:
        """(heads, cosines) of the files whose best latents are nearest, best first."""
        rows, limit = self._table.count_rows(), _LATENTS_A_FILE * count
        while True:
            found = (
                self._table.search(query.astype(np.float32))
                .distance_type("cosine")
                .bypass_vector_index()
                .select(["head", "_distance"])
                .limit(min(limit, rows))
                .to_arrow()
            )
            heads, first = np.unique(found["head"].to_numpy(), return_index=True)
            # A long video can have all of the nearest latents.
            if len(heads) >= count or limit >= rows:
                break
            limit *= 8
        order = np.sort(first)[:count]
        cosines = 1 - found["_distance"].to_numpy()[order]
        return found["head"].to_numpy()[order].astype(np.int64), cosines.astype(np.float32)


def _batches(parts: Iterable[Part]) -> Any:
    """(heads, vectors) a few thousand at a time."""
    heads: list[npt.NDArray[np.int64]] = []
    vectors: list[Vectors] = []
    held = 0
    for part in parts:
        vectors.append(part.vectors())
        heads.append(np.full(len(vectors[-1]), part.head, np.int64))
        held += len(vectors[-1])
        if held >= _BATCH:
            yield np.concatenate(heads), np.concatenate(vectors)
            heads, vectors, held = [], [], 0
    if held:
        yield np.concatenate(heads), np.concatenate(vectors)
