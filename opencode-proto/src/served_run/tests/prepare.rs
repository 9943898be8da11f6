//! From a server that is ready to a turn that can begin, in virtual time.

use std::time::Duration;

use http::Response;
use opencode_config::{Approval, ModelRef, Resume, RunFlags, Sharing};

use super::*;
use crate::api::{CommandRequest, Prompt, PromptPart};
use crate::call::{ApiCall, CallFailure, Delivery};
use crate::directory::{DirectoryError, RequestedDirectory};
use crate::process::Exit;
use crate::run::AgentFallback;
use crate::serve::ServeEnd;
use crate::surroundings::PluginFault;
use crate::turn::TurnPost;
use crate::watchdog::{Deadline, Deadlines};

const AGENTS: &str = r#"[{"name":"build","mode":"primary","permission":[]},{"name":"explore","mode":"subagent","permission":[]},{"name":"any","mode":"all","permission":[]}]"#;
const CREATED: &str = r#"{"id":"ses_1"}"#;

/// A run in virtual time, and everything that it asked for.
struct Stage {
    run: ServedRun,
    now: Instant,
    call: Option<ApiCall>,
    did: Vec<String>,
    notices: Vec<Notice>,
    turn: Option<ServedTurn>,
    wake: Option<Instant>,
    outcome: Option<RunOutcome>,
}

impl Stage {
    fn new(change: impl FnOnce(&mut ServedRunRequest)) -> Self {
        let now = Instant::now();
        let mut request = request();
        change(&mut request);
        let mut stage = Self {
            run: ServedRun::new(request, now),
            now,
            call: None,
            did: Vec::new(),
            notices: Vec::new(),
            turn: None,
            wake: None,
            outcome: None,
        };
        stage.drain();
        stage
    }

    /// A run whose server is ready at once.
    fn ready(change: impl FnOnce(&mut ServedRunRequest)) -> Self {
        let mut stage = Self::new(change);
        stage.does(|run, now| run.handle_server_ready(now, now));
        stage
    }

    fn with_flags(flags: RunFlags) -> Self {
        Self::ready(|request| request.flags = flags)
    }

    fn does(&mut self, input: impl FnOnce(&mut ServedRun, Instant)) -> &mut Self {
        input(&mut self.run, self.now);
        self.drain();
        self
    }

    fn answers(&mut self, status: u16, body: &str) -> &mut Self {
        let call = self.call.take().expect("a call waits for its reply");
        let body = Bytes::copy_from_slice(body.as_bytes());
        let reply = Response::builder().status(status).body(body).unwrap();
        self.does(|run, now| run.handle_reply(call.id, Ok(reply), now))
    }

    fn pass(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self.does(ServedRun::handle_timeout)
    }

    fn drain(&mut self) {
        loop {
            let action = self.run.poll_action();
            if let ServedRunAction::Wait(wake) = action {
                self.wake = wake;
                return;
            }
            assert!(self.outcome.is_none(), "after the end: {action:?}");
            match action {
                ServedRunAction::Call(call) => {
                    self.did.push(format!("{} {}", call.request.method(), call.request.uri()));
                    assert!(self.call.replace(*call).is_none(), "one call at a time");
                }
                ServedRunAction::CancelTurn => self.did.push("cancel".to_owned()),
                ServedRunAction::Event(event) => match event.kind {
                    RunEventKind::Notice(notice) => self.notices.push(notice),
                    _ => self.did.push(event.event_type().to_owned()),
                },
                ServedRunAction::Finished(outcome) => self.outcome = Some(*outcome),
                ServedRunAction::Send(turn) => {
                    assert!(self.turn.replace(*turn).is_none(), "one turn");
                }
                ServedRunAction::Wait(_) => unreachable!("handled above"),
            }
        }
    }

    fn end(&self) -> &RunEnd {
        &self.outcome.as_ref().expect("the run is over").end
    }

    fn turn(&self) -> &ServedTurn {
        self.turn.as_ref().expect("the turn can begin")
    }

    /// Body of the call that waits for its reply.
    fn body(&self) -> String {
        let call = self.call.as_ref().expect("a call waits for its reply");
        String::from_utf8(call.request.body().to_vec()).unwrap()
    }
}

/// A run without deadlines.
fn request() -> ServedRunRequest {
    let settings = RunSettings::new().with_deadlines(Deadlines::NONE);
    ServedRunRequest::new("Hello!", &RunConfig::new(), settings)
}

