"""A reader of PyTorch's checkpoint files from before they were zip archives, without PyTorch.

The file: three pickles (magic number, protocol, system), the pickled state dict whose storages are
persistent ids, a pickled list of storage keys, then each storage as a little-endian int64 count and its
raw values (`torch.serialization._legacy_save`). A pickle can run any code, so only the names that a state
dict needs are admitted, and the file's SHA-256 is checked before a byte of it is read.
"""

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.errors import BackboneError
from studio.language import _

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


@dataclass
class _Storage:
    dtype: str
    values: npt.NDArray[Any] | None = None


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> npt.NDArray[Any]:
        values = self.storage.values
        if values is None:
            raise ValueError("a tensor's storage is not in the file")
        reach = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) + 1
        if min(self.offset, *self.strides, 0) < 0 or reach > values.size:
            raise ValueError("a tensor reaches beyond its storage")
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, tuple(stride * values.itemsize for stride in self.strides)
        )
        return view.copy()


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: Any
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _StateDictUnpickler(pickle.Unpickler):
    """Admits what a state dict is made of, and nothing else."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a state dict")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, *_rest = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"expected a storage; got {kind!r}")
        return self.storages.setdefault(key, _Storage(dtype))


def read_checkpoint(path: Path, sha256: str) -> dict[str, npt.NDArray[Any]]:
    """Return a checkpoint's arrays by name, in PyTorch's layouts (convolutions: out, in, height, width).

    sha256: 64 hexadecimal digits that the file must have.
    Raises BackboneError when the file is missing, is not that file, or holds anything but arrays.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackboneError(
            _("expected weights at {path}; {error}. Install the package again.").format(
                path=path, error=error.strerror
            )
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise BackboneError(
            _(
                "{path} is not the file that was published: expected SHA-256 {expected}…, got {found}…. "
                "Install the package again."
            ).format(path=path, expected=sha256[:12], found=found[:12])
        )
    try:
        return _arrays(BytesIO(content))
    except Exception as error:  # a pickle's errors are of every kind
        raise BackboneError(
            _("{path} is not a checkpoint of plain arrays: {error}").format(path=path, error=error)
        ) from error


def _arrays(file: BytesIO) -> dict[str, npt.NDArray[Any]]:
    magic, protocol, _system = (_StateDictUnpickler(file).load() for _step in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise ValueError("the magic number is not a legacy checkpoint's")
    unpickler = _StateDictUnpickler(file)
    tensors = unpickler.load()
    for key in _StateDictUnpickler(file).load():
        storage = unpickler.storages[key]
        count = int.from_bytes(file.read(8), "little")
        storage.values = np.frombuffer(
            file.read(count * np.dtype(storage.dtype).itemsize), dtype=storage.dtype, count=count
        )
    return {name: tensor.array() for name, tensor in tensors.items()}
