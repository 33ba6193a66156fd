use std::future::poll_fn;

use alluvium_core::MaxParallelism;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(u64);

impl KeyedRecord for Number {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.0
    }
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Number> {
    range.map(Number).collect()
}

/// What each of three receivers gets, in batches.
fn routed<W: Clone>(mut route: impl Route<Number, W>, pushes: &[Vec<Number>]) -> Vec<Vec<W>> {
    let mut all = vec![Vec::new(); 3];
    for records in pushes {
        let mut batches = vec![Vec::new(); 3];
        route.route(records.clone(), &mut batches).unwrap();
        all.iter_mut().zip(batches).for_each(|(all, batch)| all.extend(batch));
    }
    all
}

#[test]
fn records_take_turns_over_batches_and_begin_where_the_sender_says() {
    let got = routed(InTurn::new(1, |n: Number| n.0), &[numbers(0..4), numbers(4..6)]);
    assert_eq!(got, [vec![2, 5], vec![0, 3], vec![1, 4]]);
    let got = routed(InTurn::new(7, |n: Number| n.0), &[numbers(0..1)]);
    assert_eq!(got, [vec![], vec![0], vec![]], "the sender has a higher number");
}

#[test]
fn a_broadcast_record_goes_to_all() {
    let route = ToAll { copy: Clone::clone, wrap: |n: Number| n.0 };
    assert_eq!(routed(route, &[numbers(0..3)]), vec![vec![0, 1, 2]; 3]);
}

#[test]
fn a_key_goes_to_the_owner_of_its_group_each_time() {
    let parallelism = Parallelism::new(3, MaxParallelism::new(128).unwrap()).unwrap();
    let route = ByKey::new(KeyGroupAssigner::Stable, parallelism, |it: Routed<Number>| it);
    let got = routed(route, &[numbers(0..100), numbers(0..100)]);
    assert_eq!(got.iter().map(Vec::len).sum::<usize>(), 200);
    for (subtask, got) in got.iter().enumerate() {
        assert!(
            got.iter()
                .all(|it| { usize::from(parallelism.owner_of(it.key_group).get()) == subtask })
        );
        let (first, second) = got.split_at(got.len() / 2);
        assert_eq!(first, second);
    }
}

#[tokio::test]
async fn a_signal_keeps_its_place_and_goes_to_all() {
    let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel(4)).unzip();
    let mut edge = Exchange::new(senders, InTurn::new(0, |n: Number| n.0));
    edge.push(numbers(0..1)).unwrap();
    edge.push_to_all(&Signal::Watermark(5));
    edge.push(numbers(1..2)).unwrap();
    poll_fn(|context| OutEdge::<Number>::poll_flush(&mut edge, context)).await.unwrap();
    drop(edge);
    let mut got = Vec::new();
    for receiver in &mut receivers {
        let mut elements = Vec::new();
        while let Some(element) = receiver.recv().await {
            elements.push(format!("{element:?}"));
        }
        got.push(elements.join(" "));
    }
    assert_eq!(got, ["Batch([0]) Watermark(5)", "Watermark(5) Batch([1])"]);
}
