use nexmark::event::{Auction, Bid, Event, Person};

use super::q3::LocalItem;
use super::q5::HotItem;
use super::q8::NewUser;
use super::q18::Placed;
use super::*;
use crate::nexmark::events::Events;
use crate::nexmark::job::run_in_memory;

/// The beginning of a window of all lengths, in milliseconds.
const T: u64 = 100_000;

fn person(id: usize, state: &str, date_time: u64) -> Person {
    Person {
        id,
        name: format!("name {id}"),
        email_address: String::new(),
        credit_card: String::new(),
        city: format!("city {id}"),
        state: state.to_owned(),
        date_time,
        extra: String::new(),
    }
}

fn auction(id: usize, seller: usize, category: usize, date_time: u64) -> Auction {
    Auction {
        id,
        item_name: String::new(),
        description: String::new(),
        initial_bid: 1,
        reserve: 2,
        date_time,
        expires: date_time + 1,
        seller,
        category,
        extra: String::new(),
    }
}

fn bid(bidder: usize, auction: usize, price: usize, date_time: u64) -> Bid {
    let (channel, url, extra) = ("channel".to_owned(), "url".to_owned(), String::new());
    Bid { auction, bidder, price, channel, url, date_time, extra }
}

/// What must come of some events, plainly and as a job.
#[track_caller]
fn check(query: Query, feed: &Feed, expected: &Totals) {
    plain(query, feed).check("plainly", expected).unwrap();
    for parallelism in [1, 3] {
        run_in_memory(query, feed, parallelism).check("as a job", expected).unwrap();
    }
}

#[test]
fn q0_is_what_came() {
    let all = vec![
        Event::Person(person(1, "or", T)),
        Event::Auction(auction(2, 1, 10, T)),
        Event::Bid(bid(3, 2, 500, T)),
        Event::Bid(bid(3, 2, 500, T)),
    ];
    let feed = Feed { all: Events::of(all.clone()), ..Feed::default() };
    check(Query::Q0, &feed, &Totals::of(all.clone()));
    let [first, .., last] = all.as_slice() else { panic!() };
    let fewer = Totals::of([first.clone(), last.clone()]);
    fewer.check("fewer", &plain(Query::Q0, &feed)).unwrap_err();
}

#[test]
fn q3_joins_items_of_a_category_with_sellers_of_three_states() {
    let persons = vec![
        person(1, "or", T),
        person(2, "az", T),
        person(3, "ca", T + 1),
        person(4, "id", T + 9),
    ];
    let auctions = vec![
        auction(10, 1, 10, T),
        auction(11, 1, 11, T),
        auction(12, 2, 10, T),
        auction(13, 3, 10, T),
        auction(14, 9, 10, T),
        auction(15, 1, 10, T + 1),
        // Before its seller is known.
        auction(16, 4, 10, T + 1),
    ];
    let item = |seller: u64, state: &str, auction: u64| {
        let (name, city) = (format!("name {seller}"), format!("city {seller}"));
        LocalItem { name, city, state: state.to_owned(), auction }
    };
    let expected =
        Totals::of([item(1, "or", 10), item(3, "ca", 13), item(1, "or", 15), item(4, "id", 16)]);
    let (persons, auctions) = (Events::of(persons), Events::of(auctions));
    check(Query::Q3, &Feed { persons, auctions, ..Feed::default() }, &expected);
}

#[test]
fn q5_has_all_auctions_with_the_most_bids_of_each_window() {
    let bids = vec![
        bid(1, 1, 5, T),
        bid(1, 1, 5, T + 1),
        bid(2, 2, 5, T + 1_999),
        bid(2, 2, 5, T + 2_000),
        // Alone, after a time without bids.
        bid(3, 7, 5, T + 60_000),
    ];
    let hot = |after_ms: u64, auction: u64, bids: u64| HotItem {
        window_end_ms: signed(T + after_ms),
        auction,
        bids,
    };
    let mut expected = vec![hot(2_000, 1, 2)];
    for after_ms in [4_000, 6_000, 8_000, 10_000] {
        expected.extend([hot(after_ms, 1, 2), hot(after_ms, 2, 2)]);
    }
    expected.push(hot(12_000, 2, 1));
    expected.extend([62_000, 64_000, 66_000, 68_000, 70_000].map(|after_ms| hot(after_ms, 7, 1)));
    let feed = Feed { bids: Events::of(bids), ..Feed::default() };
    check(Query::Q5, &feed, &Totals::of(expected));
}

#[test]
fn q8_has_each_person_once_who_sells_in_the_window_of_their_registration() {
    let persons = vec![
        person(3, "az", T),
        person(4, "az", T + 5_000),
        person(1, "az", T + 9_999),
        person(2, "az", T + 9_999),
        person(5, "az", T + 10_000),
    ];
    let auctions = vec![
        auction(10, 3, 1, T),
        auction(11, 4, 1, T + 1_000),
        auction(12, 9, 1, T + 2_000),
        auction(13, 3, 1, T + 3_000),
        auction(14, 1, 1, T + 9_999),
        auction(15, 5, 1, T + 9_999),
        // In the next window.
        auction(16, 2, 1, T + 10_000),
        auction(17, 3, 1, T + 10_000),
        auction(18, 5, 1, T + 19_999),
    ];
    let user = |id: u64, window: u64| NewUser {
        id,
        name: format!("name {id}"),
        window_start_ms: signed(window),
    };
    let expected = Totals::of([user(3, T), user(4, T), user(1, T), user(5, T + 10_000)]);
    let (persons, auctions) = (Events::of(persons), Events::of(auctions));
    check(Query::Q8, &Feed { persons, auctions, ..Feed::default() }, &expected);
}

#[test]
fn q18_keeps_the_last_bid_of_a_pair_and_of_equal_times_the_one_that_came_last() {
    let bids = vec![
        bid(1, 1, 100, T),
        bid(2, 1, 200, T),
        bid(1, 1, 300, T + 7),
        bid(1, 2, 400, T + 7),
        bid(1, 1, 500, T + 7),
        bid(1, 1, 500, T + 7),
    ];
    let feed = Feed { bids: Events::of(bids), ..Feed::default() };
    let placed = |position: u64| {
        let (bid, at) = feed.bids.get(position).unwrap();
        Placed::of(bid, at)
    };
    let expected = Totals::of([placed(1), placed(3), placed(5)]);
    check(Query::Q18, &feed, &expected);
    // Equal in all but the position.
    let earlier = Totals::of([placed(1), placed(3), placed(4)]);
    earlier.check("the earlier one", &expected).unwrap_err();
}

#[test]
fn windows_begin_at_multiples_of_their_length() {
    for (time_ms, start) in [(0, 0), (1_999, 0), (2_000, 2_000), (-1, -2_000)] {
        assert_eq!(start_of(time_ms, 2_000), start);
    }
}

#[test]
fn an_event_of_a_window_that_has_fired_is_an_error() {
    Now(None).check(10).unwrap();
    Now(Some(8)).check(10).unwrap();
    Now(Some(9)).check(10).unwrap_err();
}
