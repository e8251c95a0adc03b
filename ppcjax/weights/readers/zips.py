"""Entries of zip archives: views where stored, within bounds where deflated."""

import io
import struct
import zipfile
import zlib

from ppcjax.weights.readers.errors import Refusal, quoted

_ENTRY = b"PK\x01\x02"
_MAX_ENTRIES = 200_000
# Deflated entries may grow this much together: weights hardly shrink at all.
_MAX_RATIO = 8
_FREE_TOTAL = 16 << 20


class Archive:
    """A zip archive in memory.

    Entries are views of its bytes where they are stored as they are. Deflated ones may
    hold 8 times the bytes of the archive together, or 16 MiB in any case.
    """

    def __init__(self, data: bytes, free: int = _FREE_TOTAL):
        """Reads the list of entries; a Refusal says why an archive is not taken.

        Deflated entries may hold `free` bytes together in any case.
        """
        if data.count(_ENTRY) > _MAX_ENTRIES:
            raise Refusal(f"has more than {_MAX_ENTRIES} entries; split the file")
        self._data, self._read = data, {}
        self.left = max(free, _MAX_RATIO * len(data))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
        self._entries = {entry.filename: entry for entry in entries}
        if len(self._entries) != len(entries):
            raise ValueError("two of its entries have one name")
        if sum(entry.compress_size for entry in entries) > len(data):
            raise ValueError("its entries overlap")

    @property
    def names(self) -> list[str]:
        """Names of the entries, in the order of the archive."""
        return list(self._entries)

    def read(self, name: str) -> memoryview:
        """The bytes of an entry, whose checksum is compared once."""
        if name not in self._read:
            entry = self._entries.get(name)
            if entry is None:
                raise ValueError(f"it has no {quoted(name)}")
            raw = self._unpack(entry)
            # PyTorch can leave the checksum out.
            if entry.CRC not in (0, zlib.crc32(raw)):
                raise ValueError(f"the checksum of {quoted(name)} is wrong")
            self._read[name] = raw
        return self._read[name]

    def _unpack(self, entry: zipfile.ZipInfo) -> memoryview:
        name, start = quoted(entry.filename), entry.header_offset
        head = self._data[start : start + 30] if start >= 0 else b""
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise ValueError(f"{name} is not where the list says")
        start += 30 + sum(struct.unpack_from("<HH", head, 26))
        packed = memoryview(self._data)[start : start + entry.compress_size]
        if len(packed) != entry.compress_size:
            raise ValueError("it ends early")
        if entry.flag_bits & 1:
            raise Refusal(f"is encrypted ({name}); unpack it and pack it again")
        if entry.compress_type == zipfile.ZIP_STORED:
            if entry.file_size != entry.compress_size:
                raise ValueError(f"the size of {name} is wrong")
            return packed
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            raise Refusal(
                f"is compressed by method {entry.compress_type} ({name}); unpack it "
                "and pack it again without"
            )
        return self._inflate(packed, entry.file_size, name)

    def _inflate(self, packed: memoryview, size: int, name: str) -> memoryview:
        if size > self.left:
            raise Refusal(
                f"holds {name}, which unpacks to {size} bytes, more than weights of a "
                "file of this size can; get the weights uncompressed"
            )
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        raw = inflater.decompress(packed, size + 1)
        if len(raw) != size:
            raise ValueError(f"the size of {name} is wrong")
        self.left -= size
        return memoryview(raw)
