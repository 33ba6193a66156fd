//! Opening, snapshots, errors in the background, closing.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use alluvium_state::ScanOrder;
use tempfile::TempDir;

use super::test_kit::{
    column_options, compact, delete, engine, engine_in_folder, flush, made, put, rows, until,
};
use super::{Column, Cursor, Engine, EngineError};
use crate::row_key::RowRange;

/// Runs something that must not hang.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    #[expect(clippy::disallowed_methods, reason = "a thread that may be left hanging")]
    let thread = std::thread::spawn(move || sender.send(work()));
    let result = receiver.recv_timeout(Duration::from_mins(1)).expect("it hangs");
    thread.join().unwrap().unwrap();
    result
}

#[test]
fn a_folder_with_a_database_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(engine(&dir.path().join("db")));
    let again = Engine::create(&dir.path().join("db"), &rocksdb::Options::default());
    let error = again.map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("RocksDB cannot open: "), "{error}");
}

#[test]
fn a_snapshot_is_read_within_bounds_in_another_thread_while_rows_change() {
    let dir = TempDir::new().unwrap();
    let engine = engine(&dir.path().join("db"));
    let column = Column::create(&engine, "state", &column_options(1 << 20)).unwrap();
    for key in 0..100_u8 {
        put(&column, &[key], &[1]);
    }
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.sequence_number(), 100);
    for key in 0..100_u8 {
        delete(&column, &[key]);
    }
    flush(&column);
    compact(&column);
    let job_column = column.clone();
    let read = in_time(move || {
        let column = job_column;
        let range = RowRange { first: vec![10], end: Some(vec![20]) };
        let mut cursor =
            Cursor::open(&column, Some(&snapshot), range, ScanOrder::Ascending).unwrap();
        let mut keys = Vec::new();
        while let Some((key, value)) = cursor.row().unwrap() {
            assert_eq!(value, [1]);
            keys.extend_from_slice(key);
            cursor.advance();
        }
        cursor.advance();
        assert_eq!(cursor.row().unwrap(), None);
        keys
    });
    assert_eq!(read, (10..20).collect::<Vec<u8>>());
    assert_eq!(rows(&column), []);
}

#[test]
fn rows_are_read_backwards_from_the_end_of_a_range() {
    let dir = TempDir::new().unwrap();
    let engine = engine(dir.path());
    let column = Column::create(&engine, "state", &column_options(1 << 20)).unwrap();
    for key in 0..200_u8 {
        put(&column, &[key], &[1]);
        if key == 100 {
            flush(&column);
        }
    }
    (40..60).for_each(|key| delete(&column, &[key]));
    let keys = |first: Vec<u8>, end: Option<Vec<u8>>, order| {
        let range = RowRange { first, end };
        let mut cursor = Cursor::open(&column, None, range, order).unwrap();
        let mut keys = Vec::new();
        while let Some((key, _)) = cursor.row().unwrap() {
            keys.extend_from_slice(key);
            cursor.advance();
        }
        cursor.advance();
        assert_eq!(cursor.row().unwrap(), None);
        keys
    };
    let ranges = [
        (vec![], None),
        (vec![30], Some(vec![70])),
        (vec![45], Some(vec![55])),
        (vec![59, 0], None),
        (vec![99], Some(vec![100, 0])),
    ];
    for (first, end) in ranges {
        let forwards = keys(first.clone(), end.clone(), ScanOrder::Ascending);
        let in_range = |key: &u8| {
            let is_before_end = end.as_ref().is_none_or(|end| [*key].as_slice() < end.as_slice());
            [*key].as_slice() >= first.as_slice() && is_before_end
        };
        let expected: Vec<u8> = (0..40).chain(60..200).filter(in_range).collect();
        assert_eq!(forwards, expected, "{first:?} {end:?}");
        let mut backwards = keys(first, end, ScanOrder::Descending);
        backwards.reverse();
        assert_eq!(backwards, expected);
    }
}

