//! Every recording of a server's event stream plays right as turns: in any chunking, with the
//! replies to our requests coming at any time, and with parts of the stream missing.

// A test reads its recordings.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

#[path = "turns/player.rs"]
mod player;
#[path = "turns/served.rs"]
mod served;
#[path = "turns/server.rs"]
mod server;

use std::collections::BTreeSet;

use player::{Gaps, Play, play};
use proptest::prelude::*;

/// Recording, and how the turn of each of its prompts ends: kind of end, text, and all text when
/// that is more.
struct Row(&'static str, &'static [(&'static str, &'static str)], &'static str);

#[rustfmt::skip]
const TWENTY: &[(&str, &str)] = &[
    ("completed", "answer 0"), ("completed", "answer 1"), ("completed", "answer 2"), ("completed", "answer 3"),
    ("completed", "answer 4"), ("completed", "answer 5"), ("completed", "answer 6"), ("completed", "answer 7"),
    ("completed", "answer 8"), ("completed", "answer 9"), ("completed", "answer 10"), ("completed", "answer 11"),
    ("completed", "answer 12"), ("completed", "answer 13"), ("completed", "answer 14"), ("completed", "answer 15"),
    ("completed", "answer 16"), ("completed", "answer 17"), ("completed", "answer 18"), ("completed", "answer 19"),
];

/// Recordings in which nobody posts a prompt, and one that begins in the middle of a turn.
const WITHOUT_A_TURN: [&str; 5] =
    ["srv_crossdir_B", "srv_dirfilter_api", "srv_dispose", "srv_dispose_global", "srv_sse_late"];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("ev_text", &[("completed", "Hello Hello Hello Hello Hello "), ("completed", "Hello Hello Hello ")], ""),
    Row("srv_abort_during_retry", &[("aborted", "")], ""),
    Row("srv_abort_permission2", &[("aborted", "")], ""),
    Row("srv_abandoned", &[("completed", "The answer is 42.")], ""),
    Row("srv_abandoned_then_401", &[("agent_error", "")], ""),
    Row("srv_abandoned_tool", &[("completed", "After tool.")], "Whole.After tool."),
    Row("srv_abort_text", &[("aborted", "w w w w w w w ")], ""),
    Row("srv_abort_tool", &[("aborted", "")], ""),
    Row("srv_command", &[("completed", "hello cmd")], ""),
    Row("srv_crossdir_A", &[("completed", "a a a a a "), ("completed", "a a a a a ")], ""),
    Row("srv_dirfilter_A", &[("completed", "a a a a a ")], ""),
    Row("srv_err_401", &[("agent_error", "")], ""),
    Row("srv_err_429_retry", &[("completed", "ok now")], ""),
    Row("srv_err_unknown_agent", &[("agent_error", "")], ""),
    Row("srv_err_unknown_model", &[("agent_error", "")], ""),
    Row("srv_file_part", &[("completed", "ok")], ""),
    Row("srv_file_part_image", &[("completed", "ok")], ""),
    Row("srv_file_part_missing", &[("completed", "ok")], ""),
    Row("srv_json_schema", &[("completed", "")], ""),
    Row("srv_json_schema_badargs", &[("completed", "")], ""),
    Row("srv_kill_SIGKILL", &[("server_lost", "")], ""),
    Row("srv_kill_SIGTERM", &[("server_lost", "")], ""),
    Row("srv_perm_always_new", &[("completed", "after")], ""),
    Row("srv_perm_always_othersession", &[("completed", "after")], ""),
    Row("srv_perm_once_new", &[("completed", "after")], ""),
    Row("srv_perm_once_old", &[("completed", "after")], ""),
    Row("srv_perm_reject_new", &[("rejected", "")], ""),
    Row("srv_perm_reject_with_message", &[("completed", "after")], ""),
    Row("srv_perm_two_parallel", &[("rejected", "")], ""),
    Row("srv_perm_v2", &[("completed", "after")], ""),
    Row("srv_question_reject", &[("rejected", "")], ""),
    Row("srv_question_v2reply", &[("completed", "after")], ""),
    Row("srv_reasoning", &[("completed", "ans ans ans ans ")], ""),
    Row("srv_task", &[("completed", "parent done")], ""),
    Row("srv_tool", &[("completed", "Ran.")], "I run.Ran."),
    Row("srv_warm", &[("completed", "x")], ""),
    Row("srv_warm3", &[("completed", "x")], ""),
    Row("srv_20sessions_cold", TWENTY, ""),
    Row("srv_20sessions_warm", TWENTY, ""),
    Row("srv_command_unknown", &[("agent_error", "")], ""),
    Row("srv_dirfilter_B", &[("completed", "b b b b b ")], ""),
    Row("srv_dirfilter_none", &[("completed", "a a a a a ")], ""),
    Row("srv_kill_SIGHUP", &[("server_lost", "")], ""),
    Row("srv_kill_SIGINT", &[("server_lost", "")], ""),
    Row("srv_noreply", &[("completed", "")], ""),
    Row("srv_resume_after_kill", &[("completed", "resumed")], ""),
    Row("srv_shell", &[("completed", "")], ""),
];

