"""HDF5 without the times of writing, which its library puts into every object: so the same content is the same bytes.

The layout of version 2 object headers and the checksum are those of the HDF5 File Format Specification 3.0, IV.A.1.b:
"OHDR", version, flags, four times of four bytes where flag 5 is set, two counts where flag 4 is, the size of the
messages, the messages, and Bob Jenkins' lookup3 of everything before it.
"""

import struct

SIGNATURE = b"OHDR\x02"
HAS_TIMES, HAS_COUNTS = 0x20, 0x10
WORD = 0xFFFFFFFF


def without_times(content: bytes) -> bytes:
    """Put zero for the times in all object headers of an HDF5 file.

    Examples
    --------
    >>> without_times(b"no header, no change")
    b'no header, no change'
    """
    changed = bytearray(content)
    start = content.find(SIGNATURE)
    while start >= 0:
        end = _end_of_header(content, start)
        # In the middle of numbers the five letters may stand by chance; there the checksum is not right.
        if end is not None and _checksum(content[start:end]) == struct.unpack_from("<I", content, end)[0]:
            changed[start + 6 : start + 22] = bytes(16)
            struct.pack_into("<I", changed, end, _checksum(bytes(changed[start:end])))
        start = content.find(SIGNATURE, start + 1)
    return bytes(changed)


def _end_of_header(content: bytes, start: int) -> int | None:
    """Return where the checksum of a header with times stands; None where there are none, or no room for it."""
    if start + 40 > len(content):
        return None
    flags = content[start + 5]
    if not flags & HAS_TIMES:
        return None
    width = 1 << (flags & 3)
    at = start + 22 + (4 if flags & HAS_COUNTS else 0)
    end = at + width + int.from_bytes(content[at : at + width], "little")
    return end if end + 4 <= len(content) else None


def _checksum(data: bytes) -> int:
    """Return Bob Jenkins' lookup3 ("hashlittle") of some bytes.

    Examples
    --------
    >>> hex(_checksum(b"Four score and seven years ago"))
    '0x17770551'
    """
    a = b = c = (0xDEADBEEF + len(data)) & WORD
    if not data:
        return c
    whole = (len(data) - 1) // 12 * 12  # the last 1 to 12 bytes are mixed in another way
    for x, y, z in struct.iter_unpack("<III", data[:whole]):
        a, b, c = _mixed((a + x) & WORD, (b + y) & WORD, (c + z) & WORD)
    x, y, z = struct.unpack("<III", data[whole:].ljust(12, b"\0"))
    return _final((a + x) & WORD, (b + y) & WORD, (c + z) & WORD)


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for turns in (4, 6, 8, 16, 19, 4):
        a, c = ((a - c) & WORD) ^ _turned(c, turns), (b + c) & WORD
        a, b, c = b, c, a  # the letters take turns
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for turns in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _turned(b, turns)) & WORD
        a, b, c = b, c, a
    return b


def _turned(word: int, places: int) -> int:
    return ((word << places) | (word >> (32 - places))) & WORD
