//! What is imported reads as before.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;

use crate::engine::test_kit::{
    Rows, column_options, compact, delete, engine, flush, import_files, imported, made, merge,
    mixed, put, rows,
};
use crate::engine::{Collected, Column, EngineError};

fn collected(column: &Column, links: &Path) -> Collected {
    let freeze = column.engine().freeze(&[column]).unwrap();
    freeze.collect(&made(links.to_owned()), |_| true).unwrap()
}

/// Writes puts, deletes and merges, with flushes between and a compaction now and then.
fn churn(column: &Column, model: &mut BTreeMap<Vec<u8>, Vec<u8>>, seed: u64) {
    for number in 0..20_000_u64 {
        let random = mixed(seed << 32 | number);
        let key = (random % 3000).to_be_bytes().to_vec();
        let value = random.to_be_bytes();
        match (random >> 32) % 5 {
            0 => {
                delete(column, &key);
                model.remove(&key);
            }
            1 | 2 => {
                merge(column, &key, &value[..2]);
                model.entry(key).or_default().extend_from_slice(&value[..2]);
            }
            _ => {
                put(column, &key, &value);
                model.insert(key, value.to_vec());
            }
        }
        match number {
            9_000 => compact(column),
            _ if number % 1500 == 0 => flush(column),
            _ => {}
        }
    }
}

