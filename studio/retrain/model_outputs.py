"""Models derived from a run's LiteRT file: with features, feature maps and out-of-distribution score.

The head takes features, and in every backbone of the registry these are the means of the last feature
maps. Both are tensors in the file; here they become outputs of a derived file. The operations for the
out-of-distribution score are added to the graph, as the head is. `model.tflite` itself keeps its one output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array
from studio.retrain.model_file import pack_model

_WEIGHTS = b"final_weights"
_SPATIAL_AXES = {1, 2}
_MAP_DIMENSIONS = 4
_NO_HEAD = "expected a model file with a head that retraining has added; it has none"


@dataclass(frozen=True)
class FeatureMapOutput:
    """An output with a feature map, (rows, columns, channels), whose means are the features from `first` on.

    output: index of the output.
    scale, zero: of a quantized map, `(value - zero) * scale`; scale is 0 if it is not quantized.
    """

    output: int
    first: int
    channels: int
    scale: float
    zero: int


@dataclass(frozen=True)
class DerivedModel:
    """A derived file and the indices of its outputs; output 0 is `final_result`.

    features, ood_score: index of the output; None if there is none.
    maps: empty if the features are not the means of feature maps.
    """

    content: bytes
    features: int | None = None
    ood_score: int | None = None
    maps: tuple[FeatureMapOutput, ...] = ()


def derive_model(model: bytes, prototypes: Float32Array | None = None) -> DerivedModel:
    """Return a model that also outputs features, feature maps and the out-of-distribution score.

    prototypes: as in `with_ood_score`; None for a model without the score. A file without a head is returned
    unchanged.
    """
    graph = _Graph(model)
    if graph.features is None:
        return DerivedModel(model)
    maps = graph.pooled_maps(graph.features)
    outputs = [graph.result, graph.features]
    ood_score = None
    if prototypes is not None:
        ood_score = len(outputs)
        outputs.append(graph.add_ood_score(prototypes))
    map_outputs = []
    for tensor, first in maps:
        channels, scale, zero = graph.map_format(tensor)
        map_outputs.append(FeatureMapOutput(len(outputs), first, channels, scale, zero))
        outputs.append(tensor)
    return DerivedModel(graph.packed(outputs), 1, ood_score, tuple(map_outputs))


def feature_extractor_model(model: bytes) -> bytes:
    """Return a file whose only output is the features, float32, (1, features).

    Raises ValueError for a file without a head.
    """
    graph = _Graph(model)
    if graph.features is None:
        raise ValueError(_NO_HEAD)
    return graph.packed([graph.features])


def with_ood_score(model: bytes, prototypes: Float32Array) -> bytes:
    """Return a file with a second output, the out-of-distribution score: `strangeness`, float32, (1, 1).

    The score is 1 minus the largest cosine similarity of the image's features to a prototype: 0 for a
    prototype itself. prototypes: float32, (M, features), features of training images. Sun et al.,
    "Out-of-distribution detection with deep nearest neighbors", 2022. Raises ValueError for a file without a
    head.
    """
    graph = _Graph(model)
    if graph.features is None:
        raise ValueError(_NO_HEAD)
    return graph.packed([graph.result, graph.add_ood_score(prototypes)])


class _Graph:
    """The unpacked graph of a model file.

    result: tensor of the first output. features: tensor that the head takes; None without a head.
    """

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model = schema.ModelT.InitFromPackedBuf(model)
        self._about_bytes = len(model)
        self._graph = self._model.subgraphs[0]
        self._made_by = {output: op for op in self._graph.operators for output in op.outputs}
        self.result = int(self._graph.outputs[0])
        self.features = next(
            (
                int(op.inputs[0])
                for op in self._graph.operators
                if len(op.inputs) > 1 and self._graph.tensors[op.inputs[1]].name == _WEIGHTS
            ),
            None,
        )

    def pooled_maps(self, tensor: int, first: int = 0) -> list[tuple[int, int]]:
        """Return (tensor, index of its first feature) of the feature maps whose means a tensor concatenates.

        Empty if any part of it is something else.
        """
        op = self._made_by.get(tensor)
        if op is None:
            return []
        codes, source = self._schema.BuiltinOperator, int(op.inputs[0])
        code = self._code(op)
        if code in {codes.RESHAPE, codes.SQUEEZE, codes.DEQUANTIZE, codes.QUANTIZE}:
            return self.pooled_maps(source, first)
        if code == codes.CONCATENATION:
            maps = []
            for part in op.inputs:
                part_maps = self.pooled_maps(int(part), first)
                if not part_maps:
                    return []
                maps += part_maps
                first += int(self._graph.tensors[part].shape[-1])
            return maps
        if code in {codes.MEAN, codes.AVERAGE_POOL_2D} and self._is_global_mean(op, code):
            return [(source, first)]
        return []

    def map_format(self, tensor: int) -> tuple[int, float, int]:
        """Return a feature map's channels, scale and zero point, as in `FeatureMapOutput`."""
        found = self._graph.tensors[tensor]
        quantization = found.quantization
        if quantization is None or quantization.scale is None or not len(quantization.scale):
            return int(found.shape[-1]), 0.0, 0
        return int(found.shape[-1]), float(quantization.scale[0]), int(quantization.zeroPoint[0])

    def add_ood_score(self, prototypes: Float32Array) -> int:
        """Add the operations of the out-of-distribution score, and return its tensor.

        Exported files contain the names of these tensors.
        """
        kinds, codes, schema = self._schema.BuiltinOptions, self._schema.BuiltinOperator, self._schema
        count, features = prototypes.shape
        lengths = np.linalg.norm(prototypes, axis=1, keepdims=True)
        directions = np.asarray(-prototypes / np.maximum(lengths, 1e-12), np.float32)
        direction = self._tensor("direction", [1, features])
        distances = self._tensor("distances", [1, count])
        score = self._tensor("strangeness", [1, 1])
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
            score,
            kinds.ReducerOptions,
            schema.ReducerOptionsT(keepDims=True),
        )
        return score

    def packed(self, outputs: Sequence[int]) -> bytes:
        """Return the file with these tensors as outputs."""
        self._graph.outputs = list(outputs)
        for signature in self._model.signatureDefs or []:
            signature.outputs = [
                self._schema.TensorMapT(name=self._name(output), tensorIndex=output) for output in outputs
            ]
        return pack_model(self._model, self._about_bytes)

    def _name(self, tensor: int) -> str:
        name = self._graph.tensors[tensor].name
        return name.decode() if isinstance(name, bytes) else str(name)

    def _code(self, op: Any) -> int:
        code = self._model.operatorCodes[op.opcodeIndex]
        # Files from before 2020 have only the deprecated one.
        return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))

    def _is_global_mean(self, op: Any, code: int) -> bool:
        """Return whether an operator takes the mean over all positions of a feature map."""
        shape = self._graph.tensors[op.inputs[0]].shape
        if shape is None or len(shape) != _MAP_DIMENSIONS:
            return False
        if code == self._schema.BuiltinOperator.AVERAGE_POOL_2D:
            options = op.builtinOptions
            return (options.filterHeight, options.filterWidth) == (shape[1], shape[2])
        data = self._model.buffers[self._graph.tensors[op.inputs[1]].buffer].data
        axes = np.frombuffer(np.asarray(data, np.uint8).tobytes(), "<i4")
        return {int(axis) % _MAP_DIMENSIONS for axis in axes} == _SPATIAL_AXES

    def _constant(self, name: str, values: npt.NDArray[Any]) -> int:
        self._model.buffers.append(
            self._schema.BufferT(data=np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8))
        )
        kind = self._schema.TensorType.INT32 if values.dtype == np.int32 else self._schema.TensorType.FLOAT32
        return self._tensor(name, list(values.shape), len(self._model.buffers) - 1, kind)

    def _tensor(self, name: str, shape: list[int], buffer: int = 0, kind: int = 0) -> int:
        self._graph.tensors.append(
            self._schema.TensorT(shape=shape, type=kind, buffer=buffer, name=name, hasRank=True)
        )
        return len(self._graph.tensors) - 1

    def _operator(
        self, code: int, inputs: Sequence[int | None], output: int, kind: int, options: Any
    ) -> None:
        self._model.operatorCodes.append(
            self._schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)
        )
        self._graph.operators.append(
            self._schema.OperatorT(
                opcodeIndex=len(self._model.operatorCodes) - 1,
                inputs=list(inputs),
                outputs=[output],
                builtinOptionsType=kind,
                builtinOptions=options,
            )
        )
