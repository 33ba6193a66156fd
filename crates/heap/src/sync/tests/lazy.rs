//! One lazy segment and everybody who may want it at the same time.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alluvium_state::StateError;
use hashbrown::HashTable;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use triomphe::Arc;

use super::{Slow, run_all};
use crate::moment::Moment;
use crate::segment::{LazySegment, LoadError, Segment, SegmentSource, Writing};
use crate::slot::InlineSlot;
use crate::sync::point;

type Entry = InlineSlot<u64, (), Slow<u64>>;

const ENTRIES: u64 = 5;

/// Counts how often it is asked.
struct Counted {
    loads: AtomicUsize,
    fails: bool,
}

impl SegmentSource<Entry> for Counted {
    fn load(&self, number: usize) -> Result<HashTable<Entry>, StateError> {
        assert_eq!(number, 3);
        point();
        self.loads.fetch_add(1, Ordering::SeqCst);
        point();
        if self.fails {
            return Err(StateError::ForeignHandle);
        }
        let mut table = HashTable::new();
        for key in 0..ENTRIES {
            let entry = crate::Slot::new(key, (), Slow(key + 1));
            table.insert_unique(key, entry, |entry: &Entry| *crate::Slot::key(entry));
        }
        Ok(table)
    }
}

/// Whether what came is right for a source that fails or not.
fn check(found: Result<&HashTable<Entry>, &LoadError>, fails: bool) {
    match found {
        Ok(table) => {
            assert!(!fails, "it should have failed");
            let mut keys: Vec<u64> = table.iter().map(|entry| *crate::Slot::key(entry)).collect();
            keys.sort_unstable();
            assert_eq!(keys, (0..ENTRIES).collect::<Vec<_>>());
            let is_right = |e: &Entry| crate::Slot::state(e).0 == crate::Slot::key(e) + 1;
            assert!(table.iter().all(is_right));
        }
        Err(error) => {
            assert!(fails, "{error}");
            assert!(matches!(**error, StateError::ForeignHandle));
        }
    }
}

#[test]
fn a_segment_is_loaded_once_whoever_comes_first() {
    run_all(|| {
        let fails = thread_rng().gen_range(0..3) == 0;
        let source = StdArc::new(Counted { loads: AtomicUsize::new(0), fails });
        let count = usize::try_from(ENTRIES).unwrap();
        let lazy = LazySegment::<Entry>::new(StdArc::clone(&source) as StdArc<_>, 3, count);
        let mut live = Arc::new(Segment::lazily_restored(lazy, 0));

        // A snapshot job has the frozen segment, the background load what is to be loaded.
        let frozen = thread_rng().gen_bool(0.5).then(|| Arc::clone(&live));
        let lazy = live.lazy().cloned().unwrap();
        let job = thread::spawn(move || {
            let Some(frozen) = frozen else { return };
            assert_eq!(frozen.len(), count);
            check(frozen.table().as_ref().map(|table| *table), fails);
        });
        let background = thread::spawn(move || {
            check(lazy.table().as_ref().map(|table| *table), fails);
        });

        match thread_rng().gen_range(0..3) {
            0 => check(Segment::drain(&mut live).as_ref(), fails),
            1 => {
                let writing = Writing { moment: Moment::FIRST, ..Writing::ALONE };
                let written = Segment::for_writing(&mut live, writing);
                check(written.map(|_| ()).and_then(|()| live.table()).as_ref().map(|t| *t), fails);
                assert_eq!(live.lazy().is_none(), !fails, "what failed stays to be loaded");
                assert_eq!(live.len(), count);
            }
            _ => check(live.table().as_ref().map(|table| *table), fails),
        }
        job.join().unwrap();
        background.join().unwrap();
        assert_eq!(source.loads.load(Ordering::SeqCst), 1);
    });
}
