"""A LiteRT file's operators as a TensorFlow graph, for TensorBoard to draw.

The file's schema: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

import re
from functools import cache
from typing import Any

_FORBIDDEN = re.compile(r"[^\w./>-]")


def model_graph(model: bytes) -> Any:
    """Return a `GraphDef` with a node for each input, constant and operator of a file, named by its output.

    A name that is made of several, as the converter joins them, is cut to the first; its slashes make the
    groups that TensorBoard folds.
    """
    from ai_edge_litert import schema_py_generated as schema
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.versions_pb2 import VersionDef

    read = schema.Model.GetRootAs(model, 0)
    part = read.Subgraphs(0)
    graph = GraphDef(versions=VersionDef(producer=1))
    names: dict[int, str] = {}
    taken: set[str] = set()

    def add(tensor: int, kind: str, inputs: list[str]) -> None:
        names[tensor] = name = _free(_name(part.Tensors(tensor).Name()), taken)
        node = graph.node.add(name=name, op=kind, input=inputs)
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in part.Tensors(tensor).ShapeAsNumpy().tolist():
            shape.dim.add(size=size)

    for at in range(part.InputsLength()):
        add(part.Inputs(at), "Placeholder", [])
    for at in range(part.OperatorsLength()):
        operator = part.Operators(at)
        code = read.OperatorCodes(operator.OpcodeIndex())
        inputs = [index for i in range(operator.InputsLength()) if (index := operator.Inputs(i)) >= 0]
        for index in inputs:
            if index not in names:  # what no operator before has made is a constant
                add(index, "Const", [])
        kind = _kinds().get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "CUSTOM")
        for i in range(operator.OutputsLength()):
            add(operator.Outputs(i), kind, [names[index] for index in inputs])
    return graph


@cache
def _kinds() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    codes = vars(schema.BuiltinOperator).items()
    return {code: name for name, code in codes if isinstance(code, int)}


def _name(given: bytes) -> str:
    first = given.decode("utf-8", "replace").partition(";")[0].partition(":")[0]
    return _FORBIDDEN.sub("_", first).strip("/") or "tensor"


def _free(name: str, taken: set[str]) -> str:
    free = name
    for number in range(1, len(taken) + 2):
        if free not in taken:
            break
        free = f"{name}_{number}"
    taken.add(free)
    return free
