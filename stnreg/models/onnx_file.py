"""Check an ONNX file without the onnx package: external data and foreign operators, by parsing its protobuf."""

from collections.abc import Iterator
from typing import NamedTuple

from stnreg.errors import DataError

# Fields with nested messages (onnx.proto), on the paths to all tensors.
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
OPERATOR, DOMAIN = 4, 7  # fields of a node
OWN_DOMAINS = ("", "ai.onnx")
ENDLESS = ("Loop", "Scan")
DEEPEST = 60  # nesting of messages; networks of stnreg have four levels
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


class Contents(NamedTuple):
    """What an ONNX model has that is not run here.

    Attributes
    ----------
    has_external_data : bool
        Whether a tensor keeps its values in another file.
    foreign_operators : list of str
        Operators that are not standard, or that are loops.
    """

    has_external_data: bool
    foreign_operators: list[str]


def inspect(content: bytes) -> Contents:
    """Look through an ONNX model, in one pass.

    Raises
    ------
    DataError
        If `content` is not protobuf.
    """
    external, foreign = False, set()
    left = [(memoryview(content), "model", 0)]
    while left:
        message, kind, depth = left.pop()
        if depth > DEEPEST:
            raise DataError("not an ONNX file that is run here: graphs within graphs without end")
        children = CHILDREN[kind]
        for number, wire, value in _fields(message):
            if kind == "tensor":
                external |= number == EXTERNAL_DATA or (number == DATA_LOCATION and value == 1)
            elif isinstance(value, memoryview):
                if kind == "node" and number in (DOMAIN, OPERATOR):
                    text = bytes(value).decode("utf-8", "replace")
                    if text in ENDLESS if number == OPERATOR else text not in OWN_DOMAINS:
                        foreign.add(text)
                elif wire == BYTES and number in children:
                    left.append((value, children[number], depth + 1))
    return Contents(external, sorted(foreign))


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
    """Read a variable-length integer; return its value and the position after it."""
    if position < len(message) and message[position] < 0x80:  # most have one byte
        return message[position], position + 1
    value = shift = 0
    while position < len(message) and shift < 70:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise DataError("not an ONNX file: expected protobuf")
