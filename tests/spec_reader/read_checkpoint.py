#!/usr/bin/env python3
"""Reads Alluvium checkpoints, written from SPEC.md alone and with the standard library only.

    read_checkpoint.py CHECKPOINT_DIR           print the checkpoint as JSON lines
    read_checkpoint.py --verify CHECKPOINT_DIR  check everything, print what was checked
    read_checkpoint.py --latest JOB_DIR         print the path of the latest checkpoint (2.6)

CHECKPOINT_DIR is a folder JOB/chk-N, or that of a savepoint. Nothing is printed before the whole of it is checked.
The counts of --verify are those of the state streams, keyed and operator ones together; the
metadata stream and the shared files are not counted as streams, blocks in shared files are counted
once for each stream that refers to them. Of keyed state as SST files (12) the index and all bytes of
the files are checked and the files are listed; their rows are not read, since the tables are RocksDB's and may be
compressed in ways that the standard library does not know. Errors are one sentence, which begins with the name that
section 10 of the specification gives them. Exit codes: 0 fine, 1 refused, 2 wrong use.

JSON has no number for NaN and the infinities: they are the strings NaN, Infinity, -Infinity.
Numbers in parentheses in the comments are sections of SPEC.md.
"""
from __future__ import annotations

import json
import os
import re
import signal
import stat
import struct
import sys
from collections import namedtuple
from typing import Any, Callable, Dict, Iterator, List, NoReturn, Optional, Tuple
from zlib import crc32

METADATA, KEYED, OPERATOR, SSTS = 1, 2, 3, 4
KIND_NAMES = {METADATA: "metadata", KEYED: "keyed state", OPERATOR: "operator state", SSTS: "SST files"}
STATE_KINDS = {1: "value", 2: "list", 3: "map", 4: "reducing", 5: "aggregating", 6: "timers", 7: "sorted map"}
TIMERS, SORTED_MAP, LONG_LIST = 6, 7, 8
STATE_KINDS[LONG_LIST] = "long list"
TIME_DOMAINS = {1: "event time", 2: "processing time"}
MODES = {0: "split", 1: "union", 2: "broadcast", 3: "keyed"}
BROADCAST, KEYED_MODE = 2, 3
SEGMENTED, UNSEGMENTED = 1, 2
DELTA, IN_SHARED_FILE, COMPRESSION = 1, 2, 12  # flags of a block
STABLE, FLINK = 1, 2
ASSIGNERS = {STABLE: "stable", FLINK: "flink"}
NO_SUBTASK = 0xFFFFFFFF
MAX_NESTING = 16
MAX_EMPTY_ITEMS = 65_536
MAX_CHAIN = 255
LEAST_BLOCK = 7  # bytes in the index
MAX_LEVEL, MAX_SEQUENCE_NUMBER = 6, 2**56 - 1
MASK32, MASK64 = 2**32 - 1, 2**64 - 1


class Refused(Exception):
    """Bytes that a reader must not use; `name` is the error of section 10."""

    def __init__(self, name: str, message: str):
        super().__init__(f"{name}: {message}.")
        self.name = name


def malformed(message: str) -> NoReturn:
    raise Refused("FormatError::Malformed", message)


def mismatch(message: str) -> NoReturn:
    raise Refused("RestoreError::Mismatch", message)


# Reading fields (1.2)


