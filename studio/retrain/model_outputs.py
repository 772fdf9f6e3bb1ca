"""A run's model file with more to tell: features, the maps they are the means of, an image's strangeness.

The head stands on features, and features are, in every backbone of the registry, the means of the last maps.
Both are in the file already; here they become outputs of a file derived from it, and what tells strange
images is grafted on, as the head was. `model.tflite` itself keeps its one output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array
from studio.retrain.model_file import packed

_WEIGHTS = b"final_weights"
_SPATIAL = {1, 2}
_MAP_DIMENSIONS = 4


@dataclass(frozen=True)
class MapOutput:
    """An output with a map, (rows, columns, channels), whose means are the features from `first` on.

    scale, zero: `(value - zero) * scale` where the map is in whole numbers; 0 where it is not.
    """

    output: int
    first: int
    channels: int
    scale: float
    zero: int


@dataclass(frozen=True)
class Inner:
    """A derived file, and the numbers of its outputs; the first one is `final_result`.

    features, strangeness: None where it has none. maps: empty where the features are not the means of any.
    """

    content: bytes
    features: int | None = None
    strangeness: int | None = None
    maps: tuple[MapOutput, ...] = ()


def inner(model: bytes, anchors: Float32Array | None = None) -> Inner:
    """Return a file that also gives the features, their maps and, with anchors, the strangeness.

    anchors: as `with_strangeness` takes them. A file with no head of ours comes back as it is.
    """
    opened = _Opened(model)
    if opened.features is None:
        return Inner(model)
    means = opened.means(opened.features)
    outputs = [opened.graph.outputs[0], opened.features]
    strangeness = None
    if anchors is not None:
        strangeness = len(outputs)
        outputs.append(opened.strangeness(anchors))
    maps = []
    for tensor, first in means:
        known = opened.graph.tensors[tensor]
        scale, zero = _quantization(known)
        maps.append(MapOutput(len(outputs), first, int(known.shape[-1]), scale, zero))
        outputs.append(tensor)
    return Inner(opened.packed(outputs), 1, strangeness, tuple(maps))


def only_features(model: bytes) -> bytes:
    """Return a file that answers with features, float32, (1, features).

    Raises ValueError for a file with no head of ours.
    """
    opened = _Opened(model)
    if opened.features is None:
        raise ValueError("expected a file with a head of ours; it has none")
    return opened.packed([opened.features])


def with_strangeness(model: bytes, anchors: Float32Array) -> bytes:
    """Return a file with a second output, `strangeness`, float32, (1, 1): how unlike the anchors it all is.

    1 less the largest cosine between the image's features and an anchor: 0 for an anchor itself.
    anchors: float32, (M, features), features of training images. Sun et al., "Out-of-distribution detection
    with deep nearest neighbors", 2022. Raises ValueError for a file with no head of ours.
    """
    opened = _Opened(model)
    if opened.features is None:
        raise ValueError("expected a file with a head of ours; it has none")
    return opened.packed([opened.graph.outputs[0], opened.strangeness(anchors)])


class _Opened:
    """A model's flatbuffer, taken apart. features: the tensor the head stands on; None without a head."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model = schema.ModelT.InitFromPackedBuf(model)
        self._about_bytes = len(model)
        self.graph = self._model.subgraphs[0]
        self._made_by = {output: op for op in self.graph.operators for output in op.outputs}
        self.features = next(
            (
                int(op.inputs[0])
                for op in self.graph.operators
                if len(op.inputs) > 1 and self.graph.tensors[op.inputs[1]].name == _WEIGHTS
            ),
            None,
        )

    def means(self, tensor: int, first: int = 0) -> list[tuple[int, int]]:
        """Return (map's tensor, its first feature) of the maps whose means a tensor holds in turn.

        Nothing where some of it is anything else.
        """
        op = self._made_by.get(tensor)
        if op is None:
            return []
        codes, taken = self._schema.BuiltinOperator, int(op.inputs[0])
        code = self._code(op)
        if code in {codes.RESHAPE, codes.SQUEEZE, codes.DEQUANTIZE, codes.QUANTIZE}:
            return self.means(taken, first)
        if code == codes.CONCATENATION:
            found = []
            for part in op.inputs:
                inside = self.means(int(part), first)
                if not inside:
                    return []
                found += inside
                first += int(self.graph.tensors[part].shape[-1])
            return found
        if code in {codes.MEAN, codes.AVERAGE_POOL_2D} and self._is_of_all(op, code):
            return [(taken, first)]
        return []

    def strangeness(self, anchors: Float32Array) -> int:
        """Add what tells strangeness, and return its tensor."""
        kinds, codes, schema = self._schema.BuiltinOptions, self._schema.BuiltinOperator, self._schema
        count, features = anchors.shape
        lengths = np.linalg.norm(anchors, axis=1, keepdims=True)
        directions = np.asarray(-anchors / np.maximum(lengths, 1e-12), np.float32)
        direction = self._tensor("direction", [1, features])
        distances = self._tensor("distances", [1, count])
        strangeness = self._tensor("strangeness", [1, 1])
        self._operator(
            codes.L2_NORMALIZATION,
            [self.features],
            direction,
            kinds.L2NormOptions,
            schema.L2NormOptionsT(),
        )
        constants = [self._constant("anchors", directions), self._constant("one", np.ones(count, np.float32))]
        self._operator(
            codes.FULLY_CONNECTED,
            [direction, *constants],
            distances,
            kinds.FullyConnectedOptions,
            schema.FullyConnectedOptionsT(),
        )
        self._operator(
            codes.REDUCE_MIN,
            [distances, self._constant("axis", np.array([1], np.int32))],
            strangeness,
            kinds.ReducerOptions,
            schema.ReducerOptionsT(keepDims=True),
        )
        return strangeness

    def packed(self, outputs: Sequence[int]) -> bytes:
        """Return the file with these outputs."""
        self.graph.outputs = list(outputs)
        for signature in self._model.signatureDefs or []:
            signature.outputs = [
                self._schema.TensorMapT(name=self._name(output), tensorIndex=output) for output in outputs
            ]
        return packed(self._model, self._about_bytes)

    def _name(self, tensor: int) -> str:
        name = self.graph.tensors[tensor].name
        return name.decode() if isinstance(name, bytes) else str(name)

    def _code(self, op: Any) -> int:
        code = self._model.operatorCodes[op.opcodeIndex]
        # Files of before 2020 have only the first of the two.
        return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))

    def _is_of_all(self, op: Any, code: int) -> bool:
        """Whether an operator takes the mean over the whole of a map."""
        shape = self.graph.tensors[op.inputs[0]].shape
        if shape is None or len(shape) != _MAP_DIMENSIONS:
            return False
        if code == self._schema.BuiltinOperator.AVERAGE_POOL_2D:
            options = op.builtinOptions
            return (options.filterHeight, options.filterWidth) == (shape[1], shape[2])
        axes = self._model.buffers[self.graph.tensors[op.inputs[1]].buffer].data
        found = np.frombuffer(np.asarray(axes, np.uint8).tobytes(), "<i4")
        return {int(axis) % _MAP_DIMENSIONS for axis in found} == _SPATIAL

    def _constant(self, name: str, values: npt.NDArray[Any]) -> int:
        self._model.buffers.append(
            self._schema.BufferT(data=np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8))
        )
        kind = self._schema.TensorType.INT32 if values.dtype == np.int32 else self._schema.TensorType.FLOAT32
        return self._tensor(name, list(values.shape), len(self._model.buffers) - 1, kind)

    def _tensor(self, name: str, shape: list[int], buffer: int = 0, kind: int = 0) -> int:
        self.graph.tensors.append(
            self._schema.TensorT(shape=shape, type=kind, buffer=buffer, name=name, hasRank=True)
        )
        return len(self.graph.tensors) - 1

    def _operator(
        self, code: int, inputs: Sequence[int | None], output: int, kind: int, options: Any
    ) -> None:
        self._model.operatorCodes.append(
            self._schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)
        )
        self.graph.operators.append(
            self._schema.OperatorT(
                opcodeIndex=len(self._model.operatorCodes) - 1,
                inputs=list(inputs),
                outputs=[output],
                builtinOptionsType=kind,
                builtinOptions=options,
            )
        )


def _quantization(tensor: Any) -> tuple[float, int]:
    known = tensor.quantization
    if known is None or known.scale is None or not len(known.scale):
        return 0.0, 0
    return float(known.scale[0]), int(known.zeroPoint[0])
