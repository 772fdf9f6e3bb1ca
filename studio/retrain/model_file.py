"""One LiteRT file out of backbone and head: the head is grafted onto the backbone's flatbuffer.

No converter runs, so it takes milliseconds and the backbone's own numbers stay as they are. The format:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from studio.retrain.head.head import Head

_FILE_IDENTIFIER = b"TFL3"


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Lays every vector on a multiple of 16 bytes, as the schema asks of constants (`force_align: 16`)."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
        return super().StartVector(elemSize, numElems, max(alignment, 16))


def with_head(backbone: bytes, head: Head) -> bytes:
    """Return a file that answers with probabilities where `backbone` answers with features.

    backbone: uint8 (1, h, w, 3) in, float32 (1, features) out.
    Input tensor `input`, unchanged; output tensor `final_result`, float32, (1, classes), a softmax.
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
    return packed(model, len(backbone) + 4 * head.weights.size)


def with_output_name(model: bytes, name: str) -> bytes:
    """Return the same file with its output tensor called otherwise."""
    from ai_edge_litert import schema_py_generated as schema

    read = schema.ModelT.InitFromPackedBuf(model)
    graph = read.subgraphs[0]
    graph.tensors[graph.outputs[0]].name = name
    for signature in read.signatureDefs or []:
        for output in signature.outputs:
            output.name = name
    return packed(read, len(model))


def packed(model: Any, about_bytes: int) -> bytes:
    """Return a `ModelT` as a file. about_bytes: how large it will be, more or less."""
    builder = _Builder(about_bytes + (1 << 20))
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def head_of(model: bytes) -> Head:
    """Return the head that `with_head` put into a file. Raises ValueError where there is none."""
    from ai_edge_litert import schema_py_generated as schema

    read = schema.ModelT.InitFromPackedBuf(model)
    tensors = {tensor.name: tensor for tensor in read.subgraphs[0].tensors}

    def values(name: bytes) -> npt.NDArray[np.float32]:
        if name not in tensors:
            raise ValueError(f"expected a tensor {name.decode()}; the model has none")
        tensor = tensors[name]
        flat = np.frombuffer(read.buffers[tensor.buffer].data.tobytes(), "<f4")
        return flat.reshape(tuple(tensor.shape)).astype(np.float32)

    return Head(np.ascontiguousarray(values(b"final_weights").T), values(b"final_biases"))
