#![no_main]

use libfuzzer_sys::fuzz_target;
use opencode_proto::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::sse(data));
