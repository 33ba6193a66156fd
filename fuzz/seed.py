"""Writes the seeds of the corpus, most of them from the golden files: `python3 fuzz/seed.py`.

Whole streams come twice: as they are, and as blocks and index that a target puts a frame around (see
crates/fuzz-targets/src/framed.rs). A seed is named by its checksum, so running this again adds nothing.
"""

import hashlib
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests" / "spec_reader"))

from test_reader import codec, varint  # noqa: E402

HEADER, FOOTER = 40, 24
METADATA, KEYED, OPERATOR, SSTS = 1, 2, 3, 4
TARGET_OF = {METADATA: "metadata", KEYED: "state_file", OPERATOR: "operator", SSTS: "sst_index"}
MAX_SEED = 4_096


def seed(target: str, data: bytes) -> None:
    folder = TOP / "fuzz" / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    if len(data) <= MAX_SEED:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def streams() -> None:
    for path in sorted((TOP / "tests" / "golden").glob("v*/**/*")):
        data = path.read_bytes() if path.is_file() else b""
        kind = int.from_bytes(data[8:10], "little")
        if data[:8] != b"ALLUVIUM" or kind not in TARGET_OF:
            continue
        index = int.from_bytes(data[-FOOTER : -FOOTER + 8], "little")
        blocks, index = data[HEADER:index], data[index:-FOOTER]
        seed(TARGET_OF[kind], b"\0" + data)
        seed(TARGET_OF[kind], b"\1" + len(blocks).to_bytes(2, "little") + blocks + index)


def values() -> None:
    u8, string = codec("u8"), codec("string")
    seed("codecs", u8 + b"\x07\x08")
    seed("codecs", string + b"\x01a\x00\x03abc")
    seed("codecs", codec("vec", codec("option", codec("i16"))) + b"\x02\x00\x01\x05\x00")
    seed("codecs", codec("map", codec("u16"), codec("vec", codec("bool"))) + b"\x01\x07\x00\x02\x00\x01")
    seed("codecs", codec("tuple", u8, codec("i128"), codec("bytes")) + b"\x07" + bytes(16) + b"\x02ab")
    seed("codecs", codec("ttl", codec("vec", codec("unit"))) + bytes(8) + b"\x80\x80\x04")
    seed("codecs", codec("fixed_bytes", parameters=(3).to_bytes(4, "little")) + b"abcdef")
    seed("codecs", codec("ordered_string") + b"a\x00ab\x00")
    seed("codecs", b"\x02\x01\x05\x00")
    for data in (b"a\x00ab\x00", b"\x80\x00\x00\x07\x80\x00\x00\x08", b"\x80a\x00\x81b\x00", bytes(range(16))):
        seed("ordered", data)
    for text in ("chk-1/operator-0-keyed-3", "shared/operator-1-keyed-3-2", "a/../b", "/a", "job", "a//b", "."):
        seed("paths", text.encode())
    for number in range(4):
        seed("programs", number.to_bytes(8, "little") + bytes([30]))
    for number, steps in ((4, 0), (5, 1), (6, 2), (7, 60), (8, 60), (9, 90), (10, 120), (2**64 - 1, 30)):
        seed("programs", number.to_bytes(8, "little") + bytes([steps]))
    for mode in (b"\0", b"\1", b"\2", b"\3"):
        seed("checkpoint", mode)
    for mode in (b"\0", b"\1"):
        for place in (9, 45, 60, 200):
            for what in range(4):
                seed("checkpoint", mode + bytes([place % 3, what]) + place.to_bytes(2, "little") + b"\x04\0")
    for mode in (b"\2", b"\3"):
        for part in (*range(12), 20, 40, 60, 80):
            place, what = part * 7, part % 4
            seed("checkpoint", mode + bytes([part, what]) + place.to_bytes(2, "little") + b"\x81\0")


def blocks() -> None:
    """Blocks of every kind of state: each as a full one, and with removals in front as a delta block."""
    u8, u16, i64, string, unit = codec("u8"), codec("u16"), codec("i64"), codec("string"), codec("unit")
    ordered, stamp = codec("ordered_string"), (50).to_bytes(8, "little")
    timer = codec("tuple", u8, i64, unit)
    number = (7).to_bytes(8, "little")
    user = codec("user", parameters=b"\x01\x00v" + (3).to_bytes(4, "little"))
    fixed = codec("fixed_bytes", parameters=(3).to_bytes(4, "little"))
    cases = [
        ((string, unit, codec("vec", u8)), [b"\x01a", b"\x01b"], [b"\x02\x07\x09", b"\x00"]),
        ((string, codec("u32"), codec("map", u8, string)), [b"\x01a\x07\0\0\0"], [b"\x01\x05\x01b"]),
        ((i64, unit, codec("f64")), [number, bytes(8)], [bytes(6) + b"\xf8\x7f", bytes(8)]),
        ((string, timer, unit), [b"\x01a\x01" + number, b"\x00\x02" + number], [b"", b""]),
        ((u16, unit, codec("ttl", u16)), [b"\x01\x00"], [stamp + b"\x05\x00"]),
        ((u16, unit, codec("vec", codec("ttl", u8))), [b"\x01\x00"], [b"\x02" + stamp + b"\x05" + stamp + b"\x06"]),
        ((ordered, unit, codec("map", ordered, u8)), [b"a\x01\x01\x00"], [b"\x02\x00\x01b\x00\x02"]),
        ((fixed, codec("option", u8), codec("option", string)), [b"abc\x00", b"abc\x01\x07"], [b"\x00", b"\x01\x01z"]),
        ((codec("tuple", codec("bool"), string), unit, user), [b"\x01\x01a"], [b"\x04user"]),
        ((string, unit, codec("postcard", parameters=b"\x01\x00p\x01\0\0\0")), [b"\x80\x01" + b"k" * 128], [b"\x02ab"]),
        ((unit, unit, unit), [b""], [b""]),
        ((codec("u128"), codec("i8"), codec("vec", unit)), [bytes(16) + b"\x80"], [b"\x80\x80\x04"]),
    ]
    for snapshots, pairs, values in cases:
        head, entries = b"".join(snapshots), b"".join(pair + value for pair, value in zip(pairs, values))
        seed("full_block", head + len(pairs).to_bytes(4, "little") + entries)
        for removals in (0, 1):
            count = (len(pairs) + removals).to_bytes(4, "little")
            seed("delta_block", head + count + varint(removals) + removals * pairs[0] + entries)
    head = b"".join(cases[0][0])
    seed("full_block", head + (2**32 - 1).to_bytes(4, "little") + b"\x01a\x00")
    seed("delta_block", head + (2).to_bytes(4, "little") + varint(3) + b"\x01a\x01b\x01c")
    seed("delta_block", head + (3).to_bytes(4, "little") + b"\x01" + b"\x01c" + b"\x01a\x02\x07\x09" + b"\x01b\x00")


