//! Fuzzes `alluvium_fuzz_targets::rest`, which lists what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| alluvium_fuzz_targets::rest::run(input));
