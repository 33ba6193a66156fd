//! Any index that the writer writes is what the reader reads.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::envelope::EnvelopeWriter;

/// A level-0 SST, or one of a deeper level that is made apart from the others by its place.
fn any_meta() -> impl Strategy<Value = SstMeta> {
    let keys = (vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..200));
    let numbers = (0..=MAX_SEQUENCE_NUMBER, 0..=MAX_SEQUENCE_NUMBER);
    (0..=MAX_LEVEL, numbers, any::<u64>(), any::<u32>(), keys).prop_map(
        |(level, (a, b), entry_count, checksum, (left, right))| SstMeta {
            level,
            smallest_seqno: a.min(b),
            largest_seqno: a.max(b),
            entry_count,
            checksum,
            smallest_key: left.clone().min(right.clone()),
            largest_key: left.max(right),
        },
    )
}

proptest! {
    #[test]
    fn any_index_comes_back(asked in vec((0..3_usize, any_meta()), 0..20)) {
        let mut writer = SstIndexWriter::new(header());
        let mut expected = vec![Vec::new(); 3];
        for (number, (state, mut meta)) in (0..).zip(asked) {
            // Keys of a level from 1 on begin with the number of the SST, so they are apart.
            if meta.level > 0 {
                let head = u32::try_from(number).unwrap().to_be_bytes();
                meta.smallest_key = [&head[..], &meta.smallest_key].concat();
                meta.largest_key = [&head[..], &meta.largest_key].concat();
            }
            writer.sst(state, shared(number), meta.clone()).unwrap();
            expected[state].push((shared(number), meta));
        }
        let finished = writer.finish(Vec::new(), &identity()).unwrap();
        let reader = open(&finished.out).unwrap();
        prop_assert_eq!(reader.shared(), finished.shared);
        prop_assert_eq!(reader.seal(), finished.seal);
        for (state, mut expected) in expected.into_iter().enumerate() {
            let found: Vec<_> = reader.ssts_of(state).collect();
            let levels: Vec<_> = found.iter().map(|(_, meta)| meta.level).collect();
            prop_assert!(levels.is_sorted());
            let mut found: Vec<_> =
                found.into_iter().map(|(file, meta)| (file.clone(), meta.clone())).collect();
            found.sort_by(|left, right| left.0.cmp(&right.0));
            expected.sort_by(|left, right| left.0.cmp(&right.0));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn random_bytes_as_an_index_never_panic(
        index in vec(any::<u8>(), 0..300),
        head in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        if head {
            header().encode(&mut bytes).unwrap();
        }
        bytes.extend(index);
        let writer = EnvelopeWriter::new(Vec::new(), &identity()).unwrap();
        let _ = open(&writer.finish(&bytes).unwrap().0);
    }
}
