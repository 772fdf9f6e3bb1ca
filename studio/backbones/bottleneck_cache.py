"""The bottleneck cache: a backbone's output vectors, by the SHA-256 of the image.

Each (backbone, preprocessing) has a folder of shards. A shard is written once, under a unique name, and never
changed, so that several processes may write at the same time. It is two NumPy arrays one after the other, as
`numpy.save` writes them: rows of (sha256, crc32), then vectors of the cache's dtype, (rows, features). A row
whose CRC over hash and vector is wrong counts as missing.
"""

import secrets
import time
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from studio.arrays import Float32Array, FloatArray
from studio.backbones import BackboneFile
from studio.files import atomic_bytes

_ROW = np.dtype([("sha256", "V32"), ("crc32", "<u4")])


class _Location(NamedTuple):
    shard: Path
    row: int


class BottleneckCache:
    """The cached vectors of one backbone. features: their length; dtype: "<f4" or "<f2"."""

    def __init__(self, folder: Path, features: int, dtype: str = "<f4") -> None:
        self.folder = folder
        self.features = features
        self.dtype = np.dtype(dtype)
        self._locations: dict[bytes, _Location] = {}
        for shard in sorted(folder.glob("*.npy")):
            self._locations.update(self._index(shard))

    @classmethod
    def of(cls, bottleneck_dir: Path, backbone: BackboneFile) -> "BottleneckCache":
        """Return the cache of a backbone inside `bottleneck_dir`."""
        folder = bottleneck_dir / f"{backbone.fingerprint}-{backbone.preprocessing.fingerprint}"
        return cls(folder, backbone.features)

    def count(self, digests: Iterable[str]) -> int:
        """Return how many of `digests` are in the index, without checking their vectors."""
        return sum(bytes.fromhex(digest) in self._locations for digest in digests)

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return the distinct `digests` (SHA-256, hexadecimal) without a valid vector, in order.

        Reads and checks each vector, one shard at a time.
        """
        wanted = list(dict.fromkeys(digests))
        valid: set[str] = set()
        for shard, rows in self._by_shard(wanted).items():
            content = self._read(shard)
            valid.update(wanted[at] for at, row in rows if content is not None and content.valid[row])
        return [digest for digest in wanted if digest not in valid]

    def vectors(self, digests: Sequence[str], out: FloatArray | None = None) -> Any:
        """Return the vectors, (len(digests), features), of the cache's dtype.

        out: array to write them to, such as a memory map.
        Raises KeyError with the digest if one has no valid vector; see `missing`.
        """
        vectors = np.empty((len(digests), self.features), self.dtype) if out is None else out
        by_shard = self._by_shard(digests)
        if sum(map(len, by_shard.values())) < len(digests):
            raise KeyError(next(d for d in digests if bytes.fromhex(d) not in self._locations))
        for shard, rows in by_shard.items():
            content = self._read(shard)
            for at, row in rows:
                if content is None or not content.valid[row]:
                    raise KeyError(digests[at])
                vectors[at] = content.vectors[row]
        return vectors

    def add(self, digests: Sequence[str], vectors: Float32Array) -> None:
        """Write vectors as a new shard. vectors: float32, (len(digests), features)."""
        vectors = np.ascontiguousarray(vectors, dtype=self.dtype)
        if vectors.shape != (len(digests), self.features):
            raise ValueError(f"expected vectors {(len(digests), self.features)}; got {vectors.shape}")
        index = np.empty(len(digests), _ROW)
        for at, digest in enumerate(digests):
            key = bytes.fromhex(digest)
            index[at] = (np.void(key), crc32(vectors[at].tobytes(), crc32(key)))
        # The time sorts shards by age; the random part keeps names of concurrent writers apart.
        shard = self.folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}.npy"
        with atomic_bytes(shard) as file:
            np.save(file, index)
            np.save(file, vectors)
        self._locations.update(
            {bytes.fromhex(digest): _Location(shard, at) for at, digest in enumerate(digests)}
        )

    def shards(self, digests: Iterable[str]) -> set[Path]:
        """Return the shard files that contain any of `digests`."""
        return set(self._by_shard(list(digests)))

    def _by_shard(self, digests: Sequence[str]) -> dict[Path, list[tuple[int, int]]]:
        """Return (position in `digests`, row) of the indexed digests, by shard."""
        by_shard: dict[Path, list[tuple[int, int]]] = {}
        for at, digest in enumerate(digests):
            location = self._locations.get(bytes.fromhex(digest))
            if location is not None:
                by_shard.setdefault(location.shard, []).append((at, location.row))
        return by_shard

    def _index(self, shard: Path) -> dict[bytes, _Location]:
        """Return a shard's index; empty if the file is truncated or not a shard."""
        try:
            with shard.open("rb") as file:
                index = np.load(file, allow_pickle=False)
                start = file.tell()
            size = shard.stat().st_size
        except Exception:  # NumPy raises any error on a damaged header
            return {}
        if index.dtype != _ROW or size < start + len(index) * self.features * self.dtype.itemsize:
            return {}
        return {bytes(row["sha256"]): _Location(shard, at) for at, row in enumerate(index)}

    def _read(self, shard: Path) -> "_Shard | None":
        """Read a whole shard. Not mapped: 100,000 images have more shards than a process may keep open."""
        try:
            file = BytesIO(shard.read_bytes())
            index, vectors = np.load(file, allow_pickle=False), np.load(file, allow_pickle=False)
        except Exception:  # NumPy raises any error on a damaged header
            return None
        if index.dtype != _ROW or vectors.dtype != self.dtype or vectors.shape != (len(index), self.features):
            return None
        valid = [
            crc32(vector.tobytes(), crc32(bytes(row["sha256"]))) == row["crc32"]
            for row, vector in zip(index, vectors, strict=True)
        ]
        return _Shard(valid, vectors)


class _Shard(NamedTuple):
    valid: list[bool]
    vectors: FloatArray
