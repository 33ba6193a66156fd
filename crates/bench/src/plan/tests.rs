use std::time::Duration;

use super::*;
use crate::options::{BackendKind, Compression};

#[track_caller]
fn refused(change: impl FnOnce(&mut Options)) -> String {
    let mut options = Options::default();
    change(&mut options);
    Plan::new(options).unwrap_err().to_string()
}

#[test]
fn defaults_can_be_carried_out() {
    let plan = Plan::new(Options::default()).unwrap();
    assert_eq!(plan.keys_per_interval(), 100_000);
    assert_eq!(plan.parts().warm_up, Duration::from_secs(1));
    assert_eq!(plan.parts().before, Duration::from_secs(3));
    Plan::new(Options::quick()).unwrap();
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    assert!(refused(|it| it.keys = 999).starts_with("keys 999: 1000 to"));
    assert!(refused(|it| it.keys = 1_000_000_001).starts_with("keys 1000000001: "));
    assert!(refused(|it| it.value_len_bytes = 7).starts_with("value-size 7: 8 to"));
    assert!(refused(|it| it.value_len_bytes = (1 << 20) + 1).starts_with("value-size "));
    for rate in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
        assert!(refused(|it| it.change_rate = rate).starts_with("change-rate "), "{rate}");
    }
    for skew in [-0.1, 10.5, f64::NAN] {
        assert!(refused(|it| it.skew = skew).starts_with("skew "), "{skew}");
    }
    assert!(refused(|it| it.interval = Duration::ZERO).starts_with("interval 0ms: "));
    assert!(refused(|it| it.load = Duration::from_secs(100_000)).starts_with("duration "));
    let uri = Target::Uri("gopher://user:secret@host".to_owned());
    let refusal = refused(|it| it.target = uri);
    assert!(refusal.starts_with("storage: "), "{refusal}");
    assert!(!refusal.contains("secret"));
}

#[test]
fn a_load_without_room_for_a_checkpoint_is_refused() {
    // Seven tenths of ten seconds.
    assert_eq!(
        refused(|it| it.interval = Duration::from_millis(7_001)),
        "interval 7001ms: the 7000ms of the load that have checkpoints are shorter"
    );
    let exactly = Options { interval: Duration::from_secs(7), ..Options::default() };
    Plan::new(exactly).unwrap();
}

#[test]
fn a_compression_that_the_backend_does_not_have_is_refused() {
    for backend in [BackendKind::Heap, BackendKind::HeapNested, BackendKind::Fs] {
        for compression in [Compression::Lz4, Compression::Zstd] {
            let refusal = refused(|it| {
                it.backend = backend;
                it.compression = Some(compression);
            });
            assert!(refusal.starts_with(&format!("compression {compression}: ")), "{refusal}");
            assert!(refusal.contains(backend.as_str()), "{refusal}");
        }
    }
    let none = Options { compression: Some(Compression::None), ..Options::default() };
    Plan::new(none).unwrap();
}

#[test]
fn at_least_one_key_changes() {
    let rare = Options { keys: 1_000, change_rate: 1e-9, ..Options::default() };
    assert_eq!(Plan::new(rare).unwrap().keys_per_interval(), 1);
    let all = Options { keys: 1_000, change_rate: 1.0, ..Options::default() };
    assert_eq!(Plan::new(all).unwrap().keys_per_interval(), 1_000);
}
