//! What every state backend must do, one public function per case.
//!
//! Each case is generic over the backend and panics when it finds something else.
//! [`conformance_tests!`](crate::conformance_tests) makes a named test of each; [`cases`] lists them
//! for any other harness, and [`run_all`] runs them one after the other.
//!
//! - [`basics`]: the kinds of state, clearing, namespaces, keys;
//! - [`refusals`]: wrong use is an error;
//! - [`snapshots`]: freezing, writing, restoring;
//! - [`rescaling`]: restoring at another parallelism;
//! - [`timers`]: their order, and checkpoints of them;
//! - [`long_lists`]: both ends of lists, and both layouts of them;
//! - [`sorted_maps`]: their order, ranges, and checkpoints of them;
//! - [`schema`]: codecs and kinds that changed between writing and restoring;
//! - [`keys`]: which keys and namespaces have something;
//! - [`merging`]: the content of several namespaces becomes one;
//! - [`dropping`]: restored state that nobody registers is listed and dropped;
//! - [`versions`]: types in versions, each with a step from the one before;
//! - [`limits`]: the longest keys, and values that are easily lost;
//! - [`dynamic`]: engines that know types at run time only;
//! - [`ttl`] and [`ttl_restore`]: state that expires, and its snapshots;
//! - [`damage`]: streams that are not what they should be.
//!
//! Invariants: no case depends on another; the list in `conformance_tests!` names every case.

pub mod basics;
mod crafted;
pub mod damage;
pub mod dropping;
pub mod dynamic;
pub mod keys;
pub mod limits;
pub mod long_lists;
pub mod merging;
pub mod refusals;
pub mod rescaling;
pub mod schema;
pub mod snapshots;
pub mod sorted_maps;
pub mod timers;
pub mod ttl;
pub mod ttl_restore;
pub mod versions;

use std::collections::BTreeMap;

use alluvium_state::{Elements, Entries, Ref, StateBackend, StateError};

