//! Every input of the committed corpus, run as the fuzzers run it. A crash that a fuzzer finds gets its
//! input in there.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "functions that the tests share are not tests to clippy"
)]

use std::path::{Path, PathBuf};

use alluvium_fuzz_targets::TARGETS;
use alluvium_testkit::random::Random;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// What is in a folder of the fuzzers, without extensions.
fn names_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(fuzz().join(folder)).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<String> = entries.map(|entry| stem(entry.unwrap().path())).collect();
    names.sort();
    names
}

#[test]
fn every_input_of_the_corpus_passes() {
    let mut names = Vec::new();
    for (name, run) in TARGETS {
        names.push(name.to_owned());
        let mut count = 0;
        for entry in std::fs::read_dir(fuzz().join("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| run(&input));
            assert!(outcome.is_ok(), "{} fails", path.display());
            count += 1;
        }
        assert!(count > 0, "{name} has a corpus");
    }
    assert_eq!(names_in("corpus"), names, "every corpus has a target");
    assert_eq!(names_in("fuzz_targets"), names, "every target has a fuzzer");
}

/// Neither nothing nor noise is a reason to panic.
#[test]
fn short_and_random_inputs_pass() {
    for (name, run) in TARGETS.iter().filter(|(name, _)| *name != "programs") {
        let mut random = Random::new(3);
        for len in (0..40).chain([1_000]) {
            let input: Vec<u8> =
                (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
            let outcome = std::panic::catch_unwind(|| run(&input));
            assert!(outcome.is_ok(), "{name} fails on {input:?}");
        }
    }
}

/// Inputs that claim much and hold little.
#[test]
fn repeated_bytes_pass() {
    for (name, run) in TARGETS.iter().filter(|(name, _)| *name != "programs") {
        for byte in [0_u8, 1, 0x7f, 0x80, 0xff] {
            for first in [0, 1] {
                let input = [&[first], [byte; 3_000].as_slice()].concat();
                let outcome = std::panic::catch_unwind(|| run(&input));
                assert!(outcome.is_ok(), "{name} fails on {byte:#04x} after {first}");
            }
        }
    }
}

/// Changed inputs that are run for each target; `ALLUVIUM_FUZZ_INPUTS` says how many.
const INPUTS: u64 = 500;

/// Some bytes of an input changed, put in, taken out, doubled or taken over from another input.
fn mutated(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let place = random.index(bytes.len() + 1);
        let end = (place + random.index(9)).min(bytes.len());
        let edge = *random.pick(&[0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff]);
        match random.below(7) {
            0 if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
            1 if place < bytes.len() => bytes[place] = edge,
            2 => bytes.insert(place, edge),
            3 => drop(bytes.drain(place..end)),
            4 => bytes.extend_from_within(place..end),
            5 => bytes.truncate(place),
            _ => {
                let from = random.index(other.len() + 1);
                let to = (from + random.index(33)).min(other.len());
                bytes.splice(place..end, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

/// A small fuzzer that every machine has: the same inputs in every run.
#[test]
fn inputs_that_are_a_little_different_pass() {
    let inputs = std::env::var("ALLUVIUM_FUZZ_INPUTS").map_or(INPUTS, |text| text.parse().unwrap());
    let mut random = Random::new(11);
    for (name, run) in TARGETS.iter().filter(|(name, _)| *name != "programs") {
        let mut paths: Vec<_> = std::fs::read_dir(fuzz().join("corpus").join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        let corpus: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        for _ in 0..inputs {
            let other = random.pick(&corpus).clone();
            let input = mutated(random.pick(&corpus).as_slice(), &other, &mut random);
            let outcome = std::panic::catch_unwind(|| run(&input));
            assert!(outcome.is_ok(), "{name} fails on {input:02x?}");
        }
    }
}
