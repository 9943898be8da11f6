//! Every setting of the requests of sessions, turns, runs and batches. A setting of a body is in the
//! request to the server, from async and from blocking programs; the others are decisions of this
//! library, each shown by a test of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use opencode_tokio::config::ToolSwitch;
use opencode_tokio::event::RawJson;
use opencode_tokio::turn::{
    CommandRequest, InitRequest, OutputFormat, PromptFile, PromptReply, ShellRequest, Subtask,
    SummarizeRequest, TurnPost,
};
use opencode_tokio::{AttachRequest, CreateSession, ModelRef, Permissions, Prompt, blocking};
use serde_json::json;
use testkit::server::{FakeServer, ServerReply, ServerScript};

/// Sent by a row of the table.
enum Sent {
    Session(CreateSession),
    Turn(TurnPost),
}

/// A setting, with a text that its request to the server has.
struct Row {
    /// Type and method, without `with_`.
    name: (&'static str, &'static str),
    sent: Sent,
    text: &'static str,
}

fn turn(
    of: &'static str,
    name: &'static str,
    post: impl Into<TurnPost>,
    text: &'static str,
) -> Row {
    Row { name: (of, name), sent: Sent::Turn(post.into()), text }
}

fn session(name: &'static str, create: CreateSession, text: &'static str) -> Row {
    Row { name: ("CreateSession", name), sent: Sent::Session(create), text }
}

fn model() -> ModelRef {
    ModelRef::new("scripted/setting-model").unwrap()
}

/// A model in the form of prompts, and in the form of commands.
const MODEL: &str = "\"modelID\":\"setting-model\"";

