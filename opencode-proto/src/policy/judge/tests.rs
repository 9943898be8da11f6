//! Policies in virtual time.

mod orders;
mod replies;

use std::time::Duration;

use super::*;
use opencode_config::PermissionAction;

use crate::call::{CallFailure, Delivery};
use crate::policy::files::FileQuestion;
use crate::policy::fixture::{Links, ask, listed, quoted, reply, start, status};
use crate::policy::settings::{Confinement, Unruled};

/// A judge and a driver that does only what a test says.
struct Trial {
    judge: PolicyJudge,
    now: Instant,
    calls: Vec<(ApiCallId, String)>,
    questions: Vec<FileQuestion>,
    confirms: Vec<String>,
    verdicts: Vec<PolicyVerdict>,
}

impl Trial {
    fn new(settings: PolicySettings) -> Self {
        let project = || Confinement::new(["/w/p".into()]);
        let home = Some("/home/x".to_owned());
        let paths = ServerPaths { home, ..ServerPaths::new("/w/p", "/w") };
        let mut scope = PolicyScope::new("s", paths);
        scope.reads = settings.reads().map(|_| project());
        scope.writes = settings.writes().map(|_| project());
        Self {
            judge: PolicyJudge::new(settings, scope),
            now: start(),
            calls: Vec::new(),
            questions: Vec::new(),
            confirms: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    fn does(&mut self, input: impl FnOnce(&mut PolicyJudge, Instant)) {
        input(&mut self.judge, self.now);
        loop {
            match self.judge.poll_action() {
                PolicyAction::Call(call) => {
                    self.calls.push((call.id, call.request.uri().path().to_owned()));
                }
                PolicyAction::Confirm(ask) => self.confirms.push(ask.request.id.to_string()),
                PolicyAction::Decided(verdict) => self.verdicts.push(*verdict),
                PolicyAction::LookAtFiles(question) => self.questions.push(question),
                PolicyAction::Wait(_) => return,
            }
        }
    }

    /// A request of the session `s`, of a call with the same number.
    fn asks(&mut self, id: &str, permission: &str, pattern: &str, metadata: &str) {
        self.asks_in("s", id, permission, pattern, metadata, id);
    }

    fn asks_in(
        &mut self,
        session: &str,
        id: &str,
        permission: &str,
        pattern: &str,
        metadata: &str,
        call: &str,
    ) {
        let tool = format!(r#"{{"messageID":"m","callID":"{call}"}}"#);
        let always = [pattern];
        let entry = ask(id, session, permission, &[pattern], &always, metadata, &tool);
        let ask = listed(&entry).remove(0);
        self.does(|judge, now| judge.handle_ask(ask, now));
    }

    /// Answers the oldest call, which has to have this path.
    fn answers(&mut self, path: &str, reply: ApiReply) {
        assert!(!self.calls.is_empty(), "no call is open");
        let (id, found) = self.calls.remove(0);
        assert_eq!(found, path);
        self.does(|judge, now| judge.handle_reply(id, reply, now));
    }

    /// Answers with a message whose calls are in these states, by call.
    fn answers_message(&mut self, session: &str, states: &[(&str, &str)]) {
        self.answers(&format!("/session/{session}/message/m"), reply(message(states)));
    }

    /// Answers a listing of permissions with these requests, by id and session.
    fn lists(&mut self, requests: &[(&str, &str)]) {
        let entry = |(id, session): &(&str, &str)| ask(id, session, "x", &[], &[], "{}", "null");
        let entries: Vec<String> = requests.iter().map(entry).collect();
        self.answers("/permission", reply(format!("[{}]", entries.join(","))));
    }

    /// Answers the oldest question about files.
    fn finds(&mut self, links: &Links) {
        assert!(!self.questions.is_empty(), "no question is open");
        let question = self.questions.remove(0);
        let answer = links.answer(&question);
        self.does(|judge, now| judge.handle_files(question.id, &answer, now));
    }

    fn confirms(&mut self, id: &str, reply: PermissionReply) {
        assert!(self.confirms.iter().any(|confirm| confirm == id), "{:?}", self.confirms);
        self.does(|judge, now| judge.handle_confirm(&id.into(), reply, now));
    }

    fn withdraws(&mut self, id: &str) {
        self.does(|judge, now| judge.handle_withdrawn(&id.into(), now));
    }

    /// Waits until the judge wants to be woken, and returns how long that is.
    fn waits(&mut self) -> Duration {
        let PolicyAction::Wait(Some(at)) = self.judge.poll_action() else {
            panic!("a time to wake up at");
        };
        let waited = at - self.now;
        self.now = at;
        self.does(PolicyJudge::handle_timeout);
        waited
    }

    /// The verdicts since the last time, as `id reply: reason`.
    fn verdicts(&mut self) -> Vec<String> {
        let text = |verdict: PolicyVerdict| {
            let PolicyVerdict { request, reply, reason, .. } = verdict;
            format!("{} {}: {reason}", request.id, reply.as_str())
        };
        self.verdicts.drain(..).map(text).collect()
    }

    /// Lets a refusal through that nothing stands against.
    fn refuses(&mut self, id: &str) -> Vec<String> {
        self.lists(&[(id, "s")]);
        self.verdicts()
    }
}

fn message(states: &[(&str, &str)]) -> String {
    let part = |(call, state): &(&str, &str)| {
        format!(
            r#"{{"id":"p","messageID":"m","sessionID":"s","type":"tool","tool":"read",
                "callID":"{call}","state":{state}}}"#
        )
    };
    let parts: Vec<String> = states.iter().map(part).collect();
    let info = r#"{"id":"m","sessionID":"s","role":"assistant"}"#;
    format!(r#"{{"info":{info},"parts":[{}]}}"#, parts.join(","))
}

fn running(input: &str) -> String {
    format!(r#"{{"status":"running","input":{input},"time":{{"start":1}}}}"#)
}

const PENDING: &str = r#"{"status":"pending","input":{}}"#;
const NONE: [&str; 0] = [];

fn within() -> PolicySettings {
    PolicySettings::new().within("/w/p").allow("read").allow("edit").allow("task")
}

#[test]
fn rules_decide_without_a_call() {
    let mut trial = Trial::new(PolicySettings::new().allow("webfetch").deny("edit"));
    trial.asks("a", "webfetch", "https://example.org", "{}");
    assert_eq!(trial.verdicts(), ["a once: decided by a rule"]);
    assert_eq!((trial.calls.len(), trial.questions.len()), (0, 0));
    trial.asks("b", "edit", "x", "{}");
    assert_eq!(trial.refuses("b"), ["b reject: decided by a rule"]);
}

#[test]
fn a_refusal_carries_its_reason_to_the_model() {
    let mut trial = Trial::new(PolicySettings::new());
    trial.asks("a", "bash", "ls", "{}");
    trial.lists(&[("a", "s")]);
    let verdict = trial.verdicts.remove(0);
    assert_eq!(verdict.reason, PolicyReason::NoConfirm);
    let message = "Refused by the policy of this session: a confirmation is required and not \
                   available.";
    assert_eq!(verdict.reply, PermissionReply::reject_with(message));
    assert_eq!((verdict.session.as_str(), &*verdict.request.permission), ("s", "bash"));
}

#[test]
fn a_read_waits_for_its_arguments_and_for_the_files() {
    let mut trial = Trial::new(within());
    trial.asks("a", "read", "p/x", "{}");
    trial.answers_message("s", &[("a", PENDING)]);
    assert_eq!(trial.waits(), Duration::from_millis(20));
    trial.answers_message("s", &[]);
    assert_eq!(trial.waits(), Duration::from_millis(40));
    trial.answers_message("s", &[("a", &running(r#"{"filePath":"x"}"#))]);
    assert_eq!(trial.questions[0].paths, [std::path::Path::new("/w/p/x")]);
    trial.finds(&Links::default());
    assert_eq!(trial.verdicts(), ["a once: decided by a rule"]);
    assert!(matches!(trial.judge.poll_action(), PolicyAction::Wait(None)));
}

#[test]
fn a_command_line_that_is_not_in_the_request_is_read_from_the_call() {
    let echo = || PolicySettings::new().pattern("bash", "echo *", PermissionAction::Allow);
    let command = |line: &str| running(&format!(r#"{{"command":"{line}"}}"#));
    let mut trial = Trial::new(echo());
    trial.asks("a", "bash", "echo one", "{}");
    trial.answers_message("s", &[("a", &command("echo one"))]);
    let verdict = &trial.verdicts[0];
    assert_eq!(verdict.allowed_command_line().as_deref(), Some("echo one"));
    assert_eq!(trial.verdicts(), ["a once: decided by a rule"]);
    // The line does more than the request shows.
    trial.asks("b", "bash", "echo one", "{}");
    trial.answers_message("s", &[("b", &command("echo one > file; cd x"))]);
    let unconfirmed = "reject: a confirmation is required and not available";
    assert_eq!(trial.refuses("b"), [format!("b {unconfirmed}")]);
    // Without the line, no rule for a pattern allows anything.
    trial.asks("c", "bash", "echo one", "{}");
    trial.answers("/session/s/message/m", status(404, "{}"));
    assert_eq!(trial.refuses("c"), [format!("c {unconfirmed}")]);
    // The line does not matter where every command is allowed, or this one is denied.
    let mut trial = Trial::new(PolicySettings::new().allow("bash"));
    trial.asks("a", "bash", "echo one", "{}");
    assert_eq!(trial.verdicts(), ["a once: decided by a rule"]);
    let mut trial = Trial::new(echo().deny("bash"));
    trial.asks("a", "bash", "echo one", "{}");
    assert_eq!(trial.refuses("a"), ["a reject: decided by a rule"]);
}

#[test]
fn a_confirmation_of_an_old_server_has_the_command_line() {
    let mut trial = Trial::new(PolicySettings::new().with_unruled(Unruled::Confirm));
    trial.asks("a", "bash", "ls", "{}");
    assert_eq!(trial.confirms, NONE);
    trial.answers_message("s", &[("a", &running(r#"{"command":"ls"}"#))]);
    trial.confirms("a", PermissionReply::Once);
    let verdict = trial.verdicts.remove(0);
    assert_eq!(verdict.allowed_command_line().as_deref(), Some("ls"));
}

#[test]
fn calls_of_one_message_share_a_read() {
    let mut trial = Trial::new(within());
    trial.asks("a", "read", "p/x", "{}");
    trial.asks("b", "read", "p/y", "{}");
    assert_eq!(trial.calls.len(), 1);
    let x = running(r#"{"filePath":"x"}"#);
    trial.answers_message("s", &[("a", &x), ("b", PENDING)]);
    trial.finds(&Links::default());
    assert_eq!(trial.verdicts(), ["a once: decided by a rule"]);
    trial.asks("c", "read", "p/z", "{}");
    assert_eq!(trial.calls.len(), 0, "the next read is due soon");
    trial.waits();
    let [y, z] = ["y", "z"].map(|path| running(&format!(r#"{{"filePath":"{path}"}}"#)));
    trial.answers_message("s", &[("a", &x), ("b", &y), ("c", &z)]);
    trial.finds(&Links::default());
    trial.finds(&Links::default().with("/w/p/z", FileFinding::found("/z")));
    trial.lists(&[("c", "s")]);
    assert_eq!(
        trial.verdicts(),
        ["b once: decided by a rule", "c reject: /w/p/z is not in the allowed directories",]
    );
}

#[test]
fn a_call_without_arguments_is_refused_after_a_limit() {
    let mut trial = Trial::new(within());
    trial.asks("a", "read", "p/x", "{}");
    let mut waited = Duration::ZERO;
    loop {
        trial.answers_message("s", &[("a", PENDING)]);
        if trial.calls.iter().any(|(_, path)| path == "/permission") {
            break;
        }
        waited += trial.waits();
    }
    assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&waited), "{waited:?}");
    assert_eq!(trial.refuses("a"), ["a reject: the files of the call cannot be determined"]);
}

#[test]
fn arguments_that_cannot_be_read_are_refused() {
    let unclear = ["a reject: the files of the call cannot be determined"];
    let replies = [
        status(404, r#"{"name":"NotFoundError","data":{"message":"gone"}}"#),
        Err(CallFailure::new(Delivery::Unknown, "the connection broke")),
        reply(message(&[("a", &running(r#"{"filePath":1}"#))])),
        reply(message(&[("a", r#"{"status":"running","time":{"start":1}}"#)])),
        reply(message(&[("a", &running(r#"{"filePath":"x"}"#)), ("a", PENDING)])),
        reply(message(&[("a", &running(r#"{"filePath":"other"}"#))])),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let mut trial = Trial::new(within());
        trial.asks("a", "read", "p/x", "{}");
        trial.answers("/session/s/message/m", reply);
        assert_eq!(trial.refuses("a"), unclear, "reply {number}");
    }
    let mut trial = Trial::new(within());
    let entry = ask("a", "s", "read", &["p/x"], &[], "{}", "null");
    trial.does(|judge, now| judge.handle_ask(listed(&entry).remove(0), now));
    assert_eq!(trial.refuses("a"), unclear, "a request without a call");
}

#[test]
fn of_two_calls_with_one_id_the_second_is_refused() {
    let mut trial = Trial::new(within());
    trial.asks_in("s", "a", "read", "p/x", "{}", "call");
    trial.asks_in("s", "b", "read", "p/y", "{}", "call");
    trial.answers_message("s", &[("call", &running(r#"{"filePath":"x"}"#))]);
    trial.finds(&Links::default());
    trial.lists(&[("b", "s")]);
    assert_eq!(
        trial.verdicts(),
        ["a once: decided by a rule", "b reject: the files of the call cannot be determined",]
    );
}

#[test]
fn a_task_resumes_only_a_subagent_without_rights_of_its_own() {
    let unclear = "reject: the files of the call cannot be determined";
    let rule = "once: decided by a rule";
    let session = |rest: &str| reply(format!(r#"{{"id":"ses_x","title":""{rest}}}"#));
    let granting = r#","parentID":"s",
        "permission":[{"permission":"bash","pattern":"*","action":"allow"}]"#;
    let denying = r#","parentID":"s",
        "permission":[{"permission":"bash","pattern":"*","action":"deny"}]"#;
    let cases = [
        (session(r#","parentID":"s""#), rule),
        (session(denying), rule),
        (session(granting), unclear),
        (session(r#","parentID":"s","permission":1"#), unclear),
        (session(r#","parentID":"other""#), unclear),
        (session(""), unclear),
        (reply("[]"), unclear),
        (status(404, r#"{"name":"NotFoundError","data":{"message":"none"}}"#), rule),
        (status(400, r#"{"name":"BadRequest","data":{"message":"no id"}}"#), rule),
        (status(503, ""), unclear),
        (Err(CallFailure::new(Delivery::NotSent, "refused")), unclear),
    ];
    for (number, (found, verdict)) in cases.into_iter().enumerate() {
        // Reads are not confined: the session is looked at all the same.
        let mut trial = Trial::new(PolicySettings::new().allow("task"));
        trial.asks("a", "task", "general", "{}");
        let input = running(r#"{"prompt":"Go","task_id":"ses_x"}"#);
        trial.answers_message("s", &[("a", &input)]);
        trial.answers("/session/ses_x", found);
        if verdict == unclear {
            trial.lists(&[]);
        }
        assert_eq!(trial.verdicts(), [format!("a {verdict}")], "case {number}");
    }
}

#[test]
fn a_task_brings_no_file_from_outside() {
    let mut trial = Trial::new(within());
    trial.asks("a", "task", "general", "{}");
    let input = running(&format!(r#"{{"prompt":{}}}"#, quoted("See @p/x and @out.")));
    trial.answers_message("s", &[("a", &input)]);
    trial.finds(&Links::default().with("/w/out", FileFinding::absent("/w/out")));
    assert_eq!(trial.verdicts(), ["a once: decided by a rule"]);
    trial.asks("b", "task", "general", "{}");
    trial.answers_message("s", &[("b", &input)]);
    trial.finds(&Links::default());
    assert_eq!(trial.refuses("b"), ["b reject: /w/out is not in the allowed directories"]);
}

#[test]
fn only_confined_permissions_are_looked_up() {
    let mut trial = Trial::new(PolicySettings::new().with_writes_in("/w/p").allow("*"));
    for permission in ["read", "grep", "glob", "lsp", "list"] {
        trial.asks(permission, permission, "x", "{}");
        assert_eq!(trial.verdicts().len(), 1, "{permission}: reads are not confined");
    }
    trial.asks("edit", "edit", "p/x", r#"{"filepath":"/w/p/x"}"#);
    assert_eq!(trial.questions.len(), 1);
    trial.finds(&Links::default());
    trial.asks("external", "external_directory", "/o/*", r#"{"filepath":"/o/x"}"#);
    trial.finds(&Links::default());
    assert_eq!(trial.verdicts().len(), 2);
    let mut trial = Trial::new(PolicySettings::new().with_reads_in("/w/p").allow("*"));
    trial.asks("edit", "edit", "x", "{}");
    assert_eq!(trial.verdicts().len(), 1, "writes are not confined");
    trial.asks("grep", "grep", "x", "{}");
    assert_eq!(trial.questions.len(), 1);
}

#[test]
fn defaults_of_a_confined_session() {
    let mut trial = Trial::new(PolicySettings::new().within("/w/p").with_unruled(Unruled::Confirm));
    trial.asks("a", "external_directory", "/w/p/*", "{}");
    trial.finds(&Links::default());
    assert_eq!(trial.verdicts(), ["a once: the files are in the allowed directories"]);
    trial.asks("b", "bash", "ls", "{}");
    let unconfined = "b reject: commands cannot be confined to the allowed directories";
    assert_eq!(trial.refuses("b"), [unconfined]);
    assert_eq!(trial.confirms, NONE);
}

#[test]
fn a_repeated_call_is_confirmed_or_allowed() {
    let mut trial = Trial::new(PolicySettings::new());
    trial.asks("a", "doom_loop", "todowrite", "{}");
    assert_eq!(trial.verdicts(), ["a once: each of the repeated calls is decided by itself"]);
    let mut trial = Trial::new(PolicySettings::new().with_unruled(Unruled::Confirm));
    trial.asks("a", "doom_loop", "todowrite", "{}");
    assert_eq!(trial.confirms, ["a"]);
}

#[test]
fn calls_are_counted_once_over_all_sessions() {
    let settings = PolicySettings::new().allow("*").with_tool_calls_max(2);
    let mut trial = Trial::new(settings);
    trial.asks_in("s", "a", "external_directory", "x", "{}", "one");
    trial.asks_in("s", "b", "edit", "x", "{}", "one");
    trial.asks_in("child", "c", "edit", "x", "{}", "one");
    assert_eq!(trial.verdicts().len(), 3);
    trial.asks_in("s", "d", "edit", "x", "{}", "two");
    assert_eq!(trial.refuses("d"), ["d reject: no more than 2 tool calls are allowed"]);
    trial.asks_in("s", "e", "edit", "x", "{}", "one");
    assert_eq!(trial.verdicts().len(), 1, "a call of the first two");
}

#[test]
fn a_policy_without_subagents_refuses_other_sessions() {
    let mut trial = Trial::new(PolicySettings::new().allow("*").without_subagents());
    trial.asks_in("child", "a", "edit", "x", "{}", "call");
    trial.lists(&[]);
    assert_eq!(trial.verdicts(), ["a reject: subagents are not allowed"]);
    trial.asks("b", "edit", "x", "{}");
    assert_eq!(trial.verdicts().len(), 1);
}

#[test]
#[should_panic(expected = "directories of the reads")]
fn confined_settings_need_the_real_directories() {
    let scope = PolicyScope::new("s", ServerPaths::new("/w/p", "/w"));
    PolicyJudge::new(PolicySettings::new().within("/w/p"), scope);
}
