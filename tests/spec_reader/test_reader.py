#!/usr/bin/env python3
"""Tests of read_checkpoint.py. All expected values are those of SPEC.md, section by section."""
import collections
import contextlib
import io
import json
import os
import struct
import sys
import tempfile
import unittest
from zlib import crc32

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import read_checkpoint as reader  # noqa: E402

# The file wordcount/chk-3/_metadata of section 11.
EXAMPLE = bytes.fromhex(
    """
    414c4c555649554d010002000000000000000000ffffffff030000000000000002000000b3d0bcb00900776f7264636f
    756e740068e5cf8b010000fa68e5cf8b01000004000101000500636f756e740100010000030001d800000000000000a5
    c0d086414c4c555649554d020002000000000000000000000000000300000000000000020000003e6326a10161010000
    00000000000262652b01000000000000016505000000000000000101650262652c010000000000000500636f756e7404
    0001000003000600737472696e670100000001000300efcdab8967452301010001006e010400756e6974010000000300
    75363401000000000002000000000000000102000101000a013196fa8b02000000010102010015024df4ed83010e02e6
    8ff7b255000000000000006b000000000000007ee29414a5c0d08600002800000000000000150100000000000023803f
    bb7003188a
    """
)


# A small writer, so that damage can be dressed in right checksums


def text(value):
    return struct.pack("<H", len(value.encode())) + value.encode()


def codec(name, *parts, version=1, parameters=b""):
    head = text(name) + struct.pack("<H", version) + bytes([len(parameters)]) + parameters
    return head + bytes([len(parts)]) + b"".join(parts)


def stream(kind, blocks, index, subtask=0, checkpoint=1, attempt=1):
    header = struct.pack("<8sHHIIIQI", b"ALLUVIUM", kind, 2, 0, 0, subtask, checkpoint, attempt)
    footer = struct.pack("<QQI", 40 + len(blocks), len(index), crc32(header + index))
    return header + struct.pack("<I", crc32(header)) + blocks + index + footer + struct.pack("<I", crc32(footer))


def varint(value):
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes(groups) + bytes([value])


# A block of an index; `place` is empty for one of the stream itself.
Block = collections.namedtuple("Block", "data records flags place")


def own(data, records=1, delta=False, flags=0):
    return Block(data, records, flags | delta, b"")


def far(file, offset, data, records=1, delta=False):
    return Block(data, records, 2 | delta, varint(file) + varint(offset))


def put_block(block):
    head = bytes([block.flags]) + block.place + varint(len(block.data)) + varint(block.records)
    return head + struct.pack("<I", crc32(block.data))


def put_map(group, state, parts, layout=1):
    """Parts are segments (count, block, block, ...) or, of layout 2, blocks."""
    out = struct.pack("<HHB", group, state, layout) + varint(len(parts))
    for part in parts:
        blocks = [part] if isinstance(part, Block) else part[1:]
        if not isinstance(part, Block):
            out += varint(len(blocks)) + (varint(part[0]) if blocks else b"")
        out += b"".join(map(put_block, blocks))
    return out


def one(state, group, count, data):
    """A map of one segment, which is one full block of the stream."""
    return group, state, [(count, own(data, count))]


def put_shared(files):
    out = struct.pack("<H", len(files))
    for path, data in files:
        out += text(path) + struct.pack("<Q", len(data)) + data[-4:]
    return out


def keyed(maps, key="string", states=None, groups=(0, 3), max_parallelism=4, assigner=1, **fields):
    """A keyed stream of maps (group, state, parts) or (group, state, parts, layout)."""
    states = states or [("n", 1, codec("unit"), codec("u64"))]
    index = text("op") + struct.pack("<HBHH", max_parallelism, assigner, *groups)
    index += key if isinstance(key, bytes) else codec(key)
    seeds = fields.pop("seeds", [groups[1]])
    index += struct.pack("<H", len(seeds)) + b"".join(struct.pack("<HQ", last, 7) for last in seeds)
    index += struct.pack("<H", len(states))
    index += b"".join(text(name) + bytes([kind]) + namespace + value for name, kind, namespace, value in states)
    index += put_shared(fields.pop("files", ())) + struct.pack("<I", len(maps))
    index += b"".join(map_ if isinstance(map_, bytes) else put_map(*map_) for map_ in maps)
    parts = [part for map_ in maps if not isinstance(map_, bytes) for part in map_[2]]
    blocks = [block for part in parts for block in ([part] if isinstance(part, Block) else part[1:])]
    data = b"".join(block.data for block in blocks if not block.flags & 2)
    return stream(2, data, index + fields.pop("extra", b""), **fields)


def operator(states, uid="op", **fields):
    """An operator stream of states (name, mode, codec, count, bytes)."""
    index, offset = text(uid) + struct.pack("<H", len(states)), 40
    for name, mode, item, count, data in states:
        index += text(name) + bytes([mode]) + item + struct.pack("<IQII", count, offset, len(data), crc32(data))
        offset += len(data)
    return stream(3, b"".join(state[4] for state in states), index, **fields)


def inline(data):
    return b"\x01" + struct.pack("<Q", len(data)) + data[-4:] + data


def in_file(path, data):
    return b"\x02" + struct.pack("<Q", len(data)) + data[-4:] + text(path)


def metadata(handle=None, flags=1, operators=None, max_parallelism=4, groups=(0, 3), extra=b"", **fields):
    index = text("job") + struct.pack("<QQHB", 1, 2, max_parallelism, 1)
    one = text("op") + struct.pack("<HB", 1, flags)
    one += (struct.pack("<HH", *groups) if flags & 1 else b"") + (handle or b"")
    one += put_shared(fields.pop("files", ())) if flags & 1 else b""
    operators = [one] if operators is None else operators
    index += struct.pack("<H", len(operators)) + b"".join(operators) + extra
    fields.setdefault("subtask", reader.NO_SUBTASK)
    return stream(1, fields.pop("blocks", b""), index, **fields)


