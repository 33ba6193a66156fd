//! The suite and the random programs on the model backend with one deliberate mistake: each is
//! caught by the case that is named for it.
//!
//! Invariants: a mistake that no case notices is a hole in the suite.

use std::panic::{AssertUnwindSafe, catch_unwind};

use alluvium_testkit::backend::ModelStateBackend;
use alluvium_testkit::conformance::cases;
use alluvium_testkit::mistake::Mistake;
use alluvium_testkit::model::run_program;

/// Cases of tens of thousands of steps; they run only against mistakes that are theirs.
const LONG_CASES: [&str; 3] = [
    "snapshots::many_keys_grow_under_frozen_states",
    "snapshots::a_long_list_grows_under_a_frozen_state",
    "timers::many_timers_come_in_order",
];

/// Seeds of the programs that run against each mistake.
const PROGRAMS: u64 = 40;
/// Steps of each program.
const STEPS: usize = 300;

/// What programs do not catch: they use their backend as it is meant to be used, with the same
/// types all the time, on streams that nobody damages.
const NOT_IN_PROGRAMS: [Mistake; 21] = [
    Mistake::NothingExpires,
    Mistake::ReadsLeaveNothing,
    Mistake::ExpiredWritten,
    Mistake::ExpiredSortedEntriesWritten,
    Mistake::DroppedStateKept,
    Mistake::LongKeysAccepted,
    Mistake::AnyOrderAccepted,
    Mistake::ForeignKeyAccepted,
    Mistake::ForeignHandleAccepted,
    Mistake::OtherTypesAccepted,
    Mistake::AnyNameAccepted,
    Mistake::HandleOfNothing,
    Mistake::UnknownDomainAccepted,
    Mistake::MigratedWithTheNewCodec,
    Mistake::OldCodecWritten,
    Mistake::IncompatibleIsEmpty,
    Mistake::NamespaceCodecIgnored,
    Mistake::KindIgnored,
    Mistake::RefusalLosesState,
    Mistake::MissingFileIsEmpty,
    Mistake::DamageIsEmpty,
];

/// Whether something panics.
fn fails(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

/// Runs a check against every mistake, on two threads.
fn of_each_mistake(check: impl Fn(Mistake, ModelStateBackend) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for mistake in Mistake::ALL.iter().skip(half).step_by(2) {
                    check(*mistake, ModelStateBackend::with_mistake(*mistake));
                }
            });
        }
    });
}

#[test]
fn every_mistake_is_caught_by_its_case() {
    assert!(Mistake::ALL.len() >= 24);
    of_each_mistake(|mistake, backend| {
        let named = mistake.caught_by();
        let cases = cases();
        let cases = cases.iter().filter(|it| it.name == named || !LONG_CASES.contains(&it.name));
        let failed = cases.filter(|case| fails(|| case.run(&backend))).map(|case| case.name);
        let failed: Vec<_> = failed.collect();
        println!("{mistake:?}: {} cases fail: {}", failed.len(), failed.join(", "));
        assert!(failed.contains(&named), "{mistake:?}: {named} finds nothing");
    });
}

#[test]
fn random_programs_catch_what_they_can_meet() {
    of_each_mistake(|mistake, backend| {
        let caught = (0..PROGRAMS).find(|seed| fails(|| drop(run_program(&backend, *seed, STEPS))));
        println!("{mistake:?}: {caught:?}");
        let is_expected = !NOT_IN_PROGRAMS.contains(&mistake);
        assert_eq!(caught.is_some(), is_expected, "{mistake:?}, seed {caught:?}");
    });
}
