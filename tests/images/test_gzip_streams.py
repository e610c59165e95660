"""Gzip both ways: what the standard library reads and writes, and every kind of damage."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import DataError
from stnreg.images.gzip_streams import deflate, inflate

TEXT = bytes(range(256)) * 40


def packed(folder: Path, content: bytes) -> Path:
    path = folder / "a.gz"
    path.write_bytes(content)
    return path


@given(st.lists(st.binary(max_size=500), min_size=1, max_size=4))
def test_the_standard_library_reads_what_is_packed(parts: list[bytes]) -> None:
    assert gzip.decompress(b"".join(deflate(*parts))) == b"".join(parts)


@pytest.mark.parametrize("members", [1, 3])
def test_what_the_standard_library_packed_is_read(tmp_path: Path, members: int) -> None:
    path = packed(tmp_path, gzip.compress(TEXT) * members)
    assert inflate(path, len(TEXT) * members) == TEXT * members
    assert inflate(path, 10) == TEXT[:10]


def test_the_bytes_do_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stnreg.images.gzip_streams.CHUNK_BYTES", 1000)
    alone, together = (b"".join(deflate(b"head", memoryview(TEXT), threads=n)) for n in (1, 4))
    assert alone == together
    assert gzip.decompress(alone) == b"head" + TEXT


def test_neither_name_nor_time_is_packed() -> None:
    assert b"".join(deflate(TEXT))[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_a_false_checksum_is_noticed(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(TEXT))
    content[-6] ^= 1
    with pytest.raises(DataError, match=r"a\.gz: is damaged"):
        inflate(packed(tmp_path, content), len(TEXT))


@pytest.mark.parametrize("lost", [1, 8, 9, 30])
def test_a_lost_end_is_noticed(tmp_path: Path, lost: int) -> None:
    with pytest.raises(DataError, match=r"a\.gz: is cut short"):
        inflate(packed(tmp_path, gzip.compress(TEXT)[:-lost]), len(TEXT))


def test_what_follows_does_no_harm(tmp_path: Path) -> None:
    assert inflate(packed(tmp_path, gzip.compress(TEXT) + b"\0\0more"), len(TEXT)) == TEXT


def test_no_more_is_unpacked_than_asked_for(tmp_path: Path) -> None:
    bomb = packed(tmp_path, gzip.compress(bytes(50_000_000)))
    assert len(inflate(bomb, 1000)) == 1000
