//! One thing at a time.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::engine::test_kit::{
    Rows, column_options, compact, engine, engine_with, flush, imported, made, put, rows, until,
};
use crate::engine::{Column, Engine, EngineError};

fn fill(column: &Column, value: u8) -> Rows {
    (0..100_u8).for_each(|key| put(column, &[key], &[value]));
    (0..100_u8).map(|key| (vec![key], vec![value])).collect()
}

fn one(dir: &TempDir) -> (Arc<Engine>, Column) {
    let engine = engine(&dir.path().join("db"));
    let column = Column::create(&engine, "state", &column_options(1 << 20)).unwrap();
    (engine, column)
}

#[test]
fn writes_after_a_freeze_are_not_in_it_and_freezes_are_collected_in_any_order() {
    let dir = TempDir::new().unwrap();
    let (engine, column) = one(&dir);
    let mut freezes = Vec::new();
    for value in 0..6 {
        let expected = fill(&column, value);
        freezes.push((engine.freeze(&[&column]).unwrap(), expected));
        fill(&column, 99);
    }
    freezes.reverse();
    freezes.rotate_left(2);
    for (number, (freeze, expected)) in freezes.into_iter().enumerate() {
        let links = made(dir.path().join(format!("links-{number}")));
        let collected = freeze.collect(&links, |_| true).unwrap();
        let columns = imported(&collected, &dir.path().join(format!("copy-{number}")));
        assert_eq!(rows(&columns[0]), expected);
    }
}

#[test]
fn nothing_written_is_no_file_and_only_wanted_files_are_linked() {
    let dir = TempDir::new().unwrap();
    let (engine, column) = one(&dir);
    let links = made(dir.path().join("links"));
    let empty = engine.freeze(&[&column]).unwrap();
    let empty_seqno = empty.frozen_seqno();
    let empty = empty.collect(&links, |_| true).unwrap();
    assert_eq!(empty.columns[0].files.len(), 0);
    fill(&column, 1);
    let all = engine.freeze(&[&column]).unwrap();
    let frozen_seqno = all.frozen_seqno();
    let all = all.collect(&links, |_| false).unwrap();
    assert_eq!(all.columns[0].files.len(), 1);
    assert_eq!(all.columns[0].files[0].link, None);
    let file = &all.columns[0].files[0].file;
    assert_eq!((file.entries, file.deletions, file.level), (100, 0, 0));
    assert_eq!((file.smallest_key.as_slice(), file.largest_key.as_slice()), (&[0][..], &[99][..]));
    assert!(file.largest_seqno <= frozen_seqno && file.smallest_seqno > empty_seqno);
    assert_eq!(std::fs::read_dir(&links).unwrap().count(), 0);
}

#[test]
fn a_column_dropped_after_the_freeze_is_still_collected_and_can_be_made_anew() {
    let dir = TempDir::new().unwrap();
    let (engine, column) = one(&dir);
    let expected = fill(&column, 7);
    let freeze = engine.freeze(&[&column]).unwrap();
    column.drop_family();
    let column = Column::create(&engine, "state", &column_options(1 << 20)).unwrap();
    fill(&column, 8);
    flush(&column);
    let links = made(dir.path().join("links"));
    let collected = freeze.collect(&links, |_| true).unwrap();
    assert_eq!(rows(&imported(&collected, &dir.path().join("copy"))[0]), expected);
    let left = engine.freeze(&[]).unwrap().collect(&links, |_| true).unwrap();
    assert!(left.columns.is_empty());
    let live = crate::engine::raw::live_files(engine.db()).unwrap();
    assert!(
        live.iter().all(|file| file.column == "default" || file.column == column.family_name())
    );
    assert!(engine.check().is_ok());
}

#[test]
fn a_freeze_that_is_given_up_lets_compactions_go_on() {
    let dir = TempDir::new().unwrap();
    let (engine, column) = one(&dir);
    fill(&column, 1);
    let freeze = engine.freeze(&[&column]).unwrap();
    for value in 2..6 {
        fill(&column, value);
        flush(&column);
    }
    until("a compaction waits", || engine.compactions_held_back() > 0);
    drop(freeze);
    compact(&column);
    assert_eq!(rows(&column), fill(&column, 5));
}