class Cursor:
    """Takes fields from `data[pos:end]`. Nothing is taken before it is known to be there."""

    def __init__(self, data: bytes, pos: int, end: int, where: str, index: bool = False):
        self.data, self.pos, self.end, self.where, self.index = data, pos, end, where, index

    def fail(self, name: str, message: str) -> NoReturn:
        error = "FormatError::Codec" if self.index else f"CodecError::{name}"
        raise Refused(error, f"{message} at offset {self.pos} of {self.where}")

    def take(self, length: int) -> bytes:
        start, left = self.pos, self.end - self.pos
        if length > left:
            self.fail("Truncated", f"{length} bytes are needed but {left} are left")
        self.pos = start + length
        return self.data[start : self.pos]

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.uint(1)
            value |= (byte & 127) << shift
            if byte < 128:
                if (byte == 0 and shift > 0) or value > MASK64:
                    self.fail("Invalid", "a varint is not in its shortest form or above 64 bits")
                return value
        return self.fail("Invalid", "a varint has more than ten bytes")

    def varint32(self) -> int:
        value = self.varint()
        if value > MASK32:
            self.fail("Invalid", f"{value} is above 32 bits")
        return value

    def check_count(self, count: int, least: int) -> int:
        """Compares a number of things of at least `least` bytes with the bytes left."""
        if count * least > self.end - self.pos:
            self.fail("Truncated", f"a count is {count} but {self.end - self.pos} bytes are left")
        return count

    def framed(self) -> bytes:
        return self.take(self.varint())

    def utf8(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return self.fail("Invalid", "a text before is not UTF-8")

    def text(self) -> str:
        return self.utf8(self.take(self.uint(2)))

    def finish(self) -> None:
        """The index ends at its last field."""
        if self.pos != self.end:
            malformed(f"{self.end - self.pos} bytes follow the last field of the index of {self.where}")

    def name(self) -> str:
        """A job id or an operator uid (2.1)."""
        text = self.text()
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", text):
            malformed(f"{text!r} in {self.where} is neither a job id nor an operator uid")
        return text


# Key groups (3)


def key_group_range(subtask: int, max_parallelism: int, parallelism: int) -> Tuple[int, int]:
    first = -(-subtask * max_parallelism // parallelism)
    return first, ((subtask + 1) * max_parallelism - 1) // parallelism


P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def rotl(x: int, bits: int, width: int = 64) -> int:
    x &= (1 << width) - 1
    return ((x << bits) | (x >> (width - bits))) & ((1 << width) - 1)


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0. Python's integers do not wrap, so every step is cut to 64 bits."""

    def word(pos: int, size: int = 8) -> int:
        return int.from_bytes(data[pos : pos + size], "little")

    def round_(acc: int, value: int) -> int:
        return rotl(acc + value * P2, 31) * P1 & MASK64

    pos, end, h = 0, len(data), P5
    if end >= 32:
        lanes = [P1 + P2 & MASK64, P2, 0, -P1 & MASK64]
        while end - pos >= 32:
            lanes = [round_(lane, word(pos + 8 * i)) for i, lane in enumerate(lanes)]
            pos += 32
        h = sum(rotl(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18)))
        for lane in lanes:
            h = ((h ^ round_(0, lane)) * P1 + P4) & MASK64
    h = h + end & MASK64
    while end - pos >= 8:
        h = rotl(h ^ round_(0, word(pos)), 27) * P1 + P4 & MASK64
        pos += 8
    if end - pos >= 4:
        h = rotl(h ^ (word(pos, 4) * P1 & MASK64), 23) * P2 + P3 & MASK64
        pos += 4
    for byte in data[pos:]:
        h = rotl(h ^ (byte * P5 & MASK64), 11) * P1 & MASK64
    h = (h ^ (h >> 33)) * P2 & MASK64
    h = (h ^ (h >> 29)) * P3 & MASK64
    return h ^ (h >> 32)


def java_hash(codec: Codec, value: Any) -> Optional[int]:
    """The Java hash code as u32, or None for a key whose code only the job knows."""
    name = codec.name
    if name in ("i8", "i16", "i32", "u16"):
        return value & MASK32
    if name in ("i64", "f64"):
        # Python's own NaN has the bits that Java uses for all of them.
        bits = value & MASK64 if name == "i64" else struct.unpack("<Q", struct.pack("<d", float(value)))[0]
        return (bits ^ (bits >> 32)) & MASK32
    if name == "bool":
        return 1231 if value else 1237
    if name == "f32":
        return struct.unpack("<I", struct.pack("<f", float(value)))[0]
    if name == "string":
        units: List[Optional[int]] = [unit for (unit,) in struct.iter_unpack("<H", value.encode("utf-16-le"))]
        h = 0
    elif name == "tuple" and codec.parts:
        units = [java_hash(part, field) for part, field in zip(codec.parts, value)]
        h = 0
    else:
        return None
    for unit in units:
        if unit is None:
            return None
        h = (31 * h + unit) & MASK32
    return h


def murmur(code: int) -> int:
    h = rotl(code * 0xCC9E2D51, 15, 32) * 0x1B873593
    h = (rotl(rotl(h, 0, 32), 13, 32) * 5 + 0xE6546B64) & MASK32 ^ 4
    h = (h ^ (h >> 16)) * 0x85EBCA6B & MASK32
    h = (h ^ (h >> 13)) * 0xC2B2AE35 & MASK32
    h ^= h >> 16
    if h < 2**31:
        return h
    return 0 if h == 2**31 else 2**32 - h


def key_group(assigner: int, max_parallelism: int, codec: Codec, key: Any, encoded: bytes) -> Optional[int]:
    """The key group of a key, or None if it cannot be computed from the stored bytes."""
    if assigner == STABLE:
        return xxh64(encoded) % max_parallelism
    code = java_hash(codec, key)
    return None if code is None else murmur(code) % max_parallelism


# Codecs (5)


Codec = namedtuple("Codec", "name version parameters parts")


Decode = Callable[[Cursor], Any]
INTEGERS = {f"{sign}{8 * size}": (size, sign == "i") for sign in "ui" for size in (1, 2, 4, 8, 16)}
FLOATS = {"f32": (4, "<f"), "f64": (8, "<d")}
ORDERED_FLOATS = {f"ordered_{name}": width for name, (width, _) in FLOATS.items()}
ORDERED_INTEGERS = {f"ordered_{name}": size for name, size in INTEGERS.items() if name != "u8"}
ORDERED_TEXTS = ("ordered_string", "ordered_bytes")
ALWAYS_ORDERED = {"u8", "bool", "unit", "fixed_bytes", *ORDERED_INTEGERS, *ORDERED_FLOATS, *ORDERED_TEXTS}
PART_COUNTS = {"option": (1,), "vec": (1,), "map": (2,), "ttl": (1,), "tuple": range(2, 7)}


# `count` equal items without bytes. A few bytes can claim many, so they are only made for print.
Repeated = namedtuple("Repeated", "item count")


def read_codec(cursor: Cursor, level: int = 1) -> Codec:
    if level > MAX_NESTING:
        cursor.fail("Invalid", f"a codec nests deeper than {MAX_NESTING} levels")
    name, version, parameters = cursor.text(), cursor.uint(2), cursor.framed()
    return Codec(name, version, parameters, tuple(read_codec(cursor, level + 1) for _ in range(cursor.uint(1))))


def has_no_bytes(codec: Codec) -> bool:
    return codec.name == "unit" or (codec.name == "tuple" and all(map(has_no_bytes, codec.parts)))


def parameters_fit(codec: Codec) -> bool:
    if codec.name == "fixed_bytes":
        return len(codec.parameters) == 4 and 1 <= fixed_length(codec) <= 65_535
    if codec.name not in ("postcard", "user"):
        return not codec.parameters
    inner = Cursor(codec.parameters, 0, len(codec.parameters), "codec parameters")
    try:
        inner.text(), inner.uint(4)
    except Refused:
        return False
    return inner.pos == inner.end


def fixed_length(codec: Codec) -> int:
    return int.from_bytes(codec.parameters, "little")


def decoder(codec: Codec) -> Decode:
    """Makes the function that takes one value from a cursor. Codecs outside 5.2 are refused."""
    name = codec.name
    framed = name in ("postcard", "user")
    parts_fit = len(codec.parts) in PART_COUNTS.get(name, (0,))
    if codec.version != 1 or not parts_fit or not parameters_fit(codec):
        raise Refused("StateError::IncompatibleSchema", f"codec {codec} is not one of version 2 of the format")
    if name in INTEGERS:
        size, signed = INTEGERS[name]
        return lambda c: int.from_bytes(c.take(size), "little", signed=signed)
    if name in FLOATS:
        width, layout = FLOATS[name]
        return lambda c: json_float(struct.unpack(layout, c.take(width))[0])
    if name in ("bool", "option"):
        inner = decoder(codec.parts[0]) if codec.parts else None
        return lambda c: decode_flag(c, inner)
    if name in ORDERED_INTEGERS or name in ORDERED_FLOATS or name in ORDERED_TEXTS:
        return ordered_decoder(name)
    if name == "string":
        return lambda c: c.utf8(c.framed())
    if name == "bytes" or framed:
        return lambda c: c.framed().hex()
    if name == "fixed_bytes":
        length = fixed_length(codec)
        return lambda c: c.take(length).hex()
    if name == "unit":
        return lambda c: None
    if name in ("vec", "map"):
        parts = [decoder(part) for part in codec.parts]
        empty = all(map(has_no_bytes, codec.parts))
        return (lambda c: decode_vec(c, parts[0], empty)) if name == "vec" else (lambda c: decode_map(c, *parts))
    if name == "ttl":
        stamped = decoder(codec.parts[0])
        return lambda c: {"stamp_ms": int.from_bytes(c.take(8), "little", signed=True), "value": stamped(c)}
    if name == "tuple":
        fields = [decoder(part) for part in codec.parts]
        return lambda c: [field(c) for field in fields]
    raise Refused("StateError::IncompatibleSchema", f"codec {name!r} is unknown")


# Ordered codecs (5.5)


def is_ordered(codec: Codec) -> bool:
    return codec.name in ALWAYS_ORDERED or (codec.name in ("option", "tuple") and all(map(is_ordered, codec.parts)))


def ordered_decoder(name: str) -> Decode:
    if name == "ordered_string":
        return lambda c: c.utf8(unescaped(c))
    if name == "ordered_bytes":
        return lambda c: unescaped(c).hex()
    if name in ORDERED_FLOATS:
        return lambda c: ordered_float(c.take(ORDERED_FLOATS[name]), FLOATS[name[len("ordered_") :]][1])
    size, signed = ORDERED_INTEGERS[name]
    return lambda c: int.from_bytes(c.take(size), "big") - (1 << (8 * size - 1) if signed else 0)


def ordered_float(stored: bytes, layout: str) -> Any:
    sign = 1 << (8 * len(stored) - 1)
    bits = int.from_bytes(stored, "big")
    bits ^= sign if bits & sign else 2 * sign - 1
    return json_float(struct.unpack(layout, bits.to_bytes(len(stored), "little"))[0])


def unescaped(cursor: Cursor) -> bytes:
    """The bytes up to the next 0, without their escapes."""
    end = cursor.data.find(b"\0", cursor.pos, cursor.end)
    raw = cursor.take((cursor.end if end < 0 else end) - cursor.pos)
    cursor.take(1)
    if b"\x01" in re.sub(rb"\x01[\x01\x02]", b"", raw):
        cursor.fail("Invalid", "an escape stands before another byte than 1 or 2")
    return re.sub(rb"\x01([\x01\x02])", lambda match: bytes([match[1][0] - 1]), raw)


def json_float(value: float) -> Any:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def decode_flag(cursor: Cursor, inner: Optional[Decode]) -> Any:
    flag = cursor.uint(1)
    if flag > 1:
        cursor.fail("Invalid", f"a flag is {flag}, neither 0 nor 1,")
    if inner is None:
        return flag == 1
    return inner(cursor) if flag else None


def read_count(cursor: Cursor) -> int:
    count = cursor.varint()
    if count > MAX_EMPTY_ITEMS and count > cursor.end - cursor.pos:
        cursor.fail("Truncated", f"a count is {count} but {cursor.end - cursor.pos} bytes are left")
    return count


def decode_vec(cursor: Cursor, item: Decode, empty: bool) -> Any:
    count = read_count(cursor)
    if empty:
        return Repeated(item(cursor), count)
    return [item(cursor) for _ in range(count)]


def decode_map(cursor: Cursor, key: Decode, value: Decode, is_sorted: bool = False) -> List[List[Any]]:
    entries, seen, last = [], set(), None
    for _ in range(read_count(cursor)):
        start = cursor.pos
        decoded = key(cursor)
        encoded = cursor.data[start : cursor.pos]
        if encoded in seen:
            cursor.fail("Invalid", "a map has a key twice")
        if is_sorted and last is not None and last >= encoded:
            cursor.fail("Invalid", "the user keys of a sorted map are not in ascending order")
        last = encoded
        seen.add(encoded)
        entries.append([decoded, value(cursor)])
    return entries


# Envelope (4)


Header = namedtuple("Header", "subtask checkpoint attempt")


def open_stream(data: bytes, kind: int, where: str) -> Tuple[Header, Cursor]:
    """Steps 1 to 11 of 4.4, in their order, and the subtask of 12. The cursor stands at the index."""
    size = len(data)
    if size < 40:
        raise Refused("FormatError::Truncated", f"{where} has {size} bytes, fewer than a header")
    magic, actual, version, _, features, *rest, checksum = struct.unpack("<8sHHIIIQII", data[:40])
    header = Header(*rest)
    if magic != b"ALLUVIUM":
        raise Refused("FormatError::Magic", f"{where} does not begin with ALLUVIUM")
    if version != 2:
        raise Refused("FormatError::UnsupportedVersion", f"{where} has version {version}, not 2")
    if features:
        raise Refused("FormatError::UnsupportedFeatures", f"{where} needs features {features:#010x}")
    compare_checksum(data[:36], checksum, "header", where)
    if actual not in KIND_NAMES and kind in (KEYED, SSTS):
        raise Refused("FormatError::UnknownKind", f"{where} has kind {actual}, which is unknown")
    if actual != kind:
        raise Refused("FormatError::Kind", f"{where} has kind {actual}, not {kind} ({KIND_NAMES[kind]})")
    if header.subtask > 65_535 and header.subtask != NO_SUBTASK:
        malformed(f"the subtask of {where} is {header.subtask}")
    if header.checkpoint == 0:
        malformed(f"the checkpoint of {where} is 0")
    if size < 64:
        raise Refused("FormatError::Truncated", f"{where} has {size} bytes, fewer than header and footer")
    offset, length, index_checksum, seal = struct.unpack("<QQII", data[-24:])
    compare_checksum(data[-24:-4], seal, "seal", where)
    if offset < 40 or offset + length != size - 24:
        malformed(f"the index of {where}, {length} bytes at {offset}, does not end at the footer")
    compare_checksum(data[:36] + data[offset:-24], index_checksum, "index", where)
    if (header.subtask == NO_SUBTASK) != (kind == METADATA):
        malformed(f"{where} is {KIND_NAMES[kind]} but has the subtask {header.subtask}")
    return header, Cursor(data, offset, size - 24, where, index=True)


def compare_checksum(data: bytes, stored: int, part: str, where: str) -> None:
    if crc32(data) != stored:
        raise Refused(
            "FormatError::Checksum", f"the {part} checksum of {where} is {crc32(data):08x}, not {stored:08x} as stored"
        )


def check_tiling(blocks: List[Tuple[int, int]], index: int, where: str) -> None:
    """Step 13 of 4.4: blocks of (offset, length) of a stream fill its bytes from 40 to the index."""
    expected = 40
    for offset, length in blocks:
        if offset != expected:
            malformed(f"a block of {where} begins at {offset}, not at {expected}")
        expected += length
    if expected != index:
        malformed(f"the blocks of {where} end at {expected}, the index begins at {index}")


# Keyed state stream (6)


# A state stream whose index is checked. `states` and `blocks` are those of its kind; `scope` of a
# keyed one is max parallelism, assigner, first and last key group; `key` is its key codec; `maps`
# its maps; `shared` its shared files, and `files` where their bytes are, number 0 the stream itself.
Stream = namedtuple("Stream", "header data where uid scope key states blocks maps shared files")
KeyedState = namedtuple("KeyedState", "name kind namespace value")
Shared = namedtuple("Shared", "path length seal")
Map = namedtuple("Map", "group state layout segments")
Segment = namedtuple("Segment", "count blocks")  # an unsegmented map is read as one segment
Block = namedtuple("Block", "file delta offset length records checksum")
EMPTY = Segment(0, ())


def known(code: int, names: Dict[int, str], what: str, where: str) -> int:
    if code not in names:
        malformed(f"{code} in {where} is no {what}")
    return code


def open_keyed_of_any_kind(data: bytes, where: str) -> Any:
    """A keyed handle leads to a stream of kind 2 or 4; its header says to which (4.5)."""
    return (open_ssts if int.from_bytes(data[8:10], "little") == SSTS else open_keyed)(data, where)


def read_scope(index: Cursor) -> Tuple[str, Tuple[int, int, int, int], Codec]:
    """What the indexes of kinds 2 and 4 begin with (6.2, 12.2): operator uid, key groups, key codec."""
    uid, where = index.name(), index.where
    scope = parallelism, _, first, last = index.uint(2), index.uint(1), index.uint(2), index.uint(2)
    known(scope[1], ASSIGNERS, "assigner", where)
    if not (1 <= parallelism <= 32_768 and first <= last < parallelism):
        malformed(f"{where} has the key groups {first} to {last} of {parallelism}")
    return uid, scope, read_codec(index)


def read_states(index: Cursor) -> List[KeyedState]:
    states = [read_keyed_state(index) for _ in range(index.uint(2))]
    different_names([state.name for state in states], "state", index.where)
    return states


def open_keyed(data: bytes, where: str) -> Stream:
    header, index = open_stream(data, KEYED, where)
    start = index.pos
    uid, scope, key = read_scope(index)
    first, last = scope[2:]
    runs = [(index.uint(2), index.uint(8)) for _ in range(index.uint(2))]
    lasts = [run[0] for run in runs]
    if not lasts or lasts[0] < first or lasts[-1] != last or any(a >= b for a, b in zip(lasts, lasts[1:])):
        malformed(f"the seed runs of {where}, which end at {lasts}, do not cover {first} to {last}")
    states, shared = read_states(index), read_shared(index)
    maps = MapReader(index, start, shared).maps(len(states), first, last)
    index.finish()
    blocks = [block for map_ in maps for segment in map_.segments for block in segment.blocks]
    check_tiling([(block.offset, block.length) for block in blocks if not block.file], start, where)
    used = {block.file for block in blocks}
    for number, file in enumerate(shared, 1):
        if number not in used:
            malformed(f"no block of {where} lies in the shared file {file.path!r}")
    places = sorted((block.file, block.offset, block.length) for block in blocks if block.file and block.length)
    for (file, offset, length), (other, begin, _) in zip(places, places[1:]):
        if file == other and offset + length > begin:
            malformed(f"two blocks of {shared[file - 1].path!r} overlap at {begin}")
    return Stream(header, data, where, uid, scope, key, states, blocks, maps, shared, [(data, where)])


def read_shared(index: Cursor) -> List[Shared]:
    """The list of shared files, in an index (6.2) and beside a handle (8.1)."""
    files = [
        Shared(check_path(index.text(), index.where), index.uint(8), index.uint(4)) for _ in range(index.uint(2))
    ]
    different_names([file.path for file in files], "shared file", index.where)
    return files


class MapReader:
    """Reads the maps of an index (6.5). Blocks of the stream itself get their offsets here."""

    def __init__(self, index: Cursor, start: int, shared: List[Shared]):
        self.index, self.shared, self.where = index, shared, index.where
        self.own = 40

    def maps(self, states: int, first: int, last: int) -> List[Map]:
        maps: List[Map] = []
        previous = (-1, -1)
        for number in range(self.index.uint(4)):
            group, state, layout = self.index.uint(2), self.index.uint(2), self.index.uint(1)
            what = f"map {number} of {self.where}"
            if state >= states or not first <= group <= last:
                malformed(f"{what} has state {state} of {states} and key group {group} of {first} to {last}")
            if (group, state) <= previous:
                malformed(f"{what} is out of order")
            if layout not in (SEGMENTED, UNSEGMENTED):
                malformed(f"{what} has the layout {layout}")
            previous = (group, state)
            maps.append(Map(group, state, layout, self.parts(layout, what)))
        return maps

    def parts(self, layout: int, what: str) -> List[Segment]:
        least = 1 if layout == SEGMENTED else LEAST_BLOCK
        count = self.index.check_count(self.index.varint32(), least)
        if count == 0:
            malformed(f"{what} has no parts")
        if layout == SEGMENTED:
            return [self.segment(what) for _ in range(count)]
        blocks = [self.block() for _ in range(count)]
        if any(block.delta for block in blocks):
            malformed(f"{what} is unsegmented but has a delta block")
        return [Segment(sum(block.records for block in blocks), blocks)]

    def segment(self, what: str) -> Segment:
        length = self.index.varint32()
        if length == 0:
            return EMPTY
        if length > MAX_CHAIN:
            malformed(f"{what} has a chain of {length} blocks")
        count = self.index.varint32()
        blocks = [self.block() for _ in range(self.index.check_count(length, LEAST_BLOCK))]
        if any(block.delta != (place > 0) for place, block in enumerate(blocks)):
            malformed(f"{what} has a chain that is not a full block and then delta blocks")
        if count > sum(block.records for block in blocks):
            malformed(f"{what} has a segment of more entries than its blocks have records")
        return Segment(count, blocks)

    def block(self) -> Block:
        flags, file, offset = self.index.uint(1), 0, self.own
        if flags & ~(DELTA | IN_SHARED_FILE):
            malformed(f"a block of {self.where} has the flags {flags:#04x}")
        if flags & IN_SHARED_FILE:
            file, offset = self.index.varint(), self.index.varint()
        length, records, checksum = self.index.varint32(), self.index.varint32(), self.index.uint(4)
        if flags & IN_SHARED_FILE:
            if not 1 <= file <= len(self.shared):
                malformed(f"a block of {self.where} lies in the shared file {file} of {len(self.shared)}")
            if offset < 40 or offset + length > self.shared[file - 1].length - 24:
                malformed(f"{length} bytes at {offset} are no block of {self.shared[file - 1].path!r}")
        else:
            self.own += length
        return Block(file, bool(flags & DELTA), offset, length, records, checksum)


def read_keyed_state(index: Cursor) -> KeyedState:
    name, kind = index.text(), known(index.uint(1), STATE_KINDS, "state kind", index.where)
    state = KeyedState(name, kind, read_codec(index), read_codec(index))
    needed = {2: "vec", 3: "map", 6: "unit", SORTED_MAP: "map", LONG_LIST: "vec"}.get(kind, state.value.name)
    what = f"{STATE_KINDS[kind]} state {name!r} of {index.where}"
    if state.value.name != needed:
        raise Refused("StateError::IncompatibleSchema", f"{what} has codec {state.value.name!r}, not {needed!r}")
    if kind == SORTED_MAP and not all(map(is_ordered, state.value.parts[:1])):
        raise Refused("StateError::IncompatibleSchema", f"{what} has user keys whose codec has no order")
    if kind == TIMERS:
        parts = [part.name for part in state.namespace.parts]
        if state.namespace.name != "tuple" or parts[:2] != ["u8", "i64"] or len(parts) != 3:
            message = f"timers {name!r} of {index.where} have a namespace codec without domain and time"
            raise Refused("StateError::IncompatibleSchema", message)
    return state


def different_names(names: List[str], what: str, where: str) -> None:
    for before, name in zip(sorted(names), sorted(names)[1:]):
        if before == name:
            malformed(f"{what} {name!r} comes twice in {where}")


def keyed_entries(stream: Stream) -> Iterator[Tuple[int, KeyedState, Any, Any, Any]]:
    """Checks every block, applies every chain, and checks every record on the way (6.4)."""
    assert stream.key is not None
    decoders = [(namespace_decoder(state), value_decoder(state)) for state in stream.states]
    for block in stream.blocks:  # no block may hide behind a damaged one
        data, where = stream.files[block.file]
        stored = data[block.offset : block.offset + block.length]
        compare_checksum(stored, block.checksum, f"block at {block.offset}", where)
    read_key = decoder(stream.key)
    for map_ in stream.maps:
        state, seen = stream.states[map_.state], set()
        for segment in map_.segments:
            entries = apply_chain(stream, map_, segment, read_key, *decoders[map_.state])
            if len(entries) != segment.count:
                message = f"a segment of state {state.name!r} in key group {map_.group} of {stream.where}"
                raise Refused("CodecError::Invalid", f"{message} has {len(entries)} entries, not {segment.count}")
            for address, entry in entries.items():
                if address in seen:
                    raise Refused("CodecError::Invalid", f"key and namespace come twice in a map of {stream.where}")
                seen.add(address)
                yield (map_.group, state, *entry)


def value_decoder(state: KeyedState) -> Decode:
    read = decoder(state.value)
    if state.kind != SORTED_MAP:
        return read
    key, value = (decoder(part) for part in state.value.parts)
    return lambda c: decode_map(c, key, value, is_sorted=True)


def namespace_decoder(state: KeyedState) -> Decode:
    read = decoder(state.namespace)
    if state.kind != TIMERS:
        return read

    def read_timer(cursor: Cursor) -> Any:
        timer = read(cursor)
        if timer[0] not in TIME_DOMAINS:
            cursor.fail("Invalid", f"a timer of state {state.name!r} has the time domain {timer[0]}, which is unknown")
        return timer

    return read_timer


def apply_chain(
    stream: Stream, map_: Map, segment: Segment, read_key: Decode, read_namespace: Decode, read_value: Decode
) -> Dict[bytes, Tuple[Any, Any, Any]]:
    """The entries of a segment: key, namespace and value by the bytes of key and namespace."""
    entries: Dict[bytes, Tuple[Any, Any, Any]] = {}
    for block in segment.blocks:
        data, where = stream.files[block.file]
        cursor = Cursor(data, block.offset, block.offset + block.length, where)
        removals = cursor.varint() if block.delta else 0
        if removals > block.records:
            cursor.fail("Invalid", f"a delta block of {block.records} records has {removals} removals")
        in_block = set() if block.delta else entries.keys()  # full blocks hold different pairs
        for number in range(block.records):
            start = cursor.pos
            key = read_key(cursor)
            check_group(stream, map_, key, data[start : cursor.pos], f"{start} of {where}")
            namespace = read_namespace(cursor)
            address = data[start : cursor.pos]
            if address in in_block:
                cursor.fail("Invalid", "key and namespace come twice in a block or a map")
            if block.delta:
                in_block.add(address)
            if number < removals:
                entries.pop(address, None)
            else:
                entries[address] = (key, namespace, read_value(cursor))
        trailing_bytes(cursor, "last record of a block")
    return entries


def check_group(stream: Stream, map_: Map, key: Any, encoded: bytes, where: str) -> None:
    max_parallelism, assigner, _, _ = stream.scope
    group = key_group(assigner, max_parallelism, stream.key, key, encoded)
    if group not in (map_.group, None):
        message = f"the key at {where} belongs to key group {group}, not {map_.group}"
        raise Refused("StateError::MisplacedKey", message)


def trailing_bytes(cursor: Cursor, what: str) -> None:
    if cursor.pos != cursor.end:
        cursor.fail("TrailingBytes", f"{cursor.end - cursor.pos} bytes follow the {what}")


# Keyed state as SST files (12)


Sst = namedtuple("Sst", "file level smallest_seqno largest_seqno entries checksum smallest largest")


def open_ssts(data: bytes, where: str) -> Stream:
    """An index of SST files. `maps` of the stream are its lists of SSTs, one for each state."""
    header, index = open_stream(data, SSTS, where)
    start = index.pos
    uid, scope, key = read_scope(index)
    states, shared = read_states(index), read_shared(index)
    unused = set(range(1, len(shared) + 1))
    lists = [read_sst_list(index, len(shared), unused) for _ in states]
    index.finish()
    check_tiling([], start, where)
    for number in unused:
        malformed(f"no SST of {where} lies in the shared file {shared[number - 1].path!r}")
    return Stream(header, data, where, uid, scope, key, states, [], lists, shared, [(data, where)])


def read_sst_list(index: Cursor, files: int, unused: set) -> List[Sst]:
    ssts: List[Sst] = []
    for _ in range(index.uint(2)):
        sst = Sst(*(index.uint(size) for size in (2, 1, 8, 8, 8, 4)), index.framed(), index.framed())
        if sst.level > MAX_LEVEL or sst.smallest > sst.largest:
            malformed(f"an SST of {index.where} has the level {sst.level} or a smallest key above its largest")
        if not sst.smallest_seqno <= sst.largest_seqno <= MAX_SEQUENCE_NUMBER:
            malformed(f"an SST of {index.where} has wrong sequence numbers")
        before = ssts[-1] if ssts else sst
        overlap = ssts and before.level == sst.level > 0 and before.largest > sst.smallest
        if before.level > sst.level or overlap:
            malformed(f"SSTs of {index.where} overlap or are not in order")
        if sst.file not in unused:
            malformed(f"shared file {sst.file} of {index.where} is not one of {files} or comes twice")
        unused.remove(sst.file)
        ssts.append(sst)
    return ssts


def ssts_of(stream: Stream) -> Iterator[Tuple[KeyedState, Sst, Shared]]:
    """All SSTs; the checksum of the whole file is compared before one is given out (12.7)."""
    for state, ssts in zip(stream.states, stream.maps):
        for sst in ssts:
            compare_checksum(stream.files[sst.file][0], sst.checksum, "SST", stream.files[sst.file][1])
            yield state, sst, stream.shared[sst.file - 1]


def is_sst_index(stream: Stream) -> bool:
    return int.from_bytes(stream.data[8:10], "little") == SSTS


# Operator state stream (7)


OperatorState = namedtuple("OperatorState", "name mode item count offset length checksum")
SECTION = Codec("tuple", 1, b"", (Codec("u16", 1, b"", ()), Codec("bytes", 1, b"", ())))


def open_operator(data: bytes, where: str) -> Stream:
    header, index = open_stream(data, OPERATOR, where)
    start, uid = index.pos, index.name()
    states = [read_operator_state(index) for _ in range(index.uint(2))]
    index.finish()
    different_names([state.name for state in states], "state", where)
    check_tiling([(state.offset, state.length) for state in states], start, where)
    return Stream(header, data, where, uid, (), None, states, states, [], [], [(data, where)])


def read_operator_state(index: Cursor) -> OperatorState:
    name, mode, codec = index.text(), known(index.uint(1), MODES, "mode", index.where), read_codec(index)
    if mode == BROADCAST and (codec.name != "tuple" or len(codec.parts) != 2):
        what = f"broadcast state {name!r} of {index.where}"
        raise Refused("StateError::IncompatibleSchema", f"{what} does not hold tuples of two")
    if mode == KEYED_MODE and codec != SECTION:
        malformed(f"the items of keyed state {name!r} of {index.where} are not sections")
    return OperatorState(name, mode, codec, index.uint(4), index.uint(8), index.uint(4), index.uint(4))


def operator_items(stream: Stream) -> Iterator[Tuple[OperatorState, Any]]:
    for state in stream.states:
        end = state.offset + state.length
        compare_checksum(stream.data[state.offset : end], state.checksum, f"block at {state.offset}", stream.where)
    for state in stream.states:
        end = state.offset + state.length
        read, block = decoder(state.item), Cursor(stream.data, state.offset, end, stream.where)
        count, last = 0, -1
        while block.pos < block.end:
            length = block.varint()
            item = Cursor(stream.data, block.pos, block.pos + length, stream.where)
            block.take(length)
            value = read(item)
            trailing_bytes(item, "value of an item")
            if state.mode == KEYED_MODE:
                if value[0] <= last:
                    malformed(f"the key groups of {state.name!r} of {stream.where} are not in ascending order")
                last = value[0]
            yield state, value
            count += 1
        if count != state.count:
            malformed(f"state {state.name!r} of {stream.where} has {count} items, not {state.count}")


# Metadata (8)


Handle = namedtuple("Handle", "length seal inline path")  # inline: bytes, or None for a file
Subtask = namedtuple("Subtask", "groups keyed shared operator")  # handles, or None; shared files
Operator = namedtuple("Operator", "uid parallelism subtasks")
Metadata = namedtuple(
    "Metadata", "header job triggered completed max_parallelism assigner operators"
)


def read_file(root: str, name: str, length: Optional[int] = None) -> bytes:
    """Reads a regular file below a folder, of exactly `length` bytes if that is given (2.1)."""
    path, inside = os.path.join(root, name), os.path.realpath(root)
    if os.path.commonpath([inside, os.path.realpath(path)]) != inside:
        raise Refused("StorageError::OutsideRoot", f"{path} leads out of {root}")
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Refused("StorageError::NotFound", f"{path} is not a file")
        if length not in (None, status.st_size):
            message = f"{path} has {status.st_size} bytes, not {length} as in the metadata"
            raise Refused("StorageError::Truncated", message)
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Refused("StorageError::NotFound", f"{path} cannot be read, {error.strerror}") from error


def check_path(path: str, where: str) -> str:
    parts = path.split("/")
    bad = not 1 <= len(path.encode()) <= 1024 or any(part in ("", ".", "..") for part in parts)
    bad = bad or any(len(part.encode()) > 255 for part in parts)
    if bad or re.search("[\\\\\x00-\x1f\x7f-\x9f]", path):
        malformed(f"{path!r} in {where} is not a path that may be stored")
    return path


def read_handle(index: Cursor) -> Handle:
    location, length, seal = index.uint(1), index.uint(8), index.uint(4)
    if location == 1:
        return Handle(length, seal, index.take(length), "")
    if location != 2:
        malformed(f"{location} in {index.where} is no location")
    return Handle(length, seal, None, check_path(index.text(), index.where))


def read_operator(index: Cursor, max_parallelism: int) -> Operator:
    uid, parallelism, subtasks = index.name(), index.uint(2), []
    if not 1 <= parallelism <= max_parallelism:
        malformed(f"operator {uid!r} of {index.where} has parallelism {parallelism} of {max_parallelism}")
    for number in range(parallelism):
        flags = index.uint(1)
        if flags > 3:
            malformed(f"subtask {number} of {uid!r} in {index.where} has the flags {flags:#04x}")
        groups = expected = key_group_range(number, max_parallelism, parallelism)
        if flags & 1:
            groups = index.uint(2), index.uint(2)
        if groups != expected:
            malformed(f"subtask {number} of {uid!r} in {index.where} has key groups {groups}, not {expected}")
        keyed, shared = (read_handle(index), read_shared(index)) if flags & 1 else (None, [])
        subtasks.append(Subtask(groups, keyed, shared, read_handle(index) if flags & 2 else None))
    return Operator(uid, parallelism, subtasks)


def read_metadata(directory: str) -> Metadata:
    """Reads `_metadata` of a savepoint (2.7), or of a folder `chk-N`, whose N must be that of the header (2.6)."""
    where, root = os.path.join(directory, "_metadata"), root_of(directory)
    header, index = open_stream(read_file(root, os.path.relpath(where, root)), METADATA, where)
    if index.pos != 40:
        malformed(f"{where} is metadata but has blocks")
    job, triggered, completed = index.name(), index.uint(8), index.uint(8)
    max_parallelism, assigner = index.uint(2), known(index.uint(1), ASSIGNERS, "assigner", where)
    if not 1 <= max_parallelism <= 32_768:
        malformed(f"{where} has max parallelism {max_parallelism}")
    operators = [read_operator(index, max_parallelism) for _ in range(index.uint(2))]
    index.finish()
    different_names([operator.uid for operator in operators], "operator", where)
    if header.checkpoint != checkpoint_number(directory) and not is_savepoint(directory):
        message = f"{where} is of checkpoint {header.checkpoint}, not of that of its folder"
        raise Refused("StoreError::Mismatch", message)
    return Metadata(header, job, triggered, completed, max_parallelism, assigner, operators)


def checkpoint_number(directory: str) -> Optional[int]:
    """The N of a folder `chk-N`, or None if the name is not exactly of this form."""
    match = re.fullmatch(r"chk-([1-9][0-9]{0,19})", os.path.basename(directory))
    return int(match[1]) if match and int(match[1]) <= MASK64 else None


def is_savepoint(directory: str) -> bool:
    """Whether a folder has the name of a savepoint (2.7)."""
    return re.fullmatch(r"savepoint-.+-[0-9a-f]{12}", os.path.basename(directory)) is not None


def root_of(directory: str) -> str:
    """The folder below which everything lies that a checkpoint or savepoint needs (2.2)."""
    return directory if is_savepoint(directory) else os.path.dirname(os.path.abspath(directory))


# Checkpoint (2.6, 8.3)


Loaded = namedtuple("Loaded", "uid subtask stream")


def load_stream(directory: str, handle: Handle, open_: Callable[[bytes, str], Stream], what: str) -> Stream:
    """Steps 2 and 3 of a restore, without the comparison with the metadata."""
    return open_(*load_bytes(directory, handle, what))


def load_bytes(directory: str, handle: Handle, what: str) -> Tuple[bytes, str]:
    """The bytes that a handle leads to, of the right length and seal, and a name for them."""
    if handle.inline is None:
        root = root_of(directory)
        where, data = os.path.join(root, handle.path), read_file(root, handle.path, handle.length)
    else:
        where, data = f"{what}, inlined in {os.path.join(directory, '_metadata')}", handle.inline
    if int.from_bytes(data[-4:], "little") != handle.seal:
        message = f"{where} has the seal {int.from_bytes(data[-4:], 'little'):08x}, not {handle.seal:08x}"
        raise Refused("StorageError::SealMismatch", message)
    return data, where


def load(directory: str) -> Tuple[Metadata, List[Loaded]]:
    """Reads metadata and all streams of a checkpoint and compares them (8.3)."""
    meta, loaded = read_metadata(directory), []
    for operator in meta.operators:
        seen: Dict[Any, Any] = {}
        for number, subtask in enumerate(operator.subtasks):
            what = f"of subtask {number} of {operator.uid!r}"
            if subtask.keyed:
                stream = load_stream(directory, subtask.keyed, open_keyed_of_any_kind, f"the keyed stream {what}")
                if stream.header.subtask != number:
                    mismatch(f"{stream.where} is of subtask {stream.header.subtask}, not {number}")
                if stream.scope != (meta.max_parallelism, meta.assigner, *subtask.groups):
                    mismatch(f"{stream.where} has other key groups or another assigner than the metadata")
                if stream.shared != subtask.shared:
                    mismatch(f"{stream.where} has other shared files than the metadata")
                for file in stream.shared:
                    handle = Handle(file.length, file.seal, None, file.path)
                    stream.files.append(load_bytes(directory, handle, file.path))
                loaded.append(agreed(meta, operator, number, stream, seen))
            if subtask.operator:
                stream = load_stream(directory, subtask.operator, open_operator, f"the operator stream {what}")
                if stream.header.subtask != number:
                    mismatch(f"{stream.where} is of subtask {stream.header.subtask}, not {number}")
                for state, item in operator_items(stream):
                    if state.mode == KEYED_MODE and not subtask.groups[0] <= item[0] <= subtask.groups[1]:
                        mismatch(f"{state.name!r} of {stream.where} has key group {item[0]} of another subtask")
                loaded.append(agreed(meta, operator, number, stream, seen))
    return meta, loaded


def agreed(meta: Metadata, operator: Operator, number: int, stream: Stream, seen: Dict[Any, Any]) -> Loaded:
    """Compares what both kinds of streams share; `seen` holds the codecs of the operator so far."""
    if stream.uid != operator.uid:
        mismatch(f"{stream.where} is of operator {stream.uid!r}, not {operator.uid!r}")
    if stream.header.checkpoint > meta.header.checkpoint or stream.header.attempt > meta.header.attempt:
        mismatch(f"{stream.where} is of a later checkpoint or attempt than the metadata")
    keyed = stream.key is not None
    if keyed and seen.setdefault("key", stream.key) != stream.key:
        mismatch(f"{stream.where} has another key codec than the streams of other subtasks")
    for state in stream.states:
        schema = state[1:4] if keyed else state[1:3]
        if seen.setdefault((keyed, state.name), schema) != schema:
            mismatch(f"state {state.name!r} of {stream.where} differs from that of other subtasks")
    return Loaded(operator.uid, number, stream)


def verify(directory: str) -> Tuple[Metadata, List[Loaded], str]:
    """Checks everything and counts it."""
    meta, loaded = load(directory)
    blocks = sum(len(item.stream.blocks) for item in loaded)
    kinds = [row["type"] for item in loaded for row in rows(item)]
    ssts = kinds.count("sst")
    files = f", {ssts} SST files" if ssts else ""
    return meta, loaded, f"ok: {len(loaded)} streams, {blocks} blocks, {len(kinds) - ssts} entries{files}"


def rows(loaded: Loaded) -> Iterator[Dict[str, Any]]:
    origin = {"uid": loaded.uid, "subtask": loaded.subtask}
    if loaded.stream.key is None:
        for item_of, item in operator_items(loaded.stream):
            mode = MODES[item_of.mode]
            yield {"type": "operator_state", **origin, "state": item_of.name, "mode": mode, "item": item}
        return
    if is_sst_index(loaded.stream):
        for state, sst, file in ssts_of(loaded.stream):
            listed = {"state": state.name, "kind": STATE_KINDS[state.kind], "file": file.path, "level": sst.level}
            seqnos = {"smallest_seqno": sst.smallest_seqno, "largest_seqno": sst.largest_seqno}
            keys = {"smallest_key": sst.smallest.hex(), "largest_key": sst.largest.hex()}
            yield {"type": "sst", **origin, **listed, **seqnos, "entries": sst.entries, **keys}
        return
    for group, state, key, namespace, value in keyed_entries(loaded.stream):
        kind = STATE_KINDS[state.kind]
        entry = {"key_group": group, "state": state.name, "kind": kind, "key": key}
        yield {"type": "keyed", **origin, **entry, "namespace": namespace, "value": value}


def checkpoint_rows(meta: Metadata, loaded: List[Loaded]) -> Iterator[Dict[str, Any]]:
    first = {"type": "checkpoint", "job": meta.job, "checkpoint": meta.header.checkpoint}
    first.update(attempt=meta.header.attempt, triggered_at_ms=meta.triggered, completed_at_ms=meta.completed)
    yield {**first, "max_parallelism": meta.max_parallelism, "assigner": ASSIGNERS[meta.assigner]}
    for operator in meta.operators:
        yield {"type": "operator", "uid": operator.uid, "parallelism": operator.parallelism}
    for item in loaded:
        yield from rows(item)


def plain(value: Any) -> Any:
    """Makes the items of every `Repeated`; all else is JSON already."""
    if isinstance(value, Repeated):
        return [plain(value.item)] * value.count
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def latest(job: str) -> str:
    """The latest checkpoint of a job. It never falls back to an older one (2.6)."""
    try:
        names = os.listdir(job)
    except OSError as error:
        raise Refused("StorageError::NotFound", f"{job} cannot be listed, {error.strerror}") from error
    whole, damaged = [], []
    for directory in (os.path.join(job, name) for name in names):
        number = checkpoint_number(directory)
        if number is None or not os.path.isfile(os.path.join(directory, "_metadata")):
            continue  # what is not a regular file counts as missing (2.1)
        try:
            whole.append((read_metadata(directory).header.attempt, number, directory))
        except Refused as error:
            damaged.append((number, error))
    whole.sort(reverse=True)
    newest = whole[0][1] if whole else 0
    errors = [error for number, error in sorted(damaged, key=lambda d: d[0], reverse=True) if number > newest]
    for _, _, directory in whole:
        try:
            verify(directory)
        except Refused as error:
            errors.append(error)
            continue
        if not errors:
            return directory
        raise Refused(errors[0].name, f"{sentence(errors[0])}; the newest whole checkpoint is {directory}")
    if errors:
        raise Refused(errors[0].name, f"{sentence(errors[0])}; no checkpoint of {job} is whole")
    raise Refused("StorageError::NotFound", f"{job} has no checkpoint")


def sentence(error: Refused) -> str:
    return str(error)[len(error.name) + 2 : -1]


def main(arguments: List[str]) -> int:
    option, paths = "", arguments
    if arguments[:1] in (["--verify"], ["--latest"]):
        option, paths = arguments[0], arguments[1:]
    if len(paths) != 1 or paths[0].startswith("-"):
        print("Usage: read_checkpoint.py [--verify] CHECKPOINT_DIR, or --latest JOB_DIR.", file=sys.stderr)
        return 2
    directory = os.path.abspath(paths[0])
    if option != "--latest" and checkpoint_number(directory) is None and not is_savepoint(directory):
        print(f"{paths[0]} is no folder of a checkpoint, chk- and a number, or of a savepoint.", file=sys.stderr)
        return 2
    try:
        if option == "--latest":
            print(latest(directory))
            return 0
        meta, loaded, summary = verify(directory)
        if option == "--verify":
            print(summary)
            return 0
        for row in checkpoint_rows(meta, loaded):
            print(json.dumps({field: plain(value) for field, value in row.items()}))
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
