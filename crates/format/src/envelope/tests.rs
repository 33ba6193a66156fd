use bytes::Bytes;

use super::*;
use crate::FormatError;

fn open(bytes: &[u8], kind: StreamKind) -> Result<Envelope, FormatError> {
    Envelope::open_bytes(Bytes::copy_from_slice(bytes), kind)
}

fn identity() -> StreamIdentity {
    StreamIdentity {
        kind: StreamKind::Keyed,
        subtask: Some(SubtaskIndex::new(3)),
        checkpoint: CheckpointId::new(7).unwrap(),
        attempt: AttemptId::new(2),
    }
}

fn stream() -> (Vec<u8>, Vec<Block>) {
    let mut writer = EnvelopeWriter::new(Vec::new(), &identity()).unwrap();
    let blocks = vec![writer.block(b"first").unwrap(), writer.block(b"second").unwrap()];
    let (bytes, seal) = writer.finish(b"index").unwrap();
    assert_eq!(bytes[bytes.len() - 4..], seal.to_le_bytes());
    (bytes, blocks)
}

/// The bytes a whole reader would look at: frame, tiling, all blocks.
fn read(bytes: &[u8], blocks: &[Block]) -> Result<(), FormatError> {
    let envelope = open(bytes, StreamKind::Keyed)?;
    envelope.check_tiling(blocks.iter().copied())?;
    blocks.iter().try_for_each(|block| envelope.block(block).map(drop))
}

#[test]
fn what_was_written_is_read() {
    let (bytes, blocks) = stream();
    let envelope = open(&bytes, StreamKind::Keyed).unwrap();
    assert_eq!(*envelope.identity(), identity());
    assert_eq!(envelope.index(), b"index");
    assert_eq!(&envelope.block(&blocks[0]).unwrap()[..], b"first");
    assert_eq!(&envelope.block(&blocks[1]).unwrap()[..], b"second");
    envelope.check_tiling(blocks).unwrap();
}

#[test]
fn offsets_are_where_the_specification_puts_them() {
    let (bytes, _) = stream();
    assert_eq!(&bytes[MAGIC_OFFSET..KIND_OFFSET], b"ALLUVIUM");
    assert_eq!(&bytes[KIND_OFFSET..VERSION_OFFSET], [2, 0]);
    assert_eq!(&bytes[VERSION_OFFSET..COMPATIBLE_FEATURES_OFFSET], [2, 0]);
    assert_eq!(&bytes[SUBTASK_OFFSET..CHECKPOINT_OFFSET], [3, 0, 0, 0]);
    assert_eq!(&bytes[CHECKPOINT_OFFSET..ATTEMPT_OFFSET], [7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&bytes[ATTEMPT_OFFSET..HEADER_CHECKSUM_OFFSET], [2, 0, 0, 0]);
    assert_eq!(&bytes[HEADER_LEN..HEADER_LEN + 5], b"first");
}

#[test]
fn every_flipped_bit_is_found() {
    let (bytes, blocks) = stream();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            assert!(read(&damaged, &blocks).is_err(), "byte {position} bit {bit}");
        }
    }
}