#[test]
fn a_pre_flush_leaves_less_to_the_freeze() {
    let dir = TempDir::new().unwrap();
    let (engine, column) = one(&dir);
    let mut expected = fill(&column, 1);
    engine.pre_flush(&[&column]).unwrap();
    put(&column, &[200], &[2]);
    expected.push((vec![200], vec![2]));
    let freeze = engine.freeze(&[&column]).unwrap();
    let links = made(dir.path().join("links"));
    let collected = freeze.collect(&links, |_| true).unwrap();
    let entries = |index: usize| collected.columns[0].files[index].file.entries;
    assert_eq!((entries(0), entries(1)), (1, 100));
    assert_eq!(rows(&imported(&collected, &dir.path().join("copy"))[0]), expected);
}

#[test]
fn newer_data_that_leaked_into_a_file_is_an_error() {
    let dir = TempDir::new().unwrap();
    let (engine, column) = one(&dir);
    engine.state.turn_gate_off();
    fill(&column, 1);
    let freeze = engine.freeze(&[&column]).unwrap();
    fill(&column, 2);
    flush(&column);
    compact(&column);
    let frozen = freeze.frozen_seqno();
    let error = freeze.collect(dir.path(), |_| true).unwrap_err();
    let EngineError::Leaked { path, frozen_seqno, smallest_seqno, largest_seqno } = &error else {
        panic!("{error}");
    };
    assert!(path.exists());
    assert_eq!(*frozen_seqno, frozen);
    assert!((*smallest_seqno..*largest_seqno).contains(&frozen), "{error}");
    assert!(error.to_string().contains("newer data leaked into `"), "{error}");
    // The engine goes on, and so do later freezes.
    assert!(engine.freeze(&[&column]).unwrap().collect(dir.path(), |_| true).is_ok());
}

#[test]
fn a_link_that_cannot_be_made_names_the_file() {
    let dir = TempDir::new().unwrap();
    let (engine, column) = one(&dir);
    fill(&column, 1);
    let nowhere = dir.path().join("nowhere");
    let error = engine.freeze(&[&column]).unwrap().collect(&nowhere, |_| true).unwrap_err();
    assert!(matches!(&error, EngineError::File { operation: "link", .. }), "{error}");
    assert!(error.to_string().contains(".sst`"), "{error}");
    assert!(engine.freeze(&[&column]).unwrap().collect(dir.path(), |_| true).is_ok());
}

/// 1. Two columns have so many files that writes are stopped; one compaction runs at a time.
/// 2. A freeze begins and waits with its marker.
/// 3. The first compaction ends, the second one begins: if the freeze held it back, both would wait
///    for ever.
#[test]
fn while_writes_are_stopped_a_pre_flush_is_left_out_and_a_freeze_waits() {
    let dir = TempDir::new().unwrap();
    let engine = engine_with(&dir.path().join("db"), |options| options.set_max_background_jobs(2));
    let mut options = column_options(1 << 20);
    options.set_level_zero_slowdown_writes_trigger(3);
    options.set_level_zero_stop_writes_trigger(3);
    let columns = ["a", "b"].map(|name| Column::create(&engine, name, &options).unwrap());
    let all: Vec<_> = columns.iter().collect();
    let hold = engine.state.hold();
    let files = || {
        let live = crate::engine::raw::live_files(engine.db()).unwrap();
        live.iter().filter(|file| file.column != "default").count()
    };
    for value in 0..3 {
        for column in &columns {
            fill(column, value);
        }
        // `flush` would wait for the compaction that is held.
        engine.pre_flush(&all).unwrap();
        until("there are two more files", || files() == 2 * (usize::from(value) + 1));
    }
    let stopped = || engine.db().property_int_value("rocksdb.is-write-stopped").unwrap();
    until("writes are stopped", || stopped() == Some(1));
    engine.pre_flush(&all).unwrap();
    let freeze = std::thread::scope(|scope| {
        let freezing = scope.spawn(|| engine.freeze(&all).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        assert!(!freezing.is_finished());
        drop(hold);
        freezing.join().unwrap()
    });
    let collected = freeze.collect(dir.path(), |_| true).unwrap();
    let copy = imported(&collected, &dir.path().join("copy"));
    assert_eq!(rows(&copy[0]), rows(&columns[0]));
}
