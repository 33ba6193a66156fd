//! The table of a timer service: a table like any other, with an entry for each timer, and the
//! queues that say which comes first.
//!
//! Freezing, restoring and rescaling concern the table alone. Of a lazily restored one everything is
//! loaded when the queues are made, since the earliest timer may lie in any segment.
//!
//! Invariants: the queues hold exactly the timers of the table.

use std::any::Any;
use std::sync::Arc;

use alluvium_core::museum::{self, Mistake};
use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, Input};
use alluvium_format::keyed::{StateMeta, TimeDomain};
use alluvium_state::{SnapshotError, StateError, StateKey, check_written_key_len};
use hashbrown::HashTable;

use super::{AnyTable, FrozenTable, LoadJob, NamespacedTable, StateTable, not_loaded};
use crate::TableHasher;
use crate::map::Probe;
use crate::moment::Moment;
use crate::segment::LoadError;
use crate::timer_queue::{EncodedPair, QueuedTimer, TimerQueue};

/// The namespace of an entry: code of the domain, time, namespace of the job (SPEC 6.3).
pub(crate) type TimerKey<N> = (u8, i64, N);

/// A timer out of a queue.
pub(crate) struct DueTimer<K, N> {
    pub(crate) time_ms: i64,
    /// Position of the key group.
    pub(crate) group: u16,
    pub(crate) key: K,
    pub(crate) namespace: N,
}

/// Where a timer belongs.
pub(crate) struct TimerPlace<'a, K, N> {
    pub(crate) group: usize,
    pub(crate) hasher: TableHasher,
    pub(crate) key: &'a K,
    pub(crate) namespace: &'a N,
}

/// The table of a timer service.
pub(crate) struct TimerTable<K: StateKey, N: StateKey> {
    table: StateTable<K, TimerKey<N>, ()>,
    pairs: Box<dyn PairCodec<K, N>>,
    event_time: TimerQueue,
    processing_time: TimerQueue,
    scratch: Vec<u8>,
}

impl<K: StateKey, N: StateKey> TimerTable<K, N> {
    /// Makes the queues of a table, which is loaded for it.
    pub(crate) fn new<KC: Codec<K>, NC: Codec<N>>(
        table: StateTable<K, TimerKey<N>, ()>,
        key: KC,
        namespace: NC,
    ) -> Result<Self, StateError> {
        let pairs = Box::new(Pairs(key, namespace));
        let (event_time, processing_time) = (TimerQueue::default(), TimerQueue::default());
        let scratch = Vec::new();
        let mut timers = Self { table, pairs, event_time, processing_time, scratch };
        let (mut event_time, mut processing_time) = (Vec::new(), Vec::new());
        let (pairs, scratch) = (&*timers.pairs, &mut timers.scratch);
        let mut outcome = Ok(());
        let visited = timers.table.try_for_each(|group, key, (code, time_ms, namespace), ()| {
            if outcome.is_err() {
                return;
            }
            let into = match TimeDomain::from_code(*code) {
                Some(TimeDomain::EventTime) => &mut event_time,
                Some(TimeDomain::ProcessingTime) => &mut processing_time,
                None => {
                    outcome = Err(unknown_domain());
                    return;
                }
            };
            match encode(pairs, scratch, group, (key, namespace)) {
                Ok(pair) => into.push(QueuedTimer { time_ms: *time_ms, pair }),
                Err(error) => outcome = Err(error),
            }
        });
        visited.map_err(not_loaded)?;
        let state = || timers.table.meta.name.clone();
        outcome.map_err(|source| StateError::Decode { state: state(), source })?;
        timers.event_time = TimerQueue::of(event_time);
        timers.processing_time = TimerQueue::of(processing_time);
        Ok(timers)
    }

    fn contains(
        &self,
        group: usize,
        probe: &Probe<'_, K, TimerKey<N>>,
    ) -> Result<bool, StateError> {
        let Probe { hash, key, namespace, hasher } = *probe;
        let found = self.table.get(group, hash, key, namespace, || hasher);
        Ok(found.map_err(not_loaded)?.is_some())
    }

