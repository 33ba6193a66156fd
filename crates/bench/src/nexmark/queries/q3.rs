//! Q3, local item suggestion: who in Oregon, Idaho or California sells in category 10, and what.
//!
//! `persons, auctions -keyed-> join -forward-> results`
//!
//! An incremental join by the id of the person, without windows: a person is kept for ever, an auction
//! waits until its seller has come, and each pair is one result, whichever comes first. Ids of persons
//! come once.
//!
//! ```sql
//! SELECT P.name, P.city, P.state, A.id FROM auction A JOIN person P ON A.seller = P.id
//! WHERE A.category = 10 AND P.state IN ('or', 'id', 'ca')
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use alluvium::core::{IdError, KeyGroup};
use alluvium::runtime::{JobGraph, KeyedRecord, TaskError, TwoInputOperator};
use alluvium::state::{
    KeyedStateBackend, ListState, ListStateDescriptor, OperatorStateBackend, StateBackend,
    ValueState, ValueStateDescriptor,
};
use nexmark::event::{Auction, Person};

use super::{Shared, stage};
use crate::nexmark::events::{At, Events, Feed};
use crate::nexmark::sink::{self, Ending};
use crate::nexmark::source::{self, View};
use crate::nexmark::stopwatch::Stopwatch;
use crate::nexmark::totals::{Row, Totals, put_number, put_text};

/// The category of the items.
pub(super) const CATEGORY: usize = 10;
/// The states of the sellers, as the generator writes them.
pub(super) const STATES: [&str; 3] = ["or", "id", "ca"];

/// A person of one of the states.
#[derive(Debug)]
struct Seller {
    id: u64,
    name: String,
    city: String,
    state: String,
}

impl Seller {
    fn of(person: &Person, at: At) -> Option<Self> {
        STATES.contains(&person.state.as_str()).then(|| Self {
            id: at.person(person.id),
            name: person.name.clone(),
            city: person.city.clone(),
            state: person.state.clone(),
        })
    }
}

impl KeyedRecord for Seller {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.id
    }
}

/// An auction of the category.
#[derive(Debug)]
struct Item {
    id: u64,
    seller: u64,
}

impl Item {
    fn of(auction: &Auction, at: At) -> Option<Self> {
        let item = Self { id: at.auction(auction.id), seller: at.person(auction.seller) };
        (auction.category == CATEGORY).then_some(item)
    }
}

impl KeyedRecord for Item {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.seller
    }
}

/// A result.
#[derive(Debug)]
pub(super) struct LocalItem {
    pub(super) name: String,
    pub(super) city: String,
    pub(super) state: String,
    pub(super) auction: u64,
}

impl Row for LocalItem {
    fn encode(&self, out: &mut Vec<u8>) {
        for text in [&self.name, &self.city, &self.state] {
            put_text(text, out);
        }
        put_number(self.auction, out);
    }
}

/// Name, city and state of a person.
type Known = (String, String, String);

#[derive(Clone, Copy)]
struct Handles {
    sellers: ValueState<Known>,
    waiting: ListState<u64>,
}

struct Join {
    stopwatch: Arc<Stopwatch>,
    handles: Option<Handles>,
}

impl<B: KeyedStateBackend<Key = u64>> TwoInputOperator<B> for Join {
    type First = Seller;
    type Second = Item;
    type Output = LocalItem;
    type Result = Totals;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.handles = Some(Handles {
            sellers: keyed.value_state(ValueStateDescriptor::<Known>::new("sellers"))?,
            waiting: keyed.list_state(ListStateDescriptor::<u64>::new("waiting"))?,
        });
        Ok(())
    }

    fn process_first(
        &mut self,
        group: KeyGroup,
        Seller { id, name, city, state }: Seller,
        keyed: &mut B,
        output: &mut Vec<LocalItem>,
    ) -> Result<(), TaskError> {
        let Handles { sellers, waiting } = self.handles.ok_or("not open")?;
        let mut at = keyed.at_key_group(group, &id, &())?;
        let mut has_waited = false;
        for auction in waiting.elements(&at)? {
            let (name, city, state) = (name.clone(), city.clone(), state.clone());
            output.push(LocalItem { name, city, state, auction: *auction? });
            has_waited = true;
        }
        if has_waited {
            waiting.clear(&mut at)?;
        }
        Ok(sellers.set(&mut at, (name, city, state))?)
    }

    fn process_second(
        &mut self,
        group: KeyGroup,
        Item { id, seller }: Item,
        keyed: &mut B,
        output: &mut Vec<LocalItem>,
    ) -> Result<(), TaskError> {
        let Handles { sellers, waiting } = self.handles.ok_or("not open")?;
        let mut at = keyed.at_key_group(group, &seller, &())?;
        if let Some(known) = sellers.get(&at)? {
            let (name, city, state) = known.into_owned();
            output.push(LocalItem { name, city, state, auction: id });
            return Ok(());
        }
        Ok(waiting.add(&mut at, id)?)
    }

    fn end_of_input(&mut self, _: &mut B, _: &mut Vec<LocalItem>) -> Result<(), TaskError> {
        self.stopwatch.stop();
        Ok(())
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
    let view = View { time_ms: |person: &Person| person.date_time, record: Seller::of, part: 3 };
    let sellers = source::add(&mut graph, "persons", &feed.persons, view, shared)?;
    let view = View { time_ms: |auction: &Auction| auction.date_time, record: Item::of, part: 1 };
    let items = source::add(&mut graph, "auctions", &feed.auctions, view, shared)?;
    let stopwatch = Arc::clone(&shared.stopwatch);
    let joined = graph.two_input(stage("join")?, sellers.keyed(), items.keyed(), move |_| {
        Ok(Join { stopwatch: Arc::clone(&stopwatch), handles: None })
    });
    sink::add(&mut graph, joined.forward(), Ending::Before, shared)?;
    Ok(graph)
}

pub(super) fn plain(persons: &Events<Person>, auctions: &Events<Auction>) -> Totals {
    let sellers = persons.iter().filter_map(|(person, at)| Seller::of(person, at));
    let sellers: HashMap<u64, Seller> = sellers.map(|seller| (seller.id, seller)).collect();
    let items = auctions.iter().filter_map(|(auction, at)| Item::of(auction, at));
    let results = items.filter_map(|item| {
        let Seller { name, city, state, .. } = sellers.get(&item.seller)?;
        let (name, city, state) = (name.clone(), city.clone(), state.clone());
        Some(LocalItem { name, city, state, auction: item.id })
    });
    Totals::of(results)
}