/// Makes one `#[test]` per conformance case. The argument is an expression that gives the
/// backend; each test evaluates it anew.
///
/// ```
/// # use alluvium_heap::HeapStateBackend;
/// mod heap {
///     use alluvium_heap::HeapStateBackend;
///
///     alluvium_testkit::conformance_tests!(HeapStateBackend::default());
/// }
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($backend:expr) => {
        $crate::conformance_tests! { @list @tests {$backend} }
    };
    (@list @$into:ident {$($argument:tt)*}) => {
        $crate::conformance_tests! { @$into {$($argument)*}
            basics::a_value_is_set_changed_and_cleared,
            basics::a_list_keeps_its_order,
            basics::a_map_holds_what_was_put,
            basics::user_keys_put_at_once_are_all_there,
            basics::a_reducing_state_reduces_in_order,
            basics::an_aggregating_state_adds_every_input,
            basics::clearing_removes_one_entry_of_one_state,
            basics::namespaces_are_apart,
            basics::keys_are_apart,
            basics::states_of_the_same_types_are_apart,
            basics::an_empty_list_is_no_list,
            basics::a_map_without_its_last_entry_is_no_map,
            basics::keys_lists_exactly_the_keys_of_the_namespace,
            basics::reading_makes_no_entry,
            basics::entries_are_counted_once_per_key_and_namespace,
            refusals::a_key_of_another_subtask_is_refused,
            refusals::a_handle_of_another_backend_is_refused,
            refusals::a_name_stands_for_one_kind_and_one_set_of_types,
            refusals::the_same_descriptor_gives_the_same_handle,
            refusals::names_have_1_to_1024_bytes,
            snapshots::all_kinds_come_back,
            snapshots::a_frozen_state_does_not_see_later_writes,
            snapshots::overlapping_frozen_states_keep_their_own_moment,
            snapshots::a_frozen_state_dropped_unwritten_changes_nothing,
            snapshots::a_frozen_state_outlives_its_backend_on_another_thread,
            snapshots::a_backend_without_states_has_no_handle,
            snapshots::a_cleared_backend_comes_back_empty,
            snapshots::state_that_nobody_registers_survives_two_rounds,
            snapshots::states_are_found_by_name_in_any_order,
            snapshots::many_keys_grow_under_frozen_states,
            snapshots::a_long_list_grows_under_a_frozen_state,
            snapshots::a_failed_write_leaves_no_file_and_the_state_goes_on,
            snapshots::snapshots_in_files_come_back,
            rescaling::every_entry_comes_back_once_with_the_stable_assigner,
            rescaling::every_entry_comes_back_once_with_the_flink_assigner,
            rescaling::state_that_nobody_registers_is_rescaled,
            rescaling::a_subtask_without_any_entry_is_restored_empty,
            timers::a_timer_is_there_once,
            timers::domains_namespaces_and_services_are_apart,
            timers::timers_fire_in_order,
            timers::timers_that_are_registered_while_firing_fire,
            timers::clearing_deletes_the_timers_of_a_key,
            timers::many_timers_come_in_order,
            timers::timers_come_back_from_checkpoints,
            timers::timers_that_fired_are_not_in_later_checkpoints,
            timers::timers_are_rescaled,
            timers::timers_that_nobody_registers_are_kept,
            timers::timer_services_are_registered_like_states,
            timers::a_timer_of_an_unknown_domain_is_refused,
            sorted_maps::a_sorted_map_holds_what_was_put_in_order,
            sorted_maps::user_keys_of_all_sorts_are_in_their_order,
            sorted_maps::the_first_and_the_last_entry_are_taken,
            sorted_maps::writes_between_ranges_are_seen_by_the_next_range,
            sorted_maps::sorted_maps_of_keys_and_namespaces_are_apart,
            sorted_maps::sorted_maps_come_back_from_checkpoints,
            sorted_maps::sorted_maps_that_nobody_registers_are_kept,
            sorted_maps::sorted_maps_are_widened,
            sorted_maps::a_map_is_no_sorted_map,
            sorted_maps::entries_in_another_order_are_refused,
            long_lists::both_ends_and_every_position,
            long_lists::a_queue_gives_what_was_added_in_order,
            long_lists::an_emptied_list_is_no_list,
            long_lists::lists_of_keys_and_namespaces_are_apart,
            long_lists::lists_come_back_from_checkpoints,
            long_lists::lists_that_nobody_registers_are_kept,
            long_lists::a_layout_may_change_over_a_restore,
            long_lists::elements_are_widened,
            schema::another_value_codec_is_refused_by_name,
            schema::another_namespace_codec_is_refused_by_name,
            schema::another_key_codec_is_refused,
            schema::another_kind_is_refused_by_name,
            schema::a_refused_registration_loses_nothing,
            schema::numbers_are_widened,
            schema::widened_state_is_written_with_its_wide_codec,
            schema::serde_types_come_back_and_are_migrated,
            dropping::a_dropped_state_is_in_no_later_snapshot,
            dropping::a_name_is_free_after_dropping,
            dropping::a_registered_state_is_not_dropped,
            dropping::files_of_dropped_states_are_not_referred_to,
            dropping::unregistered_states_are_listed,
            dynamic::bytes_that_are_not_whole_are_refused,
            dynamic::dynamic_and_typed_state_are_the_same,
            dynamic::dynamic_handles_are_of_one_kind_and_backend,
            dynamic::programs_by_bytes_do_what_programs_with_types_do,
            keys::a_function_is_applied_to_all_keys,
            keys::keys_are_listed_by_key_group,
            keys::keys_of_foreign_key_groups_are_refused,
            keys::keys_that_come_and_go_during_a_visit,
            limits::a_unit_key_is_a_key,
            limits::empty_values_are_entries,
            limits::keys_of_64_kib_come_back,
            limits::longer_keys_are_refused,
            limits::longer_namespaces_are_refused,
            limits::longer_user_keys_are_refused,
            limits::timers_at_the_ends_of_time,
            merging::a_target_may_be_a_source,
            merging::empty_and_repeated_sources_merge_once,
            merging::merged_lists_stand_in_the_order_of_their_sources,
            merging::merging_refuses_foreign_handles_and_keys,
            merging::reducing_and_aggregating_states_merge_in_order,
            ttl::a_clock_may_go_backwards_and_to_the_ends_of_time,
            ttl::a_time_to_live_is_part_of_what_a_name_stands_for,
            ttl::a_time_to_live_of_zero_is_refused_by_name,
            ttl::a_write_after_the_end_begins_anew,
            ttl::elements_and_entries_expire_one_by_one,
            ttl::user_keys_put_at_once_expire_together,
            ttl::ranges_refresh_what_they_come_to,
            ttl::entries_are_refreshed_one_by_one,
            ttl::everything_expires_when_its_time_is_over,
            ttl::reading_refreshes_where_it_counts,
            ttl::what_expires_takes_nothing_along,
            ttl::what_has_expired_may_be_returned_until_it_is_cleaned_up,
            ttl_restore::a_frozen_state_has_the_stamps_of_its_moment,
            ttl_restore::a_full_snapshot_may_be_left_with_nothing,
            ttl_restore::full_snapshots_leave_out_what_has_expired,
            ttl_restore::restored_state_gets_a_time_to_live,
            ttl_restore::restored_state_loses_its_time_to_live,
            ttl_restore::stamps_are_rescaled,
            ttl_restore::stamps_come_back,
            ttl_restore::values_migrate_with_their_stamps,
            ttl_restore::what_was_cleaned_up_does_not_come_back,
            versions::a_newer_version_is_refused_by_name,
            versions::values_go_through_every_version,
            versions::versions_of_keys_and_namespaces_never_change,
            damage::another_max_parallelism_is_refused_by_name,
            damage::another_assigner_is_refused_by_name,
            damage::another_operator_is_refused_by_name,
            damage::another_key_group_range_is_refused_by_name,
            damage::overlapping_handles_are_refused,
            damage::a_missing_file_is_refused,
            damage::a_stream_cut_anywhere_is_refused,
            damage::a_stream_with_a_flipped_bit_is_refused,
            damage::a_longer_stream_is_refused,
        }
    };
    (@tests {$backend:expr} $($group:ident::$case:ident,)+) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::$group::$case(&$backend);
            }
        )+
    };
    (@cases {} $($group:ident::$case:ident,)+) => {
        vec![
            $(
                $crate::conformance::Case {
                    name: concat!(stringify!($group), "::", stringify!($case)),
                    run: $crate::conformance::$group::$case,
                }
            ),+
        ]
    };
    (@names {} $($group:ident::$case:ident,)+) => {
        &[$( concat!(stringify!($group), "::", stringify!($case)) ),+]
    };
}

