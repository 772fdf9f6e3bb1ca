"""The model file: backbone and head in one LiteRT file, made by appending the head to the flatbuffer.

No converter runs, so it takes milliseconds and the backbone's weights stay unchanged. The format:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from studio.retrain.head.head import Head

_FILE_IDENTIFIER = b"TFL3"


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """A builder that aligns vectors to 16 bytes, as the schema requires of constants (`force_align: 16`)."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
        return super().StartVector(elemSize, numElems, max(alignment, 16))


def attach_head(backbone: bytes, head: Head) -> bytes:
    """Return a file of backbone and head.

    backbone: a LiteRT file, uint8 (1, h, w, 3) in, float32 (1, features) out.
    The result has the same input, named `input`, and the output `final_result`: softmax probabilities,
    float32, (1, classes).
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(backbone)
    graph = model.subgraphs[0]
    features = graph.outputs[0]
    classes = len(head.bias)

    def constant(name: str, values: npt.NDArray[np.float32]) -> int:
        model.buffers.append(schema.BufferT(data=np.frombuffer(values.astype("<f4").tobytes(), np.uint8)))
        return tensor(name, list(values.shape), len(model.buffers) - 1)

    def tensor(name: str, shape: list[int], buffer: int = 0) -> int:
        graph.tensors.append(
            schema.TensorT(
                shape=shape, type=schema.TensorType.FLOAT32, buffer=buffer, name=name, hasRank=True
            )
        )
        return len(graph.tensors) - 1

    def operator(code: int, inputs: list[int], output: int, kind: int, options: Any) -> None:
        model.operatorCodes.append(
            schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)
        )
        graph.operators.append(
            schema.OperatorT(
                opcodeIndex=len(model.operatorCodes) - 1,
                inputs=inputs,
                outputs=[output],
                builtinOptionsType=kind,
                builtinOptions=options,
            )
        )

    kinds, codes = schema.BuiltinOptions, schema.BuiltinOperator
    weights = constant("final_weights", np.ascontiguousarray(head.weights.T))
    bias = constant("final_biases", head.bias)
    logits = tensor("final_logits", [1, classes])
    final = tensor("final_result", [1, classes])
    operator(
        codes.FULLY_CONNECTED,
        [features, weights, bias],
        logits,
        kinds.FullyConnectedOptions,
        schema.FullyConnectedOptionsT(),
    )
    operator(codes.SOFTMAX, [logits], final, kinds.SoftmaxOptions, schema.SoftmaxOptionsT(beta=1.0))
    graph.tensors[graph.inputs[0]].name = "input"
    graph.outputs = [final]
    for signature in model.signatureDefs or []:
        signature.outputs = [schema.TensorMapT(name="final_result", tensorIndex=final)]
    return pack_model(model, len(backbone) + 4 * head.weights.size)


def rename_output(model: bytes, name: str) -> bytes:
    """Return the file with another name for its output tensor."""
    from ai_edge_litert import schema_py_generated as schema

    unpacked = schema.ModelT.InitFromPackedBuf(model)
    graph = unpacked.subgraphs[0]
    graph.tensors[graph.outputs[0]].name = name
    for signature in unpacked.signatureDefs or []:
        for output in signature.outputs:
            output.name = name
    return pack_model(unpacked, len(model))


def pack_model(model: Any, estimated_bytes: int) -> bytes:
    """Return a `ModelT` as a file. estimated_bytes: its approximate size."""
    builder = _Builder(estimated_bytes + (1 << 20))
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def read_head(model: bytes) -> Head:
    """Return the head of a file that `attach_head` made. Raises ValueError if it has none."""
    from ai_edge_litert import schema_py_generated as schema

    unpacked = schema.ModelT.InitFromPackedBuf(model)
    tensors = {tensor.name: tensor for tensor in unpacked.subgraphs[0].tensors}

    def values(name: bytes) -> npt.NDArray[np.float32]:
        if name not in tensors:
            raise ValueError(f"expected a tensor {name.decode()}; the model has none")
        tensor = tensors[name]
        flat = np.frombuffer(unpacked.buffers[tensor.buffer].data.tobytes(), "<f4")
        return flat.reshape(tuple(tensor.shape)).astype(np.float32)

    return Head(np.ascontiguousarray(values(b"final_weights").T), values(b"final_biases"))
