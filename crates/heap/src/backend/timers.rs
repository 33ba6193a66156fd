//! Timer services: registered like states, and asked for what fires next.

use std::any::Any;

use alluvium_core::KeyGroup;
use alluvium_format::codec::{Codec, DefaultCodec, TupleCodec, UnitCodec};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::{
    StateError, StateId, StateKey, StateRef, TimeDomain, Timer, TimerDescriptor, Timers,
};

use super::{HeapKeyedStateBackend, Registered, Views};
use crate::table::{AnyTable, Plain, StateTable, TimerKey, TimerTable, TypedEntryCodec};

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    pub(super) fn register_timers<N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: TimerDescriptor<N, NC>,
    ) -> Result<StateId, StateError> {
        let TimerDescriptor { name, namespace, .. } = descriptor;
        let timer = TupleCodec((DefaultCodec, DefaultCodec, namespace.clone()));
        let meta = StateMeta {
            name,
            kind: StateKind::Timers,
            namespace: Codec::<TimerKey<N>>::snapshot(&timer),
            value: Codec::<()>::snapshot(&UnitCodec),
        };
        let is_same = |known: &dyn AnyTable<K>| (known as &dyn Any).is::<TimerTable<K, N>>();
        if let Some(id) = self.find_registered(&meta, is_same)? {
            return Ok(id);
        }
        let id = self.id_of(self.tables.len(), &meta.name)?;
        let key = self.spec.key.clone();
        let codec = TypedEntryCodec {
            key: key.clone(),
            namespace: timer,
            namespace_lead_len_bytes: size_of::<u8>() + size_of::<i64>(),
            slot: Plain(UnitCodec),
        };
        let maps = self.maps_of::<TimerKey<N>, (), _, _>(&meta, codec)?;
        let mut table = TimerTable::new(StateTable::new(meta, maps, None, None), key, namespace)?;
        table.set_moment(self.moment);
        self.restored.remove(&table.meta().name);
        let views = Views::<K, N> {
            exclusive: |table| Some((table as &mut dyn Any).downcast_mut::<TimerTable<K, N>>()?),
            shared: |table| Some((table as &dyn Any).downcast_ref::<TimerTable<K, N>>()?),
        };
        self.tables.push(Registered::new(table, views));
        Ok(id)
    }

    pub(super) fn timer_table<N: StateKey>(
        &mut self,
        timers: Timers<N>,
    ) -> Result<&mut TimerTable<K, N>, StateError> {
        let id = timers.id();
        let registered = self.tables.get_mut(id.index()).filter(|_| id.backend() == self.number);
        registered.and_then(Registered::typed_mut).ok_or(StateError::ForeignHandle)
    }

    pub(super) fn pop_due<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        up_to_ms: i64,
    ) -> Result<Option<Timer<K, N>>, StateError> {
        let hashers = std::sync::Arc::clone(&self.hashers);
        let due = self.timer_table(timers)?.pop(domain, up_to_ms, &hashers)?;
        let (first, max) = (self.key_groups.first().get(), self.spec.parallelism.max());
        Ok(due.and_then(|due| {
            let key_group = KeyGroup::new(first + due.group, max).ok()?;
            Some(Timer { time_ms: due.time_ms, key_group, key: due.key, namespace: due.namespace })
        }))
    }
}
