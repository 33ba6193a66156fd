//! The second operator of Q5: of the numbers of bids of a window, the greatest.

use std::sync::Arc;

use alluvium::core::KeyGroup;
use alluvium::runtime::{KeyedOperator, TaskError};
use alluvium::state::{
    KeyedStateBackend, OperatorStateBackend, TimeDomain, Timer, TimerDescriptor, Timers,
    ValueState, ValueStateDescriptor,
};

use super::{Count, HotItem};
use crate::nexmark::queries::Now;
use crate::nexmark::stopwatch::Stopwatch;
use crate::nexmark::totals::Totals;

/// The greatest number of bids so far, and the auctions that have it.
type Most = (u64, Vec<u64>);

#[derive(Clone, Copy)]
struct Handles {
    most: ValueState<Most>,
    timers: Timers,
}

pub(super) struct Hottest {
    stopwatch: Arc<Stopwatch>,
    handles: Option<Handles>,
    now: Now,
}

impl Hottest {
    pub(super) fn new(stopwatch: Arc<Stopwatch>) -> Self {
        Self { stopwatch, handles: None, now: Now::default() }
    }
}

impl<B: KeyedStateBackend<Key = i64>> KeyedOperator<B> for Hottest {
    type Input = Count;
    type Output = HotItem;
    type Result = Totals;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.handles = Some(Handles {
            most: keyed.value_state(ValueStateDescriptor::<Most>::new("most"))?,
            timers: keyed.timers(TimerDescriptor::new("timers"))?,
        });
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Count { window_end_ms, auction, bids }: Count,
        keyed: &mut B,
        _: &mut Vec<HotItem>,
    ) -> Result<(), TaskError> {
        let Handles { most, timers } = self.handles.ok_or("not open")?;
        self.now.check(window_end_ms)?;
        let mut at = keyed.at_key_group(group, &window_end_ms, &())?;
        let known = most.get(&at)?.map(|most| most.0);
        if known.is_none() {
            timers.register(&mut at, TimeDomain::EventTime, window_end_ms - 1)?;
        }
        // Most numbers are smaller, and change nothing.
        if known > Some(bids) {
            return Ok(());
        }
        most.update(&mut at, |(most, auctions)| {
            if *most < bids {
                (*most, *auctions) = (bids, Vec::new());
            }
            auctions.push(auction);
        })?;
        Ok(())
    }

    fn timers(&self) -> Option<Timers> {
        self.handles.map(|handles| handles.timers)
    }

    fn on_timer(
        &mut self,
        _: TimeDomain,
        Timer { key_group, key: window_end_ms, .. }: Timer<i64, ()>,
        keyed: &mut B,
        output: &mut Vec<HotItem>,
    ) -> Result<(), TaskError> {
        let Handles { most, .. } = self.handles.ok_or("not open")?;
        let mut at = keyed.at_key_group(key_group, &window_end_ms, &())?;
        if let Some(most) = most.get(&at)? {
            let (bids, auctions) = &*most;
            let items = auctions.iter();
            output.extend(items.map(|auction| HotItem {
                window_end_ms,
                auction: *auction,
                bids: *bids,
            }));
        }
        Ok(most.clear(&mut at)?)
    }

    fn on_watermark(&mut self, watermark_ms: i64) {
        self.now = Now(Some(watermark_ms));
    }

    fn end_of_input(&mut self, _: &mut B, _: &mut Vec<HotItem>) -> Result<(), TaskError> {
        self.stopwatch.stop();
        Ok(())
    }

    fn result(&mut self, _: &mut B) -> Result<Totals, TaskError> {
        Ok(Totals::default())
    }
}
