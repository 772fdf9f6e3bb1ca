"""`tf.train.Example` messages without TensorFlow: named features, each a list of bytes or of integers.

Names and numbers of fields are those of the format; protobuf makes the message classes from them when they
are first needed. Nested messages stay bytes until they are asked for, so that a forged record cannot fill
the memory.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from studio.errors import ImageRefused
from studio.i18n import _

Feature = list[bytes] | list[int]
_MAX_FEATURES = 1_000
_MAX_VALUES = 20_000
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10
# Message → field → (number, type). Where the format nests messages, these have the bytes of the message.
_MESSAGES = {
    "Example": {"features": (1, "repeated bytes")},
    "Features": {"feature": (1, "repeated bytes")},
    "Entry": {"key": (1, "bytes"), "value": (2, "bytes")},
    "Feature": {"bytes_list": (1, "bytes"), "float_list": (2, "bytes"), "int64_list": (3, "bytes")},
    "BytesList": {"value": (1, "repeated bytes")},
    "Int64List": {"value": (1, "packed int64")},
}


@cache
def _messages() -> dict[str, Any]:
    """Return the message classes by their names."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="studio/tf_example.proto", package="studio.tf_example", syntax="proto2"
    )
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for field_name, (number, kind) in fields.items():
            is_repeated = kind != "bytes"
            added = message.field.add(
                name=field_name,
                number=number,
                type=field.TYPE_INT64 if kind == "packed int64" else field.TYPE_BYTES,
                label=field.LABEL_REPEATED if is_repeated else field.LABEL_OPTIONAL,
            )
            if kind == "packed int64":
                added.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}"))
        for name in _MESSAGES
    }


def encode_example(features: Mapping[str, Feature]) -> bytes:
    """Return the bytes of an Example; features stand in the order of their names."""
    messages = _messages()
    entries = []
    for name, values in sorted(features.items()):
        if values and isinstance(values[0], int):
            feature = messages["Feature"](int64_list=_bytes(messages["Int64List"](value=values)))
        else:
            feature = messages["Feature"](bytes_list=_bytes(messages["BytesList"](value=values)))
        entries.append(_bytes(messages["Entry"](key=name.encode(), value=_bytes(feature))))
    return _bytes(messages["Example"](features=[_bytes(messages["Features"](feature=entries))]))


def _bytes(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def decode_example(data: bytes, names: Collection[str]) -> dict[str, Feature]:
    """Return the features of these names that an Example has, but for lists of floats.

    Raises ImageRefused, with a reason that begins in lower case, for other bytes, for more than 1,000
    features, and for more than 20,000 values in a list.
    """
    wanted = {name.encode(): name for name in names}
    features: dict[str, Feature] = {}
    count = 0
    for piece in _parse("Example", data).features:
        entries = _parse("Features", piece, _MAX_FEATURES, _("it has too many features")).feature
        count += len(entries)
        if count > _MAX_FEATURES:
            raise ImageRefused(_("it has too many features"))
        for entry_bytes in entries:
            entry = _parse("Entry", entry_bytes)
            name = wanted.get(entry.key)
            if name is not None and (values := _decode_feature(entry.value)) is not None:
                features[name] = values
    return features


def _decode_feature(data: bytes) -> Feature | None:
    feature = _parse("Feature", data)
    if feature.HasField("bytes_list"):
        return list(_parse("BytesList", feature.bytes_list).value)
    if feature.HasField("int64_list"):
        if len(feature.int64_list) > _MAX_VALUES * (_MAX_VARINT_BYTES + 1):
            raise ImageRefused(_("it has too many values"))
        numbers = list(_parse("Int64List", feature.int64_list).value)
        if len(numbers) > _MAX_VALUES:
            raise ImageRefused(_("it has too many values"))
        return numbers
    return None


def _parse(message: str, data: bytes, max_fields: int = _MAX_VALUES, error: str = "") -> Any:
    """Return a message from its bytes. error: for people, where it has more fields than `max_fields`."""
    from google.protobuf.message import DecodeError

    if _exceeds(data, max_fields):
        raise ImageRefused(error or _("it has too many values"))
    try:
        return _messages()[message].FromString(data)
    except DecodeError as decode_error:
        raise _no_example() from decode_error


def _exceeds(data: bytes, max_fields: int) -> bool:
    """Return whether a message has more fields than that, before protobuf takes memory for each of them.

    Two bytes of a forged record would become an object of 16 to 50.
    """
    at = count = 0
    while at < len(data):
        count += 1
        if count > max_fields:
            return True
        tag, at = _read_varint(data, at)
        wire_type = tag & 7
        if wire_type == _VARINT:
            _value, at = _read_varint(data, at)
        elif wire_type == _LENGTH_DELIMITED:
            length, at = _read_varint(data, at)
            at += length
        elif wire_type in _FIXED_BYTES:
            at += _FIXED_BYTES[wire_type]
        else:
            raise _no_example()
    return False


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer at a place in a message, and the place behind it."""
    value = 0
    for number, byte in enumerate(data[at : at + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * number
        if byte < 0x80:  # noqa: PLR2004 - the last byte's highest bit is not set
            return value, at + number + 1
    raise _no_example()


def _no_example() -> ImageRefused:
    return ImageRefused(_("it is no tf.train.Example"))
