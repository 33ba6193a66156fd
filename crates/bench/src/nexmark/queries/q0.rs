//! Q0, pass through: all events, as they are, over one operator without state.
//!
//! `events -forward-> pass -forward-> results`

use alluvium::core::IdError;
use alluvium::runtime::JobGraph;
use alluvium::state::StateBackend;
use nexmark::event::Event;

use super::{Shared, stage};
use crate::nexmark::events::{Events, Feed, moved};
use crate::nexmark::sink::{self, Ending};
use crate::nexmark::source::{self, View};
use crate::nexmark::totals::Totals;

pub(super) fn graph<B: StateBackend>(
    feed: &Feed,
    shared: &Shared,
) -> Result<JobGraph<B, Totals>, IdError> {
    let mut graph = JobGraph::new();
    let view = View {
        time_ms: Event::timestamp,
        record: |event: &Event, at| Some(moved(event, at)),
        part: 1,
    };
    let events = source::add(&mut graph, "events", &feed.all, view, shared)?;
    let passed = graph.flat_map(stage("pass")?, events.forward(), |_| {
        Ok(|event: Event, output: &mut Vec<Event>| {
            output.push(event);
            Ok(())
        })
    });
    sink::add(&mut graph, passed.forward(), Ending::Here, shared)?;
    Ok(graph)
}

pub(super) fn plain(events: &Events<Event>) -> Totals {
    Totals::of(events.iter().map(|(event, at)| moved(event, at)))
}
