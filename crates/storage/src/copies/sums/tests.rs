//! The file of checksums is what SPEC 2.8 says, and nothing else is one.

use super::*;

const SPEC: &str = include_str!("../../../../../SPEC.md");

/// The rows of the table of 2.8: the field, and what the text says of it.
fn rows() -> Vec<(&'static str, &'static str)> {
    let (_, section) = SPEC.split_once("\n### 2.8 ").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().skip_while(|line| *line != "| field | content |").skip(2);
    let rows =
        rows.map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    rows.collect()
}

fn built(bytes: &[u8]) -> Vec<u8> {
    let mut sums = SumsBuilder::default();
    // In pieces that do not end where chunks do.
    bytes.chunks(10_007).for_each(|piece| sums.push(piece));
    sums.finish()
}

#[test]
fn the_file_of_checksums_has_the_fields_of_the_table() {
    let copy: Vec<u8> = (0..=250).cycle().take(CHUNK_LEN_BYTES + 1_000).collect();
    let (first, second) = copy.split_at(CHUNK_LEN_BYTES);
    let mut expected = Vec::new();
    let rows = rows();
    for (field, content) in &rows {
        match (*field, *content) {
            ("magic", "the 8 bytes `ALVCOPY1`") => expected.extend(b"ALVCOPY1"),
            ("u64", "length of the copy in bytes") => {
                expected.extend((copy.len() as u64).to_le_bytes());
            }
            ("u32", "its seal, as in a handle (8.2)") => {
                expected.extend(&copy[copy.len() - 4..]);
            }
            ("u32 for each chunk", content) => {
                assert!(content.starts_with("CRC32 of 64 KiB of the copy, in order;"), "{content}");
                for chunk in [first, second] {
                    expected.extend(crc32fast::hash(chunk).to_le_bytes());
                }
            }
            ("u32", "CRC32 of all that is before") => {
                expected.extend(crc32fast::hash(&expected).to_le_bytes());
            }
            other => panic!("no code for {other:?}"),
        }
    }
    assert_eq!(rows.len(), 5, "{rows:?}");
    assert_eq!(built(&copy), expected);
    let sums = Sums::parse(&expected).unwrap();
    assert_eq!((sums.len_bytes, sums.chunks.len()), (copy.len() as u64, 2));
}

#[test]
fn what_is_not_whole_is_no_file_of_checksums() {
    let whole = built(b"a copy of few bytes");
    assert!(Sums::parse(&whole).is_some());
    for len in 0..whole.len() {
        assert!(Sums::parse(&whole[..len]).is_none(), "{len} bytes");
    }
    for place in 0..whole.len() {
        let mut other = whole.clone();
        other[place] ^= 1;
        assert!(Sums::parse(&other).is_none(), "byte {place}");
    }
    // Under a right checksum: a length that needs another number of chunks.
    let mut lies = whole[..whole.len() - 4].to_vec();
    lies[8..16].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    lies.extend(crc32fast::hash(&lies).to_le_bytes());
    assert!(Sums::parse(&lies).is_none());
}
