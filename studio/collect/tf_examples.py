"""`tf.train.Example`: named lists of bytes and whole numbers, written and read without TensorFlow.

The message (tensorflow/core/example/{example,feature}.proto) is in protobuf's wire format, of which it needs
only varints and pieces with a length: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Collection, Iterator, Mapping

from studio.errors import PictureRefused
from studio.language import _

Feature = list[bytes] | list[int]
_VARINT, _FIXED64, _PIECE, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT_BITS = 64
_MAX_FEATURES = 1_000
_MAX_VALUES = 20_000
_LONGEST_NAME_BYTES = 1_000
# Fields' numbers.
_FEATURES = _FEATURE = _KEY = _BYTES_LIST = _VALUE_OF_LIST = 1
_VALUE = 2
_INT64_LIST = 3


def encode(features: Mapping[str, Feature]) -> bytes:
    """Return an Example's bytes; features stand in the order of their names."""
    entries = b"".join(
        _piece(_FEATURE, _piece(_KEY, name.encode()) + _piece(_VALUE, _encoded(values)))
        for name, values in sorted(features.items())
    )
    return _piece(_FEATURES, entries)


def _encoded(values: Feature) -> bytes:
    if values and isinstance(values[0], int):
        packed = b"".join(_varint(int(value) % (1 << 64)) for value in values)
        return _piece(_INT64_LIST, _piece(_VALUE_OF_LIST, packed))
    return _piece(_BYTES_LIST, b"".join(_piece(_VALUE_OF_LIST, bytes(value)) for value in values))


def _piece(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | _PIECE) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def decode(data: bytes, names: Collection[str]) -> dict[str, Feature]:
    """Return the features of these names that an Example has, but for lists of fractions.

    Raises PictureRefused, with a reason that begins in lower case, for what is none.
    """
    wanted = {name.encode(): name for name in names}
    features: dict[str, Feature] = {}
    count = 0
    for entries in _pieces(memoryview(data), _FEATURES):
        for entry in _pieces(entries, _FEATURE):
            count += 1
            if count > _MAX_FEATURES:
                raise PictureRefused(_("it has too many features"))
            name = wanted.get(bytes(next(_pieces(entry, _KEY), b"")[:_LONGEST_NAME_BYTES]))
            if name is not None and (value := next(_pieces(entry, _VALUE), None)) is not None:
                found = _decoded(value)
                features |= {name: found} if found is not None else {}
    return features


def _decoded(feature: memoryview) -> Feature | None:
    for values in _pieces(feature, _BYTES_LIST):
        return [bytes(value) for value in _pieces(values, _VALUE_OF_LIST)]
    for values in _pieces(feature, _INT64_LIST):
        return list(_numbers(values))
    return None


def _numbers(values: memoryview) -> Iterator[int]:
    for field, value in _fields(values):
        if field != _VALUE_OF_LIST:
            continue
        if isinstance(value, int):
            yield _signed(value)
            continue
        at = count = 0
        while at < len(value):  # packed, as they usually are
            number, at = _read_varint(value, at)
            yield _signed(number)
            count += 1
            if count > _MAX_VALUES:
                raise _too_many()


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _pieces(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for field, value in _fields(message):
        if field == wanted and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield each field's number and value: a whole number, or a piece."""
    at = count = 0
    while at < len(message):
        count += 1
        if count > _MAX_VALUES:
            raise _too_many()
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _PIECE:
            length, at = _read_varint(message, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise _none()
        if length > len(message) - at:
            raise _none()
        yield tag >> 3, message[at : at + length]
        at += length


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _LONGEST_VARINT_BITS, 7):
        if at >= len(message):
            raise _none()
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last one's highest bit is not set
            return value & (1 << 64) - 1, at
    raise _none()


def _too_many() -> PictureRefused:
    return PictureRefused(_("it has too many values"))


def _none() -> PictureRefused:
    return PictureRefused(_("it is no tf.train.Example"))
