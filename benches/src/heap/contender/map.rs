//! One copy-on-write map, without the backend around it.

use alluvium_format::codec::{Codec, DefaultCodec};
use alluvium_heap::{CopyOnWriteStateMap, Probe, StateMap, TableHasher};

use super::Contender;
use crate::background::Job;
use crate::pace::Pace;
use crate::setup;
use crate::shapes::{Access, Act, Shape};

/// Encoded bytes that are gathered before they are thrown away.
const BUFFER_LEN_BYTES: usize = 64 * 1024;

/// A map of one key group.
#[derive(Debug)]
pub(crate) struct Map<S: Shape> {
    map: CopyOnWriteStateMap<S::Slot>,
    hasher: TableHasher,
}

impl<S: Shape> Map<S> {
    pub(crate) fn new() -> Self {
        Self { map: CopyOnWriteStateMap::default(), hasher: TableHasher::new(setup::HASH_SEED) }
    }
}

#[inline]
fn probe<K: std::hash::Hash>(key: &K, hasher: TableHasher) -> Probe<'_, K, ()> {
    Probe::new(key, &(), hasher)
}

impl<S: Shape> Contender<S> for Map<S> {
    fn name(&self) -> &'static str {
        "map"
    }

    fn get(&mut self, accesses: &[Access<S>]) -> u64 {
        let mut sum = 0_u64;
        for access in accesses {
            let found = self.map.get(&probe(&access.key, self.hasher));
            sum = sum.wrapping_add(found.map_or(0, S::digest));
        }
        sum
    }

    fn update(&mut self, accesses: &[Access<S>]) {
        for access in accesses {
            let probe = probe(&access.key, self.hasher);
            S::change(self.map.get_or_insert_with(&probe, || S::value(0)));
        }
    }

    fn mix(&mut self, accesses: &[Access<S>]) -> u64 {
        let mut sum = 0_u64;
        for access in accesses {
            let probe = probe(&access.key, self.hasher);
            match access.act {
                Act::Get => sum = sum.wrapping_add(self.map.get(&probe).map_or(0, S::digest)),
                Act::Update => S::change(self.map.get_or_insert_with(&probe, || S::value(0))),
                Act::Remove => self.map.remove(&probe),
            }
        }
        sum
    }

    fn snapshot(&mut self) -> Option<Job> {
        let frozen = self.map.freeze();
        Some(Box::new(move || {
            let (codec, mut buffer) = (S::ValueCodec::default(), Vec::new());
            let mut pace = Pace::begin();
            frozen.for_each(|key, (), value| {
                DefaultCodec.encode(key, &mut buffer).expect("keys can be encoded");
                codec.encode(value, &mut buffer).expect("values can be encoded");
                if buffer.len() >= BUFFER_LEN_BYTES {
                    pace.take(buffer.len());
                    std::hint::black_box(&mut buffer).clear();
                }
            });
        }))
    }
}
