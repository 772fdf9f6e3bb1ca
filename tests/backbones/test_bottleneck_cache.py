import hashlib
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from studio.backbones.bottleneck_cache import BottleneckCache

FEATURES = 16


def digests(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(at).encode()).hexdigest() for at in range(start, start + count)]


def vectors(count: int, seed: int = 0) -> np.typing.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, FEATURES)).astype(np.float32)


def filled(folder: Path, count: int = 8) -> Path:
    BottleneckCache(folder, FEATURES).add(digests(count), vectors(count))
    return next(folder.glob("*.npy"))


def test_vectors_are_returned_in_the_order_asked_for(tmp_path: Path) -> None:
    cache = BottleneckCache(tmp_path, FEATURES)
    cache.add(digests(5), vectors(5))
    cache.add(digests(3, start=5), vectors(3, seed=1))
    everything = np.concatenate([vectors(5), vectors(3, seed=1)])
    for opened in (cache, BottleneckCache(tmp_path, FEATURES)):
        assert opened.missing(digests(9)) == digests(1, start=8)
        assert (opened.vectors(digests(8)[::-1]) == everything[::-1]).all()
        assert opened.vectors([digests(1)[0]] * 2).shape == (2, FEATURES)


def test_a_truncated_shard_counts_as_missing(tmp_path: Path) -> None:
    shard = filled(tmp_path)
    whole = shard.read_bytes()
    for length in (0, 10, 200, len(whole) - 1):
        shard.write_bytes(whole[:length])
        cache = BottleneckCache(tmp_path, FEATURES)
        assert cache.missing(digests(8)) == digests(8)
        with pytest.raises(KeyError):
            cache.vectors(digests(1))


def test_any_changed_byte_is_detected(tmp_path: Path) -> None:
    shard = filled(tmp_path)
    whole = shard.read_bytes()
    for at in range(0, len(whole), 7):
        shard.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        cache = BottleneckCache(tmp_path, FEATURES)
        missing = cache.missing(digests(8))
        sound = [digest for digest in digests(8) if digest not in missing]
        expected = [vectors(8)[digests(8).index(digest)] for digest in sound]
        assert np.array_equal(cache.vectors(sound), np.array(expected).reshape(-1, FEATURES)), at


def test_only_the_damaged_row_is_missing_and_can_be_added_again(tmp_path: Path) -> None:
    shard = filled(tmp_path)
    damaged = bytearray(shard.read_bytes())
    damaged[-1] ^= 1  # in the last vector
    shard.write_bytes(damaged)
    cache = BottleneckCache(tmp_path, FEATURES)
    assert cache.missing(digests(8)) == digests(8)[7:]
    with pytest.raises(KeyError):
        cache.vectors(digests(8))
    cache.add(digests(8)[7:], vectors(8)[7:])
    assert (BottleneckCache(tmp_path, FEATURES).vectors(digests(8)) == vectors(8)).all()


def test_damage_after_opening_is_detected(tmp_path: Path) -> None:
    shard = filled(tmp_path)
    cache = BottleneckCache(tmp_path, FEATURES)
    shard.unlink()
    assert cache.missing(digests(8)) == digests(8)


def test_several_writers_at_once(tmp_path: Path) -> None:
    def write(number: int) -> None:
        cache = BottleneckCache(tmp_path, FEATURES)
        for at in range(10):
            # All write the same images, and each some of its own.
            cache.add(digests(1, at), vectors(1, at))
            cache.add(digests(1, 100 * number + at), vectors(1, 100 * number + at))

    writers = [Thread(target=write, args=(number,)) for number in range(1, 5)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    cache = BottleneckCache(tmp_path, FEATURES)
    for at in [*range(10), *(100 * number + at for number in range(1, 5) for at in range(10))]:
        assert (cache.vectors(digests(1, at)) == vectors(1, at)).all()


def test_other_files_and_shards_of_other_networks_are_ignored(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / ".1.npy.abc.part").write_bytes(b"half")
    (tmp_path / "x.npy").write_bytes(b"no array")
    np.save(tmp_path / "y.npy", np.array([{}], dtype=object))
    BottleneckCache(tmp_path, 3).add(digests(1, 50), np.zeros((1, 3), np.float32))
    cache = BottleneckCache(tmp_path, FEATURES)
    assert cache.missing(digests(8) + digests(1, 50)) == digests(1, 50)


def test_vectors_of_another_length_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected vectors \(2, 16\); got \(2, 3\)"):
        BottleneckCache(tmp_path, FEATURES).add(digests(2), np.zeros((2, 3), np.float32))
