"""Gzip compression and decompression by ISA-L, several times faster than zlib at the same ratio."""

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from stnreg.errors import DataError

LEVEL = 1  # of 0 to 3; 2 and 3 compress images hardly better
CHUNK_BYTES = 1 << 22
GZIP, ZLIB = 31, 15  # zlib's window parameter for each format
GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
NOTHING_MORE = b"\x03\0"  # an empty final deflate block


def inflate(path: Path, count: int) -> bytes:
    """Decompress the first `count` bytes of a gzip file, and no more.

    Parameters
    ----------
    path : Path
        One or several gzip members. Data after the member with the last byte is ignored.
    count : int
        At least 1.

    Raises
    ------
    DataError
        If it has fewer bytes, or a checksum is wrong.
    OSError
        If it cannot be read.
    """
    return inflate_bytes(path.read_bytes(), count, path)


def inflate_bytes(packed: bytes, count: int, path: Path, window: int = GZIP) -> bytes:
    """Decompress the first `count` bytes of the content of `path`; gzip, or zlib with `window=ZLIB`. See `inflate`."""
    from isal import isal_zlib

    parts, missing = [], count
    try:
        while missing and packed:
            member = isal_zlib.decompressobj(wbits=window)
            parts.append(member.decompress(packed, missing))
            missing -= len(parts[-1])
            # The checksum follows the last byte; a member without one is truncated.
            if not member.eof and not member.decompress(member.unconsumed_tail, 1):
                missing = max(missing, 1)
            packed = member.unused_data
    except cast(type[Exception], isal_zlib.error) as error:  # its type stub declares an instance
        raise DataError(f"{path}: is damaged ({error}). Copy it again.") from error
    if missing:
        raise DataError(f"{path}: is cut short: {count} bytes were expected in it. Copy it again.")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def deflate(*parts: bytes | memoryview, threads: int = 1) -> list[bytes]:
    """Compress parts into one gzip member without name and time stamp.

    The bytes do not depend on the threads: chunks are compressed independently and flushed to whole bytes, so that
    they can be concatenated.
    """
    from isal import isal_zlib

    chunks = [part[k : k + CHUNK_BYTES] for part in parts for k in range(0, len(part), CHUNK_BYTES)]

    def pack(chunk: bytes | memoryview) -> bytes:
        squeezer = isal_zlib.compressobj(level=LEVEL, wbits=-15)
        return squeezer.compress(chunk) + squeezer.flush(isal_zlib.Z_SYNC_FLUSH)

    def checksum() -> int:
        crc = 0
        for part in parts:
            crc = isal_zlib.crc32(part, crc)
        return crc

    with ThreadPoolExecutor(threads) as pool:
        packed = pool.map(pack, chunks)
        crc = checksum()
        size = sum(len(part) for part in parts)
        return [GZIP_HEADER, *packed, NOTHING_MORE, struct.pack("<II", crc, size & 0xFFFFFFFF)]
