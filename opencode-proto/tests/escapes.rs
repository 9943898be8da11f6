//! Ways out of a policy, run through the judge.
//!
//! Each line of the corpus has a tool call, the permission requests that OpenCode 1.18.33 made of
//! it, a verdict and the reason why the line is there. `opencode-tokio` makes the same calls on the
//! real program. Verdicts: `allowed`, `refused`, and `blocked` for command lines about which
//! OpenCode asks nothing, and which the command gate does not run.
#![allow(clippy::disallowed_methods, reason = "a test needs an instant to start from")]
#![allow(clippy::disallowed_types, reason = "the corpus is JSON")]
#![allow(clippy::unwrap_used, reason = "a line that cannot be read fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use opencode_config::PermissionAction::{Allow, Deny};
use opencode_proto::api::{ListPermissions, Operation, ServerPaths};
use opencode_proto::fuzzing::command_words;
use opencode_proto::policy::{
    Confinement, FileFinding, FileQuestion, PolicyAction, PolicyJudge, PolicyScope, PolicySettings,
};
use opencode_proto::{ApiReply, PermissionReply};
use serde_json::{Value, json};

const PROJECT: &str = "/w/project";
const OUTSIDE: &str = "/w/outside";

/// Lines of one file of the corpus, with the names of this test.
fn corpus(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/escapes").join(name);
    let text = fs::read_to_string(path).unwrap();
    let text = text.replace("{pwn}", "/w/outside/pwn");
    let text = text.replace("{project}", PROJECT).replace("{outside}", OUTSIDE);
    let text = text.replace("{/project}", &PROJECT[1..]).replace("{/outside}", &OUTSIDE[1..]);
    let text = text.replace("{root}", "/w");
    let text = text.replace("{session}", "ses_root").replace("{other}", "ses_other");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A file system: what the names of a project lead to.
struct Files {
    links: BTreeMap<&'static str, &'static str>,
    files: Vec<&'static str>,
}

impl Files {
    fn new() -> Self {
        let links = [
            ("/dev/stdin", "/proc/self/fd/0"),
            ("/w/project/abs", "/w/outside"),
            ("/w/project/dangling", "../outside/new.txt"),
            ("/w/project/far", "../outside/deep"),
            ("/w/project/inner", "."),
            ("/w/project/l\u{85}x", "../outside/secret.txt"),
            ("/w/project/link", "../outside"),
            ("/w/project/loop", "loop"),
            ("/w/project/secret", "../outside/secret.txt"),
            ("/w/project/up", ".."),
        ];
        let files = vec![
            "/etc/hostname",
            "/etc/passwd",
            "/home/me/.bashrc",
            "/w/outside/deep/other.txt",
            "/w/outside/secret.txt",
            "/w/project/bare/HEAD",
            "/w/project/inside.txt",
            "/w/project/src/x",
        ];
        Self { links: links.into(), files }
    }

    fn answer(&self, question: &FileQuestion) -> Vec<FileFinding> {
        question.paths.iter().map(|path| self.find(path)).collect()
    }

    fn find(&self, path: &Path) -> FileFinding {
        let Some(real) = self.real(path) else { return FileFinding::unknown() };
        if self.files.iter().any(|file| Path::new(file).starts_with(&real)) {
            FileFinding::found(real)
        } else {
            FileFinding::absent(real)
        }
    }

    fn real(&self, path: &Path) -> Option<PathBuf> {
        let mut rest: Vec<PathBuf> = names(path);
        let (mut real, mut links) = (PathBuf::from("/"), 0);
        while let Some(name) = rest.pop() {
            if name == Path::new("..") {
                real.pop();
                continue;
            }
            let next = real.join(name);
            // Files of one process are unknown to another.
            if next.starts_with("/proc") || links > 40 {
                return None;
            }
            match self.links.get(next.to_str().unwrap()) {
                Some(target) => {
                    links += 1;
                    if target.starts_with('/') {
                        real = PathBuf::from("/");
                    }
                    rest.extend(names(Path::new(target)));
                }
                None => real = next,
            }
        }
        Some(real)
    }
}

/// The names of a path, the first one last.
fn names(path: &Path) -> Vec<PathBuf> {
    let names = path
        .components()
        .rev()
        .filter(|component| matches!(component, Component::Normal(_) | Component::ParentDir));
    names.map(|component| PathBuf::from(component.as_os_str())).collect()
}

/// The verdict of the judge about a line: of all its requests, until one is refused.
fn judge(settings: &PolicySettings, line: &Value) -> &'static str {
    let project = || Confinement::new([PROJECT.into()]);
    let mut paths = ServerPaths::new(PROJECT, "/");
    paths.home = Some("/home/me".to_owned());
    let mut scope = PolicyScope::new("ses_root", paths);
    if settings.reads().is_some() {
        scope = scope.with_reads(project());
    }
    if settings.writes().is_some() {
        scope = scope.with_writes(project());
    }
    let mut judge = PolicyJudge::new(settings.clone(), scope);
    let now = Instant::now();
    let asks = line["asks"].as_array().unwrap();
    for (number, ask) in asks.iter().enumerate() {
        let mut request = ask.clone();
        request["id"] = json!(format!("per_{number}"));
        request["sessionID"] = json!("ses_root");
        request["tool"] = json!({ "messageID": "msg_1", "callID": "call_1" });
        if line["tool"] == "bash" {
            request["metadata"] = json!({ "command": line["input"]["command"] });
        }
        let listed = http::Response::new(json!([request]).to_string().into());
        let ask = ListPermissions::new().decode(listed).unwrap().remove(0);
        judge.handle_ask(ask, now);
        let reply = loop {
            match judge.poll_action() {
                PolicyAction::Call(call) => {
                    let reply = serve(call.request.uri().path(), line);
                    judge.handle_reply(call.id, reply, now);
                }
                PolicyAction::LookAtFiles(question) => {
                    let found = Files::new().answer(&question);
                    judge.handle_files(question.id, &found, now);
                }
                PolicyAction::Decided(verdict) => break verdict.reply,
                PolicyAction::Confirm(_) => panic!("nothing is confirmed"),
                PolicyAction::Wait(_) => panic!("nothing is on its way: {line}"),
            }
        };
        if reply != PermissionReply::Once {
            return "refused";
        }
    }
    if asks.is_empty() { "blocked" } else { "allowed" }
}

