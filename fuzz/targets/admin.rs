//! The target `admin` as a program for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gust_fuzz::admin(data));
