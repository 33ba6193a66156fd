//! Deliberate mistakes, and the case that catches each.
//!
//! A suite is worth what it notices. [`ModelStateBackend::with_mistake`] is the model backend
//! with one of these mistakes in it; the tests of this crate run all cases against each of them.
//!
//! Invariants: a backend makes one mistake at most; without one, nothing here has any effect.
//!
//! [`ModelStateBackend::with_mistake`]: crate::backend::ModelStateBackend::with_mistake

macro_rules! mistakes {
    ($($(#[doc = $doc:literal])+ $name:ident => $group:ident::$case:ident,)+) => {
        /// Something that a backend can get wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Mistake {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Mistake {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The case that catches it; others may as well.
            pub const fn caught_by(self) -> &'static str {
                match self {
                    $(Self::$name => concat!(stringify!($group), "::", stringify!($case)),)+
                }
            }
        }
    };
}

mistakes! {
    /// Clearing a state leaves it as it is.
    LostClear => basics::a_value_is_set_changed_and_cleared,
    /// Clearing takes what the key has under every namespace.
    ClearOfAllNamespaces => basics::clearing_removes_one_entry_of_one_state,
    /// Entries are found by their key alone.
    NamespacesMixedUp => basics::namespaces_are_apart,
    /// Keys are the same when they begin alike.
    KeysMixedUp => basics::keys_are_apart,
    /// Elements are added in front.
    PrependedElements => basics::a_list_keeps_its_order,
    /// Of several elements that are added, the last is lost.
    LostLastElement => basics::a_list_keeps_its_order,
    /// A list that was set to nothing is still listed.
    EmptyListKept => basics::an_empty_list_is_no_list,
    /// A map without its last entry is still listed.
    EmptyMapKept => basics::a_map_without_its_last_entry_is_no_map,
    /// Putting does not replace what is there.
    FirstPutWins => basics::a_map_holds_what_was_put,
    /// Removing a user key removes the map.
    RemoveClearsMap => basics::a_map_holds_what_was_put,
    /// The function gets its arguments in the wrong order.
    ReducedBackwards => basics::a_reducing_state_reduces_in_order,
    /// Each input is added to a new accumulator.
    FreshAccumulator => basics::an_aggregating_state_adds_every_input,
    /// `keys` lists the keys of all namespaces.
    KeysOfAllNamespaces => basics::keys_lists_exactly_the_keys_of_the_namespace,
    /// The keys of one key group are those of all.
    KeysOfAllGroups => keys::keys_are_listed_by_key_group,
    /// Merging into an accumulator replaces it.
    MergeReplaces => merging::reducing_and_aggregating_states_merge_in_order,
    /// State that is dropped is written all the same.
    DroppedStateKept => dropping::a_dropped_state_is_in_no_later_snapshot,
    /// `keys` lists a key as often as it has timers.
    KeyListedTwice => timers::domains_namespaces_and_services_are_apart,
    /// Entries are counted once per key, whatever its namespaces.
    CountOfKeys => basics::entries_are_counted_once_per_key_and_namespace,
    /// The keys of other subtasks are accepted.
    ForeignKeyAccepted => refusals::a_key_of_another_subtask_is_refused,
    /// Every key is in the key group after its own.
    KeyGroupOffByOne => refusals::a_key_of_another_subtask_is_refused,
    /// The handles of other backends are accepted.
    ForeignHandleAccepted => refusals::a_handle_of_another_backend_is_refused,
    /// A name gives the same state, whatever the types.
    OtherTypesAccepted => refusals::a_name_stands_for_one_kind_and_one_set_of_types,
    /// Registering a state again makes another one.
    RegisteredTwice => refusals::the_same_descriptor_gives_the_same_handle,
    /// Empty names and long names are accepted.
    AnyNameAccepted => refusals::names_have_1_to_1024_bytes,
    /// What is frozen is the state as it is a few records later.
    FrozenTooLate => snapshots::a_frozen_state_does_not_see_later_writes,
    /// A freeze gives what the freeze before it gave.
    StaleSnapshot => snapshots::overlapping_frozen_states_keep_their_own_moment,
    /// With a checkpoint that fails, all changes since its freeze are lost.
    AbortForgetsChanges => snapshots::a_frozen_state_dropped_unwritten_changes_nothing,
    /// With a checkpoint that completes, all changes since its freeze are lost.
    CompleteForgetsChanges => snapshots::a_frozen_state_does_not_see_later_writes,
    /// A backend without states writes a stream.
    HandleOfNothing => snapshots::a_backend_without_states_has_no_handle,
    /// State that nobody registered is not written.
    UnregisteredDropped => snapshots::state_that_nobody_registers_survives_two_rounds,
    /// Restored states are given out one after the other, whatever their names.
    StatesByPosition => snapshots::states_are_found_by_name_in_any_order,
    /// Lists are written backwards.
    ListWrittenBackwards => snapshots::all_kinds_come_back,
    /// The last element of a list is not written.
    LastElementNotWritten => snapshots::all_kinds_come_back,
    /// What was cleared is written all the same.
    DeletedComesBack => snapshots::a_cleared_backend_comes_back_empty,
    /// Accumulators are not written.
    AccumulatorsNotWritten => snapshots::all_kinds_come_back,
    /// Timers are not written.
    TimersNotWritten => timers::timers_come_back_from_checkpoints,
    /// At a rescale, the last key group that is taken from each stream is lost.
    LastKeyGroupLost => rescaling::every_entry_comes_back_once_with_the_stable_assigner,
    /// All key groups of a stream are taken, not only those of the subtask.
    ForeignKeyGroupsTaken => rescaling::every_entry_comes_back_once_with_the_stable_assigner,
    /// Keys are assigned by the stable assigner, whatever the job says.
    FlinkAssignerIgnored => rescaling::every_entry_comes_back_once_with_the_flink_assigner,
    /// Registering a timer that is there says that it is new.
    KnownTimerIsNew => timers::a_timer_is_there_once,
    /// A timer that fired is there once more.
    TimerFiresTwice => timers::a_timer_is_there_once,
    /// A timer that is deleted fires.
    DeletedTimerFires => timers::a_timer_is_there_once,
    /// Timers of equal times fire in the reverse order.
    EqualTimesBackwards => timers::timers_fire_in_order,
    /// A timer does not fire at its time, but later.
    TimerTooLate => timers::timers_fire_in_order,
    /// A timer for a time before the last one that fired is dropped.
    PastTimerDropped => timers::timers_that_are_registered_while_firing_fire,
    /// Timers of both domains are the same.
    DomainsMixedUp => timers::domains_namespaces_and_services_are_apart,
    /// Clearing leaves the timers of processing time.
    TimersNotCleared => timers::clearing_deletes_the_timers_of_a_key,
    /// Restored timers of domains that nobody knows are kept.
    UnknownDomainAccepted => timers::a_timer_of_an_unknown_domain_is_refused,
    /// Values that have to be migrated are read with the new codec.
    MigratedWithTheNewCodec => schema::numbers_are_widened,
    /// Migrated state is written under its old codec.
    OldCodecWritten => schema::widened_state_is_written_with_its_wide_codec,
    /// State that cannot be read begins empty.
    IncompatibleIsEmpty => schema::another_value_codec_is_refused_by_name,
    /// The codec of namespaces is not compared.
    NamespaceCodecIgnored => schema::another_namespace_codec_is_refused_by_name,
    /// The kind of a restored state is not compared.
    KindIgnored => schema::another_kind_is_refused_by_name,
    /// A registration that is refused loses the restored state.
    RefusalLosesState => schema::a_refused_registration_loses_nothing,
    /// The end of a range is in it, also where it should not be.
    RangeTooLong => sorted_maps::user_keys_of_all_sorts_are_in_their_order,
    /// Ranges in descending order come in ascending order.
    DescendingIsAscending => sorted_maps::the_first_and_the_last_entry_are_taken,
    /// The order of the entries of a restored sorted map is not looked at.
    AnyOrderAccepted => sorted_maps::entries_in_another_order_are_refused,
    /// Keys may have any length.
    LongKeysAccepted => limits::longer_keys_are_refused,
    /// A time to live has no effect.
    NothingExpires => ttl::everything_expires_when_its_time_is_over,
    /// Reading neither refreshes nor removes anything.
    ReadsLeaveNothing => ttl::reading_refreshes_where_it_counts,
    /// Full snapshots hold what has expired.
    ExpiredWritten => ttl_restore::full_snapshots_leave_out_what_has_expired,
    /// Full snapshots hold what has expired in sorted maps.
    ExpiredSortedEntriesWritten => ttl_restore::full_snapshots_leave_out_what_has_expired,
    /// A file that is gone is an empty state.
    MissingFileIsEmpty => damage::a_missing_file_is_refused,
    /// Entries that cannot be read are passed over.
    DamageIsEmpty => damage::a_stream_with_a_flipped_bit_is_refused,
}