#[test]
fn every_recording_has_a_row() {
    let recorded: BTreeSet<_> = server::recordings().into_iter().collect();
    let rows = ROWS.iter().map(|row| row.0).chain(WITHOUT_A_TURN);
    assert_eq!(recorded, rows.map(str::to_owned).collect());
}

#[test]
fn every_recording_plays_right() {
    let mut turns = 0;
    for Row(name, ends, all) in ROWS {
        for (index, expected) in ends.iter().enumerate() {
            let ended = play(name, index, &Play::plain());
            assert_eq!((ended.end, &*ended.text), *expected, "{name} {index}");
            assert_eq!(ended.streamed, streamed(expected.1, all), "{name} {index}: text by events");
            turns += 1;
        }
    }
    println!("{turns} turns");
    assert!(turns >= 80);
}

#[test]
fn a_turn_ends_in_one_look_or_none() {
    for Row(name, ends, _) in ROWS {
        for index in 0..ends.len() {
            let ended = play(name, index, &Play::plain());
            let looks_max = match ends[index].0 {
                // One error alone may be one of many things.
                _ if *name == "srv_command_unknown" => 30,
                "agent_error" => 6,
                _ => 1,
            };
            assert!(ended.looks <= looks_max, "{name} {index}: {} looks", ended.looks);
        }
    }
}

fn streamed<'a>(text: &'a str, all: &'a str) -> &'a str {
    if all.is_empty() { text } else { all }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Chunks of any size, replies at any time.
    #[test]
    fn any_order_of_replies_events_and_time_gives_the_same_end(
        row in 0..ROWS.len(), index in any::<usize>(), seed in any::<u64>(),
    ) {
        let Row(name, ends, all) = &ROWS[row];
        let (index, expected) = (index % ends.len(), ends[index % ends.len()]);
        let ended = play(name, index, &Play::random(seed, Gaps::None));
        prop_assert_eq!((ended.end, &*ended.text), expected, "{} {}", name, index);
        prop_assert_eq!(&*ended.streamed, streamed(expected.1, all), "{} {}: by events", name, index);
    }

    /// The same with stretches of the stream missing.
    #[test]
    fn what_a_gap_swallows_is_looked_up(
        row in 0..ROWS.len(), index in any::<usize>(), seed in any::<u64>(),
    ) {
        let Row(name, ends, all) = &ROWS[row];
        let (index, expected) = (index % ends.len(), ends[index % ends.len()]);
        let ended = play(name, index, &Play::random(seed, Gaps::Some));
        // An error that no message has is gone with its event.
        let is_lost = name.contains("unknown") && ended.end == "torn";
        if !is_lost {
            prop_assert_eq!((ended.end, &*ended.text), expected, "{} {}", name, index);
        }
        prop_assert_eq!(&*ended.streamed, streamed(expected.1, all), "{} {}: by events", name, index);
        prop_assert_eq!(&ended.twice, &Vec::<String>::new(), "{} {}: told twice", name, index);
    }
}
