#![no_main]

use libfuzzer_sys::fuzz_target;
use opencode_config::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::config(data));
