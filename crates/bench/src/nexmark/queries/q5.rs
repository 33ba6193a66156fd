//! Q5, hot items: the auctions with the most bids of the last 10 s, each 2 s.
//!
//! `bids -keyed-> counts -keyed-> hottest -forward-> results`
//!
//! Windows of [`SIZE_MS`] that begin each [`SLIDE_MS`]. `counts` keeps the number of bids of each auction
//! in *panes* of 2 s, and adds up the five panes of a window when it fires, so each bid is counted once and
//! not five times. `hottest` has the end of the window as its key, and keeps the greatest number and the
//! auctions that have it. Auctions with equal numbers are all results; windows without bids have none.
//!
//! ```sql
//! SELECT window_end, auction, num FROM (
//!   SELECT window_end, auction, count(*) AS num,
//!     max(count(*)) OVER (PARTITION BY window_end) AS most
//!   FROM TABLE(HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
//!   GROUP BY auction, window_start, window_end)
//! WHERE num = most
//! ```

mod hottest;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alluvium::core::{IdError, KeyGroup};
use alluvium::runtime::{JobGraph, KeyedOperator, KeyedRecord, TaskError};
use alluvium::state::{
    KeyedStateBackend, MapState, MapStateDescriptor, OperatorStateBackend, StateBackend,
    TimeDomain, Timer, TimerDescriptor, Timers,
};
use nexmark::event::Bid;

use self::hottest::Hottest;
use super::{Now, Shared, signed, stage, start_of};
use crate::nexmark::events::{At, Events, Feed};
use crate::nexmark::sink::{self, Ending};
use crate::nexmark::source::{self, View};
use crate::nexmark::totals::{Row, Totals, put_number};

/// Length of a window.
pub(super) const SIZE_MS: i64 = 10_000;
/// How far apart windows begin; a part of the length.
pub(super) const SLIDE_MS: i64 = 2_000;

const _: () = assert!(SIZE_MS % SLIDE_MS == 0, "a window is made of whole panes");

/// A bid, as far as it counts.
#[derive(Debug)]
struct Hit {
    auction: u64,
    time_ms: i64,
}

impl Hit {
    fn of(bid: &Bid, at: At) -> Self {
        Self { auction: at.auction(bid.auction), time_ms: signed(at.time_ms(bid.date_time)) }
    }
}

impl KeyedRecord for Hit {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.auction
    }
}

/// How many bids an auction has in a window.
#[derive(Debug)]
struct Count {
    window_end_ms: i64,
    auction: u64,
    bids: u64,
}

impl KeyedRecord for Count {
    type Key = i64;

    fn key(&self) -> &i64 {
        &self.window_end_ms
    }
}

/// A result.
#[derive(Debug)]
pub(super) struct HotItem {
    pub(super) window_end_ms: i64,
    pub(super) auction: u64,
    pub(super) bids: u64,
}

impl Row for HotItem {
    fn encode(&self, out: &mut Vec<u8>) {
        put_number(self.window_end_ms.cast_unsigned(), out);
        put_number(self.auction, out);
        put_number(self.bids, out);
    }
}

#[derive(Clone, Copy)]
struct Handles {
    /// Bids by the beginning of their pane.
    panes: MapState<i64, u64>,
    /// One for the next window that has a bid.
    timers: Timers,
}