#[test]
fn every_cut_and_every_extension_is_found() {
    let (bytes, blocks) = stream();
    for len in 0..bytes.len() {
        assert!(read(&bytes[..len], &blocks).is_err(), "cut at {len}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(read(&longer, &blocks).is_err());
}

#[test]
fn the_reason_is_named_before_anything_else_is_read() {
    let (bytes, _) = stream();
    let with = |offset: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[offset] = byte;
        open(&changed, StreamKind::Keyed).unwrap_err()
    };
    assert!(matches!(with(0, b'a'), FormatError::Magic { .. }));
    for other in [1, 3] {
        let version = with(VERSION_OFFSET, other);
        assert!(matches!(version, FormatError::UnsupportedVersion { min: 2, max: 2, .. }));
    }
    let features = with(INCOMPATIBLE_FEATURES_OFFSET, 4);
    assert!(matches!(features, FormatError::UnsupportedFeatures { found: 4, known: 0 }));
    let attempt = with(ATTEMPT_OFFSET, 9);
    assert!(matches!(attempt, FormatError::Checksum { what: "header", offset: 0, .. }));
    let kind = open(&bytes, StreamKind::Metadata).unwrap_err();
    assert!(matches!(kind, FormatError::Kind { found: 2, .. }));
}

#[test]
fn blocks_outside_the_stream_or_with_gaps_are_refused() {
    let (bytes, blocks) = stream();
    let envelope = open(&bytes, StreamKind::Keyed).unwrap();
    for (offset, len_bytes) in [(0, 5), (40, 60), (u64::MAX, 1), (u64::MAX - 3, 9), (48, u32::MAX)]
    {
        let outside = Block { offset, len_bytes, checksum: 0 };
        let error = envelope.block(&outside).unwrap_err();
        assert!(matches!(error, FormatError::Malformed { what: "block", .. }), "{offset}");
    }
    assert!(envelope.check_tiling([blocks[0]]).is_err());
    assert!(envelope.check_tiling([blocks[1], blocks[0]]).is_err());
    let swapped = Block { checksum: blocks[1].checksum, ..blocks[0] };
    assert!(matches!(envelope.block(&swapped), Err(FormatError::Checksum { .. })));
}

#[test]
fn a_range_outside_of_bytes_is_refused() {
    let bytes = Bytes::from_static(b"four");
    assert_eq!(bytes.read(1..3).unwrap(), &b"ou"[..]);
    assert!(bytes.read(4..4).unwrap().is_empty());
    for (start, end) in [(0, 5), (5, 5), (3, 2), (u64::MAX - 1, u64::MAX)] {
        let error = bytes.read(start..end).unwrap_err();
        assert!(matches!(error, FormatError::Truncated { what: "range", .. }), "{start}: {error}");
    }
}

/// Equal content, written for two checkpoints: see the numbered story at `covered`.
#[test]
fn the_seal_tells_streams_of_equal_content_apart() {
    let seal = |checkpoint| {
        let checkpoint = CheckpointId::new(checkpoint).unwrap();
        let identity = StreamIdentity { checkpoint, ..identity() };
        let mut writer = EnvelopeWriter::new(Vec::new(), &identity).unwrap();
        writer.block(b"same").unwrap();
        writer.finish(b"same").unwrap().1
    };
    assert_ne!(seal(3), seal(4));
}

/// How a reader learns which of two kinds a stream is, before it opens it.
#[test]
fn the_header_alone_says_what_a_stream_is() {
    let (bytes, _) = stream();
    let header = Bytes::copy_from_slice(&bytes[..HEADER_LEN]);
    assert_eq!(read_identity(&header).unwrap(), identity());
    let of_kind = |kind: u16| {
        let mut bytes = bytes.clone();
        bytes[KIND_OFFSET..VERSION_OFFSET].copy_from_slice(&kind.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..HEADER_CHECKSUM_OFFSET]).to_le_bytes();
        bytes[HEADER_CHECKSUM_OFFSET..HEADER_LEN].copy_from_slice(&checksum);
        read_identity(&Bytes::from(bytes))
    };
    for kind in
        [StreamKind::Metadata, StreamKind::Keyed, StreamKind::Operator, StreamKind::SstIndex]
    {
        assert_eq!(of_kind(kind.code()).unwrap().kind, kind);
    }
    for found in [0, 5, u16::MAX] {
        let unknown = of_kind(found).unwrap_err();
        assert!(matches!(unknown, FormatError::UnknownKind { found: it } if it == found));
    }
    let cut = read_identity(&header.slice(..HEADER_LEN - 1)).unwrap_err();
    assert!(matches!(cut, FormatError::Truncated { what: "header", .. }), "{cut}");
    for position in 0..HEADER_LEN {
        let mut damaged = header.to_vec();
        damaged[position] ^= 1;
        assert!(read_identity(&Bytes::from(damaged)).is_err(), "byte {position}");
    }
}