/// The names of all cases, in the order in which [`run_all`] runs them.
pub const CASES: &[&str] = conformance_tests! { @list @names {} };

/// One case, for a harness of your own.
///
/// ```
/// use alluvium_testkit::backend::ModelStateBackend;
/// use alluvium_testkit::conformance::cases;
///
/// let backend = ModelStateBackend::new();
/// for case in cases().iter().filter(|case| case.group() == "basics") {
///     case.run(&backend);
/// }
/// ```
pub struct Case<B> {
    /// Group and name, such as `basics::keys_are_apart`.
    pub name: &'static str,
    run: fn(&B),
}

impl<B> Case<B> {
    /// The group, such as `basics`.
    pub fn group(&self) -> &'static str {
        self.name.split_once("::").map_or(self.name, |(group, _)| group)
    }

    /// Runs the case.
    ///
    /// Panics: when the backend does something else.
    pub fn run(&self, backend: &B) {
        (self.run)(backend);
    }
}

impl<B> Clone for Case<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Case<B> {}

impl<B> std::fmt::Debug for Case<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Case({})", self.name)
    }
}

/// All cases, in the order of [`CASES`].
pub fn cases<B: StateBackend>() -> Vec<Case<B>> {
    conformance_tests! { @list @cases {} }
}

/// Runs every case.
///
/// Panics: in the first case that finds something else.
pub fn run_all<B: StateBackend>(backend: &B) {
    for case in cases() {
        case.run(backend);
    }
}

/// A value out of its borrow.
#[track_caller]
fn owned<T: Clone>(found: Result<Option<Ref<'_, T>>, StateError>) -> Option<T> {
    found.unwrap().map(Ref::into_owned)
}

/// All elements, in order.
#[track_caller]
fn list_of<T: Clone>(found: Result<Elements<'_, T>, StateError>) -> Vec<T> {
    found.unwrap().map(|element| element.unwrap().into_owned()).collect()
}

/// All entries, each once.
#[track_caller]
fn map_of<K: Clone + Ord, V: Clone>(
    found: Result<Entries<'_, K, V>, StateError>,
) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    for entry in found.unwrap() {
        let (key, value) = entry.unwrap();
        assert!(map.insert(key.into_owned(), value.into_owned()).is_none(), "a key comes twice");
    }
    map
}

/// All elements in the order of their values; each is there once.
#[track_caller]
pub(crate) fn sorted<T: Ord>(elements: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut sorted: Vec<_> = elements.into_iter().collect();
    sorted.sort();
    sorted
}

/// The error of something that must be refused.
#[track_caller]
fn refused<T, E>(outcome: Result<T, E>) -> E {
    match outcome {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_case_is_in_the_list_once() {
        let sources = [
            ("basics", include_str!("conformance/basics.rs")),
            ("refusals", include_str!("conformance/refusals.rs")),
            ("snapshots", include_str!("conformance/snapshots.rs")),
            ("rescaling", include_str!("conformance/rescaling.rs")),
            ("timers", include_str!("conformance/timers.rs")),
            ("long_lists", include_str!("conformance/long_lists.rs")),
            ("sorted_maps", include_str!("conformance/sorted_maps.rs")),
            ("schema", include_str!("conformance/schema.rs")),
            ("keys", include_str!("conformance/keys.rs")),
            ("merging", include_str!("conformance/merging.rs")),
            ("dropping", include_str!("conformance/dropping.rs")),
            ("versions", include_str!("conformance/versions.rs")),
            ("limits", include_str!("conformance/limits.rs")),
            ("dynamic", include_str!("conformance/dynamic.rs")),
            ("ttl", include_str!("conformance/ttl.rs")),
            ("ttl_restore", include_str!("conformance/ttl_restore.rs")),
            ("damage", include_str!("conformance/damage.rs")),
        ];
        let mut written = Vec::new();
        for (group, source) in sources {
            let names = source.lines().filter_map(|line| line.strip_prefix("pub fn "));
            let names = names.filter_map(|rest| rest.split_once('<')).map(|(name, _)| name);
            written.extend(names.map(|name| format!("{group}::{name}")));
        }
        assert_eq!(sorted(written), sorted(CASES.iter().map(|name| (*name).to_owned())));
    }

    #[test]
    fn what_should_be_refused_and_is_not_is_a_failure() {
        let accepted: Result<(), ()> = Ok(());
        assert!(std::panic::catch_unwind(|| refused(accepted)).is_err());
        assert_eq!(refused::<(), _>(Err(7)), 7);
    }
}
