#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use opencode_proto::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::batch_machine(data, Instant::now()));
