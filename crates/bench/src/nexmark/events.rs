//! The events of a query: a block of them in memory, read over and over.
//!
//! Generating an event takes longer than passing it through a job, so a *block* is generated before the
//! first run. Whoever comes to its end reads it again, with ids and times moved on by its length: what the
//! generator draws for an event depends on the events right before it only, so the stream goes on as its
//! own does, and no event comes twice. The block begins where enough people and auctions are behind it.
//!
//! The generator is asked for the kinds that the query reads, and for nothing else: bids are 46 of 50
//! events, and a query that throws them away would measure how they are thrown away.
//!
//! Shape: 50 events are an *epoch*, of 1 person, 3 auctions and 46 bids, in 5 ms of event time. A stream has
//! positions from 0 on, of events of its kind. Times never go back: the generator is at its default, which
//! emits events in order. They are whole milliseconds, so many events have the same one.
//!
//! Units: event time is milliseconds since 1970-01-01 UTC.

mod moved;

use std::sync::Arc;

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Auction, Bid, Event, EventType, Person};

pub(crate) use self::moved::{At, moved};
use super::Query;

/// Time of the event before all: 2015-07-15 00:00 UTC. Source: Beam `NexmarkUtils.BASE_TIME`.
const BASE_TIME_MS: u64 = 1_436_918_400_000;
/// Epochs before a block: each brings a person, and the generator looks back at 1,000 of them.
const SKIPPED_EPOCHS: u64 = 2_000;
/// Epochs of a block of bids, or of all kinds: half a million events.
const DENSE_EPOCHS: u64 = 10_000;
/// Epochs of a block of persons and auctions: 400,000 events.
const SPARSE_EPOCHS: u64 = 100_000;

/// Events of one epoch, of each kind.
const PERSONS: u64 = 1;
const AUCTIONS: u64 = 3;
const BIDS: u64 = 46;

// Hot ids are those that a hundred divides.
const _: () = assert!(DENSE_EPOCHS.is_multiple_of(100) && SPARSE_EPOCHS.is_multiple_of(100));

/// Events of one kind, or of all kinds, in their order.
#[derive(Debug)]
pub(crate) struct Events<E> {
    block: Arc<Vec<E>>,
    /// Length of the block in epochs.
    epochs: u64,
    count: u64,
}

impl<E> Clone for Events<E> {
    fn clone(&self) -> Self {
        let Self { block, epochs, count } = self;
        Self { block: Arc::clone(block), epochs: *epochs, count: *count }
    }
}

impl<E> Default for Events<E> {
    fn default() -> Self {
        Self { block: Arc::default(), epochs: 0, count: 0 }
    }
}

impl<E> Events<E> {
    /// These and no more.
    #[cfg(test)]
    pub(crate) fn of(events: Vec<E>) -> Self {
        let count = events.len() as u64;
        Self { block: Arc::new(events), epochs: 0, count }
    }

    /// So many events, of which an epoch has some.
    fn generate(
        kind: Option<EventType>,
        (epochs, per_epoch): (u64, u64),
        count: u64,
        of: fn(Event) -> Option<E>,
    ) -> Self {
        let config = NexmarkConfig { base_time: BASE_TIME_MS, ..NexmarkConfig::default() };
        let generator = EventGenerator::new(config).with_offset(SKIPPED_EPOCHS * per_epoch);
        let generator = match kind {
            Some(kind) => generator.with_type_filter(kind),
            None => generator,
        };
        let len = usize::try_from(count.min(epochs * per_epoch)).unwrap_or(usize::MAX);
        let mut block = Vec::with_capacity(len);
        block.extend(generator.take(len).filter_map(of));
        Self { block: Arc::new(block), epochs, count }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> u64 {
        self.count
    }

    /// How many of them lie in memory.
    fn block_len(&self) -> u64 {
        self.block.len() as u64
    }

    /// The event at a position, as it lies in memory, and how it is to be read.
    pub(crate) fn get(&self, position: u64) -> Option<(&E, At)> {
        if position >= self.count {
            return None;
        }
        let lap = position.checked_div(self.block_len())?;
        let event = self.block.get(usize::try_from(position % self.block_len()).ok()?)?;
        Some((event, At { position, epochs: lap * self.epochs }))
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&E, At)> {
        let laps = (0_u64..).flat_map(|lap| self.block.iter().map(move |event| (lap, event)));
        let numbered = (0..self.count).zip(laps);
        numbered.map(|(position, (lap, event))| (event, At { position, epochs: lap * self.epochs }))
    }
}

/// What the sources of a query read; kinds that it does not read have none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Feed {
    pub(crate) all: Events<Event>,
    pub(crate) persons: Events<Person>,
    pub(crate) auctions: Events<Auction>,
    pub(crate) bids: Events<Bid>,
}

impl Feed {
    /// The first events for a query, so many in all. Of persons and auctions, a quarter are persons, as in
    /// the whole stream.
    pub(crate) fn generate(query: Query, count: u64) -> Self {
        match query {
            Query::Q0 => {
                let per_epoch = PERSONS + AUCTIONS + BIDS;
                let all = Events::generate(None, (DENSE_EPOCHS, per_epoch), count, Some);
                Self { all, ..Self::default() }
            }
            Query::Q3 | Query::Q8 => {
                let persons = count.div_ceil(4);
                let (one, three) = ((SPARSE_EPOCHS, PERSONS), (SPARSE_EPOCHS, AUCTIONS));
                let auctions = count - persons;
                Self {
                    persons: Events::generate(Some(EventType::Person), one, persons, person),
                    auctions: Events::generate(Some(EventType::Auction), three, auctions, auction),
                    ..Self::default()
                }
            }
            Query::Q5 | Query::Q18 => {
                let shape = (DENSE_EPOCHS, BIDS);
                let bids = Events::generate(Some(EventType::Bid), shape, count, bid);
                Self { bids, ..Self::default() }
            }
        }
    }

    /// How many events there are.
    pub(crate) const fn len(&self) -> u64 {
        let Self { all, persons, auctions, bids } = self;
        all.len() + persons.len() + auctions.len() + bids.len()
    }

    /// How many of them were generated.
    pub(crate) fn generated(&self) -> u64 {
        let Self { all, persons, auctions, bids } = self;
        all.block_len() + persons.block_len() + auctions.block_len() + bids.block_len()
    }
}

fn person(event: Event) -> Option<Person> {
    match event {
        Event::Person(person) => Some(person),
        Event::Auction(_) | Event::Bid(_) => None,
    }
}

fn auction(event: Event) -> Option<Auction> {
    match event {
        Event::Auction(auction) => Some(auction),
        Event::Person(_) | Event::Bid(_) => None,
    }
}

fn bid(event: Event) -> Option<Bid> {
    match event {
        Event::Bid(bid) => Some(bid),
        Event::Person(_) | Event::Auction(_) => None,
    }
}

#[cfg(test)]
mod tests;
