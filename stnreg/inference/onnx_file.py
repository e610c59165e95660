"""A look inside an ONNX file without the onnx package: just enough of its protobuf to find outside weights."""

from collections.abc import Iterator

from stnreg.errors import DataError

# Which fields of a message hold which messages (onnx.proto): the ways down to every tensor.
CHILDREN = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # fields of a tensor
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


def has_external_data(content: bytes) -> bool:
    """Tell whether any tensor of an ONNX model keeps its numbers in another file.

    Raises
    ------
    DataError
        If `content` is not protobuf.
    """
    return _any_external(memoryview(content), "model")


def _any_external(message: memoryview, kind: str) -> bool:
    for number, wire, value in _fields(message):
        if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value == 1)):
            return True
        child = CHILDREN[kind].get(number)
        if child and wire == BYTES and isinstance(value, memoryview) and _any_external(value, child):
            return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Yield (field number, wire type, value) of a protobuf message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        value: memoryview | int
        if wire == VARINT:
            value, position = _varint(message, position)
        elif wire in (FIXED64, FIXED32):
            width = 8 if wire == FIXED64 else 4
            value, position = message[position : position + width], position + width
        elif wire == BYTES:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        else:
            raise DataError("not an ONNX file: expected protobuf")
        if position > len(message):
            raise DataError("not an ONNX file: it ends in the middle")
        yield number, wire, value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Read a variable-length integer: its value, and where the next byte is."""
    value = shift = 0
    while position < len(message) and shift < 70:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise DataError("not an ONNX file: expected protobuf")
