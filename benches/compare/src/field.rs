//! Several contenders that do the same in turns.

use std::time::Duration;

use alluvium_benches::measure::{Samples, in_turns};
use alluvium_benches::report::Goal;

use crate::contender::Contender;
use crate::figures::Report;
use crate::rest::wait_until_all_rest;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Heap,
    Nested,
    RocksDb,
    Hashbrown,
    Imbl,
    RawRocksDb,
    Redb,
    Fjall,
}

impl Name {
    /// In figures.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::Nested => "nested",
            Self::RocksDb => "rocksdb",
            Self::Hashbrown => "hashbrown",
            Self::Imbl => "imbl",
            Self::RawRocksDb => "raw-rocksdb",
            Self::Redb => "redb",
            Self::Fjall => "fjall",
        }
    }

    /// The backend of this project that it is compared with.
    const fn beside(self) -> Option<Self> {
        match self {
            Self::Heap | Self::RocksDb => None,
            Self::Nested | Self::Hashbrown | Self::Imbl => Some(Self::Heap),
            Self::RawRocksDb | Self::Redb | Self::Fjall => Some(Self::RocksDb),
        }
    }
}

/// In what times are told in notes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) per_second: f64,
}

/// The contenders.
pub(crate) struct Field<C: ?Sized>(Vec<(Name, Box<C>)>);

impl<C: Contender + ?Sized> Field<C> {
    /// Waits until filling them has no consequences any more.
    pub(crate) fn new(contenders: Vec<(Name, Box<C>)>) -> Self {
        wait_until_all_rest();
        Self(contenders)
    }

    /// Lets each one take its turn in every round; `turn` gives the time that counts and a sum that
    /// must be the same for all contenders in one round. By contender, the seconds of the rounds.
    pub(crate) fn take_turns(
        &mut self,
        what: &str,
        rounds: usize,
        mut turn: impl FnMut(&mut C) -> (Duration, u64),
    ) -> Vec<Samples> {
        // Round, name and sum of the first one in a round.
        let mut first: Option<(usize, Name, u64)> = None;
        in_turns(rounds, self.0.len(), |at, round| {
            let (name, contender) = self.0.get_mut(at).expect("one of them");
            let (took, sum) = turn(contender);
            wait_until_all_rest();
            let (_, first_name, expected) = match first {
                Some(of_round @ (number, _, _)) if number == round => of_round,
                _ => (round, *name, sum),
            };
            first = Some((round, first_name, expected));
            assert_eq!(
                sum,
                expected,
                "{what}, round {round}: {} and {} differ",
                name.text(),
                first_name.text()
            );
            took.as_secs_f64()
        })
    }

    /// Compares something of all of them.
    pub(crate) fn agree(&mut self, what: &str, mut of: impl FnMut(&mut C) -> u64) {
        let sums: Vec<_> = self.0.iter_mut().map(|(name, it)| (name.text(), of(it))).collect();
        let is_same = sums.iter().all(|(_, sum)| sums.first().is_some_and(|it| it.1 == *sum));
        assert!(is_same, "{what}: {sums:?}");
    }

    /// Prints how many times faster than others the backends of this project are. The seconds are those
    /// of one operation.
    pub(crate) fn report(&self, report: &Report, what: &str, seconds: &[Samples], unit: Unit) {
        let samples_of = |of: Name| {
            let all = self.0.iter().zip(seconds);
            all.filter(|((name, _), _)| *name == of).map(|(_, samples)| samples).next()
        };
        for (name, _) in &self.0 {
            let Some(beside) = name.beside() else { continue };
            let figure = format!("{what}/{}", name.text());
            if let (Some(theirs), Some(ours), true) =
                (samples_of(*name), samples_of(beside), report.wants(&figure))
            {
                report.figure(&figure, &theirs.over(ours), Goal::NONE, "times");
                let [theirs, ours] =
                    [(*name, theirs), (beside, ours)].map(|(name, it)| time(name, it, unit));
                report.note(&format!("  {theirs}, {ours}"));
            }
        }
    }
}

fn time(name: Name, seconds: &Samples, unit: Unit) -> String {
    let [median, min, max] =
        [seconds.median(), seconds.min(), seconds.max()].map(|it| short(it * unit.per_second));
    format!("{} {median} {} ({min} to {max})", name.text(), unit.name)
}

/// No digits that say nothing.
fn short(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
