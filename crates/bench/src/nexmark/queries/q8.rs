//! Q8, monitor new users: who has opened an auction within the 10 s of their registration.
//!
//! `persons, auctions -keyed-> join -forward-> results`
//!
//! A join by the id of the person within windows of [`SIZE_MS`] that follow one another. A person is one
//! result of the window in which they registered, however many auctions they opened in it.
//!
//! ```sql
//! SELECT P.id, P.name, P.window_start FROM
//!   (SELECT id, name, window_start, window_end
//!    FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
//!    GROUP BY id, name, window_start, window_end) P
//! JOIN
//!   (SELECT seller, window_start, window_end
//!    FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
//!    GROUP BY seller, window_start, window_end) A
//! ON P.id = A.seller AND P.window_start = A.window_start AND P.window_end = A.window_end
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alluvium::core::{IdError, KeyGroup};
use alluvium::runtime::{JobGraph, KeyedRecord, TaskError, TwoInputOperator};
use alluvium::state::{
    KeyedStateBackend, OperatorStateBackend, Ref, StateBackend, TimeDomain, Timer, TimerDescriptor,
    Timers, ValueState, ValueStateDescriptor,
};
use nexmark::event::{Auction, Person};

use super::{Now, Shared, signed, stage, start_of};
use crate::nexmark::events::{At, Events, Feed};
use crate::nexmark::sink::{self, Ending};
use crate::nexmark::source::{self, View};
use crate::nexmark::stopwatch::Stopwatch;
use crate::nexmark::totals::{Row, Totals, put_number, put_text};

/// Length of a window.
pub(super) const SIZE_MS: i64 = 10_000;

/// Somebody has registered.
#[derive(Debug)]
struct Registered {
    id: u64,
    name: String,
    window: i64,
}

impl Registered {
    fn of(person: &Person, at: At) -> Self {
        let (id, name) = (at.person(person.id), person.name.clone());
        Self { id, name, window: window_of(at.time_ms(person.date_time)) }
    }
}

impl KeyedRecord for Registered {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.id
    }
}

/// Somebody has opened an auction.
#[derive(Debug)]
struct Opened {
    seller: u64,
    window: i64,
}

impl Opened {
    fn of(auction: &Auction, at: At) -> Self {
        let window = window_of(at.time_ms(auction.date_time));
        Self { seller: at.person(auction.seller), window }
    }
}

impl KeyedRecord for Opened {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.seller
    }
}

/// A result.
#[derive(Debug)]
pub(super) struct NewUser {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) window_start_ms: i64,
}

impl Row for NewUser {
    fn encode(&self, out: &mut Vec<u8>) {
        put_number(self.id, out);
        put_number(self.window_start_ms.cast_unsigned(), out);
        put_text(&self.name, out);
    }
}

/// The namespace is the beginning of the window.
#[derive(Clone, Copy)]
struct Handles {
    names: ValueState<String, i64>,
    is_seller: ValueState<bool, i64>,
    timers: Timers<i64>,
}

struct Join {
    stopwatch: Arc<Stopwatch>,
    handles: Option<Handles>,
    now: Now,
}

