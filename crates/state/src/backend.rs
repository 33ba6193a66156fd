//! What a backend offers to functions and to engines.
//!
//! Invariants: a state name stands for one kind, one namespace type and one value type for the
//! life of the backend; registering it again with the same types gives the same handle.

use std::hash::Hash;

use alluvium_core::{
    CheckpointId, KeyGroup, KeyGroupAssigner, KeyGroupRange, KeyedStateHandle, OperatorUid,
    Parallelism, SubtaskIndex,
};
use alluvium_format::codec::{Codec, OrderedCodec};
use alluvium_format::keyed::StateMeta;
use alluvium_storage::HandleReader;

use crate::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, BackgroundLoad, FrozenState,
    KeyContext, ListState, ListStateDescriptor, MapState, MapStateDescriptor, MergingState,
    ReducingState, ReducingStateDescriptor, RestoreError, SnapshotError, SortedMapState,
    SortedMapStateDescriptor, StateError, StateRef, TimeDomain, Timer, TimerDescriptor, Timers,
    ValueState, ValueStateDescriptor,
};

/// What can be stored as a value: anything that can be copied and sent to another thread.
pub trait StateValue: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> StateValue for T {}

/// What can be a key, a namespace or a user key.
pub trait StateKey: StateValue + Eq + Hash {}

impl<T: StateValue + Eq + Hash> StateKey for T {}

/// What can be a user key of a sorted map: its order is that of the encoded keys
/// ([`OrderedCodec`]).
pub trait SortedKey: StateKey + Ord {}

impl<T: StateKey + Ord> SortedKey for T {}

/// Keys, each with a namespace.
pub type Pairs<K, N> = Vec<(K, N)>;

/// Which subtask a keyed backend is for, and how its keys are written and assigned.
#[derive(Debug, Clone)]
pub struct KeyedBackendSpec<K, C> {
    /// The operator.
    pub uid: OperatorUid,
    /// The subtask.
    pub subtask: SubtaskIndex,
    /// How many subtasks the operator has, and how many key groups exist.
    pub parallelism: Parallelism,
    /// Codec of the keys.
    pub key: C,
    /// From keys to key groups.
    pub assigner: KeyGroupAssigner<K>,
    /// Seed of the in-memory hash tables; draw it at random once per process, so that nobody can
    /// choose keys that collide.
    pub hash_seed: u64,
}

/// A way to keep keyed state; opens the backend of a subtask.
pub trait StateBackend: Clone + Send + Sync + 'static {
    /// The backend of one subtask.
    type Keyed<K: StateKey, C: Codec<K>>: KeyedStateBackend<Key = K> + Send + 'static;

    /// Name for logs, such as `heap`.
    fn name(&self) -> &'static str;

    /// Opens the state of a subtask from the handles whose key groups intersect its own; from
    /// none, it begins empty.
    ///
    /// Errors: [`RestoreError`]. What was not verified when this returns is verified before its
    /// first entry is used; see [`KeyedStateBackend::background_load`].
    fn open<K: StateKey, C: Codec<K>>(
        &self,
        spec: KeyedBackendSpec<K, C>,
        restored: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self::Keyed<K, C>, RestoreError>;
}

/// Keyed state of one subtask.
///
/// Source: Flink `KeyedStateBackend`.
pub trait KeyedStateBackend {
    /// The type of the keys.
    type Key: StateKey;
    /// One key and namespace of this backend.
    type At<'a, N: StateKey>: KeyContext<Namespace = N>
    where
        Self: 'a;

    /// The key groups that this subtask owns.
    fn key_groups(&self) -> KeyGroupRange;

    /// The key group of a key.
    ///
    /// Errors: [`StateError::Key`], [`StateError::TooLarge`].
    fn key_group_of(&mut self, key: &Self::Key) -> Result<KeyGroup, StateError>;

