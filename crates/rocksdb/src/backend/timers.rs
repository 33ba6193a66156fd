//! Timer services: registered like states, written as rows, and asked for what fires next.
//!
//! A row for each timer in the column family of its service; in memory are the heads only
//! ([`TimerHeads`]), however many timers there are.
//!
//! Invariants: heads change after the row has been written or deleted, so they say what is stored.

use alluvium_core::KeyGroup;
use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, DefaultCodec, Input, TupleCodec, UnitCodec};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::{
    StateError, StateId, StateKey, StateRef, TimeDomain, Timer, TimerDescriptor, Timers,
};

use super::register::{Answer, check_kept};
use super::table::{Boxed, Table};
use super::{RocksDbKeyedStateBackend, with_buffer};
use crate::row_key::RowRange;
use crate::store::Rows;
use crate::timer_heads::{ReadTimers, TimerHeads};
use crate::timer_row::{put_lead, split_place, time_of};

/// What a table of timers keeps in memory.
pub(super) struct TimerService {
    event_time: TimerHeads,
    processing_time: TimerHeads,
}

impl TimerService {
    const fn heads(&mut self, domain: TimeDomain) -> &mut TimerHeads {
        match domain {
            TimeDomain::EventTime => &mut self.event_time,
            TimeDomain::ProcessingTime => &mut self.processing_time,
        }
    }
}