fn serve(path: &str, line: &Value) -> ApiReply {
    let body = match path {
        "/permission" => json!([]),
        "/session/ses_root/message/msg_1" => json!({
            "info": { "id": "msg_1", "sessionID": "ses_root", "role": "assistant" },
            "parts": [{
                "id": "prt_1",
                "messageID": "msg_1",
                "sessionID": "ses_root",
                "type": "tool",
                "tool": line["tool"],
                "callID": "call_1",
                "state": { "status": "running", "input": line["input"], "time": { "start": 1 } },
            }],
        }),
        "/session/ses_root" | "/session/ses_other" => json!({ "id": path, "title": "" }),
        _ => {
            let body = json!({ "name": "NotFoundError", "data": { "message": "no session" } });
            let reply = http::Response::builder().status(404);
            return Ok(reply.body(body.to_string().into()).unwrap());
        }
    };
    Ok(http::Response::new(body.to_string().into()))
}

/// Runs a file of the corpus, and returns how many of its lines are escapes.
fn run(name: &str, settings: &PolicySettings) -> usize {
    let lines = corpus(name);
    let wrong: Vec<String> = lines
        .iter()
        .filter(|line| judge(settings, line) != line["verdict"])
        .map(|line| format!("{}: {}", judge(settings, line), line))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    lines.iter().filter(|line| line["verdict"] != "allowed").count()
}

#[test]
fn no_command_line_escapes_from_rules_for_some_commands() {
    let allowed = ["echo *", "ls *", "git *", "printf *", "test *", "grep *"];
    let settings = allowed
        .into_iter()
        .fold(PolicySettings::new(), |settings, command| settings.pattern("bash", command, Allow))
        .pattern("bash", "git push *", Deny);

    assert!(run("commands.jsonl", &settings) > 250);
}

#[test]
fn command_lines_that_opencode_does_not_ask_about_have_no_literal_words() {
    let blocked = corpus("commands.jsonl");
    let blocked = blocked.iter().filter(|line| line["verdict"] == "blocked");
    let lines: Vec<&str> = blocked.map(|line| line["input"]["command"].as_str().unwrap()).collect();
    assert!(lines.len() > 15);
    for line in lines {
        assert_eq!(command_words(line), None, "{line}");
    }
}

#[test]
fn no_file_escapes_from_directories() {
    let settings = PolicySettings::new().within(PROJECT).allow("*").deny("bash");
    assert!(run("files.jsonl", &settings) > 150);
}

#[test]
fn no_prompt_of_a_subagent_escapes_from_directories() {
    let settings = PolicySettings::new().within(PROJECT).allow("task").allow("read");
    assert!(run("subagents.jsonl", &settings) > 20);
}
