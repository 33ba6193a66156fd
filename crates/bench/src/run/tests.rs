use std::time::Duration;

use super::*;
use crate::options::{Options, Snapshots, Target};

/// Few keys, half a second of load, a checkpoint every 50 ms; into the memory of the process.
fn options(backend: BackendKind) -> Options {
    Options {
        backend,
        keys: 5_000,
        load: Duration::from_millis(500),
        interval: Duration::from_millis(50),
        target: Target::Uri(format!("memory:run-{backend}")),
        ..Options::quick()
    }
}

fn report(options: Options) -> Report {
    let mut phases = Vec::new();
    let report = checkpoint(&Plan::new(options).unwrap(), &mut |phase| phases.push(phase));
    assert_eq!(phases.first(), Some(&Phase::Fill));
    report.unwrap()
}

#[test]
fn every_backend_is_measured_and_comes_back_as_it_was() {
    use BackendKind::{Fs, FsNested, Heap, HeapNested};
    for backend in [Heap, HeapNested, Fs, FsNested] {
        let report = report(options(backend));
        assert!(!report.checkpoints.is_empty());
        assert_eq!(report.checked.updates_done, report.checked.updates_counted);
        for restored in [&report.restore, &report.rescale_out, &report.rescale_in] {
            let restored = restored.as_ref().unwrap();
            assert_eq!(restored.keys, 5_000);
            assert_eq!(restored.updates, report.checked.updates_done);
            assert_eq!(restored.digest, report.checked.digest);
        }
        let in_slices: u64 = report.timeline.iter().map(|slice| slice.updates).sum();
        assert_eq!(in_slices, report.checked.updates_done);
        let shared: u64 = report.checkpoints.iter().map(|it| it.shared_bytes).sum();
        let is_whole = matches!(backend, HeapNested | FsNested);
        assert_eq!(shared == 0, is_whole, "{backend} refers to {shared} bytes");
        assert!(!crate::table::table(&report).contains("NaN"));
        crate::plot::svg(&report).unwrap();
        report.to_json().unwrap();
    }
}

#[test]
fn fewer_changes_are_fewer_new_bytes() {
    let per_checkpoint = |change_rate| {
        let target = Target::Null;
        let report = report(Options { change_rate, target, ..options(BackendKind::Heap) });
        assert_eq!((report.restore.as_ref(), report.rescale_in.as_ref()), (None, None));
        let new: u64 = report.checkpoints.iter().map(|it| it.new_bytes).sum();
        new / report.checkpoints.len() as u64
    };
    let (few, all) = (per_checkpoint(0.01), per_checkpoint(1.0));
    assert!(few * 2 < all, "{few}, {all}");
}

#[test]
fn full_checkpoints_share_nothing() {
    let full = Options { snapshots: Snapshots::Full, ..options(BackendKind::Fs) };
    let report = report(full);
    assert!(report.checkpoints.iter().all(|it| it.shared_bytes == 0));
    let first = report.first.new_bytes;
    assert!(report.checkpoints.iter().all(|it| it.new_bytes >= first * 9 / 10));
}

#[test]
fn a_folder_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::Uri(dir.path().display().to_string());
    let report = report(Options { target, ..options(BackendKind::Fs) });
    assert!(report.limits.written_to_target);
    assert!(report.shares.first_checkpoint.of_write_sync.unwrap() > 0.0);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn memory_that_did_not_grow_is_absent() {
    assert_eq!(grown(Some(100), Some(90), 10), None);
    assert_eq!(grown(None, Some(90), 10), None);
    let grown = grown(Some(100), Some(150), 10).unwrap();
    assert!((grown.bytes_per_entry - 5.0).abs() < 1e-9);
}
