//! What a time to live means for what a table keeps for a pair: a value, a list, a map of either kind.
//!
//! Invariants: nothing here changes a state; whoever asks makes what is left its own.

use alluvium_format::codec::Stamped;
use alluvium_state::ttl::TtlMoment;
use alluvium_state::{SortedKey, StateKey, StateTtl, StateValue};

use crate::TableHasher;
use crate::shared_list::SharedList;
use crate::sorted_map::SortedUserMap;
use crate::user_map::UserMap;

/// Elements up to which a list or map is looked at whole while a job works.
const MAX_SWEPT_LEN: usize = 1024;
/// Elements of a larger one that are looked at instead.
const SAMPLE_LEN: usize = 64;

/// What is left of a state without what has expired.
pub(crate) enum Remains<S> {
    /// All of it.
    All,
    /// This.
    Some(S),
    /// Nothing.
    Nothing,
}

/// The time to live of a state, for what its table keeps.
pub(crate) trait Expiry<S>: Send + Sync {
    fn ttl(&self) -> &StateTtl;

    /// Whether something of it is visible.
    fn is_visible(&self, state: &S, moment: &TtlMoment) -> bool;

    /// What is left of it.
    fn remains(&self, state: &S, moment: &TtlMoment) -> Remains<S>;

    /// What is left of it for whoever has little time, and how many elements were looked at. Of a
    /// very large list or map some are looked at, and all only if half of these have expired: what
    /// that costs is made up for by what it frees.
    fn sweep(&self, state: &S, moment: &TtlMoment) -> (Remains<S>, usize);
}

/// Of the value of a value, reducing or aggregating state.
pub(crate) struct ValueExpiry(pub(crate) StateTtl);

impl<T: StateValue> Expiry<Stamped<T>> for ValueExpiry {
    fn ttl(&self) -> &StateTtl {
        &self.0
    }

    fn is_visible(&self, state: &Stamped<T>, moment: &TtlMoment) -> bool {
        moment.is_visible(state.stamp_ms)
    }

    fn remains(&self, state: &Stamped<T>, moment: &TtlMoment) -> Remains<Stamped<T>> {
        if moment.is_expired(state.stamp_ms) { Remains::Nothing } else { Remains::All }
    }

    fn sweep(&self, state: &Stamped<T>, moment: &TtlMoment) -> (Remains<Stamped<T>>, usize) {
        (self.remains(state, moment), 1)
    }
}

/// How many of some stamps have expired, and how many there are.
fn count(stamps_ms: impl Iterator<Item = i64>, moment: &TtlMoment) -> (usize, usize) {
    stamps_ms.fold((0, 0), |(expired, all), stamp_ms| {
        (expired + usize::from(moment.is_expired(stamp_ms)), all + 1)
    })
}

fn remains<S>(expired: usize, len: usize, some: impl FnOnce() -> S) -> Remains<S> {
    match expired {
        0 => Remains::All,
        _ if expired == len => Remains::Nothing,
        _ => Remains::Some(some()),
    }
}

/// [`Expiry::sweep`] of a list or map with `len` elements, some of which have `sample` as stamps.
fn sweep<S>(
    len: usize,
    sample: impl Iterator<Item = i64>,
    moment: &TtlMoment,
    remains: impl FnOnce() -> Remains<S>,
) -> (Remains<S>, usize) {
    if len <= MAX_SWEPT_LEN {
        return (remains(), len.max(1));
    }
    let (expired, looked_at) = count(sample.take(SAMPLE_LEN), moment);
    if expired * 2 < looked_at { (Remains::All, looked_at) } else { (remains(), len) }
}

/// Of the elements of a list.
pub(crate) struct ListExpiry(pub(crate) StateTtl);

impl<T: StateValue> Expiry<SharedList<Stamped<T>>> for ListExpiry {
    fn ttl(&self) -> &StateTtl {
        &self.0
    }

    fn is_visible(&self, list: &SharedList<Stamped<T>>, moment: &TtlMoment) -> bool {
        list.iter().any(|element| moment.is_visible(element.stamp_ms))
    }

