//! What is compared: a bare `hashbrown` table, the copy-on-write map, the backend.
//!
//! Invariants: all of them hash with the same hasher and hold the same entries; the loops over
//! accesses are compiled for each of them apart, so that none pays for being replaceable.

mod backend;
mod bare;
mod map;

pub(crate) use backend::Backend;
pub(crate) use bare::Bare;
pub(crate) use map::Map;

use crate::background::Job;
use crate::shapes::{Access, Act, Shape, access_to};

/// Something that holds entries of a shape.
pub(crate) trait Contender<S: Shape> {
    /// Name within a figure's; empty for what the figure is about.
    fn name(&self) -> &'static str;

    /// Reads each accessed entry.
    fn get(&mut self, accesses: &[Access<S>]) -> u64;

    /// Changes each accessed entry in place, making it first when it is not there.
    fn update(&mut self, accesses: &[Access<S>]);

    /// The same for many entries at a time, where that is another way.
    fn get_many(&mut self, accesses: &[Access<S>]) -> u64 {
        self.get(accesses)
    }

    /// The same after the entries were read, many at a time.
    fn update_many(&mut self, accesses: &[Access<S>]) {
        self.update(accesses);
    }

    /// Reads, changes or removes, as each access says.
    fn mix(&mut self, accesses: &[Access<S>]) -> u64;

    /// Freezes what is held and gives back the work of writing it to nowhere, for any thread;
    /// `None` where nothing can be frozen.
    fn snapshot(&mut self) -> Option<Job>;
}

/// What is done with a slice of accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Get,
    Update,
    Mix,
    GetMany,
    UpdateMany,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Update => "update",
            Self::Mix => "mix",
            Self::GetMany => "get-many",
            Self::UpdateMany => "update-many",
        }
    }

    pub(crate) fn run<S: Shape>(self, on: &mut dyn Contender<S>, accesses: &[Access<S>]) {
        match self {
            Self::Get => {
                std::hint::black_box(on.get(accesses));
            }
            Self::Update => on.update(accesses),
            Self::GetMany => {
                std::hint::black_box(on.get_many(accesses));
            }
            Self::UpdateMany => on.update_many(accesses),
            Self::Mix => {
                std::hint::black_box(on.mix(accesses));
            }
        }
    }
}

/// Fills a contender with the keys from 0 on, in pieces, so that no list of them all is needed.
pub(crate) fn fill<S: Shape>(contender: &mut dyn Contender<S>, count: u64) {
    const PIECE: u64 = 1_024;
    let mut next = 0;
    while next < count {
        let end = count.min(next + PIECE);
        let piece: Vec<Access<S>> =
            (next..end).map(|number| access_to(number, Act::Update)).collect();
        contender.update(&piece);
        next = end;
    }
}