#[test]
fn a_snapshot_does_not_read_a_column_of_another_engine() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (engine(&dir.path().join("1")), engine(&dir.path().join("2")));
    let column = Column::create(&other, "state", &column_options(1 << 20)).unwrap();
    let snapshot = one.snapshot();
    assert!(
        Cursor::open(&column, Some(&snapshot), RowRange::default(), ScanOrder::Ascending).is_err()
    );
}

#[test]
fn the_last_of_engine_columns_and_snapshots_closes_it_and_then_the_folder_goes() {
    let dir = TempDir::new().unwrap();
    let engine = engine_in_folder(dir.path());
    let path = engine.dir().to_owned();
    let column = Column::create(&engine, "state", &column_options(1 << 20)).unwrap();
    put(&column, b"key", b"value");
    let snapshot = engine.snapshot();
    let freeze = engine.freeze(&[&column]).unwrap();
    drop(engine);
    let links = made(dir.path().join("links"));
    let collected = in_time(move || freeze.collect(&links, |_| true)).unwrap();
    drop(column);
    assert_eq!(collected.columns[0].files.len(), 1);
    assert!(path.exists());
    in_time(move || drop(snapshot));
    assert!(!path.exists());
    assert!(collected.columns[0].files[0].link.as_ref().unwrap().exists());
}

#[test]
fn an_engine_is_closed_while_a_compaction_waits_at_the_gate() {
    let dir = TempDir::new().unwrap();
    let engine = engine_in_folder(dir.path());
    let path = engine.dir().to_owned();
    let column = Column::create(&engine, "state", &column_options(1 << 20)).unwrap();
    let freeze = engine.freeze(&[&column]).unwrap();
    let hold = engine.state.hold();
    for round in 0..4 {
        for key in 0..100_u8 {
            put(&column, &[key], &[round]);
        }
        flush(&column);
    }
    until("a compaction waits", || engine.compactions_held_back() > 0);
    drop(column);
    let alive = Arc::downgrade(&engine);
    drop(engine);
    // The freeze is given up by another thread; the hold of this test stays, so only closing
    // itself can let the compaction go on.
    in_time(move || drop(freeze));
    assert!(alive.upgrade().is_none());
    assert!(!path.exists());
    drop(hold);
}

#[test]
fn an_error_in_the_background_poisons_the_engine() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("db");
    let engine = engine(&path);
    let column = Column::create(&engine, "state", &column_options(1 << 20)).unwrap();
    put(&column, b"key", b"value");
    assert!(engine.check().is_ok());
    std::fs::remove_dir_all(&path).unwrap();
    let freeze = engine.freeze(&[&column]);
    let links = made(dir.path().join("links"));
    let error = in_time(move || match freeze {
        Ok(freeze) => freeze.collect(&links, |_| true).map(|_| ()).unwrap_err(),
        Err(error) => (*error).clone(),
    });
    assert!(
        matches!(&error, EngineError::RocksDb { message, .. } if message.contains("No such file")),
        "{error}"
    );
    assert_eq!(*engine.check().unwrap_err(), error);
    assert_eq!(engine.freeze(&[&column]).map(|_| ()).map_err(|error| (*error).clone()), Err(error));
    assert!(engine.pre_flush(&[&column]).is_err());
    in_time(move || drop((column, engine)));
}

#[test]
fn a_freeze_of_one_engine_does_not_keep_another_one_from_compacting() {
    let dir = TempDir::new().unwrap();
    let frozen = engine(&dir.path().join("frozen"));
    let column = Column::create(&frozen, "state", &column_options(1 << 20)).unwrap();
    let hold = frozen.state.hold();
    for value in 0..4 {
        put(&column, b"key", &[value]);
        flush(&column);
    }
    until("a compaction waits", || frozen.compactions_held_back() > 0);
    let other = engine(&dir.path().join("other"));
    let free = Column::create(&other, "state", &column_options(1 << 20)).unwrap();
    in_time(move || {
        for value in 0..4 {
            put(&free, b"key", &[value]);
            flush(&free);
        }
        compact(&free);
        assert_eq!(rows(&free), [(b"key".to_vec(), vec![3])]);
    });
    drop(hold);
}