    /// Registers a timer and says whether it is new.
    pub(crate) fn register(
        &mut self,
        place: &TimerPlace<'_, K, N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let TimerPlace { group, hasher, key, namespace } = *place;
        let timer = (domain.code(), time_ms, namespace.clone());
        let probe = Probe::new(key, &timer, hasher);
        // Writing would copy what a frozen table shares, and most of what is registered is there.
        if self.contains(group, &probe)? {
            return Ok(false);
        }
        let pair = self.encode(group, (key, namespace))?;
        self.table.insert(group, &probe, ()).map_err(not_loaded)?;
        self.queue_mut(domain).insert(QueuedTimer { time_ms, pair });
        Ok(true)
    }

    /// Deletes a timer and says whether there was one.
    pub(crate) fn delete(
        &mut self,
        place: &TimerPlace<'_, K, N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let TimerPlace { group, hasher, key, namespace } = *place;
        let timer = (domain.code(), time_ms, namespace.clone());
        let probe = Probe::new(key, &timer, hasher);
        if !self.contains(group, &probe)? {
            return Ok(false);
        }
        let pair = self.encode(group, (key, namespace))?;
        self.table.remove(group, &probe).map_err(not_loaded)?;
        self.queue_mut(domain).remove(&QueuedTimer { time_ms, pair });
        Ok(true)
    }

    /// The earliest time.
    pub(crate) fn next_ms(&self, domain: TimeDomain) -> Option<i64> {
        self.queue(domain).first().map(|timer| timer.time_ms)
    }

    /// Takes the earliest timer if it is due.
    pub(crate) fn pop(
        &mut self,
        domain: TimeDomain,
        up_to_ms: i64,
        hashers: &[TableHasher],
    ) -> Result<Option<DueTimer<K, N>>, StateError> {
        let due = self.queue(domain).first().filter(|timer| timer.time_ms <= up_to_ms);
        let Some(QueuedTimer { time_ms, pair }) = due else { return Ok(None) };
        let (time_ms, group) = (*time_ms, pair.group());
        let (key, namespace) = self
            .pairs
            .decode(pair.bytes())
            .map_err(|source| StateError::Decode { state: self.table.meta.name.clone(), source })?;
        let at = usize::from(group);
        let hasher = hashers.get(at).copied().unwrap_or(TableHasher::new(0));
        let timer = (domain.code(), time_ms, namespace);
        if !museum::makes(Mistake::KeepsFiredTimers) {
            self.table.remove(at, &Probe::new(&key, &timer, hasher)).map_err(not_loaded)?;
        }
        self.queue_mut(domain).remove_first();
        Ok(Some(DueTimer { time_ms, group, key, namespace: timer.2 }))
    }

    fn encode(&mut self, group: usize, pair: (&K, &N)) -> Result<EncodedPair, StateError> {
        let encoded = encode(&*self.pairs, &mut self.scratch, group, pair);
        encoded.map_err(|source| match source {
            CodecError::TooLarge { what, found, limit } => {
                StateError::TooLarge { what, found, limit }
            }
            source => StateError::Key { source },
        })
    }

    const fn queue(&self, domain: TimeDomain) -> &TimerQueue {
        match domain {
            TimeDomain::EventTime => &self.event_time,
            TimeDomain::ProcessingTime => &self.processing_time,
        }
    }

    const fn queue_mut(&mut self, domain: TimeDomain) -> &mut TimerQueue {
        match domain {
            TimeDomain::EventTime => &mut self.event_time,
            TimeDomain::ProcessingTime => &mut self.processing_time,
        }
    }
}

fn encode<K, N>(
    pairs: &dyn PairCodec<K, N>,
    scratch: &mut Vec<u8>,
    group: usize,
    (key, namespace): (&K, &N),
) -> Result<EncodedPair, CodecError> {
    scratch.clear();
    pairs.encode(key, namespace, scratch)?;
    // There are at most 32,768 key groups.
    Ok(EncodedPair::new(u16::try_from(group).unwrap_or(u16::MAX), scratch))
}