def channels() -> None:
    """Sections of records in flight: none, some, a long one, and what breaks a rule."""
    one, empty, long = b"\x01\x03one", b"\x01\x00", b"\x01" + varint(300) + b"r" * 300
    for group, records in (
        (44, one + empty),
        (0, b""),
        (127, one),
        (32_767, one * 20),
        (65_535, long + one),
        (1, "\u00e9\u65e5".encode().join((b"\x01\x05", b""))),
        (2, one + b"\x02\x03two"),
        (3, b"\x01\x09one"),
        (4, b"\x01\x02\xff\xfe"),
        (5, b"\x01" + varint(2**63)),
    ):
        seed("channel", group.to_bytes(2, "little") + varint(len(records)) + records)
    seed("channel", b"\x2c\x00\x05" + one + b"\x00")


def rows() -> None:
    string, unit, u16 = codec("string"), codec("unit"), codec("u16")
    stamped = codec("ttl", u16)
    stamp = (50).to_bytes(8, "little")
    late = (95).to_bytes(8, "little")
    timer = codec("tuple", codec("u8"), codec("i64"), unit)
    key = b"\x01a"
    cases = [
        (0, unit, u16, b"\x05\x00"),
        (0, unit, stamped, stamp + b"\x05\x00"),
        (1, unit, codec("vec", u16), b"\x02\x05\x00\x06\x00"),
        (1, unit, codec("vec", stamped), b"\x02" + stamp + b"\x05\x00" + late + b"\x06\x00"),
        (1, unit, codec("vec", unit), b"\x07"),
        (2, string, codec("map", string, u16), b"\x01n" + b"\x02\x01b\x05\x00\x01a\x06\x00"),
        (5, timer, unit, b"\x01" + (1_000).to_bytes(8, "little")),
        (6, unit, codec("map", codec("ordered_u16"), u16), b"\x02\x00\x05\x01\x00\x00\x06\x02\x00"),
        (7, unit, codec("vec", u16), b"\x02\x05\x00\x06\x00"),
        (7, unit, codec("vec", stamped), b"\x02" + stamp + b"\x05\x00" + late + b"\x06\x00"),
    ]
    for kind, namespace, value, rest in cases:
        for most in (128, 32_768):
            seed("rocksdb_rows", bytes([kind]) + most.to_bytes(2, "little") + string + namespace + value + key + rest)


def texts() -> None:
    bodies = [b"", b"{}", b'{"checkpointType": "FULL"}', b'{"target-directory": "sp", "formatType": "NATIVE"}']
    bodies += [b'{"targetDirectory": "sp", "drain": true}', b'{"triggerId": "' + b"0aF" * 10 + b'00"}']
    bodies += [b'{"drain": 1}', b"[" * 200, b'{"drain": [[1], {"a": 2}]}']
    paths = ["/jobs", "/v1/jobs/a", "/jobs/a/checkpoints", "/jobs/a/checkpoints/config", "/jobs/a/checkpoints/details/3"]
    paths += ["/jobs/a/checkpoints/details/3/subtasks/op", "/jobs/a/checkpoints/12", "/jobs/a/savepoints"]
    paths += ["/jobs/a/savepoints/12", "/jobs/a/stop/", "http://localhost:8081/jobs/a", "[::1]:80", "host:70000"]
    for number, path in enumerate(paths):
        seed("rest", bytes([number % 5]) + path.encode() + b"\n" + bodies[number % len(bodies)])
    uris = ["chk", "/data/chk", "file:/data", "file:///data", "file://host/data", "memory:a/b", "memory:a/../b"]
    uris += ["s3://bucket/a/b?endpoint=http%3A%2F%2Fx%3A9000&region=r&path_style=true", "s3://bucket/../a"]
    uris += ["s3://AKIASECRETKEY:pass@bucket/a", "s3://b?secret=x", "s3://b?region=%zz", "hdfs://node/a", "C:/a", ""]
    for uri in uris:
        seed("uris", uri.encode())


streams()
values()
blocks()
channels()
rows()
texts()
