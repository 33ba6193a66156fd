//! What fires next: the rows of timers are in the order in which they fire.

use std::ops::ControlFlow;

use alluvium_format::codec::{Codec, Input};
use alluvium_state::{StateError, StateKey, StateRef, TimeDomain, Timer, Timers};

use super::ModelKeyedStateBackend;
use super::row::Row;
use crate::mistake::Mistake;

impl<K: StateKey, C: Codec<K>> ModelKeyedStateBackend<K, C> {
    /// The first timer of a domain.
    pub(super) fn first_timer<N: StateKey>(
        &self,
        timers: Timers<N>,
        domain: TimeDomain,
    ) -> Result<Option<Row>, StateError> {
        let code = domain.code();
        let from = Row {
            timer: Some((code, i64::MIN)),
            key: Vec::new(),
            namespace: Vec::new(),
            key_group: self.key_groups.first(),
        };
        let rows = &self.table(timers.id())?.stored.rows;
        let mut of_domain = rows
            .range(from..)
            .map(|(row, _)| row)
            .take_while(|row| row.timer.is_some_and(|(found, _)| found == code));
        let first = of_domain.next();
        if self.makes(Mistake::EqualTimesBackwards) {
            let last = of_domain.try_fold(first, |last, row| {
                let is_equal = last.is_none_or(|last| last.timer == row.timer);
                if is_equal { ControlFlow::Continue(Some(row)) } else { ControlFlow::Break(last) }
            });
            let (ControlFlow::Continue(last) | ControlFlow::Break(last)) = last;
            return Ok(last.cloned());
        }
        Ok(first.cloned())
    }

    /// Takes the first timer if it is due.
    pub(super) fn pop_due<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        up_to_ms: i64,
    ) -> Result<Option<Timer<K, N>>, StateError> {
        let too_late = self.makes(Mistake::TimerTooLate);
        let Some(row) = self.first_timer(timers, domain)? else { return Ok(None) };
        let Some((_, time_ms)) = row.timer else { return Ok(None) };
        if time_ms > up_to_ms || (too_late && time_ms == up_to_ms) {
            return Ok(None);
        }
        let table = self.table(timers.id())?;
        let key = self.spec.key.decode(&mut Input::new(&row.key));
        let key = key.map_err(|source| table.cannot_decode(source))?;
        let namespace = table.decode_namespace(&row.namespace)?;
        if self.slips.takes_out(&row) {
            self.table_mut(timers.id())?.rows_mut().remove(&row);
        }
        Ok(Some(Timer { time_ms, key_group: row.key_group, key, namespace }))
    }
}