fn failed(message: &str) -> RunEnd {
    RunEnd::StartupError { message: message.to_owned() }
}

#[test]
fn a_new_session_asks_no_questions() {
    let mut stage = Stage::ready(|_| {});
    assert_eq!(stage.did, ["POST /session"]);
    let denied =
        |permission| format!(r#"{{"permission":"{permission}","pattern":"*","action":"deny"}}"#);
    let rules = ["question", "plan_enter", "plan_exit"].map(denied).join(",");
    assert_eq!(stage.body(), format!(r#"{{"permission":[{rules}]}}"#));
    stage.answers(200, r#"{"id":"ses_1","directory":"/p"}"#);
    let turn = stage.turn();
    assert_eq!((turn.session.id.as_str(), turn.approval), ("ses_1", Approval::Reject));
    let TurnPost::Prompt(prompt) = &turn.post else { panic!("{turn:?}") };
    assert_eq!(prompt.parts(), [PromptPart::Text("Hello!".to_owned())]);
    assert_eq!((prompt.agent(), prompt.model()), (None, None));
    assert_eq!(turn.settings.deadlines, Deadlines::NONE);
    assert!(stage.outcome.is_none() && stage.wake.is_none());
}

#[test]
fn a_title_may_be_made_of_the_prompt() {
    let long = "ä".repeat(51);
    for (title, prompt, expected) in [
        ("nightly", "Hello!", "nightly".to_owned()),
        ("", "Hello!", "Hello!".to_owned()),
        ("", &long, format!("{}...", "ä".repeat(50))),
        ("", &"x".repeat(50), "x".repeat(50)),
    ] {
        let stage = Stage::ready(|request| {
            request.flags = RunFlags::new().with_title(title);
            prompt.clone_into(&mut request.prompt);
        });
        assert!(stage.body().contains(&format!(r#""title":"{expected}""#)), "{title} {prompt}");
    }
}

#[test]
fn files_go_before_the_prompt_and_a_missing_one_ends_the_run() {
    let file = |path: &str, kind| ServedFile::new(path, format!("/p/{path}"), kind);
    let mut stage = Stage::ready(|request| {
        request.files.push(file("a.txt", ServedFileKind::File));
        request.files.push(file("src", ServedFileKind::Directory));
    });
    stage.answers(200, CREATED);
    let TurnPost::Prompt(prompt) = &stage.turn().post else { panic!("{:?}", stage.turn) };
    let [PromptPart::File(text), PromptPart::File(directory), PromptPart::Text(_)] = prompt.parts()
    else {
        panic!("{prompt:?}")
    };
    assert_eq!((text.mime(), directory.mime()), ("text/plain", "application/x-directory"));
    assert_eq!(text.url(), "file:///p/a.txt");

    let stage = Stage::ready(|request| request.files.push(file("no.txt", ServedFileKind::Missing)));
    assert_eq!(stage.end(), &failed("File not found: no.txt"));
    assert_eq!(stage.did, [""; 0], "the server is not asked for anything");
}

#[test]
fn agent_model_and_variant_go_with_the_prompt() {
    let mut stage = Stage::ready(|request| {
        request.agent = Some("any".to_owned());
        request.model = Some("a/b".parse::<ModelRef>().unwrap());
        request.flags = RunFlags::new().with_variant("high").with_approval(Approval::Auto);
    });
    assert_eq!(stage.did, ["GET /agent"]);
    stage.answers(200, AGENTS).answers(200, CREATED);
    let turn = stage.turn();
    assert_eq!(turn.approval, Approval::Auto);
    let TurnPost::Prompt(prompt) = &turn.post else { panic!("{turn:?}") };
    assert_eq!((prompt.agent(), prompt.model().unwrap().to_string()), (Some("any"), "a/b".into()));
    assert_eq!(
        *prompt,
        Prompt::from("Hello!")
            .with_agent("any")
            .with_model("a/b".parse().unwrap())
            .with_variant("high")
    );
}

#[test]
fn a_command_takes_the_prompt_as_its_arguments() {
    let mut stage = Stage::ready(|request| {
        request.agent = Some("build".to_owned());
        request.flags = RunFlags::new().with_command("review").with_variant("high");
    });
    stage.answers(200, AGENTS).answers(200, CREATED);
    let expected = CommandRequest::new("review")
        .with_arguments("Hello!")
        .with_agent("build")
        .with_variant("high");
    assert_eq!(stage.turn().post, TurnPost::from(expected));
}

#[test]
fn an_agent_that_cannot_be_asked_is_refused_or_replaced() {
    for (agent, reason) in [
        ("nobody", "agent \"nobody\" not found"),
        ("explore", "agent \"explore\" is a subagent, not a primary agent"),
    ] {
        let notices = [Notice::agent_replaced(reason)];
        let mut refused = Stage::ready(|request| request.agent = Some(agent.to_owned()));
        refused.answers(200, AGENTS);
        assert_eq!(refused.end(), &RunEnd::AgentReplaced { reason: reason.to_owned() });
        assert_eq!(refused.notices, notices);
        assert_eq!(refused.outcome.unwrap().notices, notices);

        let mut accepted = Stage::ready(|request| {
            request.agent = Some(agent.to_owned());
            request.settings.agent_fallback = AgentFallback::Accept;
        });
        accepted.answers(200, AGENTS).answers(200, CREATED);
        let TurnPost::Prompt(prompt) = &accepted.turn().post else { panic!("{agent}") };
        assert_eq!((prompt.agent(), &accepted.notices[..]), (None, &notices[..]));
    }
}

#[test]
fn the_latest_session_is_the_first_that_has_no_parent() {
    let latest = || Stage::with_flags(RunFlags::new().with_resume(Resume::latest()));
    let mut found = latest();
    assert_eq!(found.did, ["GET /session"]);
    found.answers(200, r#"[{"id":"ses_3","parentID":"ses_2"},{"id":"ses_2"},{"id":"ses_1"}]"#);
    assert_eq!(found.turn().session.id, "ses_2");

    let mut none = latest();
    none.answers(200, "[]").answers(200, r#"{"id":"ses_9"}"#);
    assert_eq!(none.did, ["GET /session", "POST /session"]);
    assert_eq!(none.turn().session.id, "ses_9");
}

#[test]
fn a_session_is_continued_or_copied() {
    let resumed = |resume| Stage::with_flags(RunFlags::new().with_resume(resume));
    let mut continued = resumed(Resume::session("ses_1"));
    continued.answers(200, CREATED);
    assert_eq!(continued.did, ["GET /session/ses_1"]);
    assert_eq!(continued.turn().session.id, "ses_1");

    let mut copied = resumed(Resume::session("ses_1").forked());
    copied.answers(200, CREATED).answers(200, r#"{"id":"ses_2"}"#);
    assert_eq!(copied.did, ["GET /session/ses_1", "POST /session/ses_1/fork"]);
    assert_eq!(copied.turn().session.id, "ses_2");

    let mut unknown = resumed(Resume::session("ses_1"));
    unknown.answers(404, r#"{"name":"NotFoundError","data":{"message":"no such session"}}"#);
    assert_eq!(unknown.end(), &failed("Session not found"));
}

#[test]
fn a_shared_session_is_announced_and_goes_on_without_a_page() {
    let shared = || Stage::with_flags(RunFlags::new().with_sharing(Sharing::Share));
    let mut stage = shared();
    stage.answers(200, CREATED);
    assert_eq!(stage.did, ["POST /session", "POST /session/ses_1/share"]);
    stage.answers(200, r#"{"id":"ses_1","share":{"url":"https://x.test/1"}}"#);
    assert_eq!(stage.notices, [Notice::shared("https://x.test/1")]);
    assert_eq!(stage.turn().session.id, "ses_1");

    for (status, body) in [(500, "no"), (200, CREATED)] {
        let mut stage = shared();
        stage.answers(200, CREATED).answers(status, body);
        assert_eq!((stage.notices.len(), stage.turn.is_some()), (0, true), "{status}");
    }
}

#[test]
fn a_refusal_is_a_failed_start_and_silence_a_lost_server() {
    let mut refused = Stage::ready(|request| request.agent = Some("build".to_owned()));
    refused.answers(500, r#"{"name":"UnknownError","data":{"message":"broken"}}"#);
    assert_eq!(refused.end(), &failed("GET /agent: broken"));

    let mut unreadable = Stage::ready(|_| {});
    unreadable.answers(200, "[]");
    let RunEnd::StartupError { message } = unreadable.end() else { panic!() };
    assert!(message.starts_with("POST /session: the reply cannot be read: "), "{message}");

    for delivery in [Delivery::NotSent, Delivery::Unknown, Delivery::Received] {
        let mut lost = Stage::ready(|_| {});
        let call = lost.call.take().unwrap();
        let failure = CallFailure::new(delivery, "connection refused");
        lost.does(|run, now| run.handle_reply(call.id, Err(failure), now));
        assert_eq!(lost.end(), &RunEnd::ServerLost { reason: "connection refused".into() });
    }
}

#[test]
fn the_deadlines_count_from_the_start_of_the_server_and_the_turn_has_the_rest() {
    let deadlines = Deadlines::NONE
        .with_overall(Duration::from_secs(60))
        .with_first_event(Duration::from_secs(30))
        .with_idle(Duration::from_secs(9));
    let ready_after = |seconds| {
        let mut stage = Stage::new(|request| request.settings.deadlines = deadlines);
        let since = stage.now + Duration::from_secs(100);
        stage.now = since + Duration::from_secs(seconds);
        stage.does(|run, now| run.handle_server_ready(since, now));
        stage
    };
    let mut stage = ready_after(20);
    assert_eq!(stage.wake, Some(stage.now + Duration::from_secs(10)));
    stage.pass(9).answers(200, CREATED);
    let left = stage.turn().settings.deadlines;
    assert_eq!(left.overall, Some(Duration::from_secs(31)));
    assert_eq!(left.first_event, Some(Duration::from_secs(1)));
    assert_eq!(left.idle, Some(Duration::from_secs(9)));

    let mut stage = ready_after(20);
    stage.pass(10);
    assert_eq!(stage.end(), &RunEnd::timed_out(Deadline::FirstEvent));
    stage.answers(200, CREATED);
    assert!(stage.turn.is_none(), "a late reply changes nothing");
    assert_eq!(ready_after(60).end(), &RunEnd::timed_out(Deadline::Overall));
}

#[test]
fn limits_of_the_run_are_those_of_its_turn() {
    let mut stage = Stage::ready(|request| {
        (request.settings.overflows_max, request.settings.unfinished_max) = (2, 3);
        request.settings.repeated_calls_max = 4;
    });
    stage.answers(200, CREATED);
    let settings = &stage.turn().settings;
    assert_eq!((settings.overflows_max, settings.unfinished_max), (2, 3));
    assert_eq!(settings.repeated_calls_max, 4);
}

#[test]
fn a_run_can_be_cancelled_in_every_state() {
    let mut starting = Stage::new(|_| {});
    starting.does(ServedRun::cancel);
    assert_eq!(starting.end(), &RunEnd::Cancelled);
    starting.does(|run, now| run.handle_server_ready(now, now));

    let mut preparing = Stage::ready(|_| {});
    preparing.does(ServedRun::cancel);
    assert_eq!(preparing.end(), &RunEnd::Cancelled);

    let mut following = Stage::ready(|_| {});
    following.answers(200, CREATED).does(ServedRun::cancel);
    assert_eq!(following.did.last().unwrap(), "cancel");
    assert!(following.outcome.is_none(), "the turn has to end first");
    let session = SessionId::from("ses_1");
    following.does(|run, now| run.handle_turn_end(&session, &TurnEnd::Cancelled, 1, now));
    assert_eq!(following.end(), &RunEnd::Cancelled);
    following.does(ServedRun::cancel);
}

#[test]
fn a_turn_without_an_event_stream_has_lost_its_server() {
    let mut stage = Stage::ready(|_| {});
    stage.answers(200, CREATED);
    stage.does(|run, now| run.handle_lost(&HubEnd::Exited, now));
    assert!(matches!(stage.end(), RunEnd::ServerLost { .. }), "{}", stage.end());
}

#[test]
fn inputs_that_do_not_fit_the_state_are_ignored() {
    let mut stage = Stage::new(|_| {});
    let session = SessionId::from("ses_1");
    stage.does(|run, now| run.handle_turn_end(&session, &TurnEnd::Completed, 1, now));
    stage.does(|run, now| run.handle_lost(&HubEnd::Exited, now));
    stage.does(|run, now| run.handle_server_ready(now, now));
    stage.does(|run, now| run.handle_server_ready(now, now));
    stage.does(|run, now| run.handle_server_failed(&failure(ServeEnd::Exited), now));
    assert_eq!((stage.did.len(), stage.outcome.is_none()), (1, true));
}

fn failure(end: ServeEnd) -> ServeOutcome {
    ServeOutcome {
        exit: Some(Exit::Code(1)),
        stderr: "the tail".to_owned(),
        ..ServeOutcome::new(end)
    }
}

#[test]
fn a_server_that_does_not_start_ends_the_run_as_a_process_would() {
    let message = || "why".to_owned();
    for (end, expected) in [
        (
            ServeEnd::StartupDatabase { message: message() },
            RunEnd::StartupDatabase { message: message() },
        ),
        (ServeEnd::StartupError { message: message() }, failed("why")),
        (ServeEnd::InvalidConfig { message: message() }, failed("why")),
        (ServeEnd::CannotListen { message: message() }, failed("the server could not listen: why")),
        (ServeEnd::TimedOut, failed("the server was not ready in time")),
    ] {
        let mut stage = Stage::new(|_| {});
        stage.does(|run, now| run.handle_server_failed(&failure(end), now));
        assert_eq!(stage.end(), &expected);
        let outcome = stage.outcome.unwrap();
        assert_eq!((&*outcome.stderr, outcome.exit), ("the tail", Some(Exit::Code(1))));
    }
}

#[test]
fn a_deadline_that_is_short_enough_limits_the_start() {
    for (seconds, deadline) in [(60, Some(Deadline::Overall)), (61, None)] {
        let deadlines = Deadlines::NONE.with_overall(Duration::from_secs(seconds));
        let mut request = request();
        request.settings.deadlines = deadlines;
        assert_eq!(request.start_deadline(), deadline);
        assert_eq!(request.serve_settings().start_limit, Duration::from_secs(60));
        let mut stage = Stage::new(|request| request.settings.deadlines = deadlines);
        stage.does(|run, now| run.handle_server_failed(&failure(ServeEnd::TimedOut), now));
        let is_timeout = *stage.end() == RunEnd::timed_out(Deadline::Overall);
        assert_eq!(is_timeout, deadline.is_some());
    }
    let mut request = request();
    request.settings.kill_grace = Duration::from_secs(1);
    request.settings.deadlines = Deadlines::NONE.with_first_event(Duration::from_secs(2));
    let served = request.serve_settings();
    assert_eq!(served.start_limit, Duration::from_secs(2));
    assert_eq!(served.kill_grace, Duration::from_secs(1));
}

#[test]
fn the_exit_of_a_server_that_went_before_its_run_is_the_end() {
    let outcome = |end, server: ServeEnd, exit| {
        let mut outcome = ServedRun::not_started(request(), Instant::now());
        assert_eq!(outcome.end, RunEnd::Cancelled);
        outcome.end = end;
        outcome.with_server(&ServeOutcome { exit, ..failure(server) })
    };
    let lost = || RunEnd::ServerLost { reason: "gone".to_owned() };
    let killed = outcome(lost(), ServeEnd::Exited, Some(Exit::Signal(9)));
    assert_eq!(killed.end, RunEnd::Interrupted { signal: 9 });
    assert_eq!((killed.exit, &*killed.stderr), (Some(Exit::Signal(9)), "the tail"));
    let crashed = outcome(lost(), ServeEnd::Exited, Some(Exit::Code(3)));
    assert!(matches!(crashed.end, RunEnd::Crashed { code: 3, .. }));
    assert_eq!(outcome(lost(), ServeEnd::Exited, None).end, lost());
    let stopped = outcome(lost(), ServeEnd::Stopped, Some(Exit::Code(0)));
    assert_eq!((stopped.end, stopped.exit), (lost(), None));
    let completed = outcome(RunEnd::Completed, ServeEnd::Exited, Some(Exit::Code(0)));
    assert_eq!((completed.end, completed.exit), (RunEnd::Completed, None));
}

#[test]
fn required_mcp_servers_are_looked_for_before_anything_else() {
    let require = |request: &mut ServedRunRequest| {
        request.settings = request.settings.clone().with_required_mcp(["notes".to_owned()]);
    };
    let mut stage = Stage::ready(require);
    stage.answers(200, r#"{"notes":{"status":"connected"}}"#);
    assert_eq!(stage.did, ["GET /mcp", "POST /session"]);

    let mut stage = Stage::ready(require);
    stage.answers(200, r#"{"notes":{"status":"failed","error":"gone"}}"#);
    assert_eq!(stage.end().to_string(), "a required MCP server `notes`: failed: gone");
    assert_eq!(stage.did, ["GET /mcp"]);

    let mut stage = Stage::ready(require);
    stage.answers(200, "{}");
    let error = "a required MCP server `notes`: no config names the server";
    assert_eq!(stage.end().to_string(), error);
}

#[test]
fn faults_in_the_surroundings_are_notices() {
    let fault = Notice::PluginFailed(PluginFault::new("a", "b"));
    let mut stage = Stage::new(|_| {});
    stage.does(|run, _| run.handle_notice(fault.clone()));
    stage.does(|run, now| run.handle_server_ready(now, now));
    assert_eq!((stage.notices, stage.did), (vec![fault], vec!["POST /session".to_owned()]));
}

#[test]
fn a_session_in_another_directory_is_deleted_before_the_end() {
    let requested = || RequestedDirectory::new("/link").with_real_name("/a");
    let mut stage = Stage::ready(|request| request.directory = requested());
    stage.answers(200, r#"{"id":"ses_1","directory":"/b"}"#);
    assert_eq!(stage.did.last().unwrap(), "DELETE /session/ses_1");
    stage.answers(200, "true");
    let end = stage.outcome.take().unwrap().end;
    let error = DirectoryError::Elsewhere { requested: "/link".into(), reported: "/b".into() };
    assert_eq!(end, RunEnd::Directory(error));
    for own in ["/a", "/link"] {
        let mut stage = Stage::ready(|request| request.directory = requested());
        stage.answers(200, &format!(r#"{{"id":"ses_1","directory":"{own}"}}"#));
        assert!(stage.turn.is_some(), "{own}");
    }
}

#[test]
fn a_session_to_continue_has_to_belong_to_the_directory() {
    let flags = RunFlags::new().with_resume(Resume::session("ses_1"));
    for flags in [flags.clone(), flags.with_resume(Resume::session("ses_1").forked())] {
        let mut stage = Stage::ready(|request| {
            request.flags = flags;
            request.directory = RequestedDirectory::new("/a");
        });
        stage.answers(200, r#"{"id":"ses_1","directory":"/b"}"#);
        let end = stage.outcome.take().unwrap().end;
        assert!(
            matches!(&end, RunEnd::Directory(DirectoryError::Session { belongs_to, .. })
                if belongs_to == "/b"),
            "{end}"
        );
    }
}

#[test]
fn the_newest_session_of_the_directory_is_continued() {
    let flags = RunFlags::new().with_resume(Resume::latest());
    let begin = || {
        let stage = Stage::ready(|request| {
            request.flags = flags.clone();
            request.directory = RequestedDirectory::new("/link").with_real_name("/a b");
        });
        assert_eq!(stage.did.last().unwrap(), "GET /session?directory=%2Fa%20b");
        stage
    };
    // An old server may not know the parameter, and lists the sessions of the project.
    let other = r#"{"id":"ses_2","directory":"/b"}"#;
    let mut stage = begin();
    stage.answers(200, &format!(r#"[{other},{{"id":"ses_1","directory":"/a b"}}]"#));
    assert_eq!(stage.turn.as_ref().unwrap().session.id, "ses_1");
    let mut stage = begin();
    stage.answers(200, &format!("[{other}]"));
    assert_eq!(stage.did.last().unwrap(), "POST /session");
}

#[test]
fn a_session_that_is_continued_keeps_its_agent() {
    let flags = || RunFlags::new().with_resume(Resume::session("ses_1"));
    let session = r#"{"id":"ses_1","agent":"any"}"#;
    let mut stage = Stage::with_flags(flags());
    stage.answers(200, session).answers(200, AGENTS);
    let agent = |stage: &Stage| match &stage.turn.as_ref().unwrap().post {
        TurnPost::Prompt(prompt) => prompt.agent().map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!(agent(&stage).as_deref(), Some("any"));

    // The agent is gone, and the default one would answer.
    let mut stage = Stage::with_flags(flags());
    stage.answers(200, r#"{"id":"ses_1","agent":"gone"}"#).answers(200, AGENTS);
    assert!(matches!(stage.end(), RunEnd::AgentReplaced { .. }), "{}", stage.end());

    // The request has an agent, or the command has one.
    let mut stage = Stage::ready(|request| {
        (request.flags, request.agent) = (flags(), Some("build".to_owned()));
    });
    stage.answers(200, AGENTS).answers(200, session);
    assert_eq!(agent(&stage).as_deref(), Some("build"));
    let mut stage = Stage::with_flags(flags().with_command("review"));
    stage.answers(200, session);
    assert!(stage.turn.is_some());
}
