//! How an event of the block is read when the block is read again.
//!
//! Invariants: what is the same id in one reading is the same id in each, and no id of a reading is one of
//! another, but for those that a block has from before its beginning.

use nexmark::event::Event;

/// Milliseconds of an epoch.
const EPOCH_MS: u64 = 5;
/// Auctions of an epoch; it has one person.
const AUCTIONS: u64 = 3;

/// Where an event stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) position: u64,
    /// How many epochs it comes after that of the block.
    pub(super) epochs: u64,
}

impl At {
    /// The id of a person.
    pub(crate) const fn person(self, id: usize) -> u64 {
        id as u64 + self.epochs
    }

    /// The id of an auction.
    pub(crate) const fn auction(self, id: usize) -> u64 {
        id as u64 + self.epochs * AUCTIONS
    }

    /// A time in milliseconds.
    pub(crate) const fn time_ms(self, time_ms: u64) -> u64 {
        time_ms + self.epochs * EPOCH_MS
    }
}

/// A copy of an event, as it stands in its stream.
pub(crate) fn moved(event: &Event, at: At) -> Event {
    let mut event = event.clone();
    // Numbers of the generator are as wide as its addresses; those of streams are far smaller.
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    match &mut event {
        Event::Person(person) => {
            person.id = number(at.person(person.id));
            person.date_time = at.time_ms(person.date_time);
        }
        Event::Auction(auction) => {
            auction.id = number(at.auction(auction.id));
            auction.seller = number(at.person(auction.seller));
            auction.date_time = at.time_ms(auction.date_time);
            auction.expires = at.time_ms(auction.expires);
        }
        Event::Bid(bid) => {
            bid.auction = number(at.auction(bid.auction));
            bid.bidder = number(at.person(bid.bidder));
            bid.date_time = at.time_ms(bid.date_time);
        }
    }
    event
}
