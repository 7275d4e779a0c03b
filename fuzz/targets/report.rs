//! The target `report` as a program for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gust_fuzz::report(data));