#[derive(Default)]
struct Counts {
    handles: Option<Handles>,
    now: Now,
}

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Counts {
    type Input = Hit;
    type Output = Count;
    type Result = Totals;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.handles = Some(Handles {
            panes: keyed.map_state(MapStateDescriptor::<i64, u64>::new("panes"))?,
            timers: keyed.timers(TimerDescriptor::new("timers"))?,
        });
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Hit { auction, time_ms }: Hit,
        keyed: &mut B,
        _: &mut Vec<Count>,
    ) -> Result<(), TaskError> {
        let Handles { panes, timers } = self.handles.ok_or("not open")?;
        let pane = start_of(time_ms, SLIDE_MS);
        // The first window of the pane; the others follow from one to the next.
        let window_end_ms = pane + SLIDE_MS;
        self.now.check(window_end_ms)?;
        let mut at = keyed.at_key_group(group, &auction, &())?;
        let bids = panes.update(&mut at, pane, |bids| {
            *bids += 1;
            *bids
        })?;
        if bids == 1 {
            timers.register(&mut at, TimeDomain::EventTime, window_end_ms - 1)?;
        }
        Ok(())
    }

    fn timers(&self) -> Option<Timers> {
        self.handles.map(|handles| handles.timers)
    }

    fn on_timer(
        &mut self,
        _: TimeDomain,
        Timer { time_ms, key_group, key: auction, .. }: Timer<u64, ()>,
        keyed: &mut B,
        output: &mut Vec<Count>,
    ) -> Result<(), TaskError> {
        let Handles { panes, timers } = self.handles.ok_or("not open")?;
        let window_end_ms = time_ms + 1;
        let oldest = window_end_ms - SIZE_MS;
        let mut at = keyed.at_key_group(key_group, &auction, &())?;
        let (mut bids, mut is_followed, mut is_old) = (0, false, false);
        for entry in panes.entries(&at)? {
            let (pane, count) = entry?;
            // Panes behind the window may have bids already.
            if *pane < window_end_ms {
                bids += *count;
            }
            is_old |= *pane == oldest;
            is_followed |= *pane > oldest;
        }
        if is_old {
            panes.remove(&mut at, &oldest)?;
        }
        if is_followed {
            timers.register(&mut at, TimeDomain::EventTime, time_ms + SLIDE_MS)?;
        }
        if bids > 0 {
            output.push(Count { window_end_ms, auction, bids });
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark_ms: i64) {
        self.now = Now(Some(watermark_ms));
    }

    fn result(&mut self, _: &mut B) -> Result<Totals, TaskError> {
        Ok(Totals::default())
    }
}

pub(super) fn graph<B: StateBackend>(
    feed: &Feed,
    shared: &Shared,
) -> Result<JobGraph<B, Totals>, IdError> {
    let mut graph = JobGraph::new();
    let view = View {
        time_ms: |bid: &Bid| bid.date_time,
        record: |bid, at| Some(Hit::of(bid, at)),
        part: 1,
    };
    let hits = source::add(&mut graph, "bids", &feed.bids, view, shared)?;
    let counts = graph.keyed(stage("counts")?, hits.keyed(), |_| Ok(Counts::default()));
    let stopwatch = Arc::clone(&shared.stopwatch);
    let hottest = graph.keyed(stage("hottest")?, counts.keyed(), move |_| {
        Ok(Hottest::new(Arc::clone(&stopwatch)))
    });
    sink::add(&mut graph, hottest.forward(), Ending::Before, shared)?;
    Ok(graph)
}

/// Each bid is counted in each of its windows.
pub(super) fn plain(bids: &Events<Bid>) -> Totals {
    let mut windows = BTreeMap::<i64, HashMap<u64, u64>>::new();
    for (bid, at) in bids.iter() {
        let Hit { auction, time_ms } = Hit::of(bid, at);
        let pane = start_of(time_ms, SLIDE_MS);
        let mut window_end_ms = pane + SLIDE_MS;
        while window_end_ms <= pane + SIZE_MS {
            *windows.entry(window_end_ms).or_default().entry(auction).or_default() += 1;
            window_end_ms += SLIDE_MS;
        }
    }
    let results = windows.into_iter().flat_map(|(window_end_ms, counts)| {
        let most = counts.values().copied().max().unwrap_or_default();
        let hottest = counts.into_iter().filter(move |(_, bids)| *bids == most);
        hottest.map(move |(auction, bids)| HotItem { window_end_ms, auction, bids })
    });
    Totals::of(results)
}