ENTRY_A, ENTRY_BE = b"\x01a" + struct.pack("<Q", 1), b"\x02be" + struct.pack("<Q", 300)
GOOD = keyed([one(0, 0, 1, ENTRY_A), one(0, 2, 1, ENTRY_BE)])


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.job = folder.name

    def write(self, data, number=1, name="_metadata"):
        folder = os.path.join(self.job, f"chk-{number}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
        return folder

    def rows(self, folder):
        return list(reader.checkpoint_rows(*reader.verify(folder)[:2]))

    def refuses(self, name, data, number=1):
        with self.assertRaises(reader.Refused) as caught:
            reader.verify(self.write(data, number))
        self.assertEqual(caught.exception.name, name, str(caught.exception))
        return str(caught.exception)

    def refuses_stream(self, name, data, flags=1, **fields):
        return self.refuses(name, metadata(inline(data), flags, **fields))


class WorkedExample(Case):
    def run_main(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = reader.main(list(arguments))
        return code, out.getvalue(), err.getvalue()

    def test_lines(self):
        code, out, err = self.run_main(self.write(EXAMPLE, 3))
        self.assertEqual((code, err), (0, ""))
        first, second, *entries = map(json.loads, out.splitlines())
        times = {"triggered_at_ms": 1_700_000_000_000, "completed_at_ms": 1_700_000_000_250}
        numbers = {"checkpoint": 3, "attempt": 2, "max_parallelism": 4, "assigner": "stable"}
        self.assertEqual(first, {"type": "checkpoint", "job": "wordcount", **numbers, **times})
        self.assertEqual(second, {"type": "operator", "uid": "count", "parallelism": 1})
        same = {"type": "keyed", "uid": "count", "subtask": 0, "state": "n", "kind": "value", "namespace": None}
        self.assertEqual(
            entries,
            [{**same, "key_group": 0, "key": "a", "value": 1}, {**same, "key_group": 2, "key": "be", "value": 300}],
        )

    def test_verify_and_latest(self):
        folder = self.write(EXAMPLE, 3)
        self.assertEqual(self.run_main("--verify", folder + "/"), (0, "ok: 1 streams, 3 blocks, 2 entries\n", ""))
        self.assertEqual(self.run_main("--latest", self.job), (0, folder + "\n", ""))

    def test_exit_codes(self):
        for wrong in ([], ["--verify"], ["--nonsense", "chk-1"], ["a", "b"], [self.job], ["chk-01"]):
            self.assertEqual(self.run_main(*wrong)[0], 2, wrong)
        code, out, err = self.run_main(self.write(EXAMPLE[:-1], 3))
        self.assertEqual((code, out, err.count("\n")), (1, "", 1))
        self.assertEqual(self.run_main(os.path.join(self.job, "chk-9"))[0], 1)

    def test_every_flipped_bit_is_refused(self):
        path = os.path.join(self.write(EXAMPLE, 3), "_metadata")
        for bit in range(8 * len(EXAMPLE)):
            damaged = bytearray(EXAMPLE)
            damaged[bit // 8] ^= 1 << bit % 8
            with open(path, "wb") as file:
                file.write(damaged)
            with self.assertRaises(reader.Refused, msg=f"bit {bit}"):
                reader.verify(os.path.dirname(path))

    def test_every_other_length_is_refused(self):
        for length in range(len(EXAMPLE)):
            with self.assertRaises(reader.Refused, msg=f"length {length}"):
                reader.verify(self.write(EXAMPLE[:length], 3))
        with self.assertRaises(reader.Refused):
            reader.verify(self.write(EXAMPLE + b"\0", 3))

    def test_every_flipped_bit_of_the_inlined_stream_alone(self):
        """The index checksum of the metadata is made right again, so the stream has to defend itself."""
        start, end, operator_at = 0x63, 0x13B, 0x46
        for bit in range(8 * start, 8 * end):
            damaged = bytearray(EXAMPLE)
            damaged[bit // 8] ^= 1 << bit % 8
            index = bytes(damaged[0x28:-24])
            self.assertEqual(index[operator_at - 0x28 :][:2], b"\x01\x00")
            again = stream(1, b"", index, subtask=reader.NO_SUBTASK, checkpoint=3, attempt=2)
            with self.assertRaises(reader.Refused, msg=f"bit {bit}"):
                reader.verify(self.write(again, 3))


class Numbers(unittest.TestCase):
    def varint(self, data):
        return reader.Cursor(bytes.fromhex(data), 0, len(data) // 2, "test").varint()

    def test_varints(self):
        vectors = {"00": 0, "7f": 127, "8001": 128, "ac02": 300, "ff" * 9 + "01": 2**64 - 1}
        self.assertEqual({data: self.varint(data) for data in vectors}, vectors)
        for bad in ("", "80", "8000", "ff" * 9 + "02", "ff" * 9 + "00", "ff" * 9 + "8100", "80" * 11):
            with self.assertRaises(reader.Refused, msg=bad):
                self.varint(bad)

    def test_checksum(self):
        self.assertEqual(crc32(b"123456789"), 0xCBF43926)

    def test_paths(self):
        for good in ("a", "chk-1/op-0-keyed-1", "a b/ü", "...", "x" * 255):
            self.assertEqual(reader.check_path(good, "test"), good)
        bad = ["", "/a", "a/", "a//b", ".", "a/../b", "a\\b", "a\0", "a\x9f", "x" * 256, "é" * 128, "a/" * 512 + "a"]
        for path in bad:
            with self.assertRaises(reader.Refused, msg=path):
                reader.check_path(path, "test")


class Links(Case):
    PATH = "chk-1/op-0-keyed-1"

    def link(self, real):
        """A checkpoint whose stream is a symbolic link to `real`."""
        folder = self.write(metadata(in_file(self.PATH, GOOD)))
        with open(real, "wb") as file:
            file.write(GOOD)
        os.symlink(real, os.path.join(self.job, self.PATH))
        return folder

    def test_inside(self):
        folder = self.link(os.path.join(self.job, "elsewhere"))
        self.assertEqual(reader.verify(folder)[2], "ok: 1 streams, 2 blocks, 2 entries")

    def test_outside(self):
        with tempfile.TemporaryDirectory() as other:
            folder = self.link(os.path.join(other, "stream"))
            with self.assertRaisesRegex(reader.Refused, "leads out of"):
                reader.verify(folder)


class KeyGroups(unittest.TestCase):
    def test_ranges(self):
        self.assertEqual([reader.key_group_range(i, 128, 3) for i in range(3)], [(0, 42), (43, 85), (86, 127)])
        for parallelism in range(1, 65):
            ranges = [reader.key_group_range(i, 64, parallelism) for i in range(parallelism)]
            groups = [group for first, last in ranges for group in range(first, last + 1)]
            self.assertEqual(groups, list(range(64)))
            owners = [i for i, (first, last) in enumerate(ranges) for _ in range(first, last + 1)]
            self.assertEqual(owners, [group * parallelism // 64 for group in range(64)])

    def test_xxh64(self):
        vectors = [
            (b"", 0xEF46DB3751D8E999, 25, 27033),
            (b"a", 0xD24EC4F1A98C6E5B, 91, 28251),
            (b"abc", 0x44BC2CF5AD770999, 25, 2457),
            (b"\x01a", 0x429252DB8B152FE0, 96, 12256),
            (b"\x02be", 0xB3DED81DA9BC1B86, 6, 7046),
            (bytes([1, 0, 0, 0]), 0xF42F94001FCB5351, 81, 21329),
            (bytes([1, 0, 0, 0, 0, 0, 0, 0]), 0x9F29CB17A2A49995, 21, 6549),
            (bytes(32), 0xF6E9BE5D70632CF5, 117, 11509),
            (b"The quick brown fox jumps over the lazy dog", 0x0B242D361FDA71BC, 60, 29116),
            (bytes(range(45)), 0x10FDD84D6409ABDF, 95, 11231),
        ]
        for data, expected, small, large in vectors:
            digest = reader.xxh64(data)
            self.assertEqual((digest, digest % 128, digest % 32768), (expected, small, large), data)

    def test_flink(self):
        pair = reader.Codec("tuple", 1, b"", (self.plain("i64"), self.plain("string")))
        vectors = [
            ("i32", 0, 0, 593689054, 94, 2526),
            ("i32", -1, -1, 1982413648, 80, 2896),
            ("i64", -1, 0, 593689054, 94, 2526),
            ("i64", 4294967296, 1, 68075478, 86, 4054),
            ("i64", -400971699391263, 2142529456, 79198853, 5, 2693),
            ("string", "hello", 99162322, 1715862179, 35, 2723),
            ("string", "straße", -891990090, 1007518530, 66, 834),
            ("string", "日本語", 25921943, 1333041691, 27, 2587),
            ("string", "a😀b", 57849694, 1898100721, 113, 2033),
            ("bool", True, 1231, 1090530765, 77, 3533),
            ("i8", -128, -128, 1319572171, 75, 715),
            ("i16", 32767, 32767, 1389705724, 124, 2556),
            ("u16", 97, 97, 1455541201, 81, 3025),
            ("f64", 3.141592653589793, 340593891, 552755147, 75, 4043),
            ("f32", 1.0, 1065353216, 443043632, 48, 3888),
            (pair, [3, "t158380"], 1324706088, 1383762672, 112, 2800),
        ]
        for kind, key, code, digest, small, large in vectors:
            kind = self.plain(kind) if isinstance(kind, str) else kind
            self.assertEqual(reader.java_hash(kind, key), code % 2**32, key)
            self.assertEqual(reader.murmur(code), digest, key)
            self.assertEqual(reader.key_group(2, 128, kind, key, b""), small)
            self.assertEqual(reader.key_group(2, 4096, kind, key, b""), large)
        self.assertEqual(reader.murmur(2205091669), 0)  # the one code whose murmur is -2^31
        self.assertEqual(reader.java_hash(self.plain("f32"), "NaN"), 0x7FC00000)
        self.assertEqual(reader.java_hash(self.plain("f64"), "NaN"), 0x7FF80000)
        self.assertIsNone(reader.key_group(2, 128, self.plain("bytes"), "00", b"\x01\0"))

    @staticmethod
    def plain(name):
        return reader.Codec(name, 1, b"", ())


class Codecs(unittest.TestCase):
    def value(self, snapshot, data):
        cursor = reader.Cursor(bytes.fromhex(data), 0, len(data) // 2, "test")
        value = reader.decoder(reader.read_codec(self.cursor(snapshot)))(cursor)
        self.assertEqual(cursor.pos, cursor.end)
        return reader.plain(value)

    def refuses(self, name, snapshot, data):
        with self.assertRaises(reader.Refused) as caught:
            self.value(snapshot, data)
        self.assertEqual(caught.exception.name, name, str(caught.exception))

    @staticmethod
    def cursor(data):
        return reader.Cursor(data, 0, len(data), "test", index=True)

    def test_snapshots(self):
        number, string, boolean = codec("u8"), codec("string"), codec("bool")
        named = text("visit")
        vectors = {
            "030075363401000000": codec("u64"),
            "0600737472696e6701000000": string,
            "0500627974657301000000": codec("bytes"),
            "0b0066697865645f62797465730100041000000000": codec("fixed_bytes", parameters=b"\x10\0\0\0"),
            "03006d6170010000020600737472696e67010000000300766563010000010200753801000000": codec(
                "map", string, codec("vec", number)
            ),
            "05007475706c6501000002020075380100000006006f7074696f6e010000010400626f6f6c01000000": codec(
                "tuple", number, codec("option", boolean)
            ),
            "0800706f73746361726401000b050076697369740100000000": codec("postcard", parameters=named + b"\1\0\0\0"),
            "04007573657201000b050076697369740200000000": codec("user", parameters=named + b"\2\0\0\0"),
        }
        for snapshot, written in vectors.items():
            cursor = self.cursor(bytes.fromhex(snapshot))
            self.assertEqual(snapshot, written.hex())
            self.assertEqual(reader.read_codec(cursor).name, written[2 : 2 + written[0]].decode())
            self.assertEqual(cursor.pos, cursor.end)

    def test_values(self):
        u8, string = codec("u8"), codec("string")
        vectors = [
            (codec("u16"), "0201", 258),
            (codec("i64"), "feffffffffffffff", -2),
            (codec("f64"), "000000000000f83f", 1.5),
            (codec("bool"), "01", True),
            (string, "075ac3bc72696368", "Zürich"),
            (codec("bytes"), "0200ff", "00ff"),
            (codec("fixed_bytes", parameters=b"\3\0\0\0"), "0100ff", "0100ff"),
            (codec("unit"), "", None),
            (codec("option", u8), "0107", 7),
            (codec("option", u8), "00", None),
            (codec("vec", codec("u16")), "0201000200", [1, 2]),
            (codec("map", u8, codec("bool")), "010101", [[1, True]]),
            (codec("tuple", u8, string), "010161", [1, "a"]),
            (codec("ordered_u16"), "0102", 258),
            (codec("ordered_i64"), "7ffffffffffffffe", -2),
            (codec("ordered_i8"), "7f", -1),
            (codec("ordered_u128"), "ff" * 16, 2**128 - 1),
            (codec("ordered_f64"), "bff8000000000000", 1.5),
            (codec("ordered_f64"), "4007ffffffffffff", -1.5),
            (codec("ordered_f32"), "007fffff", "-Infinity"),
            (codec("ordered_string"), "5ac3bc7269636800", "Zürich"),
            (codec("ordered_bytes"), "01010102ff00", "0001ff"),
            (codec("tuple", codec("ordered_bytes"), u8), "020007", ["02", 7]),
            (codec("ttl", u8), "e80300000000000007", {"stamp_ms": 1_000, "value": 7}),
            (codec("u128"), "ff" * 16, 2**128 - 1),
            (codec("i128"), "ff" * 16, -1),
            (codec("f32"), "0000c07f", "NaN"),
            (codec("f64"), "000000000000f0ff", "-Infinity"),
            (codec("vec", codec("unit")), "03", [None] * 3),
            (codec("user", parameters=text("t") + bytes(4)), "02beef", "beef"),
        ]
        for snapshot, data, expected in vectors:
            self.assertEqual(self.value(snapshot, data), expected, snapshot)

    def test_refused_values(self):
        u8, unit = codec("u8"), codec("unit")
        self.refuses("CodecError::Invalid", codec("bool"), "02")
        self.refuses("CodecError::Invalid", codec("option", u8), "0207")
        self.refuses("CodecError::Invalid", codec("string"), "02c328")
        for escape in ("010300", "0100", "0201020100"):
            self.refuses("CodecError::Invalid", codec("ordered_bytes"), escape)
        self.refuses("CodecError::Invalid", codec("ordered_string"), "c32800")
        self.refuses("CodecError::Truncated", codec("ordered_bytes"), "6161")
        self.refuses("CodecError::Invalid", codec("map", u8, u8), "0201020103")
        self.refuses("CodecError::Invalid", codec("map", unit, unit), "02")
        self.refuses("CodecError::Truncated", codec("vec", unit), "818004")
        self.refuses("CodecError::Truncated", codec("vec", u8), "ff" * 9 + "01")
        self.refuses("CodecError::Truncated", codec("bytes"), "ff" * 9 + "01")
        self.refuses("CodecError::Truncated", codec("u32"), "000000")
        self.assertEqual(len(self.value(codec("vec", unit), "808004")), 65_536)

    def test_codecs_without_bytes_cost_nothing(self):
        many = codec("vec", codec("vec", codec("unit")))
        cursor = reader.Cursor(b"\xe8\x07" + b"\x80\x80\x04" * 1000, 0, 3002, "test")
        value = reader.decoder(reader.read_codec(self.cursor(many)))(cursor)
        self.assertEqual([inner.count for inner in value], [65_536] * 1000)

    def test_refused_codecs(self):
        u8 = codec("u8")
        bad = [codec("ordered_u8"), codec("ordered_unit"), codec("ordered_u16", u8), codec("u65"), codec("u8", version=2), codec("u8", u8), codec("u8", parameters=b"x")]
        bad += [codec("option"), codec("ttl"), codec("ttl", u8, u8), codec("map", u8), codec("tuple", u8), codec("tuple", *[u8] * 7)]
        for parameters in (b"", text("t") + bytes(3), text("t") + bytes(5), b"\1\0\xff" + bytes(4)):
            bad.append(codec("user", parameters=parameters))
        for parameters in (b"", b"\3\0\0", b"\3\0\0\0\0", bytes(4), b"\0\0\1\0"):
            bad.append(codec("fixed_bytes", parameters=parameters))
        for snapshot in bad:
            self.refuses("StateError::IncompatibleSchema", snapshot, "00" * 9)
        self.assertEqual(self.value(codec("tuple", *[u8] * 6), "00" * 6), [0] * 6)
        deep = codec("u8")
        for _ in range(15):
            deep = codec("option", deep)
        self.assertEqual(self.value(deep, "00"), None)
        self.refuses("FormatError::Codec", codec("option", deep), "00")


class Rules(Case):
    def test_good(self):
        self.assertEqual(len(self.rows(self.write(metadata(inline(GOOD))))), 4)

    def test_envelope(self):
        data = metadata(inline(GOOD))
        footer = struct.pack("<QQ", 41, len(data) - 64)
        cases = {
            "FormatError::Magic": b"alluvium" + data[8:],
            "FormatError::UnsupportedVersion": data[:10] + b"\1" + data[11:],
            "FormatError::UnsupportedFeatures": data[:16] + b"\1" + data[17:],
            "FormatError::Truncated": data[:50],
            "FormatError::Kind": GOOD,
            "FormatError::Checksum": data[:-24] + footer + data[-8:],
        }
        for name, damaged in cases.items():
            self.refuses(name, damaged)
        for fields in ({"subtask": 65_536}, {"subtask": 0}, {"checkpoint": 0}, {"blocks": b"x"}, {"extra": b"x"}):
            self.refuses("FormatError::Malformed", metadata(inline(GOOD), **fields))
        for offset in (0, 39, 2**64 - 1):
            footer = struct.pack("<QQI", offset, (len(data) - 24 - offset) % 2**64, 0)
            message = self.refuses("FormatError::Malformed", data[:-24] + footer + struct.pack("<I", crc32(footer)))
            self.assertIn("does not end at the footer", message)

    def test_metadata(self):
        one = text("op") + struct.pack("<HB", 1, 0)
        cases = [
            {"operators": [one, one]},
            {"operators": [text(".op") + one[4:]]},
            {"operators": [text("op") + struct.pack("<H", 0)]},
            {"operators": [text("op") + struct.pack("<HBBBBB", 5, 0, 0, 0, 0, 0)]},
            {"operators": [text("op") + struct.pack("<HB", 1, 4)]},
            {"max_parallelism": 0},
            {"max_parallelism": 32_769},
            {"groups": (0, 2)},
            {"handle": b"\3" + bytes(12)},
        ]
        for fields in cases:
            self.refuses("FormatError::Malformed", metadata(**{"handle": inline(GOOD), **fields}))
        self.refuses("FormatError::Codec", metadata(b"\1" + struct.pack("<QI", 2**63, 0)))
        self.refuses("StoreError::Mismatch", metadata(inline(GOOD)), number=2)

    def test_files(self):
        folder = self.write(metadata(in_file("chk-1/s", GOOD)))
        self.refuses("StorageError::NotFound", metadata(in_file("chk-1/s", GOOD)))
        self.write(GOOD, name="s")
        self.assertEqual(len(self.rows(folder)), 4)
        self.write(GOOD + b"x", name="s")
        self.refuses("StorageError::Truncated", metadata(in_file("chk-1/s", GOOD)))
        self.write(GOOD[:-1] + b"x", name="s")
        self.refuses("StorageError::SealMismatch", metadata(in_file("chk-1/s", GOOD)))
        self.refuses("StorageError::NotFound", metadata(in_file("chk-1", GOOD)))
        for path in ("../job/chk-1/s", "/etc/hosts", "chk-1//s"):
            self.refuses("FormatError::Malformed", metadata(in_file(path, GOOD)))

    def test_short_streams(self):
        for length in (0, 3, 39):
            seal = GOOD[:length][-4:].ljust(4, b"\0")
            handle = b"\1" + struct.pack("<Q", length) + seal + GOOD[:length]
            self.refuses("FormatError::Truncated", metadata(handle))
        self.refuses("FormatError::Truncated", metadata(inline(GOOD[:63])))

    def test_subtask_of_the_kind(self):
        for data, flags in ((keyed([], subtask=reader.NO_SUBTASK), 1), (operator([], subtask=reader.NO_SUBTASK), 2)):
            self.refuses_stream("FormatError::Malformed", data, flags)

    def test_maps_without_entries(self):
        empty = [(0,), (0, own(b"", 0)), (0, own(b"\0", 0), own(b"\0", 0, delta=True))]
        data = keyed([(0, 0, [(0, own(b"", 0)), (1, own(ENTRY_A)), (0,)]), (1, 0, [own(b"", 0)], 2), (2, 0, empty[:2])])
        self.assertEqual(len(self.rows(self.write(metadata(inline(data))))), 3)

    def test_keyed_index(self):
        a, be = one(0, 0, 1, ENTRY_A), one(0, 2, 1, ENTRY_BE)
        bad = [keyed([a], extra=b"x"), keyed([a], assigner=3)]
        bad += [keyed([a], seeds=seeds) for seeds in ([], [2], [3, 3], [3, 1], [1, 1, 3], [1, 4], [4])]
        bad += [keyed([one(0, 2, 1, ENTRY_BE)], groups=(2, 3), seeds=[1, 3])]
        bad += [keyed([one(1, 0, 1, ENTRY_A)]), keyed([one(0, 4, 1, ENTRY_A)])]
        unit, number = codec("unit"), codec("u64")
        two = [(name, 1, unit, number) for name in "nm"]
        bad += [keyed([a, a]), keyed([be, a]), keyed([(2, 1, [(0,)]), be], states=two)]
        bad += [keyed([], states=[("n", 9, unit, number)]), keyed([], states=[("n", 1, unit, number)] * 2)]
        bad += [keyed([], groups=(3, 2)), keyed([], groups=(0, 4))]
        for data in bad:
            self.refuses_stream("FormatError::Malformed", data)
        for kind, value in ((2, number), (3, codec("vec", number))):
            self.refuses_stream("StateError::IncompatibleSchema", keyed([], states=[("n", kind, unit, value)]))
        gap = keyed([a])
        bad_ends = stream(2, gap[40:50] + b"gap", gap[50:-24])
        self.assertIn("the blocks", self.refuses_stream("FormatError::Malformed", bad_ends))
        damaged = GOOD[:41] + b"b" + GOOD[42:]
        self.refuses_stream("FormatError::Checksum", damaged)

    def test_maps(self):
        full, delta = own(ENTRY_A), own(b"\0" + ENTRY_A, 1, delta=True)
        chains = [[(1, delta)], [(1, full, full)], [(1, full, delta, full)], [(3, full, delta)], [(2, full)]]
        bad = [keyed([(0, 0, chain)]) for chain in chains]
        bad += [keyed([(0, 0, [delta], 2)]), keyed([(0, 0, [full], 0)]), keyed([(0, 0, [full], 3)])]
        bad += [keyed([(0, 0, [], layout)]) for layout in (1, 2)]
        bad += [keyed([(0, 0, [(1, own(ENTRY_A, flags=flag))])]) for flag in (4, 8, 12, 16, 128)]
        bad += [keyed([(0, 0, [(1, full, *[delta] * 255)])])]
        for data in bad:
            self.refuses_stream("FormatError::Malformed", data)
        longest = keyed([(0, 0, [(1, full, *[delta] * 254)])])
        self.assertEqual(len(self.rows(self.write(metadata(inline(longest))))), 3)
        head = struct.pack("<HHB", 0, 0, 1)
        block = put_block(own(b""))
        codec_errors = [head + varint(2**32), head + varint(2) + b"\0", head + varint(1) + varint(2**32)]
        codec_errors += [head + varint(1) + varint(200) + b"\1", head[:-1] + b"\2" + varint(2) + block]
        codec_errors += [head + b"\1\1" + varint(2**32) + block, head + b"\1\1\1\0" + varint(2**32) + bytes(9)]
        codec_errors += [head + b"\1\1\1\0\0" + varint(2**32) + bytes(9), head + b"\x81\0\0"]
        for data in codec_errors:
            self.refuses_stream("FormatError::Codec", keyed([data]))

    def test_keyed_entries(self):
        self.refuses_stream("StateError::MisplacedKey", keyed([one(0, 1, 1, ENTRY_A)]))
        self.refuses_stream("CodecError::Invalid", keyed([one(0, 0, 2, ENTRY_A * 2)]))
        self.refuses_stream("CodecError::Invalid", keyed([(0, 0, [(1, own(ENTRY_A))] * 2)]))
        self.refuses_stream("CodecError::Invalid", keyed([(0, 0, [own(ENTRY_A)] * 2, 2)]))
        self.refuses_stream("CodecError::TrailingBytes", keyed([one(0, 0, 1, ENTRY_A + b"x")]))
        self.refuses_stream("CodecError::Truncated", keyed([one(0, 0, 2**32 - 1, ENTRY_A)]))
        self.refuses_stream("CodecError::Invalid", keyed([(0, 0, [(0, own(ENTRY_A))])]))
        states = [("empty", 1, codec("unit"), codec("unit"))]
        group = reader.xxh64(b"") % 4
        good = keyed([one(0, group, 1, b"")], key="unit", states=states)
        self.assertEqual(self.rows(self.write(metadata(inline(good))))[-1]["key"], None)
        self.refuses_stream("CodecError::Invalid", keyed([one(0, group, 2**32 - 1, b"")], key="unit", states=states))

    def test_delta_blocks(self):
        """Keys a, f and j are in key group 0."""

        def entry(key, value):
            return b"\1" + key + struct.pack("<Q", value)

        def after(count, *deltas):
            blocks = [own(data, records, delta=True) for records, data in deltas]
            return keyed([(0, 0, [(count, own(entry(b"a", 1) + entry(b"f", 2), 2), *blocks)])])

        def found(*arguments):
            rows = self.rows(self.write(metadata(inline(after(*arguments)))))[2:]
            return {row["key"]: row["value"] for row in rows}

        self.assertEqual(found(2), {"a": 1, "f": 2})
        self.assertEqual(found(2, (0, b"\0")), {"a": 1, "f": 2})
        self.assertEqual(found(2, (2, b"\1\1a" + entry(b"j", 3))), {"f": 2, "j": 3})
        self.assertEqual(found(2, (1, b"\0" + entry(b"a", 9))), {"a": 9, "f": 2})
        self.assertEqual(found(2, (1, b"\1\1j")), {"a": 1, "f": 2})
        self.assertEqual(found(0, (2, b"\2\1a\1f")), {})
        self.assertEqual(found(2, (1, b"\1\1a"), (1, b"\0" + entry(b"a", 7))), {"a": 7, "f": 2})
        refused = [
            ("CodecError::Invalid", (1, (1, b"\2\1a\1f"))),
            ("CodecError::Invalid", (1, (2, b"\2\1a\1a"))),
            ("CodecError::Invalid", (2, (2, b"\1\1a" + entry(b"a", 3)))),
            ("CodecError::Invalid", (2, (2, b"\0" + entry(b"a", 3) * 2))),
            ("CodecError::Truncated", (2, (1, b"\1\1"))),
            ("CodecError::Truncated", (2, (0, b""))),
            ("CodecError::TrailingBytes", (2, (1, b"\1\1ax"))),
            ("StateError::MisplacedKey", (2, (1, b"\1\1b"))),
            ("CodecError::Invalid", (2, (1, b"\1\1a"))),
            ("CodecError::Invalid", (2, (1, b"\0" + entry(b"j", 3)))),
        ]
        for name, arguments in refused:
            self.refuses_stream(name, after(*arguments))

    def test_namespaces_and_states(self):
        states = [("x", 1, codec("u8"), codec("unit")), ("y", 1, codec("u8"), codec("unit"))]
        data = keyed([one(0, 0, 2, b"\x01a\x01\x01a\x02"), one(1, 0, 1, b"\x01a\x01")], states=states)
        found = [(row["state"], row["namespace"]) for row in self.rows(self.write(metadata(inline(data))))[2:]]
        self.assertEqual(found, [("x", 1), ("x", 2), ("y", 1)])

    def test_timers(self):
        def timers(*found, value=codec("unit"), parts=(codec("u8"), codec("i64"), codec("unit"))):
            entries = b"".join(b"\x01a" + struct.pack("<Bq", *timer) for timer in found)
            states = [("t", 6, codec("tuple", *parts), value)]
            return keyed([one(0, 0, len(found), entries)] if found else [], states=states)

        rows = self.rows(self.write(metadata(inline(timers((1, 1000), (2, -5))))))[2:]
        found = [(row["kind"], row["namespace"]) for row in rows]
        self.assertEqual(found, [("timers", [1, 1000, None]), ("timers", [2, -5, None])])
        self.refuses_stream("CodecError::Invalid", timers((1, 1000), (1, 1000)))
        for domain in (0, 3):
            self.refuses_stream("CodecError::Invalid", timers((domain, 1000)))
        self.refuses_stream("StateError::IncompatibleSchema", timers(value=codec("u8")))
        for parts in ((codec("u8"), codec("i64")), (codec("i64"), codec("u8"), codec("unit"))):
            self.refuses_stream("StateError::IncompatibleSchema", timers(parts=parts))

    def test_sorted_maps(self):
        def sorted_map(*keys, of=codec("ordered_i16")):
            entry = b"\x01a" + varint(len(keys)) + b"".join(struct.pack(">HB", key, 7) for key in keys)
            states = [("s", 7, codec("unit"), codec("map", of, codec("u8")))]
            return keyed([one(0, 0, 1, entry)], states=states)

        rows = self.rows(self.write(metadata(inline(sorted_map(0x7FFF, 0x8000, 0x8100)))))[2:]
        found = [(row["kind"], row["value"]) for row in rows]
        self.assertEqual(found, [("sorted map", [[-1, 7], [0, 7], [256, 7]])])
        for keys in ((1, 1), (2, 1), (1, 3, 2)):
            self.refuses_stream("CodecError::Invalid", sorted_map(*keys))
        for of in (codec("u16"), codec("tuple", codec("u8"), codec("i8")), codec("string")):
            self.refuses_stream("StateError::IncompatibleSchema", sorted_map(1, of=of))

    def test_long_lists(self):
        def long_list(value, stored=b"\x02\x07\x09"):
            states = [("l", 8, codec("unit"), value)]
            return keyed([one(0, 0, 1, b"\x01a" + stored)], states=states)

        rows = self.rows(self.write(metadata(inline(long_list(codec("vec", codec("u8")))))))[2:]
        self.assertEqual([(row["kind"], row["value"]) for row in rows], [("long list", [7, 9])])
        self.refuses_stream("StateError::IncompatibleSchema", long_list(codec("bytes")))

        stamped, stored = codec("vec", codec("ttl", codec("u8"))), b"\x02" + bytes(8) + b"\x07" + (1_000).to_bytes(8, "little") + b"\x09"
        row = self.rows(self.write(metadata(inline(long_list(stamped, stored)))))[2]
        self.assertEqual((row["kind"], row["value"]), ("long list", [{"stamp_ms": 0, "value": 7}, {"stamp_ms": 1_000, "value": 9}]))

    def test_streams_agree_with_the_metadata(self):
        block = one(0, 0, 1, ENTRY_A)
        for fields in ({"groups": (0, 2)}, {"max_parallelism": 5}, {"assigner": 2}, {"checkpoint": 2}, {"attempt": 2}):
            self.refuses_stream("RestoreError::Mismatch", keyed([block] if "assigner" not in fields else [], **fields))
        state = ("s", 0, codec("u8"), 1, b"\x01\x07")
        self.refuses_stream("RestoreError::Mismatch", operator([state], subtask=1), flags=2)
        self.refuses_stream("RestoreError::Mismatch", operator([state], uid="other"), flags=2)
        self.refuses_stream("FormatError::Kind", operator([state]))

    def test_subtasks_agree(self):
        def two(left, right):
            none = put_shared(())
            handles = struct.pack("<BHH", 1, 0, 1) + inline(left) + none
            handles += struct.pack("<BHH", 1, 2, 3) + inline(right) + none
            return metadata(operators=[text("op") + struct.pack("<H", 2) + handles])

        left = keyed([one(0, 0, 1, ENTRY_A)], groups=(0, 1))
        right = keyed([one(0, 2, 1, ENTRY_BE)], groups=(2, 3), subtask=1)
        self.assertEqual(len(self.rows(self.write(two(left, right)))), 4)
        self.refuses("RestoreError::Mismatch", two(left, keyed([], key="u8", groups=(2, 3), subtask=1)))
        other = [("n", 1, codec("unit"), codec("u32"))]
        self.refuses("RestoreError::Mismatch", two(left, keyed([], states=other, groups=(2, 3), subtask=1)))
        self.refuses("RestoreError::Mismatch", two(left, keyed([one(0, 2, 1, ENTRY_BE)], groups=(2, 3))))

    def test_operator_state(self):
        u8 = codec("u8")
        pair = codec("tuple", u8, u8)
        states = [("a", 0, u8, 2, b"\x01\x07\x01\x08"), ("b", 1, u8, 0, b""), ("c", 2, pair, 1, b"\x02\x01\x02")]
        found = self.rows(self.write(metadata(inline(operator(states)), flags=2)))[2:]
        listed = [(row["state"], row["mode"], row["item"]) for row in found]
        self.assertEqual(listed, [("a", "split", 7), ("a", "split", 8), ("c", "broadcast", [1, 2])])
        cases = [
            ("FormatError::Malformed", ("a", 4, u8, 0, b"")),
            ("StateError::IncompatibleSchema", ("a", 2, u8, 0, b"")),
            ("StateError::IncompatibleSchema", ("a", 2, codec("tuple", u8, u8, u8), 0, b"")),
            ("FormatError::Malformed", ("a", 0, u8, 2, b"\x01\x07")),
            ("FormatError::Malformed", ("a", 0, u8, 0, b"\x01\x07")),
            ("CodecError::TrailingBytes", ("a", 0, u8, 1, b"\x02\x07\x08")),
            ("CodecError::Truncated", ("a", 0, u8, 1, b"\x02\x07")),
            ("CodecError::Truncated", ("a", 0, codec("u16"), 2, b"\x01\x07\x01\x08")),
        ]
        for name, state in cases:
            self.refuses_stream(name, operator([state]), flags=2)
        self.refuses_stream("FormatError::Malformed", operator([("a", 0, u8, 0, b"")] * 2), flags=2)


    def test_sections_of_raw_keyed_state(self):
        section = codec("tuple", codec("u16"), codec("bytes"))

        def raw(*items, of=section):
            return operator([("r", 3, of, len(items), b"".join(varint(len(item)) + item for item in items))])

        sections = b"\x00\x00\x03abc", b"\x03\x00\x00"
        found = self.rows(self.write(metadata(inline(raw(*sections)), flags=2)))[2:]
        listed = [(row["state"], row["mode"], row["item"]) for row in found]
        self.assertEqual(listed, [("r", "keyed", [0, "616263"]), ("r", "keyed", [3, ""])])
        cases = [
            ("FormatError::Malformed", raw(of=codec("bytes"))),
            ("FormatError::Malformed", raw(of=codec("tuple", codec("u16"), codec("string")))),
            ("FormatError::Malformed", raw(*reversed(sections))),
            ("FormatError::Malformed", raw(sections[0], sections[0])),
            ("CodecError::Truncated", raw(b"\x00")),
            ("CodecError::Truncated", raw(b"\x00\x00\x04abc")),
            ("CodecError::TrailingBytes", raw(b"\x00\x00\x02abc")),
            ("RestoreError::Mismatch", raw(b"\x04\x00\x00")),
        ]
        for name, data in cases:
            self.refuses_stream(name, data, flags=2)


class TwoStreams(Case):
    """Checkpoint 1 wrote a file; checkpoint 2 refers to its blocks and changes what they say."""

    PATH = "shared/op-0-keyed-1-1"
    FULL = b"\x02be" + struct.pack("<Q", 299) + b"\x01e" + struct.pack("<Q", 5)
    CHANGE = b"\x01" + b"\x01e" + ENTRY_BE  # e is removed, be is set
    FIRST = keyed([one(0, 0, 1, ENTRY_A), one(0, 2, 2, FULL)])
    MAPS = [(0, 0, [(0,), (1, far(1, 40, ENTRY_A))]), (2, 0, [(1, far(1, 50, FULL, 2), own(CHANGE, 2, delta=True))])]

    def setUp(self):
        super().setUp()
        self.write_first(self.FIRST)

    def write_first(self, data):
        os.makedirs(os.path.join(self.job, "shared"), exist_ok=True)
        with open(os.path.join(self.job, self.PATH), "wb") as file:
            file.write(data)

    def second(self, maps=None, files=None, listed=None, **fields):
        files = [(self.PATH, self.FIRST)] if files is None else files
        data = keyed(self.MAPS if maps is None else maps, files=files, checkpoint=2, **fields)
        return metadata(inline(data), files=files if listed is None else listed, checkpoint=2)

    def test_entries(self):
        folder = self.write(self.second(), 2)
        self.assertEqual(reader.verify(folder)[2], "ok: 1 streams, 3 blocks, 2 entries")
        self.assertEqual([(row["key"], row["value"]) for row in self.rows(folder)[2:]], [("a", 1), ("be", 300)])

    def test_both_checkpoints(self):
        first = self.write(metadata(in_file(self.PATH, self.FIRST)))
        self.assertEqual([row["key"] for row in self.rows(first)[2:]], ["a", "be", "e"])
        second = self.write(self.second(), 2)
        self.assertEqual(reader.latest(self.job), second)

    def test_an_unsegmented_map(self):
        maps = [self.MAPS[0], (2, 0, [own(ENTRY_BE), far(1, 40 + 10 + 11, self.FULL[11:])], 2)]
        rows = self.rows(self.write(self.second(maps), 2))[2:]
        self.assertEqual([(row["key"], row["value"]) for row in rows], [("a", 1), ("be", 300), ("e", 5)])

    def test_the_file(self):
        second = self.second()
        self.write_first(self.FIRST[:-1] + b"x")
        self.refuses("StorageError::SealMismatch", second, 2)
        self.write_first(self.FIRST + b"x")
        self.refuses("StorageError::Truncated", second, 2)
        self.write_first(self.FIRST[:41] + b"f" + self.FIRST[42:])
        self.assertIn(self.PATH, self.refuses("FormatError::Checksum", second, 2))
        self.write_first(bytes(40) + self.FIRST[40:])  # nothing but its blocks is used
        self.assertEqual(len(self.rows(self.write(second, 2))), 4)
        os.remove(os.path.join(self.job, self.PATH))
        self.refuses("StorageError::NotFound", second, 2)

    def test_the_lists(self):
        other = ("shared/other", self.FIRST)
        one_file = (self.PATH, self.FIRST)
        twice = [one_file, one_file]
        self.refuses("FormatError::Malformed", self.second(files=twice), 2)
        self.refuses("FormatError::Malformed", self.second(listed=twice), 2)
        self.assertIn("no block", self.refuses("FormatError::Malformed", self.second(files=[one_file, other]), 2))
        for path in ("/etc/hosts", "shared/../../x"):
            self.refuses("FormatError::Malformed", self.second(files=[(path, self.FIRST)]), 2)
        longer, other_seal = (self.PATH, self.FIRST + b"x"), (self.PATH, self.FIRST[:-1] + b"x")
        for listed in ([], [other], [one_file, other], [longer], [other_seal]):
            self.refuses("RestoreError::Mismatch", self.second(listed=listed), 2)

    def test_places(self):
        end = len(self.FIRST) - 24
        for file, offset in ((0, 40), (2, 40), (1, 39), (1, 0), (1, end - 9), (1, 2**64 - 5)):
            maps = [(0, 0, [(1, far(file, offset, ENTRY_A))])]
            self.refuses("FormatError::Malformed", self.second(maps), 2)
        self.refuses("FormatError::Checksum", self.second([(0, 0, [(1, far(1, end - 10, ENTRY_A))])]), 2)

    def test_overlap(self):
        for offset in (40, 49):
            maps = [self.MAPS[0], (2, 0, [(1, far(1, offset, ENTRY_A))])]
            self.assertIn("overlap at", self.refuses("FormatError::Malformed", self.second(maps), 2))

    def test_missing_file_of_the_latest(self):
        older = self.write(metadata(inline(GOOD)))
        self.write(self.second(), 2)
        os.remove(os.path.join(self.job, self.PATH))
        with self.assertRaises(reader.Refused) as caught:
            reader.latest(self.job)
        self.assertIn(self.PATH, str(caught.exception))
        self.assertIn(f"the newest whole checkpoint is {older}", str(caught.exception))


def put_sst(file, data, level=1, seqnos=(0, 9), keys=(b"\x00\x01a", b"\x03"), checksum=None):
    checksum = crc32(data) if checksum is None else checksum
    head = struct.pack("<HBQQQI", file, level, *seqnos, 2, checksum)
    return head + b"".join(varint(len(key)) + key for key in keys)


class SstFiles(Case):
    """Keyed state as SST files (12). The tables are any bytes here: nothing looks into them."""

    FILES = [("shared/op-0-sst-1-1-0", b"first table"), ("shared/op-0-sst-1-1-1", b"another table")]
    FIRST, SECOND = FILES[0][1], FILES[1][1]
    STATES = [("n", 1, codec("unit"), codec("u64")), ("l", 2, codec("unit"), codec("vec", codec("u8")))]

    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.job, "shared"))
        for file in self.FILES:
            self.write_file(*file)

    def write_file(self, path, data):
        with open(os.path.join(self.job, path), "wb") as file:
            file.write(data)

    def index(self, lists=None, files=None, groups=(0, 3), extra=b"", kind=4, **fields):
        lists = [[put_sst(1, self.FIRST)], [put_sst(2, self.SECOND)]] if lists is None else lists
        index = text("op") + struct.pack("<HBHH", 4, 1, *groups) + codec("string") + struct.pack("<H", 2)
        index += b"".join(text(name) + bytes([kind]) + space + value for name, kind, space, value in self.STATES)
        index += put_shared(self.FILES if files is None else files)
        index += b"".join(struct.pack("<H", len(ssts)) + b"".join(ssts) for ssts in lists)
        return stream(kind, fields.pop("blocks", b""), index + extra, **fields)

    def of(self, index, listed=None):
        return metadata(inline(index), files=self.FILES if listed is None else listed)

    def test_rows(self):
        folder = self.write(self.of(self.index()))
        self.assertEqual(reader.verify(folder)[2], "ok: 1 streams, 0 blocks, 0 entries, 2 SST files")
        first, second = self.rows(folder)[2:]
        self.assertEqual((first["state"], first["kind"], first["file"]), ("n", "value", self.FILES[0][0]))
        self.assertEqual((first["level"], first["smallest_seqno"], first["largest_seqno"]), (1, 0, 9))
        self.assertEqual((first["entries"], first["smallest_key"], first["largest_key"]), (2, "000161", "03"))
        self.assertEqual((second["state"], second["file"]), ("l", self.FILES[1][0]))
        self.assertEqual(reader.latest(self.job), folder)

    def test_a_stream_of_both_kinds(self):
        self.refuses("FormatError::UnknownKind", self.of(self.index(kind=9)))
        self.refuses("FormatError::Kind", self.of(self.index(kind=3)))
        self.refuses("FormatError::Malformed", self.of(self.index(kind=2)))
        self.refuses("FormatError::Kind", metadata(inline(self.index()), flags=2))

    def test_files(self):
        good, (path, data) = self.of(self.index()), self.FILES[1]
        for place in range(len(data)):
            self.write_file(path, data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            sealed = place >= len(data) - 4
            error = self.refuses("StorageError::SealMismatch" if sealed else "FormatError::Checksum", good)
            self.assertIn(path, error)
        self.write_file(path, data[1:])
        self.refuses("StorageError::Truncated", good)
        os.remove(os.path.join(self.job, path))
        self.refuses("StorageError::NotFound", good)

    def test_every_flipped_bit_is_refused(self):
        index = self.index()
        for place in range(len(index)):
            damaged = index[:place] + bytes([index[place] ^ 1 << place % 8]) + index[place + 1 :]
            with self.assertRaises(reader.Refused):
                reader.verify(self.write(self.of(damaged)))

    def test_rules(self):
        def one(**fields):
            return [[put_sst(1, self.FIRST, **fields)], [put_sst(2, self.SECOND)]]

        def two(first, second):
            return [[put_sst(1, self.FIRST, **first), put_sst(2, self.SECOND, **second)], []]

        def at(level, *keys):
            return {"level": level, "keys": [bytes([key]) for key in keys]}

        good = [two(at(0, 5, 6), at(0, 1, 9)), two(at(1, 1, 5), at(1, 5, 6)), two(at(1, 5, 6), at(2, 1, 9))]
        good.append(one(seqnos=(0, 2**56 - 1), level=6, keys=(b"", b"")))
        for lists in good:
            self.assertEqual(len(self.rows(self.write(self.of(self.index(lists))))), 4)
        bad = [one(level=7), one(seqnos=(2, 1)), one(seqnos=(0, 2**56)), one(keys=(b"b", b"a"))]
        bad += [two(at(2, 1, 1), at(1, 5, 6)), two(at(1, 1, 5), at(1, 4, 6)), two(at(6, 3, 4), at(6, 1, 2))]
        for first, second in ((0, 2), (3, 2), (2, 2), (65_535, 2)):
            bad.append([[put_sst(first, self.FIRST)], [put_sst(second, self.SECOND)]])
        bad += [[[put_sst(1, self.FIRST)], []]]
        for lists in bad:
            self.refuses("FormatError::Malformed", self.of(self.index(lists)))
        self.refuses("FormatError::Malformed", self.of(self.index(extra=b"x")))
        self.refuses("FormatError::Malformed", self.of(self.index(blocks=b"x")))
        self.refuses("FormatError::Malformed", self.of(self.index(subtask=reader.NO_SUBTASK)))
        self.refuses("FormatError::Malformed", self.of(self.index(files=[self.FILES[0]] * 2)))
        self.refuses("FormatError::Codec", self.of(self.index([[put_sst(1, self.FIRST)]])))
        self.refuses("FormatError::Checksum", self.of(self.index(one(checksum=0))))

    def test_the_metadata(self):
        for fields in ({"groups": (0, 2)}, {"checkpoint": 2}, {"attempt": 2}, {"subtask": 1}):
            self.refuses("RestoreError::Mismatch", self.of(self.index(**fields)))
        for listed in ([], self.FILES[:1], self.FILES[::-1]):
            self.refuses("RestoreError::Mismatch", self.of(self.index(), listed))


class Latest(Case):
    def checkpoint(self, number, attempt, handle=None):
        return self.write(metadata(handle or inline(GOOD), checkpoint=number, attempt=attempt), number)

    def refusal(self):
        with self.assertRaises(reader.Refused) as caught:
            reader.latest(self.job)
        return str(caught.exception)

    def test_attempts_are_compared_first(self):
        self.checkpoint(9, 1)
        newest = self.checkpoint(8, 2)
        self.checkpoint(7, 2)
        self.assertEqual(reader.latest(self.job), newest)

    def test_what_is_no_candidate(self):
        newest = self.checkpoint(2, 1)
        os.mkdir(os.path.join(self.job, "chk-3"))
        os.makedirs(os.path.join(self.job, "chk-4", "_metadata"))
        for name in ("chk-07", "chk-0", "chk-٣", "chk-99999999999999999999", ".tmp-chk-9-1-1"):
            os.mkdir(os.path.join(self.job, name))
            with open(os.path.join(self.job, name, "_metadata"), "wb"):
                pass
        self.assertEqual(reader.latest(self.job), newest)

    def test_damaged_metadata(self):
        newest = self.checkpoint(2, 1)
        self.write(b"damaged", 1)
        self.assertEqual(reader.latest(self.job), newest)
        damaged = self.write(b"damaged", 3)
        message = self.refusal()
        self.assertIn(os.path.join(damaged, "_metadata"), message)
        self.assertIn(f"the newest whole checkpoint is {newest}", message)

    def test_metadata_of_another_folder(self):
        self.checkpoint(1, 1)
        self.write(metadata(inline(GOOD), checkpoint=1), 2)
        self.assertIn("StoreError::Mismatch", self.refusal())

    def test_missing_stream(self):
        older = self.checkpoint(1, 1)
        self.checkpoint(2, 1, in_file("chk-2/gone", GOOD))
        message = self.refusal()
        self.assertIn("chk-2/gone", message)
        self.assertIn(f"the newest whole checkpoint is {older}", message)

    def test_nothing_to_restore(self):
        self.assertIn("has no checkpoint", self.refusal())
        self.write(b"damaged", 1)
        self.assertIn("is whole", self.refusal())


if __name__ == "__main__":
    unittest.main()
