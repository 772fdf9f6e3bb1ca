import hashlib
import pickle
import sys
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from studio.backbones.efficientnet_lite import read_checkpoint
from studio.errors import BackboneError

VALUES = np.arange(12, dtype="<f4")


class _Global:
    """Pickles as a reference to a name, as PyTorch's own objects do."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Pickler(pickle._Pickler):  # the one in Python: it can be told how to write a global
    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Global):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())  # type: ignore[attr-defined]
        else:
            super().save(obj, save_persistent_id)  # type: ignore[misc]

    def persistent_id(self, obj: Any) -> Any:
        return obj[1:] if isinstance(obj, tuple) and obj[:1] == ("persistent",) else None


class _Call:
    """Pickles as a call of a global."""

    def __init__(self, function: str, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return getattr(sys.modules["torch._utils"], self.function), self.arguments


def checkpoint(path: Path, tensors: dict[str, tuple[Any, ...]]) -> str:
    """Write a legacy checkpoint of one storage, and return its SHA-256. tensors: offset, shape, strides."""
    file = BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        file.write(pickle.dumps(value, protocol=2))
    storage = ("persistent", "storage", _Global("torch", "FloatStorage"), "7", "cpu", len(VALUES), None)
    state = OrderedDict(
        (name, _Call("_rebuild_tensor_v2", storage, *layout, False, OrderedDict()))
        for name, layout in tensors.items()
    )
    module = ModuleType("torch._utils")

    def _rebuild_tensor_v2() -> None:
        """Stand for PyTorch's own while pickling."""

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    module._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", ModuleType("torch"))
        patch.setitem(sys.modules, "torch._utils", module)
        _Pickler(file, protocol=2).dump(state)
    file.write(pickle.dumps(["7"], protocol=2))
    file.write(len(VALUES).to_bytes(8, "little") + VALUES.tobytes())
    path.write_bytes(file.getvalue())
    return hashlib.sha256(file.getvalue()).hexdigest()


def test_arrays_are_read_with_their_strides(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    digest = checkpoint(
        path, {"whole": (0, (3, 4), (4, 1)), "turned": (4, (2, 2), (1, 4)), "one": (11, (), ())}
    )
    arrays = read_checkpoint(path, digest)
    assert (arrays["whole"] == VALUES.reshape(3, 4)).all()
    assert (arrays["turned"] == [[4, 8], [5, 9]]).all()
    assert arrays["one"] == 11


def test_a_tensor_beyond_its_storage_is_an_error(tmp_path: Path) -> None:
    for layout in ((8, (3, 4), (4, 1)), (-1, (2,), (1,)), (4, (2,), (-1,))):
        digest = checkpoint(tmp_path / "x.pth", {"x": layout})
        with pytest.raises(BackboneError, match="beyond"):
            read_checkpoint(tmp_path / "x.pth", digest)


def test_a_pickle_with_code_is_an_error(tmp_path: Path) -> None:
    path, touched = tmp_path / "x.pth", tmp_path / "touched"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (touched,)

    pickle.loads(pickle.dumps(Evil()))
    assert touched.exists()  # it would have
    touched.unlink()
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(BackboneError, match="has no place in a state dict"):
        read_checkpoint(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert not touched.exists()


def test_names_similar_to_the_accepted_ones_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    for line in (b"ctorch\nload\n.", b"ccollections\ndefaultdict\n.", b"cbuiltins\neval\n."):
        path.write_bytes(line)
        with pytest.raises(BackboneError, match="has no place"):
            read_checkpoint(path, hashlib.sha256(line).hexdigest())


def test_a_file_with_another_hash_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    checkpoint(path, {})
    with pytest.raises(BackboneError, match="not the file that was published"):
        read_checkpoint(path, "0" * 64)
    with pytest.raises(BackboneError, match="Install the package again"):
        read_checkpoint(tmp_path / "none.pth", "0" * 64)


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    checkpoint(path, {"x": (0, (12,), (1,))})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BackboneError, match="not a checkpoint"):
        read_checkpoint(path, hashlib.sha256(path.read_bytes()).hexdigest())
