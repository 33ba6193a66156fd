//! What fires next, from the model and from a backend.
//!
//! Invariants: timers fire in the order of time, encoded key, encoded namespace.

use std::collections::BTreeSet;

use alluvium_format::codec::{Codec, DefaultCodec};
use alluvium_state::{KeyedStateBackend, StateBackend, TimeDomain};

use super::change::{Change, timers};
use super::{Content, Kind, Model};
use crate::job::{KeyedOf, TestJob};

/// A timer in the order of firing: time, encoded key, encoded namespace; then both as they are.
type Due = (i64, Vec<u8>, Vec<u8>, String, u32);

fn due(time_ms: i64, key: &str, namespace: u32) -> Due {
    let (mut encoded, mut encoded_namespace) = (Vec::new(), Vec::new());
    DefaultCodec.encode(&key.to_owned(), &mut encoded).unwrap();
    DefaultCodec.encode(&namespace, &mut encoded_namespace).unwrap();
    (time_ms, encoded, encoded_namespace, key.to_owned(), namespace)
}

/// The timers of a domain that are due in one subtask.
fn expected<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    backend: &KeyedOf<B, String>,
    model: &Model,
    (domain, up_to_ms): (TimeDomain, i64),
) -> BTreeSet<Due> {
    let mut all = BTreeSet::new();
    for (address, content) in model.contents() {
        let Content::Timers(timers) = content else { continue };
        assert_eq!(address.kind, Kind::Timers);
        if backend.key_groups().contains(job.key_group_of(&address.key)) {
            let of_domain = timers.iter().filter(|(of, _)| *of == domain);
            let times_ms = of_domain.map(|(_, time_ms)| *time_ms).filter(|ms| *ms <= up_to_ms);
            all.extend(times_ms.map(|time_ms| due(time_ms, &address.key, address.namespace)));
        }
    }
    all
}

/// Fires all timers of a domain up to a time, in all subtasks, and takes them out of the model.
/// Before each one `meanwhile` may register another one, as a function that is called back does.
///
/// Panics: when a timer is missing, comes twice, in another order or in another subtask.
pub(super) fn fire<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    model: &mut Model,
    (domain, up_to_ms): (TimeDomain, i64),
    mut meanwhile: impl FnMut(&KeyedOf<B, String>) -> Option<(String, u32, i64)>,
) {
    for backend in subtasks {
        let mut expected = expected(job, backend, model, (domain, up_to_ms));
        let handle = timers(backend);
        loop {
            if let Some((key, namespace, time_ms)) = meanwhile(backend) {
                let change = Change::TimerRegister(domain, time_ms);
                model.apply(&key, namespace, &change);
                change.apply(backend, &key, namespace);
                if time_ms <= up_to_ms {
                    expected.insert(due(time_ms, &key, namespace));
                }
            }
            let next_ms = backend.next_timer_ms(handle, domain).unwrap();
            let popped = backend.pop_timer(handle, domain, up_to_ms).unwrap();
            let found = popped.map(|timer| {
                assert_eq!(next_ms, Some(timer.time_ms));
                assert_eq!(timer.key_group, job.key_group_of(&timer.key));
                due(timer.time_ms, &timer.key, timer.namespace)
            });
            assert_eq!(found, expected.pop_first(), "{domain} up to {up_to_ms}");
            let Some((time_ms, _, _, key, namespace)) = found else {
                assert!(next_ms.is_none_or(|next_ms| next_ms > up_to_ms), "{next_ms:?}");
                break;
            };
            model.apply(&key, namespace, &Change::TimerDelete(domain, time_ms));
        }
    }
}

/// Fires everything that subtasks hold, which must be what the model holds.
///
/// Panics: as when a timer is missing, comes twice, in another order or in another subtask.
pub fn check_timers<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    model: &Model,
) {
    let mut model = model.clone();
    for domain in TimeDomain::ALL {
        fire(job, subtasks, &mut model, (domain, i64::MAX), |_| None);
    }
    assert!(model.contents().keys().all(|address| address.kind != Kind::Timers));
}