    /// Opens a key and namespace whose key group is known, as engines do that routed the record
    /// by it. A wrong key group loses the state of the key at the next rescale.
    ///
    /// Backends in memory do not look at the key otherwise; one that
    /// [`KeyedStateBackend::key_group_of`] refuses then fails the next snapshot.
    ///
    /// Errors: [`StateError::ForeignKeyGroup`]; those of [`KeyedStateBackend::key_group_of`].
    fn at_key_group<'a, N: StateKey>(
        &'a mut self,
        key_group: KeyGroup,
        key: &'a Self::Key,
        namespace: &'a N,
    ) -> Result<Self::At<'a, N>, StateError>;

    /// Says that these keys, with their key groups, are opened next, without a namespace.
    ///
    /// A backend in memory fetches what it has of them side by side, where opening one after the other
    /// waits for the memory each time. Changes nothing, and cannot fail; a backend that gains nothing does
    /// nothing. Engines call it with some dozens of the records they have at hand: fewer gain less, and
    /// more than some thousand are out of the caches again before they are used.
    fn prefetch<'k>(&mut self, keys: impl Iterator<Item = (KeyGroup, &'k Self::Key)>)
    where
        Self::Key: 'k,
    {
        drop(keys);
    }

    /// Opens a key and namespace.
    ///
    /// Errors: [`StateError::ForeignKeyGroup`], [`StateError::Key`], [`StateError::TooLarge`].
    #[expect(
        clippy::inline_always,
        reason = "a key that goes through memory makes accesses wait for one another"
    )]
    #[inline(always)]
    fn at_namespace<'a, N: StateKey>(
        &'a mut self,
        key: &'a Self::Key,
        namespace: &'a N,
    ) -> Result<Self::At<'a, N>, StateError> {
        let key_group = self.key_group_of(key)?;
        self.at_key_group(key_group, key, namespace)
    }

    /// Opens a key of states without namespaces.
    ///
    /// Errors: [`StateError::ForeignKeyGroup`], [`StateError::Key`], [`StateError::TooLarge`].
    #[expect(
        clippy::inline_always,
        reason = "a key that goes through memory makes accesses wait for one another"
    )]
    #[inline(always)]
    fn at<'a>(&'a mut self, key: &'a Self::Key) -> Result<Self::At<'a, ()>, StateError> {
        self.at_namespace(key, &())
    }

    /// Registers a value state, or finds it again. All subtasks of an operator register the same
    /// states before their first checkpoint: one name has one codec in all streams of a checkpoint
    /// (SPEC 8.3), and restored state that is migrated has another one once it is registered.
    ///
    /// Errors: [`StateError::NameReused`], [`StateError::InvalidName`], [`StateError::InvalidTtl`],
    /// [`StateError::IncompatibleSchema`], [`StateError::KindChanged`], [`StateError::Decode`],
    /// [`StateError::MisplacedKey`], [`StateError::Restore`], [`StateError::TooManyStates`], as
    /// for all registrations.
    fn value_state<T: StateValue, C: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ValueStateDescriptor<T, C, N, NC>,
    ) -> Result<ValueState<T, N>, StateError>;

    /// Registers a list state, or finds it again.
    fn list_state<T: StateValue, C: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ListStateDescriptor<T, C, N, NC>,
    ) -> Result<ListState<T, N>, StateError>;

    /// Registers a map state, or finds it again.
    fn map_state<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: MapStateDescriptor<UK, UV, KC, VC, N, NC>,
    ) -> Result<MapState<UK, UV, N>, StateError>
    where
        UK: StateKey,
        UV: StateValue,
        KC: Codec<UK>,
        VC: Codec<UV>,
        N: StateKey,
        NC: Codec<N>;

    /// Registers a sorted map state, or finds it again.
    fn sorted_map_state<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: SortedMapStateDescriptor<UK, UV, KC, VC, N, NC>,
    ) -> Result<SortedMapState<UK, UV, N>, StateError>
    where
        UK: SortedKey,
        UV: StateValue,
        KC: OrderedCodec<UK>,
        VC: Codec<UV>,
        N: StateKey,
        NC: Codec<N>;

    /// Registers a reducing state, or finds it again; the function stays the one given first.
    fn reducing_state<T: StateValue, C: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ReducingStateDescriptor<T, C, N, NC>,
    ) -> Result<ReducingState<T, N>, StateError>;

    /// Registers an aggregating state, or finds it again; the function stays the one given first.
    fn aggregating_state<A, C, N, NC>(
        &mut self,
        descriptor: AggregatingStateDescriptor<A, C, N, NC>,
    ) -> Result<AggregatingState<A, N>, StateError>
    where
        A: AggregateFunction,
        C: Codec<A::Accumulator>,
        N: StateKey,
        NC: Codec<N>;

    /// Registers a timer service, or finds it again. Its timers are restored, frozen and rescaled as
    /// the entries of a state are; those of a service that nobody registers are kept, and do not
    /// fire.
    ///
    /// Backends that load restored state on demand may load all timers here, since the earliest may
    /// be any of them.
    fn timers<N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: TimerDescriptor<N, NC>,
    ) -> Result<Timers<N>, StateError>;

    /// The time of the earliest timer of a domain, in milliseconds; `None` when there is no timer.
    ///
    /// Errors: [`StateError::ForeignHandle`]; [`StateError::Engine`], from backends that have to
    /// look.
    fn next_timer_ms<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
    ) -> Result<Option<i64>, StateError>;

    /// Takes the earliest timer of a domain if its time is `up_to_ms` or before. An engine calls it
    /// until there is none; timers that are registered meanwhile for such a time come as well.
    ///
    /// Errors: as [`KeyedStateBackend::next_timer_ms`]; [`StateError::NotLoaded`],
    /// [`StateError::Decode`].
    fn pop_timer<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        up_to_ms: i64,
    ) -> Result<Option<Timer<Self::Key, N>>, StateError>;

    /// The keys of one key group that have something in a state under a namespace, in no order and
    /// each once. They are copied, so state may be changed while going through them; whoever goes
    /// through all key groups holds the keys of one at a time. Where a state has a time to live, keys
    /// are listed of which something is visible; what reads have left behind is done first.
    ///
    /// Errors: [`StateError::ForeignHandle`], [`StateError::ForeignKeyGroup`];
    /// [`StateError::NotLoaded`] when restored state has to be loaded for it and cannot be.
    fn keys_in_group<S: StateRef>(
        &mut self,
        state: S,
        namespace: &S::Namespace,
        key_group: KeyGroup,
    ) -> Result<Vec<Self::Key>, StateError>;

    /// The keys and namespaces of one key group that have something in a state, in no order and each
    /// pair once.
    ///
    /// Errors: as [`KeyedStateBackend::keys_in_group`].
    fn keys_and_namespaces_in_group<S: StateRef>(
        &mut self,
        state: S,
        key_group: KeyGroup,
    ) -> Result<Pairs<Self::Key, S::Namespace>, StateError>;

    /// The keys that have something in a state under a namespace, in no order and each once.
    ///
    /// Errors: as [`KeyedStateBackend::keys_in_group`].
    /// Source: Flink `KeyedStateBackend.getKeys`.
    fn keys<S: StateRef>(
        &mut self,
        state: S,
        namespace: &S::Namespace,
    ) -> Result<Vec<Self::Key>, StateError> {
        let mut keys = Vec::new();
        for key_group in self.key_groups().iter() {
            keys.append(&mut self.keys_in_group(state, namespace, key_group)?);
        }
        Ok(keys)
    }

    /// The keys and namespaces that have something in a state, in no order and each pair once.
    ///
    /// Errors: as [`KeyedStateBackend::keys_in_group`].
    /// Source: Flink `KeyedStateBackend.getKeysAndNamespaces`.
    fn keys_and_namespaces<S: StateRef>(
        &mut self,
        state: S,
    ) -> Result<Pairs<Self::Key, S::Namespace>, StateError> {
        let mut pairs = Vec::new();
        for key_group in self.key_groups().iter() {
            pairs.append(&mut self.keys_and_namespaces_in_group(state, key_group)?);
        }
        Ok(pairs)
    }

    /// Calls `visit` with each key that has something in a state under a namespace. It may change
    /// everything, also that state and other keys.
    ///
    /// Key groups come in ascending order, and the keys of one are copied when its turn has come. So
    /// a key that gets its first content meanwhile is visited if its key group comes later, and is
    /// not if its key group has begun; one that loses its content is visited, and has nothing, if its
    /// key group has begun, and is not if that comes later. No key is visited twice.
    ///
    /// Errors: as [`KeyedStateBackend::keys_in_group`], and what `visit` gives, which ends the
    /// visit.
    fn for_each_key<S: StateRef, E: From<StateError>>(
        &mut self,
        state: S,
        namespace: &S::Namespace,
        mut visit: impl FnMut(&mut Self, KeyGroup, &Self::Key) -> Result<(), E>,
    ) -> Result<(), E>
    where
        Self: Sized,
    {
        for key_group in self.key_groups().iter() {
            for key in self.keys_in_group(state, namespace, key_group)? {
                visit(self, key_group, &key)?;
            }
        }
        Ok(())
    }

    /// Applies a function to each key that has something in a state under a namespace, opened in
    /// that namespace. Which keys come is said at [`KeyedStateBackend::for_each_key`].
    ///
    /// Errors: as [`KeyedStateBackend::for_each_key`].
    /// Source: Flink `KeyedStateBackend.applyToAllKeys`.
    fn apply_to_all_keys<S: StateRef>(
        &mut self,
        state: S,
        namespace: &S::Namespace,
        mut apply: impl FnMut(&Self::Key, &mut Self::At<'_, S::Namespace>) -> Result<(), StateError>,
    ) -> Result<(), StateError>
    where
        Self: Sized + 'static,
    {
        self.for_each_key(state, namespace, |backend, key_group, key| {
            let mut at = backend.at_key_group(key_group, key, namespace)?;
            apply(key, &mut at)
        })
    }

    /// Moves what a key holds in a state under the source namespaces into the target namespace.
    /// Sources are taken in their order, and end empty:
    /// - list: the lists of the sources are appended to that of the target, one after the other;
    /// - reducing: `merged = reduce(merged, source)` for each source, then
    ///   `target = reduce(target, merged)`;
    /// - aggregating: the same with [`AggregateFunction::merge`].
    ///
    /// Sources without content, no sources, and a source that is named twice change nothing more. A
    /// target that is a source as well counts as the source: what it held stands at its place among
    /// the sources, and all of it is in the target afterwards.
    ///
    /// Errors: [`StateError::ForeignHandle`], [`StateError::ForeignKeyGroup`], [`StateError::Key`],
    /// before anything is taken; those of reading and writing, after which sources that were taken
    /// may be lost.
    ///
    /// Source: Flink `InternalMergingState.mergeNamespaces`, in the order of arguments of
    /// `AbstractHeapMergingState`; Flink's RocksDB state calls `reduce(merged, target)` instead.
    fn merge_namespaces<'n, S: MergingState>(
        &mut self,
        state: S,
        key: &Self::Key,
        target: &S::Namespace,
        sources: impl IntoIterator<Item = &'n S::Namespace>,
    ) -> Result<(), StateError>
    where
        S::Namespace: 'n,
    {
        let key_group = self.key_group_of(key)?;
        let mut merged = None;
        for source in sources {
            let mut at = self.at_key_group(key_group, key, source)?;
            merged = state.take_merged(&mut at, merged)?;
        }
        state.put_merged(&mut self.at_key_group(key_group, key, target)?, merged)
    }

    /// The restored states that nobody has registered, by name. They are kept, and are part of all
    /// snapshots, until they are registered or [dropped](KeyedStateBackend::drop_restored_state).
    fn unregistered_states(&self) -> Vec<StateMeta>;

    /// Drops a restored state that nobody has registered, and says whether there was one: later
    /// snapshots neither hold nor refer to anything of it. Those that are frozen already keep it. All
    /// subtasks of an operator do the same.
    ///
    /// Errors: [`StateError::Registered`]; [`StateError::Engine`].
    fn drop_restored_state(&mut self, name: &str) -> Result<bool, StateError>;

    /// How many (key, namespace) entries all registered states hold together; each timer counts as
    /// one. What has expired counts as long as it is not cleaned up. It may go through
    /// everything that is stored, so it is for tests and tools, not for each record.
    ///
    /// Errors: [`StateError::Engine`], from backends that have to look.
    fn entry_count(&self) -> Result<usize, StateError>;

    /// A checkpoint is on its way: the barrier of one input has come, and others are awaited. A
    /// backend may begin what makes the rest shorter. It may come several times for a checkpoint,
    /// or not at all. By default nothing happens.
    fn announce(&mut self, checkpoint: CheckpointId) {
        let _ = checkpoint;
    }

    /// Fixes the state as it is now for a checkpoint: the synchronous part.
    ///
    /// Errors: [`SnapshotError`], from backends that write here already.
    fn freeze(&mut self, checkpoint: CheckpointId) -> Result<Box<dyn FrozenState>, SnapshotError>;

    /// The checkpoint exists: later ones may build on it.
    fn complete(&mut self, checkpoint: CheckpointId);

    /// The checkpoint will never exist.
    fn abort(&mut self, checkpoint: CheckpointId);

    /// What loads the rest of a lazily restored backend, once all states are registered; `None`
    /// when everything is there. By default there is nothing to load.
    fn background_load(&mut self) -> Option<BackgroundLoad> {
        None
    }
}