    fn remains(
        &self,
        list: &SharedList<Stamped<T>>,
        moment: &TtlMoment,
    ) -> Remains<SharedList<Stamped<T>>> {
        let (expired, len) = count(list.iter().map(|element| element.stamp_ms), moment);
        let alive = |element: &&Stamped<T>| !moment.is_expired(element.stamp_ms);
        remains(expired, len, || list.iter().filter(alive).cloned().collect())
    }

    /// The oldest elements come first, so the sample begins in the middle.
    fn sweep(
        &self,
        list: &SharedList<Stamped<T>>,
        moment: &TtlMoment,
    ) -> (Remains<SharedList<Stamped<T>>>, usize) {
        let sample = list.iter_from(list.len() / 2).map(|element| element.stamp_ms);
        sweep(list.len(), sample, moment, || self.remains(list, moment))
    }
}

/// Of the entries of a map.
pub(crate) struct MapExpiry {
    pub(crate) ttl: StateTtl,
    pub(crate) hasher: TableHasher,
}

impl<UK: StateKey, UV: StateValue> Expiry<UserMap<UK, Stamped<UV>>> for MapExpiry {
    fn ttl(&self) -> &StateTtl {
        &self.ttl
    }

    fn is_visible(&self, map: &UserMap<UK, Stamped<UV>>, moment: &TtlMoment) -> bool {
        map.iter().any(|(_, value)| moment.is_visible(value.stamp_ms))
    }

    /// What is left shares its segments with the map.
    fn remains(
        &self,
        map: &UserMap<UK, Stamped<UV>>,
        moment: &TtlMoment,
    ) -> Remains<UserMap<UK, Stamped<UV>>> {
        let (expired, len) = count(map.iter().map(|(_, value)| value.stamp_ms), moment);
        remains(expired, len, || {
            let mut alive = map.clone();
            let expired = map.iter().filter(|(_, value)| moment.is_expired(value.stamp_ms));
            expired.for_each(|(user_key, _)| alive.remove(user_key, self.hasher));
            alive
        })
    }

    fn sweep(
        &self,
        map: &UserMap<UK, Stamped<UV>>,
        moment: &TtlMoment,
    ) -> (Remains<UserMap<UK, Stamped<UV>>>, usize) {
        let sample = map.iter().map(|(_, value)| value.stamp_ms);
        sweep(map.len(), sample, moment, || self.remains(map, moment))
    }
}

/// Of the entries of a sorted map.
pub(crate) struct SortedMapExpiry(pub(crate) StateTtl);

impl<UK: SortedKey, UV: StateValue> Expiry<SortedUserMap<UK, Stamped<UV>>> for SortedMapExpiry {
    fn ttl(&self) -> &StateTtl {
        &self.0
    }

    fn is_visible(&self, map: &SortedUserMap<UK, Stamped<UV>>, moment: &TtlMoment) -> bool {
        map.iter().any(|(_, value)| moment.is_visible(value.stamp_ms))
    }

    /// What is left shares its nodes with the map.
    fn remains(
        &self,
        map: &SortedUserMap<UK, Stamped<UV>>,
        moment: &TtlMoment,
    ) -> Remains<SortedUserMap<UK, Stamped<UV>>> {
        let (expired, len) = count(map.iter().map(|(_, value)| value.stamp_ms), moment);
        remains(expired, len, || {
            let mut alive = map.clone();
            let expired = map.iter().filter(|(_, value)| moment.is_expired(value.stamp_ms));
            expired.for_each(|(user_key, _)| alive.remove(user_key));
            alive
        })
    }

    /// Where user keys are times, the oldest come first; so the sample is taken from the end, and much
    /// more than half may have expired before all is looked at.
    fn sweep(
        &self,
        map: &SortedUserMap<UK, Stamped<UV>>,
        moment: &TtlMoment,
    ) -> (Remains<SortedUserMap<UK, Stamped<UV>>>, usize) {
        let sample = map.iter().rev().map(|(_, value)| value.stamp_ms);
        sweep(map.len(), sample, moment, || self.remains(map, moment))
    }
}
