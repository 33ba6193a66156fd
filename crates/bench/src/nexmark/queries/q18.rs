//! Q18, find last bid: the last bid of each bidder on each auction.
//!
//! `bids -keyed-> last -forward-> results`
//!
//! The last one is that of the greatest time, and of those with the same time the one that the generator
//! emitted last. The operator sends on each bid that is the last one so far, as Flink's deduplication
//! does; how many those are depends on how the sources interleave, so nobody compares
//! them. The results that are checked are those of the state when the job is over: one for each pair.
//!
//! ```sql
//! SELECT auction, bidder, price, channel, url, dateTime, extra FROM (
//!   SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY dateTime DESC) AS rank_number
//!   FROM bid)
//! WHERE rank_number <= 1
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use alluvium::core::{IdError, KeyGroup};
use alluvium::runtime::{JobGraph, KeyedOperator, KeyedRecord, TaskError};
use alluvium::state::{
    KeyedStateBackend, OperatorStateBackend, StateBackend, ValueState, ValueStateDescriptor,
};
use nexmark::event::Bid;

use super::{Shared, stage};
use crate::nexmark::events::{At, Events, Feed};
use crate::nexmark::sink::{self, Ending};
use crate::nexmark::source::{self, View};
use crate::nexmark::stopwatch::Stopwatch;
use crate::nexmark::totals::{Row, Totals, put_number, put_text};

/// Bidder and auction.
type Pair = (u64, u64);

/// A bid without its pair: time, position, price, channel, url and extra.
type Rest = (u64, u64, u64, String, String, String);

/// A bid; also a result.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) pair: Pair,
    pub(super) rest: Rest,
}

impl Placed {
    pub(super) fn of(bid: &Bid, at: At) -> Self {
        let Bid { auction, bidder, price, channel, url, date_time, extra } = bid;
        let (channel, url, extra) = (channel.clone(), url.clone(), extra.clone());
        Self {
            pair: (at.person(*bidder), at.auction(*auction)),
            rest: (at.time_ms(*date_time), at.position, *price as u64, channel, url, extra),
        }
    }
}

impl KeyedRecord for Placed {
    type Key = Pair;

    fn key(&self) -> &Pair {
        &self.pair
    }
}

impl Row for Placed {
    fn encode(&self, out: &mut Vec<u8>) {
        let (time_ms, position, price, channel, url, extra) = &self.rest;
        let (bidder, auction) = &self.pair;
        for number in [bidder, auction, time_ms, position, price] {
            put_number(*number, out);
        }
        for text in [channel, url, extra] {
            put_text(text, out);
        }
    }
}

struct Last {
    stopwatch: Arc<Stopwatch>,
    last: Option<ValueState<Rest>>,
}

impl<B: KeyedStateBackend<Key = Pair>> KeyedOperator<B> for Last {
    type Input = Placed;
    type Output = Placed;
    type Result = Totals;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.last = Some(keyed.value_state(ValueStateDescriptor::<Rest>::new("last"))?);
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        bid: Placed,
        keyed: &mut B,
        output: &mut Vec<Placed>,
    ) -> Result<(), TaskError> {
        let last = self.last.ok_or("not open")?;
        let mut at = keyed.at_key_group(group, &bid.pair, &())?;
        let known = last.get(&at)?.map(|known| (known.0, known.1));
        if known < Some((bid.rest.0, bid.rest.1)) {
            last.set(&mut at, bid.rest.clone())?;
            drop(at);
            output.push(bid);
        }
        Ok(())
    }

    fn end_of_input(&mut self, _: &mut B, _: &mut Vec<Placed>) -> Result<(), TaskError> {
        self.stopwatch.stop();
        Ok(())
    }

    fn result(&mut self, keyed: &mut B) -> Result<Totals, TaskError> {
        let last = self.last.ok_or("not open")?;
        let (mut totals, mut buffer) = (Totals::default(), Vec::new());
        for group in keyed.key_groups().iter() {
            for pair in keyed.keys_in_group(last, &(), group)? {
                let at = keyed.at_key_group(group, &pair, &())?;
                let rest = last.get(&at)?.ok_or("a key without a bid")?.into_owned();
                totals.add(&Placed { pair, rest }, &mut buffer);
            }
        }
        Ok(totals)
    }
}

pub(super) fn graph<B: StateBackend>(
    feed: &Feed,
    shared: &Shared,
) -> Result<JobGraph<B, Totals>, IdError> {
    let mut graph = JobGraph::new();
    let view = View {
        time_ms: |bid: &Bid| bid.date_time,
        record: |bid, at| Some(Placed::of(bid, at)),
        part: 1,
    };
    let bids = source::add(&mut graph, "bids", &feed.bids, view, shared)?;
    let stopwatch = Arc::clone(&shared.stopwatch);
    let last = graph.keyed(stage("last")?, bids.keyed(), move |_| {
        Ok(Last { stopwatch: Arc::clone(&stopwatch), last: None })
    });
    sink::add(&mut graph, last.forward(), Ending::Before, shared)?;
    Ok(graph)
}

/// Keeps time and position of the last bid of each pair, and looks at the bids themselves in the end.
pub(super) fn plain(bids: &Events<Bid>) -> Totals {
    let mut last = HashMap::<Pair, (u64, u64)>::new();
    for (bid, at) in bids.iter() {
        let newest = (at.time_ms(bid.date_time), at.position);
        let known = last.entry((at.person(bid.bidder), at.auction(bid.auction))).or_insert(newest);
        *known = newest.max(*known);
    }
    let positions = last.into_values().map(|(_, position)| position);
    Totals::of(positions.filter_map(|position| {
        let (bid, at) = bids.get(position)?;
        Some(Placed::of(bid, at))
    }))
}