fn of(model: &BTreeMap<Vec<u8>, Vec<u8>>) -> Rows {
    model.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[test]
fn puts_deletes_and_merges_of_several_levels_survive_a_chain_of_imports() {
    let dir = TempDir::new().unwrap();
    let engine = engine(&dir.path().join("db"));
    let mut column = Column::create(&engine, "state", &column_options(64 << 10)).unwrap();
    let mut model = BTreeMap::new();
    for round in 0..4 {
        churn(&column, &mut model, round);
        assert_eq!(rows(&column), of(&model));
        let links = dir.path().join(format!("links-{round}"));
        let collected = collected(&column, &links);
        let levels: Vec<_> = collected.columns[0].files.iter().map(|it| it.file.level).collect();
        assert!(levels.first() < levels.last(), "{levels:?}");
        assert!(levels.is_sorted());
        let columns = imported(&collected, &dir.path().join(format!("copy-{round}")));
        column = columns.into_iter().next().unwrap();
        assert_eq!(rows(&column), of(&model));
        // What is written now is newer than all that was imported.
        put(&column, b"0", b"newer");
        model.insert(b"0".to_vec(), b"newer".to_vec());
        if round % 2 == 0 {
            compact(&column);
        }
        assert_eq!(rows(&column), of(&model));
    }
}

#[test]
fn the_newer_of_two_files_in_level_0_wins_whatever_their_order() {
    for newest_first in [true, false] {
        let dir = TempDir::new().unwrap();
        let source = engine(&dir.path().join("db"));
        let mut options = column_options(1 << 20);
        options.set_disable_auto_compactions(true);
        let column = Column::create(&source, "state", &options).unwrap();
        for value in 0..5 {
            put(&column, b"key", &[value]);
            put(&column, &[value], b"x");
            flush(&column);
        }
        let collected = collected(&column, &dir.path().join("links"));
        let mut files = import_files(&collected.columns[0]);
        assert_eq!(files.iter().map(|file| file.level).collect::<Vec<_>>(), [0; 5]);
        if !newest_first {
            files.reverse();
        }
        let target = engine(&dir.path().join("copy"));
        let (copy, _) = Column::import(&target, "state", &column_options(1 << 20), &files).unwrap();
        assert_eq!(rows(&copy), rows(&column));
        compact(&copy);
        assert_eq!(rows(&copy), rows(&column));
    }
}

#[test]
fn new_numbers_are_those_of_the_files_in_the_new_engine() {
    let dir = TempDir::new().unwrap();
    let source = engine(&dir.path().join("db"));
    let column = Column::create(&source, "state", &column_options(1 << 20)).unwrap();
    churn(&column, &mut BTreeMap::new(), 1);
    let collected = collected(&column, &dir.path().join("links"));
    let files = import_files(&collected.columns[0]);
    let copy_path = dir.path().join("copy");
    let target = engine(&copy_path);
    let sizes: Vec<_> = files.iter().map(|file| file.size_bytes).collect();
    let contents: Vec<_> = files.iter().map(|it| std::fs::read(&it.path).unwrap()).collect();
    let hold = target.state.hold();
    let (copy, numbers) =
        Column::import(&target, "state", &column_options(1 << 20), &files).unwrap();
    for ((number, size), content) in numbers.iter().zip(sizes).zip(contents) {
        let path = copy_path.join(format!("{number:06}.sst"));
        assert_eq!(path.metadata().unwrap().len(), size);
        assert_eq!(std::fs::read(path).unwrap(), content);
    }
    // The first freeze of the copy refers to the same files.
    let mut again: Vec<_> = target
        .freeze(&[&copy])
        .unwrap()
        .collect(dir.path(), |_| false)
        .unwrap()
        .columns
        .remove(0)
        .files
        .iter()
        .map(|file| file.file.number)
        .collect();
    drop(hold);
    let mut numbers = numbers;
    numbers.sort_unstable();
    again.sort_unstable();
    assert_eq!(again, numbers);
}

#[test]
fn no_files_are_an_empty_column() {
    let dir = TempDir::new().unwrap();
    let target = engine(&dir.path().join("db"));
    let (column, numbers) =
        Column::import(&target, "state", &column_options(1 << 20), &[]).unwrap();
    assert_eq!((rows(&column), numbers), (vec![], vec![]));
}

#[test]
fn what_does_not_fit_the_metadata_is_refused_and_the_engine_goes_on() {
    let dir = TempDir::new().unwrap();
    let source = engine(&dir.path().join("db"));
    let mut options = column_options(1 << 20);
    options.set_disable_auto_compactions(true);
    let column = Column::create(&source, "state", &options).unwrap();
    for value in 0..2 {
        (0..100_u8).for_each(|key| put(&column, &[key], &[value]));
        flush(&column);
    }
    let target = engine(&dir.path().join("copy"));
    let mut round = 0;
    let mut error_of = |change: &dyn Fn(&mut crate::engine::ImportFile)| {
        round += 1;
        let links = dir.path().join(format!("links-{round}"));
        let mut files = import_files(&collected(&column, &links).columns[0]);
        files.iter_mut().for_each(change);
        Column::import(&target, "state", &options, &files).map(|_| ()).unwrap_err()
    };
    let error = error_of(&|file| file.size_bytes += 1);
    assert!(matches!(error, EngineError::Import { .. }), "{error}");
    // Two files that overlap cannot be in one level below 0.
    let error = error_of(&|file| file.level = 3);
    assert!(matches!(error, EngineError::RocksDb { .. }), "{error}");
    // RocksDB drops files of levels that it does not have, and says that all is well.
    let error = error_of(&|file| file.level = 99);
    assert!(matches!(error, EngineError::Import { .. }), "{error}");
    let error = error_of(&|file| file.path.set_extension("gone").then_some(()).unwrap());
    assert!(matches!(error, EngineError::File { .. }), "{error}");
    let error = error_of(&|file| {
        std::fs::remove_file(&file.path).unwrap();
        std::fs::write(&file.path, vec![b'x'; usize::try_from(file.size_bytes).unwrap()]).unwrap();
    });
    assert!(matches!(error, EngineError::RocksDb { .. }), "{error}");
    target.check().unwrap();
    let collected = collected(&column, &dir.path().join("links"));
    let files = import_files(&collected.columns[0]);
    let (copy, _) = Column::import(&target, "state", &options, &files).unwrap();
    assert_eq!(rows(&copy), rows(&column));
    put(&copy, b"key", b"value");
    assert!(target.freeze(&[&copy]).unwrap().collect(dir.path(), |_| false).is_ok());
}

/// RocksDB takes such a file and applies the deletion to whatever lies in its range.
#[test]
fn a_file_with_a_range_deletion_is_refused() {
    let dir = TempDir::new().unwrap();
    let source = engine(&dir.path().join("db"));
    let column = Column::create(&source, "state", &column_options(1 << 20)).unwrap();
    for key in 0..100_u8 {
        put(&column, &[key], b"value");
    }
    let options = crate::engine::write_options();
    source.db().delete_range_cf_opt(&&column, [10_u8], [20_u8], &options).unwrap();
    let files = import_files(&collected(&column, &dir.path().join("links")).columns[0]);
    let target = engine(&dir.path().join("copy"));
    let refused = Column::import(&target, "state", &column_options(1 << 20), &files).map(drop);
    let error = refused.unwrap_err();
    assert!(matches!(error, EngineError::Import { .. }), "{error}");
    assert!(error.to_string().contains("range deletions: 1"), "{error}");
    target.check().unwrap();
}
