use super::whole::{PARALLELISM, Whole};
use super::*;

/// A change of the first byte of a part.
fn flipped(part: usize) -> [u8; 6] {
    [u8::try_from(part).unwrap(), 0, 0, 0, 0xff, 0]
}

/// Delta blocks, and blocks in files of earlier checkpoints.
fn assert_has_deltas(files: &[(StoragePath, Vec<u8>)]) {
    let (mut deltas, mut earlier) = (0, 0);
    for (_, bytes) in files {
        let Ok(keyed) = KeyedReader::open_bytes(Bytes::from(bytes.clone())) else { continue };
        for block in keyed.maps().iter().flat_map(MapEntry::blocks) {
            deltas += u32::from(block.is_delta);
            earlier += u32::from(!block.is_own());
        }
    }
    assert!(deltas > 5 && earlier > 5, "{deltas} delta blocks, {earlier} in files of others");
}

#[test]
fn an_incremental_checkpoint_has_delta_blocks() {
    assert_has_deltas(&Checkpoint::write(SnapshotMode::Incremental).files);
}

#[test]
fn the_whole_checkpoint_has_all_that_a_checkpoint_can_have() {
    let whole = Whole::write();
    assert!(whole.metadata.operators.iter().flat_map(|it| &it.subtasks).count() > 2, "subtasks");
    assert_has_deltas(&whole.files);
    for sort in ["split", "union", "broadcast", "raw", "value", "list", "map", "timer", "sst"] {
        assert!(whole.lines.iter().any(|line| line.contains(sort)), "{sort}");
    }
}

#[test]
fn without_changes_every_file_is_what_it_was() {
    let whole = Whole::write();
    let (files, parts) = whole.resealed(&[]).unwrap();
    assert!((40..256).contains(&parts), "{parts} parts, each of which a byte can name");
    for ((path, found), (_, expected)) in files.iter().zip(&whole.files) {
        assert_eq!(found, expected, "{path}");
    }
}

/// Each part can be reached, and a change of it is never refused for a checksum, a length or a seal.
#[test]
fn what_is_changed_has_right_checksums() {
    let whole = Whole::write();
    let (_, parts) = whole.resealed(&[]).unwrap();
    let (mut refused, mut read) = (0, 0);
    for part in 0..parts {
        let (files, _) = whole.resealed(&flipped(part)).unwrap();
        whole.replace(&files);
        let changed = files.iter().zip(&whole.files).filter(|(one, other)| one != other).count();
        assert!(changed > 0, "part {part} is somewhere");
        match whole.restore_by(&COPY_ON_WRITE, PARALLELISM) {
            Ok(lines) => {
                assert_ne!(lines, whole.lines, "part {part} says something else");
                read += 1;
            }
            Err(error) => {
                let of_frame = ["checksum", "seal", "length"];
                let is_of_frame = of_frame.iter().any(|word| error.contains(word));
                assert!(!is_of_frame, "part {part}: {error}");
                refused += 1;
            }
        }
        whole.replace(&whole.files);
    }
    assert!(refused > 20 && read > 2, "{refused} were refused, {read} were read");
    assert_eq!(whole.restore_by(&NESTED, PARALLELISM).unwrap(), whole.lines);
}