fn rows() -> Vec<Row> {
    let raw = |text: &str| RawJson::parse(text.to_owned()).unwrap();
    let prompt = || Prompt::from("Hello?");
    let command = || CommandRequest::new("setting-command");
    let file = || PromptFile::bytes("setting.txt", "text");
    let task = || Subtask::new("explore", "Find it.", "find");
    let format = OutputFormat::json_schema(raw(r#"{"title":"setting"}"#));
    let deny = Permissions::new().deny("setting-tool");
    let new = CreateSession::new;
    let relative = Prompt::from(PromptFile::path("a.txt")).with_files_in("/setting");
    vec![
        turn("Prompt", "agent", prompt().with_agent("setting"), "\"agent\":\"setting\""),
        turn("Prompt", "files_in", relative, "file:///setting/a.txt"),
        turn("Prompt", "format", prompt().with_format(format), "\"title\":\"setting\""),
        turn("Prompt", "model", prompt().with_model(model()), MODEL),
        turn("Prompt", "part", prompt().with_part("setting"), "\"text\":\"setting\""),
        turn("Prompt", "reply", prompt().with_reply(PromptReply::NoReply), "\"noReply\":true"),
        turn("Prompt", "system", prompt().with_system("setting"), "\"system\":\"setting\""),
        turn(
            "Prompt",
            "tool",
            prompt().with_tool("setting", ToolSwitch::Disabled),
            "\"setting\":false",
        ),
        turn("Prompt", "variant", prompt().with_variant("setting"), "\"variant\":\"setting\""),
        turn("PromptFile", "filename", file().with_filename("setting"), "\"setting\""),
        turn("PromptFile", "mime", file().with_mime("text/setting"), "text/setting"),
        turn("Subtask", "command", task().with_command("setting"), "\"command\":\"setting\""),
        turn("Subtask", "model", task().with_model(model()), MODEL),
        turn("CommandRequest", "agent", command().with_agent("setting"), "\"agent\":\"setting\""),
        turn("CommandRequest", "arguments", command().with_arguments("setting"), "\"setting\""),
        turn("CommandRequest", "file", command().with_file(file()), "setting.txt"),
        turn("CommandRequest", "model", command().with_model(model()), "scripted/setting-model"),
        turn("CommandRequest", "variant", command().with_variant("setting"), "\"setting\""),
        turn("InitRequest", "new", InitRequest::new(model()), MODEL),
        turn("ShellRequest", "new", ShellRequest::new("build", "echo setting"), "echo setting"),
        turn("SummarizeRequest", "new", SummarizeRequest::new(model()), MODEL),
        session("agent", new().with_agent("setting"), "\"agent\":\"setting\""),
        session("metadata", new().with_metadata(raw(r#"{"a":"setting"}"#)), "\"a\":\"setting\""),
        session("model", new().with_model(model()), "setting-model"),
        session("parent", new().with_parent("ses_setting"), "ses_setting"),
        session("permission", new().with_permission(deny), "setting-tool"),
        session("title", new().with_title("setting"), "\"title\":\"setting\""),
        session("variant", new().with_model(model()).with_variant("setting"), "\"setting\""),
    ]
}

/// A type and its file, with the methods, each with the test that shows it.
type Shown = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Settings that never leave this library.
const SHOWN: [Shown; 9] = [
    (
        "RunRequest",
        "opencode-client/src/run/request.rs",
        &[
            ("backend", "every_setting_arrives_or_is_refused_in_every_mode"),
            ("config", "every_setting_arrives_or_is_refused_in_every_mode"),
            ("deadlines", "the_overall_deadline_counts_from_the_start"),
            ("directory", "work_is_done_where_it_was_sent_whatever_the_name"),
            ("log", "logs_have_the_same_lines"),
            ("model", "every_setting_arrives_or_is_refused_in_every_mode"),
            ("retry", "every_retry_delay_doubles"),
            ("settings", "the_default_agent_is_accepted_in_place_of_a_subagent_on_request"),
        ],
    ),
    (
        "RunSettings",
        "opencode-proto/src/run/settings.rs",
        &[
            ("agent_fallback", "the_default_agent_is_accepted_in_place_of_a_subagent_on_request"),
            ("deadlines", "the_overall_deadline_counts_from_the_start"),
            ("drain_limit", "output_held_open_by_another_process_is_read_until_a_limit"),
            ("kill_grace", "kills_a_program_that_ignores_sigterm"),
            ("line_size_max", "a_line_over_the_limit_is_dropped_with_a_diagnostic"),
            ("linger_limit", "a_program_that_lingers_after_its_output_is_ended"),
            ("overflows_max", "a_conversation_that_overflows_again_and_again_is_ended"),
            ("raw_lines", "raw_lines_are_kept_only_when_asked_for"),
            ("repeated_calls_max", "the_same_call_with_the_same_result_ends_the_run"),
            ("required_mcp", "a_required_mcp_server_that_does_not_start_ends_the_run"),
            ("session", "a_session_that_is_known_beforehand_needs_no_step"),
            ("stderr_size_max", "stderr_of_any_size_is_read_and_its_tail_is_kept"),
            ("unfinished_max", "a_model_that_is_never_done_is_ended"),
        ],
    ),
    (
        "TurnRequest",
        "opencode-client/src/session/turn/request.rs",
        &[
            ("asks_in_stream", "a_token_is_replied_to_by_another_task"),
            ("deadlines", "a_silent_turn_is_aborted_at_its_idle_deadline"),
            ("log", "a_log_contains_the_events_of_the_server"),
            ("settings", "endless_overflows_end_the_turn"),
        ],
    ),
    (
        "TurnSettings",
        "opencode-proto/src/turn/settings.rs",
        &[
            ("abort_limit", "a_turn_that_is_dropped_and_never_arrives_needs_no_abort"),
            ("background", "a_turn_that_leaves_its_subagents_names_them"),
            ("deadlines", "a_silent_turn_is_aborted_at_its_idle_deadline"),
            ("held_size_max", "events_beyond_the_held_size_are_read_again"),
            ("left_asks", "subagents_without_a_handler_are_refused"),
            ("look_interval", "a_look_overtaken_by_events_is_repeated"),
            ("overflows_max", "endless_overflows_end_the_turn"),
            ("repeated_calls_max", "any_number_of_calls_is_allowed_on_request"),
            (
                "settle_delay",
                "a_session_that_was_told_to_be_idle_and_is_found_busy_is_looked_at_once_more",
            ),
            ("unfinished_max", "replies_that_are_no_answer_have_an_end_of_their_own"),
        ],
    ),
    (
        "BatchRequest",
        "opencode-client/src/batch/request.rs",
        &[
            ("budget", "a_spent_budget_prevents_further_starts"),
            ("concurrency", "the_concurrency_limit_holds"),
            ("config", "jobs_share_a_server_and_have_ordered_events_and_reports"),
            ("directory", "jobs_share_a_server_and_have_ordered_events_and_reports"),
            ("jobs", "a_key_a_schema_and_a_budget_count_when_a_batch_resumes"),
            ("results", "a_full_disk_stops_the_batch_and_keeps_the_report"),
            ("serve", "a_batch_reports_the_progress_of_its_servers"),
            ("servers", "jobs_use_free_servers_and_avoid_dead_ones"),
            ("settings", "a_server_above_the_memory_limit_is_replaced"),
            ("turns", "an_unusable_project_affects_only_its_jobs"),
        ],
    ),
    (
        "GivenServer",
        "opencode-client/src/batch/request.rs",
        &[("jobs_max", "given_servers_share_by_load_and_one_that_dies_is_left_out")],
    ),
    (
        "BatchSettings",
        "opencode-proto/src/batch/settings.rs",
        &[
            ("budget", "a_spent_budget_prevents_further_starts"),
            ("concurrency", "the_concurrency_limit_holds"),
            ("seed", "jitter_comes_from_the_seed"),
            ("server_jobs_max", "a_second_server_is_started_when_one_is_full"),
            ("server_memory_max", "a_server_above_the_memory_limit_is_replaced"),
            ("server_retry", "a_server_that_never_starts_takes_its_group_with_it_and_no_other"),
            (
                "servers_max",
                "groups_have_servers_of_their_own_and_take_turns_when_there_is_room_for_one_only",
            ),
            ("spent", "the_spend_of_earlier_batches_counts_for_the_budget"),
        ],
    ),
    (
        "BatchResults",
        "opencode-client/src/batch/results.rs",
        &[
            ("broken", "a_killed_batch_is_resumed"),
            ("budget_scope", "a_key_a_schema_and_a_budget_count_when_a_batch_resumes"),
            ("failed", "rules_hold_for_failed_and_broken_jobs_only"),
        ],
    ),
    (
        // The settings of a job have a table of their own, by field.
        "Job",
        "opencode-client/src/batch/job.rs",
        &[
            ("agent", "every_setting_of_a_job_is_honoured_or_refused"),
            ("answer", "every_setting_of_a_job_is_honoured_or_refused"),
            ("config", "every_setting_of_a_job_is_honoured_or_refused"),
            ("deadlines", "every_setting_of_a_job_is_honoured_or_refused"),
            ("directory", "every_setting_of_a_job_is_honoured_or_refused"),
            ("id", "every_setting_of_a_job_is_honoured_or_refused"),
            ("key", "every_setting_of_a_job_is_honoured_or_refused"),
            ("log", "every_setting_of_a_job_is_honoured_or_refused"),
            ("model", "every_setting_of_a_job_is_honoured_or_refused"),
            ("policy", "every_setting_of_a_job_is_honoured_or_refused"),
            ("retry", "every_setting_of_a_job_is_honoured_or_refused"),
            ("settings", "every_setting_of_a_job_is_honoured_or_refused"),
            ("title", "every_setting_of_a_job_is_honoured_or_refused"),
        ],
    ),
];

/// A server that refuses every turn.
fn server() -> FakeServer {
    let refused = || [ServerReply::error(400, json!({ "name": "Refused", "data": {} }))];
    let routes = ["prompt_async", "command", "init", "shell", "summarize"];
    let script = routes.into_iter().fold(ServerScript::new(), |script, route| {
        script.on("POST", &format!("/session/{{id}}/{route}"), refused())
    });
    FakeServer::start(script).unwrap()
}

/// Bodies of all requests that change something.
fn bodies(server: &FakeServer) -> String {
    let posts = server.requests_to("POST", "/session");
    posts.iter().map(|post| String::from_utf8_lossy(post.body()).into_owned() + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_of_a_body_is_sent() {
    let mut faults = Vec::new();
    for Row { name, sent, text } in rows() {
        let server = server();
        let attach = AttachRequest::new(server.url());
        let attached = opencode_tokio::opencode().attach(attach).await.unwrap();
        match sent {
            Sent::Session(create) => drop(attached.create_session(create).await.unwrap()),
            Sent::Turn(post) => {
                let session = attached.create_session(CreateSession::new()).await.unwrap();
                session.send(post).outcome().await.unwrap_err();
            }
        }
        if !bodies(&server).contains(text) {
            faults.push(format!("{name:?}: no {text} in {}", bodies(&server)));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_setting_of_a_body_is_sent_by_blocking_programs() {
    let opencode = blocking::opencode().unwrap();
    let mut faults = Vec::new();
    for Row { name, sent, text } in rows() {
        let server = server();
        let attached = opencode.attach(AttachRequest::new(server.url())).unwrap();
        match sent {
            Sent::Session(create) => drop(attached.create_session(create).unwrap()),
            Sent::Turn(post) => {
                let session = attached.create_session(CreateSession::new()).unwrap();
                session.send(post).outcome().unwrap_err();
            }
        }
        if !bodies(&server).contains(text) {
            faults.push(format!("{name:?}: no {text} in {}", bodies(&server)));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Methods of a type that begin with `with_`, without that.
fn setters(file: &str, of: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let mut names = BTreeSet::new();
    for (at, head) in text.match_indices(&format!("\nimpl {of} {{")) {
        let body = &text[at + head.len()..];
        let body = &body[..body.find("\n}\n").unwrap()];
        let found = body.split("pub fn with_").skip(1);
        names.extend(found.map(|rest| rest[..rest.find(['(', '<']).unwrap()].to_owned()));
    }
    names
}

#[test]
fn every_setting_of_a_request_has_a_row() {
    for (of, file) in [
        ("Prompt", "opencode-proto/src/api/prompt.rs"),
        ("PromptFile", "opencode-proto/src/api/prompt/file.rs"),
        ("Subtask", "opencode-proto/src/api/prompt/part.rs"),
        ("CommandRequest", "opencode-proto/src/api/turn/command.rs"),
        ("ShellRequest", "opencode-proto/src/api/turn/shell.rs"),
        ("InitRequest", "opencode-proto/src/api/turn/summarize.rs"),
        ("SummarizeRequest", "opencode-proto/src/api/turn/summarize.rs"),
        ("CreateSession", "opencode-proto/src/api/session/create.rs"),
    ] {
        let names = rows().into_iter().map(|row| row.name);
        let names = names.filter(|(row_of, name)| *row_of == of && *name != "new");
        let names: BTreeSet<_> = names.map(|(_, name)| name.to_owned()).collect();
        assert_eq!(names, setters(file, of), "{of}");
    }
    for (of, file, settings) in SHOWN {
        let names: BTreeSet<_> = settings.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names, setters(file, of), "{of}");
    }
}

#[test]
fn the_tests_that_show_a_setting_exist() {
    let mut texts = String::new();
    let crates = ["opencode-proto/src", "opencode-client/src", "opencode-tokio/tests"];
    let mut folders: Vec<_> = crates.map(|folder| root().join(folder)).into();
    folders.push(root().join("testkit/src/conformance"));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts += &fs::read_to_string(path).unwrap();
            }
        }
    }
    for (of, _, settings) in SHOWN {
        for (name, test) in settings {
            assert!(texts.contains(&format!("fn {test}(")), "{of}::with_{name}: {test}");
        }
    }
}