fn unknown_domain() -> CodecError {
    CodecError::Invalid { what: "time domain of a timer", offset: 0, reason: "not one of SPEC 6.3" }
}

/// Codecs of key and namespace whose own types are forgotten.
trait PairCodec<K, N>: Send + Sync {
    fn encode(&self, key: &K, namespace: &N, out: &mut Vec<u8>) -> Result<(), CodecError>;
    fn decode(&self, bytes: &[u8]) -> Result<(K, N), CodecError>;
}

struct Pairs<KC, NC>(KC, NC);

impl<K, N, KC: Codec<K>, NC: Codec<N>> PairCodec<K, N> for Pairs<KC, NC> {
    fn encode(&self, key: &K, namespace: &N, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.encode(key, out)?;
        check_written_key_len("key", out.len())?;
        let end = out.len();
        self.1.encode(namespace, out)?;
        check_written_key_len("namespace", out.len() - end)
    }

    fn decode(&self, bytes: &[u8]) -> Result<(K, N), CodecError> {
        let mut input = Input::new(bytes);
        let pair = (self.0.decode(&mut input)?, self.1.decode(&mut input)?);
        input.finish()?;
        Ok(pair)
    }
}

impl<K: StateKey, N: StateKey> NamespacedTable<K, N> for TimerTable<K, N> {
    /// Goes through all timers of the key group.
    fn remove_pair(&mut self, group: usize, probe: &Probe<'_, K, N>) -> Result<(), LoadError> {
        let Probe { key, namespace, hasher, .. } = *probe;
        let mut found = Vec::new();
        self.table.try_for_each_of(group, |k, timer, ()| {
            if k == key && timer.2 == *namespace {
                found.push((timer.0, timer.1));
            }
        })?;
        for (code, time_ms) in found {
            let Some(domain) = TimeDomain::from_code(code) else { continue };
            let place = TimerPlace { group, hasher, key, namespace };
            self.delete(&place, domain, time_ms).map_err(Arc::new)?;
        }
        Ok(())
    }

    fn keys_of(&self, group: usize, namespace: &N) -> Result<Vec<K>, LoadError> {
        let (mut seen, hasher) = (HashTable::<K>::new(), TableHasher::new(0));
        self.table.try_for_each_of(group, |key, timer, ()| {
            let hash = hasher.hash(key);
            if timer.2 == *namespace && seen.find(hash, |other| other == key).is_none() {
                seen.insert_unique(hash, key.clone(), |key| hasher.hash(key));
            }
        })?;
        Ok(seen.into_iter().collect())
    }

    fn pairs_of(&self, group: usize) -> Result<Vec<(K, N)>, LoadError> {
        let (mut seen, hasher) = (HashTable::<(K, N)>::new(), TableHasher::new(0));
        self.table.try_for_each_of(group, |key, timer, ()| {
            let hash = hasher.hash_pair(key, &timer.2);
            if seen.find(hash, |(k, n)| k == key && *n == timer.2).is_none() {
                let pair = (key.clone(), timer.2.clone());
                seen.insert_unique(hash, pair, |(k, n)| hasher.hash_pair(k, n));
            }
        })?;
        Ok(seen.into_iter().collect())
    }
}

impl<K: StateKey, N: StateKey> AnyTable<K> for TimerTable<K, N> {
    fn meta(&self) -> &StateMeta {
        self.table.meta()
    }

    fn entry_count(&self) -> usize {
        self.table.entry_count()
    }

    fn function(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }

    fn freeze(&self, hashers: &Arc<[TableHasher]>) -> Result<Box<dyn FrozenTable>, SnapshotError> {
        self.table.freeze(hashers)
    }

    fn set_moment(&mut self, moment: Moment) {
        self.table.set_moment(moment);
    }

    /// Everything was loaded for the queues.
    fn load_job(&self) -> Option<LoadJob> {
        None
    }
}
