"""The bottleneck cache: a backbone's output for an image, by content, computed once and for every use.

A folder for each (backbone, preprocessing) holds shards, files that are written once under a name of their
own and never changed, so that any number of processes may write at the same time. A shard is two NumPy
arrays one after the other, as `numpy.save` writes them: rows of (sha256, crc32), then vectors, float32 or
what the cache is of, (rows, features). A row counts only if its CRC, over hash and vector, is right; else
it is missing.
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


class _Place(NamedTuple):
    shard: Path
    row: int


class BottleneckCache:
    """The cached vectors of one backbone. features: their length; dtype: float32, or "<f2" for float16."""

    def __init__(self, folder: Path, features: int, dtype: str = "<f4") -> None:
        self.folder = folder
        self.features = features
        self.dtype = np.dtype(dtype)
        self._places: dict[bytes, _Place] = {}
        for shard in sorted(folder.glob("*.npy")):
            self._places.update(self._index(shard))

    @classmethod
    def of(cls, bottleneck_dir: Path, backbone: BackboneFile) -> "BottleneckCache":
        """Return the cache of a backbone inside `bottleneck_dir`."""
        folder = bottleneck_dir / f"{backbone.fingerprint}-{backbone.preprocessing.fingerprint}"
        return cls(folder, backbone.features)

    def count(self, digests: Iterable[str]) -> int:
        """Return how many of `digests` have a place here, sound or not: quick, for an estimate."""
        return sum(bytes.fromhex(digest) in self._places for digest in digests)

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return those of `digests` (SHA-256, hexadecimal) without a sound vector, in order, each once.

        Reads and checks every vector asked for, a shard at a time.
        """
        wanted = list(dict.fromkeys(digests))
        sound: set[str] = set()
        for shard, rows in self._by_shard(wanted).items():
            found = self._read(shard)
            sound.update(wanted[at] for at, row in rows if found is not None and found.sound[row])
        return [digest for digest in wanted if digest not in sound]

    def vectors(self, digests: Sequence[str], out: FloatArray | None = None) -> Any:
        """Return (len(digests), features) of the cache's type, into `out` if given, such as a memory map.

        Raises KeyError, naming the digest, for one that has no sound vector; see `missing`.
        """
        found = np.empty((len(digests), self.features), self.dtype) if out is None else out
        by_shard = self._by_shard(digests)
        if sum(map(len, by_shard.values())) < len(digests):
            raise KeyError(next(d for d in digests if bytes.fromhex(d) not in self._places))
        for shard, rows in by_shard.items():
            read = self._read(shard)
            for at, row in rows:
                if read is None or not read.sound[row]:
                    raise KeyError(digests[at])
                found[at] = read.vectors[row]
        return found

    def add(self, digests: Sequence[str], vectors: Float32Array) -> None:
        """Write a shard. vectors: float32, (len(digests), features)."""
        vectors = np.ascontiguousarray(vectors, dtype=self.dtype)
        if vectors.shape != (len(digests), self.features):
            raise ValueError(f"expected vectors {(len(digests), self.features)}; got {vectors.shape}")
        index = np.empty(len(digests), _ROW)
        for at, digest in enumerate(digests):
            key = bytes.fromhex(digest)
            index[at] = (np.void(key), crc32(vectors[at].tobytes(), crc32(key)))
        # Time first, so that names sort by age; the rest keeps writers apart.
        shard = self.folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}.npy"
        with atomic_bytes(shard) as file:
            np.save(file, index)
            np.save(file, vectors)
        self._places.update({bytes.fromhex(digest): _Place(shard, at) for at, digest in enumerate(digests)})

    def shards(self, digests: Iterable[str]) -> set[Path]:
        """Return the files in which those of `digests` are that are known."""
        return set(self._by_shard(list(digests)))

    def _by_shard(self, digests: Sequence[str]) -> dict[Path, list[tuple[int, int]]]:
        """Return, for each shard, (position in `digests`, row) of those known to be in it."""
        found: dict[Path, list[tuple[int, int]]] = {}
        for at, digest in enumerate(digests):
            place = self._places.get(bytes.fromhex(digest))
            if place is not None:
                found.setdefault(place.shard, []).append((at, place.row))
        return found

    def _index(self, shard: Path) -> dict[bytes, _Place]:
        """Return a shard's index, or nothing if the file is cut short or is not a shard."""
        try:
            with shard.open("rb") as file:
                index = np.load(file, allow_pickle=False)
                start = file.tell()
            size = shard.stat().st_size
        except Exception:  # NumPy meets a damaged header with errors of every kind
            return {}
        if index.dtype != _ROW or size < start + len(index) * self.features * self.dtype.itemsize:
            return {}
        return {bytes(row["sha256"]): _Place(shard, at) for at, row in enumerate(index)}

    def _read(self, shard: Path) -> "_Shard | None":
        """Read a shard whole. Not mapped: a cache of 100,000 has more shards than a process may open."""
        try:
            file = BytesIO(shard.read_bytes())
            index, vectors = np.load(file, allow_pickle=False), np.load(file, allow_pickle=False)
        except Exception:  # NumPy meets a damaged header with errors of every kind
            return None
        if index.dtype != _ROW or vectors.dtype != self.dtype or vectors.shape != (len(index), self.features):
            return None
        sound = [
            crc32(vector.tobytes(), crc32(bytes(row["sha256"]))) == row["crc32"]
            for row, vector in zip(index, vectors, strict=True)
        ]
        return _Shard(sound, vectors)


class _Shard(NamedTuple):
    sound: list[bool]
    vectors: FloatArray