impl<B: KeyedStateBackend<Key = u64>> TwoInputOperator<B> for Join {
    type First = Registered;
    type Second = Opened;
    type Output = NewUser;
    type Result = Totals;
    type TimerNamespace = i64;

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let names = ValueStateDescriptor::<String>::new("names").namespaced();
        let is_seller = ValueStateDescriptor::<bool>::new("is-seller").namespaced();
        self.handles = Some(Handles {
            names: keyed.value_state(names)?,
            is_seller: keyed.value_state(is_seller)?,
            timers: keyed.timers(TimerDescriptor::new("timers").namespaced())?,
        });
        Ok(())
    }

    fn process_first(
        &mut self,
        group: KeyGroup,
        Registered { id, name, window }: Registered,
        keyed: &mut B,
        _: &mut Vec<NewUser>,
    ) -> Result<(), TaskError> {
        let Handles { names, timers, .. } = self.handles.ok_or("not open")?;
        self.now.check(window + SIZE_MS)?;
        let mut at = keyed.at_key_group(group, &id, &window)?;
        names.set(&mut at, name)?;
        timers.register(&mut at, TimeDomain::EventTime, window + SIZE_MS - 1)?;
        Ok(())
    }

    fn process_second(
        &mut self,
        group: KeyGroup,
        Opened { seller, window }: Opened,
        keyed: &mut B,
        _: &mut Vec<NewUser>,
    ) -> Result<(), TaskError> {
        let Handles { is_seller, timers, .. } = self.handles.ok_or("not open")?;
        self.now.check(window + SIZE_MS)?;
        let mut at = keyed.at_key_group(group, &seller, &window)?;
        if is_seller.get(&at)?.is_none() {
            is_seller.set(&mut at, true)?;
            timers.register(&mut at, TimeDomain::EventTime, window + SIZE_MS - 1)?;
        }
        Ok(())
    }

    fn timers(&self) -> Option<Timers<i64>> {
        self.handles.map(|handles| handles.timers)
    }

    fn on_timer(
        &mut self,
        _: TimeDomain,
        Timer { key_group, key: id, namespace: window, .. }: Timer<u64, i64>,
        keyed: &mut B,
        output: &mut Vec<NewUser>,
    ) -> Result<(), TaskError> {
        let Handles { names, is_seller, .. } = self.handles.ok_or("not open")?;
        let mut at = keyed.at_key_group(key_group, &id, &window)?;
        let has_opened = is_seller.get(&at)?.is_some();
        let name = names.get(&at)?.map(Ref::into_owned);
        if has_opened {
            is_seller.clear(&mut at)?;
        }
        if let Some(name) = name {
            names.clear(&mut at)?;
            if has_opened {
                output.push(NewUser { id, name, window_start_ms: window });
            }
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark_ms: i64) {
        self.now = Now(Some(watermark_ms));
    }

    fn end_of_input(&mut self, _: &mut B, _: &mut Vec<NewUser>) -> Result<(), TaskError> {
        self.stopwatch.stop();
        Ok(())
    }

    fn result(&mut self, _: &mut B) -> Result<Totals, TaskError> {
        Ok(Totals::default())
    }
}

fn window_of(time_ms: u64) -> i64 {
    start_of(signed(time_ms), SIZE_MS)
}

pub(super) fn graph<B: StateBackend>(
    feed: &Feed,
    shared: &Shared,
) -> Result<JobGraph<B, Totals>, IdError> {
    let mut graph = JobGraph::new();
    let view = View {
        time_ms: |person: &Person| person.date_time,
        record: |person, at| Some(Registered::of(person, at)),
        part: 3,
    };
    let persons = source::add(&mut graph, "persons", &feed.persons, view, shared)?;
    let view = View {
        time_ms: |auction: &Auction| auction.date_time,
        record: |auction, at| Some(Opened::of(auction, at)),
        part: 1,
    };
    let auctions = source::add(&mut graph, "auctions", &feed.auctions, view, shared)?;
    let stopwatch = Arc::clone(&shared.stopwatch);
    let joined = graph.two_input(stage("join")?, persons.keyed(), auctions.keyed(), move |_| {
        Ok(Join { stopwatch: Arc::clone(&stopwatch), handles: None, now: Now::default() })
    });
    sink::add(&mut graph, joined.forward(), Ending::Before, shared)?;
    Ok(graph)
}

/// Persons by id first, then each auction once.
pub(super) fn plain(persons: &Events<Person>, auctions: &Events<Auction>) -> Totals {
    let persons = persons.iter().map(|(person, at)| Registered::of(person, at));
    let persons: HashMap<u64, Registered> = persons.map(|it| (it.id, it)).collect();
    let mut found = HashSet::new();
    let results = auctions.iter().filter_map(|(auction, at)| {
        let Opened { seller, window } = Opened::of(auction, at);
        let person = persons.get(&seller).filter(|person| person.window == window)?;
        let name = &person.name;
        let is_new = found.insert(seller);
        is_new.then(|| NewUser { id: seller, name: name.clone(), window_start_ms: window })
    });
    Totals::of(results)
}