/// The heads of a table.
fn heads_of(table: &mut Table, domain: TimeDomain) -> Result<&mut TimerHeads, StateError> {
    let service = table.content.downcast_mut::<TimerService>();
    service.map(|service| service.heads(domain)).ok_or(StateError::ForeignHandle)
}

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    pub(super) fn register_timers<N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: TimerDescriptor<N, NC>,
    ) -> Result<StateId, StateError> {
        let TimerDescriptor { name, namespace, .. } = descriptor;
        let timer = TupleCodec((DefaultCodec, DefaultCodec, namespace.clone()));
        let snapshot = Codec::<(u8, i64, N)>::snapshot(&timer);
        let value = Codec::<()>::snapshot(&UnitCodec);
        let meta = StateMeta { name, kind: StateKind::Timers, namespace: snapshot, value };
        let is_of_types = |table: &Table| table.is_of_types::<N, TimerService>(None);
        if let Some(id) = self.find_registered(&meta, is_of_types)? {
            return Ok(id);
        }
        let id = self.id_of(self.tables.len(), &meta.name)?;
        let heads: fn() -> TimerHeads = match self.kept.get(&meta.name) {
            Some(kept) => {
                // The value has no bytes: when kind and namespace fit, so do the rows.
                check_kept::<(u8, i64, N), _>(&meta, &timer, kept, |kept| {
                    if kept.meta.value == meta.value { Answer::AsIs } else { Answer::Incompatible }
                })?;
                TimerHeads::unknown
            }
            None => TimerHeads::of_none,
        };
        let (format, column) = self.take_column(&meta, Some(Answer::AsIs))?;
        let namespace: Boxed<N> = Box::new(namespace);
        let content = Box::new(TimerService { event_time: heads(), processing_time: heads() });
        let namespace = Box::new(namespace);
        self.tables.push(Table { meta, format, column, namespace, content, function: None });
        Ok(id)
    }

    fn timer_table<N: StateKey>(&mut self, timers: Timers<N>) -> Result<&mut Table, StateError> {
        let id = timers.id();
        let table = self.tables.get_mut(id.index());
        let is_own = |table: &&mut Table| {
            id.backend() == self.number && table.is_of_types::<N, TimerService>(None)
        };
        table.filter(is_own).ok_or(StateError::ForeignHandle)
    }

    /// The row of a timer of the key at hand.
    fn put_timer_row<N: StateKey>(
        &self,
        table: &Table,
        (domain, time_ms, namespace): (TimeDomain, i64, &N),
        row: &mut Vec<u8>,
    ) -> Result<(), StateError> {
        let (group, key) = self.key.split_at(self.layout.group_len_bytes().min(self.key.len()));
        row.extend_from_slice(group);
        put_lead(domain, time_ms, row);
        row.extend_from_slice(key);
        table.put_namespace(namespace, row)
    }

    /// Whether a timer of the key at hand is there, before it is so or not.
    fn set_timer<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        (domain, time_ms, namespace): (TimeDomain, i64, &N),
        is_wanted: bool,
    ) -> Result<bool, StateError> {
        self.timer_table(timers)?;
        let mut row = self.scratch.row.take();
        row.clear();
        let outcome = self.write_timer(timers, (domain, time_ms, namespace), is_wanted, &mut row);
        self.scratch.row.set(row);
        outcome
    }

    fn write_timer<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        (domain, time_ms, namespace): (TimeDomain, i64, &N),
        is_wanted: bool,
        row: &mut Vec<u8>,
    ) -> Result<bool, StateError> {
        let key_group = self.key_group_at_hand();
        let table = self.table(timers.id())?;
        self.put_timer_row(table, (domain, time_ms, namespace), row)?;
        let Self { tables, store, layout, .. } = self;
        let table = tables.get_mut(timers.id().index());
        let table = table.ok_or(StateError::ForeignHandle)?;
        let place = row.get(layout.group_len_bytes() + 1..).unwrap_or_default();
        let is_there = match heads_of(table, domain)?.contains(place) {
            Some(is_there) => is_there,
            None => store.get(&table.column, row)?.is_some(),
        };
        if is_there == is_wanted {
            return Ok(is_there);
        }
        if is_wanted {
            store.put(&table.column, row, &[])?;
            heads_of(table, domain)?.insert(place, key_group?);
        } else {
            store.delete(&table.column, row)?;
            heads_of(table, domain)?.remove(place);
        }
        Ok(is_there)
    }

    pub(super) fn register_timer<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        timer: (TimeDomain, i64, &N),
    ) -> Result<bool, StateError> {
        Ok(!self.set_timer(timers, timer, true)?)
    }

    pub(super) fn delete_timer<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        timer: (TimeDomain, i64, &N),
    ) -> Result<bool, StateError> {
        self.set_timer(timers, timer, false)
    }

    /// Deletes the timers of the key at hand; goes through all of its key group.
    pub(super) fn clear_timers<N: StateKey>(
        &mut self,
        id: StateId,
        namespace: &N,
    ) -> Result<(), StateError> {
        let group_len = self.layout.group_len_bytes().min(self.key.len());
        let (group, key) = self.key.split_at(group_len);
        let table = self.table(id)?;
        let mut wanted = Vec::new();
        table.put_namespace(namespace, &mut wanted)?;
        let mut found = Vec::new();
        let mut rows = self.store.rows(&table.column, RowRange::of_prefix(group))?;
        while let Some((row, _)) = rows.row()? {
            let parts = table.format.keys.split(row).map_err(table.decode_error())?;
            if parts.key == key && parts.namespace == wanted {
                found.push(row.to_vec());
            }
            rows.advance();
        }
        drop(rows);
        let Self { tables, store, .. } = self;
        let table = tables.get_mut(id.index()).ok_or(StateError::ForeignHandle)?;
        for row in found {
            store.delete(&table.column, &row)?;
            let Some((code, place)) = row.get(group_len..).and_then(<[u8]>::split_first) else {
                continue;
            };
            if let Some(domain) = TimeDomain::from_code(*code) {
                heads_of(table, domain)?.remove(place);
            }
        }
        Ok(())
    }

    pub(super) fn next_timer<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
    ) -> Result<Option<i64>, StateError> {
        self.fill_heads(timers, domain)?;
        let table = self.timer_table(timers)?;
        let first = heads_of(table, domain)?.first().map(|(place, _)| time_of(place));
        first.transpose().map_err(table.decode_error())
    }

    pub(super) fn pop_due<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        up_to_ms: i64,
    ) -> Result<Option<Timer<K, N>>, StateError> {
        self.fill_heads(timers, domain)?;
        let table = self.timer_table(timers)?;
        let Some((place, key_group)) = heads_of(table, domain)?.first() else { return Ok(None) };
        let place = place.to_vec();
        let table = self.table(timers.id())?;
        let decode = |source| table.decode_error()(source);
        let (time_ms, key, namespace) =
            split_place(&table.format.keys.key, &place).map_err(&decode)?;
        if time_ms > up_to_ms {
            return Ok(None);
        }
        let key = self.spec.key.decode(&mut Input::new(key)).map_err(&decode)?;
        let codec = table.namespace.downcast_ref::<Boxed<N>>().ok_or(StateError::ForeignHandle)?;
        let namespace = table.decode(&**codec, namespace)?;
        with_buffer(&self.scratch.row, |row| {
            self.layout.put_key_group(key_group, row);
            row.push(domain.code());
            row.extend_from_slice(&place);
            self.store.delete(&table.column, row)
        })?;
        heads_of(self.timer_table(timers)?, domain)?.remove(&place);
        Ok(Some(Timer { time_ms, key_group, key, namespace }))
    }

    /// Reads the next heads if those at hand are used up: some timers from each key group.
    fn fill_heads<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
    ) -> Result<(), StateError> {
        let after = heads_of(self.timer_table(timers)?, domain)?.wanted_after().map(<[u8]>::to_vec);
        let Some(after) = after else { return Ok(()) };
        let table = self.table(timers.id())?;
        let mut read = ReadTimers::default();
        let at_most = TimerHeads::read_len(usize::from(self.key_groups.count()));
        for key_group in self.key_groups.iter() {
            let mut prefix = Vec::new();
            self.layout.put_key_group(key_group, &mut prefix);
            prefix.push(domain.code());
            let mut range = RowRange::of_prefix(&prefix);
            // The least row behind the horizon.
            range.first.extend_from_slice(&after);
            range.first.push(0);
            let rows = self.store.rows(&table.column, range)?;
            let place = (prefix.len(), at_most, key_group);
            read_some(rows, place, &mut read, table.decode_error())?;
        }
        heads_of(self.timer_table(timers)?, domain)?.refill(read);
        Ok(())
    }

    /// The key group of the key at hand.
    fn key_group_at_hand(&self) -> Result<KeyGroup, StateError> {
        let found = self.layout.key_group_of(&self.key);
        found.map_err(|source| StateError::Key { source })
    }
}

/// Reads timers until there are as many as wanted or no more.
fn read_some(
    mut rows: Rows<'_>,
    (prefix_len, at_most, key_group): (usize, usize, KeyGroup),
    read: &mut ReadTimers,
    refused: impl Fn(CodecError) -> StateError,
) -> Result<(), StateError> {
    for _ in 0..at_most {
        let Some((row, _)) = rows.row()? else { return Ok(()) };
        let place = row.get(prefix_len..).unwrap_or_default();
        time_of(place).map_err(&refused)?;
        read.push(place, key_group);
        rows.advance();
    }
    read.end_early();
    Ok(())
}
