use super::*;

/// Events of the whole stream, from where blocks begin.
fn whole(events: usize) -> Vec<Event> {
    let config = NexmarkConfig { base_time: BASE_TIME_MS, ..NexmarkConfig::default() };
    EventGenerator::new(config).with_offset(SKIPPED_EPOCHS * 50).take(events).collect()
}

fn picked<E>(of: fn(Event) -> Option<E>, events: &[Event]) -> Vec<E> {
    events.iter().cloned().filter_map(of).collect()
}

#[test]
fn each_query_has_the_events_of_the_whole_stream_that_it_reads() {
    let whole = whole(5_000);
    let (persons, auctions, bids) =
        (picked(person, &whole), picked(auction, &whole), picked(bid, &whole));
    assert_eq!((persons.len(), auctions.len(), bids.len()), (100, 300, 4_600));
    let (q0, q3) = (Feed::generate(Query::Q0, 5_000), Feed::generate(Query::Q3, 400));
    assert_eq!(*q0.all.block, whole);
    assert_eq!((&*q3.persons.block, &*q3.auctions.block), (&persons, &auctions));
    let (q5, q18) = (Feed::generate(Query::Q5, 4_600), Feed::generate(Query::Q18, 4_600));
    assert_eq!((&*q5.bids.block, &*q18.bids.block), (&bids, &bids));
    for (feed, count) in [(q0, 5_000), (q3, 400), (q5, 4_600), (q18, 4_600)] {
        assert_eq!((feed.len(), feed.generated()), (count, count));
    }
    assert_eq!(Feed::generate(Query::Q8, 1_003).len(), 1_003);
}

#[test]
fn a_block_that_is_read_again_goes_on_with_new_ids_and_later_times() {
    let count = SPARSE_EPOCHS * 4 * 2 + 100;
    let feed = Feed::generate(Query::Q3, count);
    assert_eq!((feed.len(), feed.generated()), (count, SPARSE_EPOCHS * 4));
    let persons = feed.persons.iter().map(|(person, at)| at.person(person.id));
    assert!(persons.zip(1_000 + SKIPPED_EPOCHS..).all(|(id, expected)| id == expected));
    let auctions = feed.auctions.iter().map(|(auction, at)| at.auction(auction.id));
    assert!(auctions.zip(1_000 + SKIPPED_EPOCHS * 3..).all(|(id, expected)| id == expected));
    let times = |(auction, at): (&Auction, At)| at.time_ms(auction.date_time);
    assert!(feed.auctions.iter().map(times).is_sorted());
    let (first, last) = (feed.auctions.get(0), feed.auctions.get(feed.auctions.len() - 1));
    let [first, last] = [first, last].map(|it| times(it.unwrap()));
    // 2 * 100,000 epochs and 25 more.
    assert_eq!(last - first, (SPARSE_EPOCHS * 2 + 24) * 5);
}

#[test]
fn positions_and_the_order_say_the_same() {
    let block: Vec<u8> = vec![7, 8, 9];
    let events = Events { block: Arc::new(block), epochs: 100, count: 8 };
    let all: Vec<(u8, At)> = events.iter().map(|(event, at)| (*event, at)).collect();
    assert_eq!(all.len(), 8);
    for (position, found) in (0..).zip(&all) {
        let (event, at) = events.get(position).unwrap();
        assert_eq!((*event, at), *found);
    }
    assert_eq!(all[7], (8, At { position: 7, epochs: 200 }));
    assert!(events.get(8).is_none() && Events::<u8>::default().get(0).is_none());
}

#[test]
fn all_ids_and_times_of_an_event_are_moved() {
    let at = At { position: 0, epochs: 100 };
    for event in whole(50) {
        match (moved(&event, at), event) {
            (Event::Person(new), Event::Person(old)) => {
                assert_eq!((new.id, new.date_time), (old.id + 100, old.date_time + 500));
                assert_eq!(new.extra, old.extra);
            }
            (Event::Auction(new), Event::Auction(old)) => {
                assert_eq!((new.id, new.seller), (old.id + 300, old.seller + 100));
                let times = (old.date_time + 500, old.expires + 500);
                assert_eq!((new.date_time, new.expires), times);
            }
            (Event::Bid(new), Event::Bid(old)) => {
                assert_eq!((new.auction, new.bidder), (old.auction + 300, old.bidder + 100));
                assert_eq!((new.date_time, new.price), (old.date_time + 500, old.price));
            }
            (new, old) => panic!("{new:?} of {old:?}"),
        }
    }
}

#[test]
fn event_time_begins_at_a_constant_and_never_goes_back() {
    let feed = Feed::generate(Query::Q5, 1_000_000);
    assert_eq!(feed.generated(), 460_000);
    assert!(feed.bids.iter().map(|(bid, at)| at.time_ms(bid.date_time)).is_sorted());
    let (first, at) = feed.bids.get(0).unwrap();
    // The first bid is the fifth event of its epoch.
    let begin = BASE_TIME_MS + SKIPPED_EPOCHS * 5;
    assert!((begin..=begin + 1).contains(&at.time_ms(first.date_time)), "{first:?}");
}
