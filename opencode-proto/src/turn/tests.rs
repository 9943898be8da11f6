//! Whole turns in virtual time. The recordings are played in `tests/turns.rs`; here is what they do
//! not have.

mod dropped;
mod looks;
mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::SessionId;
use crate::call::{ApiCall, ApiReply, CallFailure, Delivery};
use crate::fuzzing::{WrittenMessage, WrittenServer, not_found};
use crate::server_event::ServerEvent;
use crate::{
    Deadline, Deadlines, PermissionAsk, PermissionReply, Prompt, PromptReply, ShellRequest,
    StepRole,
};

const SECOND: Duration = Duration::from_secs(1);

/// A turn of session `s` with the prompt `m1`, and everything that it did and told.
struct Stage {
    session: Session,
    turn: Turn,
    now: Instant,
    events: Vec<TurnEvent>,
    /// Names of the other actions.
    did: Vec<&'static str>,
    calls: Vec<ApiCall>,
    asked: Vec<PermissionAsk>,
    links: Vec<(SessionId, SessionId)>,
    outcome: Option<TurnOutcome>,
}

impl Stage {
    /// A turn that waits for its event stream.
    fn waiting(post: impl Into<TurnPost>, settings: TurnSettings, mut session: Session) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        let turn = Turn::new(post, settings, "m0".into(), &mut session, now);
        let mut stage = Self {
            session,
            turn,
            now,
            events: Vec::new(),
            did: Vec::new(),
            calls: Vec::new(),
            asked: Vec::new(),
            links: Vec::new(),
            outcome: None,
        };
        stage.drain();
        assert_eq!(stage.did, [""; 0]);
        stage
    }

    fn sent(post: impl Into<TurnPost>, settings: TurnSettings) -> Self {
        let mut stage = Self::waiting(post, settings, Session::new("s".into(), None));
        stage.does(Turn::handle_opened);
        assert_eq!(stage.did, ["post"]);
        stage
    }

    fn new(settings: TurnSettings) -> Self {
        Self::sent("Go.", settings)
    }

    /// A turn whose prompt the server has told.
    fn posted(settings: TurnSettings) -> Self {
        Self::new(settings).told()
    }

    fn told(mut self) -> Self {
        self.accept();
        self.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
        self
    }

    fn tell(&mut self, event_type: &str, properties: &str) {
        self.hear(event(event_type, properties));
    }

    fn hear(&mut self, event: Arc<ServerEvent>) {
        self.does(|turn, session, now| turn.handle_event(&event, session, now));
    }

    fn answer(&mut self, rest: &str) {
        self.tell("message.updated", &format!(r#""info":{}"#, answer(rest)));
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.does(Turn::handle_timeout);
    }

    fn interrupt(&mut self) {
        let why = Interruption::Closed;
        self.does(|turn, session, now| turn.handle_interrupted(&why, session, now));
    }

    fn reopen(&mut self) {
        self.does(Turn::handle_opened);
    }

    /// The stream breaks, and is open again at once.
    fn gap(&mut self) {
        self.interrupt();
        self.reopen();
    }

    /// The server replies to the call with this end of its path.
    fn reply(&mut self, path: &str, reply: ApiReply) {
        let is_meant = |call: &ApiCall| call.request.uri().path().ends_with(path);
        let place = self.calls.iter().position(is_meant).expect("such a call is on its way");
        let call = self.calls.remove(place);
        self.does(|turn, session, now| turn.handle_reply(call.id, reply, session, now));
    }

    fn replied(&mut self, path: &str) {
        let call = self.calls.iter().find(|call| call.request.uri().path().ends_with(path));
        let reply = WrittenServer::default().reply(call.expect("such a call is on its way"));
        self.reply(path, reply);
    }

    fn accept(&mut self) {
        let path = ["/prompt_async", "/shell"].into_iter().find(|path| self.is_calling(path));
        self.replied(path.expect("a post is on its way"));
    }

    fn aborted(&mut self) {
        self.replied("/abort");
    }

    fn is_calling(&self, path: &str) -> bool {
        self.calls.iter().any(|call| call.request.uri().path().ends_with(path))
    }

    /// The server answers the calls of a look, if there is one.
    fn find(&mut self, server: &WrittenServer) {
        while let Some(call) = self.look_call() {
            let reply = server.reply(&call);
            self.does(|turn, session, now| turn.handle_reply(call.id, reply, session, now));
        }
    }

    fn look_call(&mut self) -> Option<ApiCall> {
        let turn = &self.turn;
        self.calls.retain(|call| turn.awaits(call.id));
        let place = self.calls.iter().position(|call| call.request.method() == http::Method::GET);
        place.map(|place| self.calls.remove(place))
    }

    fn does(&mut self, input: impl FnOnce(&mut Turn, &mut Session, Instant)) {
        input(&mut self.turn, &mut self.session, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.turn.poll_action() {
                TurnAction::AskPermission(ask) => {
                    self.asked.push(ask);
                    self.did.push("ask permission");
                }
                TurnAction::AskQuestion(ask) => {
                    drop(ask);
                    self.did.push("ask question");
                }
                TurnAction::Call(call) => {
                    self.did.extend(name(&call));
                    self.calls.push(*call);
                }
                TurnAction::Event(event) => self.events.push(*event),
                TurnAction::Finished(outcome) => self.outcome = Some(*outcome),
                TurnAction::Link { child, parent } => self.links.push((child, parent)),
                TurnAction::Ready => self.turn.post("m1".into(), &mut self.session, self.now),
                TurnAction::Wait(_) => return,
            }
        }
    }

    fn end(&self) -> Option<&'static str> {
        self.outcome.as_ref().map(|outcome| outcome.end.name())
    }
}

/// The name of a call. The calls of a look after its first have none.
fn name(call: &ApiCall) -> Option<&'static str> {
    let path: Vec<_> = call.request.uri().path().split('/').skip(1).collect();
    match path.as_slice() {
        ["config"] => Some("configured model"),
        ["session", _, "abort"] => Some("abort"),
        ["session", _, "prompt_async" | "message" | "shell"]
            if call.request.method() != http::Method::GET =>
        {
            Some("post")
        }
        ["session", "status"] => Some("look"),
        [.., "reply" | "reject"] => Some("reply"),
        _ => None,
    }
}

fn lost() -> ApiReply {
    Err(CallFailure::new(Delivery::Unknown, "lost"))
}

/// A server on which the session works.
fn busy() -> WrittenServer {
    let mut server = WrittenServer::default();
    server.statuses.insert("s".to_owned(), r#"{"type":"busy"}"#.to_owned());
    server
}

/// A server on which the session is idle.
fn idle() -> WrittenServer {
    WrittenServer::default()
}

fn message(id: &str, info: &str) -> WrittenMessage {
    WrittenMessage { id: id.to_owned(), info: info.to_owned(), parts: Vec::new() }
}

fn prompt() -> WrittenMessage {
    message("m1", r#"{"id":"m1","role":"user"}"#)
}

trait With: Sized {
    fn with(self, session: &str, messages: impl IntoIterator<Item = WrittenMessage>) -> Self;
}

impl With for WrittenServer {
    fn with(mut self, session: &str, messages: impl IntoIterator<Item = WrittenMessage>) -> Self {
        self.messages.entry(session.to_owned()).or_default().extend(messages);
        self
    }
}

/// An answer to the prompt.
fn answer(rest: &str) -> String {
    format!(r#"{{"id":"m2","role":"assistant","parentID":"m1"{rest}}}"#)
}

fn event(event_type: &str, properties: &str) -> Arc<ServerEvent> {
    event_in("s", event_type, properties)
}

fn event_of_child(event_type: &str, properties: &str) -> Arc<ServerEvent> {
    event_in("c", event_type, properties)
}

fn event_in(session: &str, event_type: &str, properties: &str) -> Arc<ServerEvent> {
    let comma = if properties.is_empty() { "" } else { "," };
    let event = format!(
        r#"{{"type":"{event_type}","properties":{{"sessionID":"{session}"{comma}{properties}}}}}"#
    );
    Arc::new(ServerEvent::decode(event.into()))
}

const DONE: &str = r#","finish":"stop","time":{"completed":1}"#;
const IDLE: &str = r#""status":{"type":"idle"}"#;
const BUSY: &str = r#""status":{"type":"busy"}"#;
const ABORTED: &str = r#""error":{"name":"MessageAbortedError","data":{"message":"Aborted"}}"#;
const OVERFLOW: &str = r#""error":{"name":"ContextOverflowError","data":{"message":"Too long"}}"#;

#[test]
fn what_an_aborted_turn_still_says_is_not_the_turns() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.error", ABORTED);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().errors(), []);
    assert!(!stage.events.iter().any(|event| matches!(event.kind, TurnEventKind::Failed(_))));
}

#[test]
fn a_look_finds_nothing_of_earlier_turns() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.wait(TurnSettings::default().look_interval);
    assert_eq!(stage.did, ["post", "look"]);

    let ask = |id: &str, message: &str| {
        format!(
            r#"{{"id":"{id}","sessionID":"s","permission":"bash","patterns":[],"tool":{{"messageID":"{message}","callID":"c"}}}}"#
        )
    };
    let child = r#"{"id":"c2","role":"assistant","parentID":"c1","tokens":{"input":5}}"#;
    let mut server = busy()
        .with("s", [prompt(), message("m2", &answer(""))])
        .with("child", [message("c2", child)]);
    server.children.insert("s".to_owned(), vec!["child".to_owned()]);
    server.permissions = vec![ask("per_1", "m0"), ask("per_2", "m2")];
    stage.find(&server);

    assert_eq!(stage.did, ["post", "look", "ask permission"]);
    let asked = stage.events.iter().filter_map(|event| {
        let TurnEventKind::PermissionAsked(request) = &event.kind else { return None };
        Some(request.id.as_str())
    });
    assert!(asked.eq(["per_2"]), "{:#?}", stage.events);
    // The hub learns of the child all the same.
    assert_eq!(stage.links, [("child".into(), "s".into())]);
    let exited = HubEnd::Exited;
    stage.does(|turn, session, now| turn.handle_lost(&exited, session, now));
    assert!(stage.outcome.unwrap().children.is_empty());
}

#[test]
fn a_session_that_was_told_to_be_idle_and_is_found_busy_is_looked_at_once_more() {
    let settings = TurnSettings::default;
    let idle_and_found_busy = || {
        let mut stage = Stage::posted(settings());
        stage.answer(r#","finish":"unknown","time":{"completed":1}"#);
        stage.tell("session.status", IDLE);
        stage.wait(Duration::ZERO);
        stage.find(&busy());
        stage.wait(settings().settle_delay);
        assert_eq!(stage.did, ["post", "look", "look"]);
        stage
    };
    let mut stage = idle_and_found_busy();
    stage.find(&idle());
    assert_eq!(stage.end(), Some("completed"));

    // One that is busy twice is at work, and says so itself.
    let mut stage = idle_and_found_busy();
    stage.find(&busy());
    stage.wait(settings().look_interval - SECOND);
    assert_eq!((stage.did.len(), stage.end()), (3, None));
}

#[test]
fn what_a_look_finds_while_the_stream_is_broken_does_not_count() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.wait(TurnSettings::default().look_interval);
    stage.interrupt();
    assert_eq!(stage.look_call().map(|call| call.id), None, "the driver may drop the call");

    stage.reopen();
    stage.wait(Duration::ZERO);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!((&*stage.did, stage.end()), (&["post", "look", "look"][..], None));
    stage.find(&idle().with("s", [prompt(), message("m2", &answer(DONE))]));
    assert_eq!(stage.end(), Some("completed"));
}

const ASK: &str =
    r#""id":"per_1","permission":"bash","patterns":["ls"],"tool":{"messageID":"m2","callID":"c"}"#;
const REJECTED: &str = "The user rejected permission to use this specific tool call";

/// Nothing more happens after an answer whose only tool call was refused by somebody else, in these words, with or without
/// the events of it.
fn refused(error: &str, is_told: bool) -> Option<TurnEnd> {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    if is_told {
        stage.tell("permission.asked", ASK);
        stage.tell("permission.replied", r#""requestID":"per_1","reply":"reject""#);
    }
    let tool = r#""id":"p","messageID":"m2","type":"tool","tool":"bash","callID":"c""#;
    let state = format!(r#""state":{{"status":"error","input":{{}},"error":"{error}"}}"#);
    stage.tell("message.part.updated", &format!(r#""part":{{{tool},{state}}}"#));
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.tell("session.status", IDLE);
    for _ in 0..60 {
        stage.wait(SECOND);
        stage.find(&idle());
    }
    stage.outcome.map(|outcome| outcome.end)
}

#[test]
fn a_refusal_is_the_end_unless_the_model_was_told_why() {
    let why = format!("{REJECTED} with the following feedback: No.");
    for (error, is_told, refused_tool) in [
        (format!("{REJECTED}."), true, Some("bash (ls)")),
        (format!("{REJECTED}."), false, Some("bash")),
        (why.clone(), true, None),
        (why, false, None),
    ] {
        match (refused(&error, is_told), refused_tool) {
            (Some(TurnEnd::Rejected { refused }), Some(tool)) => assert_eq!(refused, tool),
            (Some(TurnEnd::Torn), None) => {}
            (end, _) => panic!("{error}, told: {is_told}: {end:?}"),
        }
    }
}

#[test]
fn a_prompt_that_comes_while_it_is_looked_for_is_waited_for() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.reply("/prompt_async", lost());
    stage.wait(SECOND);
    stage.find(&idle());
    stage.wait(SECOND);
    // The session was idle when the status was read, and a while later the prompt was there.
    stage.now += 20 * SECOND;
    stage.find(&idle().with("s", [prompt()]));
    stage.wait(SECOND);
    assert_eq!((stage.did.last(), stage.end()), (Some(&"look"), None));
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
}

#[test]
fn a_refusal_that_the_model_went_on_after_is_not_the_end() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.tell("permission.asked", ASK);
    stage.tell("permission.replied", r#""requestID":"per_1","reply":"reject""#);
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    let next = r#""id":"m3","role":"assistant","parentID":"m1","finish":"tool-calls","time":{"completed":2}"#;
    stage.tell("message.updated", &format!(r#""info":{{{next}}}"#));
    stage.tell("session.status", IDLE);
    stage.wait(Duration::ZERO);
    stage.find(&idle());
    assert_eq!(stage.end(), Some("torn"));
}

#[test]
fn a_summary_is_not_told_as_text() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer(r#","summary":true"#);
    let part = |text: &str, end: &str| {
        format!(
            r#""part":{{"id":"p","messageID":"m2","type":"text","text":"{text}","time":{{"start":1{end}}}}}"#
        )
    };
    stage.tell("message.part.updated", &part("", ""));
    let delta = r#""messageID":"m2","partID":"p","field":"text","delta":"We did""#;
    stage.tell("message.part.delta", delta);
    stage.tell("message.part.updated", &part("We did it.", r#","end":2"#));

    let parts = stage.events.iter().filter(|event| event.step == StepRole::Summary);
    assert_eq!(parts.count(), 4, "{:#?}", stage.events);
    assert_eq!(stage.events.iter().filter_map(TurnEvent::text).count(), 0);
}

#[test]
fn a_model_that_says_nothing_has_not_begun() {
    let deadlines = Deadlines::NONE.with_first_event(10 * SECOND).with_idle(60 * SECOND);
    let settings = || TurnSettings::default().with_deadlines(deadlines);

    let mut stage = Stage::posted(settings());
    stage.tell("session.status", BUSY);
    stage.answer("");
    stage.wait(9 * SECOND);
    assert_eq!(stage.did, ["post"]);
    stage.wait(SECOND);
    assert_eq!(stage.did, ["post", "abort"]);
    stage.wait(TurnSettings::default().abort_limit);
    let end = stage.outcome.unwrap().end;
    assert!(matches!(end, TurnEnd::TimedOut(Deadline::FirstEvent)), "{end}");

    // One that has begun, one whose provider said when to come back, and one whose turn it is not yet.
    let retry = r#""status":{"type":"retry","attempt":1,"message":"later","next":1}"#;
    let begun = r#""part":{"id":"p","messageID":"m2","type":"step-start"}"#;
    for told in [&[("message.part.updated", begun)][..], &[("session.status", retry)], &[]] {
        let mut stage = Stage::posted(settings());
        if let [(event_type, properties)] = told {
            stage.answer("");
            stage.tell(event_type, properties);
        }
        stage.wait(59 * SECOND);
        assert!(!stage.did.contains(&"abort"), "{told:?}");
        stage.wait(SECOND);
        assert!(stage.did.contains(&"abort"), "{told:?}");
    }
}

#[test]
fn a_prompt_that_is_cancelled_on_its_way_is_aborted_where_it_arrives() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.does(Turn::cancel);
    stage.aborted();
    stage.wait(Duration::ZERO);
    assert_eq!(stage.did, ["post", "abort", "look"]);
    stage.find(&idle());
    assert_eq!(stage.end(), None, "the prompt may still arrive");

    stage.accept();
    assert_eq!(stage.did, ["post", "abort", "look", "abort"]);
    stage.aborted();
    stage.wait(Duration::ZERO);
    stage.find(&idle());
    assert_eq!(stage.end(), Some("cancelled"));
}

#[test]
fn a_shell_command_that_was_cancelled_is_not_complete() {
    for (is_cancelled, end) in [(true, "cancelled"), (false, "completed")] {
        let shell = ShellRequest::new("build", "sleep 9");
        let mut stage = Stage::sent(shell, TurnSettings::default()).told();
        stage.answer("");
        if is_cancelled {
            stage.does(Turn::cancel);
        }
        stage.answer(r#","time":{"completed":1}"#);
        stage.tell("session.status", IDLE);
        assert_eq!(stage.end(), Some(end));
    }
}

#[test]
fn an_answer_that_overflowed_does_not_end_the_row_of_overflows() {
    let mut stage = Stage::posted(TurnSettings::default());
    for _ in 0..TurnSettings::default().overflows_max {
        stage.tell("session.error", OVERFLOW);
        stage.answer(r#","time":{"completed":1}"#);
    }
    assert_eq!(stage.did, ["post"]);
    stage.tell("session.error", OVERFLOW);
    assert_eq!(stage.did, ["post", "abort"]);
}

#[test]
fn a_model_that_is_never_done_is_stopped() {
    let mut stage = Stage::posted(TurnSettings::default());
    let limit = TurnSettings::default().unfinished_max;
    let unknown = |stage: &mut Stage, number: usize| {
        let id = format!("m{}", number + 10);
        let info = format!(
            r#""info":{{"id":"{id}","role":"assistant","parentID":"m1","finish":"unknown","time":{{"completed":1}}}}"#
        );
        // Each is told several times.
        stage.tell("message.updated", &info);
        stage.tell("message.updated", &info.replace("}}", r#"},"cost":1}"#));
    };
    (0..limit).for_each(|number| unknown(&mut stage, number));
    assert_eq!(stage.did, ["post"], "not yet");
    unknown(&mut stage, limit);
    assert_eq!(stage.did, ["post", "abort"]);
    stage.aborted();
    stage.wait(TurnSettings::default().abort_limit);
    assert_eq!(stage.end(), Some("endless"));

    // One that gives a reason in between is not that.
    let mut stage = Stage::posted(TurnSettings::default());
    for number in 0..3 * limit {
        unknown(&mut stage, number);
        if number % limit == 0 {
            let info = format!(
                r#""info":{{"id":"m9{number}","role":"assistant","parentID":"m1","finish":"tool-calls","time":{{"completed":1}}}}"#
            );
            stage.tell("message.updated", &info);
        }
    }
    assert_eq!(stage.did, ["post"]);
}

#[test]
fn a_prompt_that_is_on_its_way_is_not_torn() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.gap();
    for _ in 0..30 {
        stage.wait(SECOND);
        if stage.did.last() == Some(&"look") {
            stage.find(&idle());
        }
    }
    assert_eq!(stage.end(), None, "nobody knows yet whether it arrives");

    stage.reply("/prompt_async", lost());
    for _ in 0..5 {
        stage.wait(SECOND);
        stage.find(&idle());
    }
    assert_eq!(stage.end(), Some("not_posted"));
}

#[test]
fn a_look_finds_the_answer_to_the_prompt_that_came_meanwhile() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.gap();
    stage.wait(Duration::ZERO);
    assert_eq!(stage.did, ["post", "look"]);

    let spoken = |id: &str, info: &str| {
        let part = format!(r#"{{"id":"p{id}","type":"text","text":"hi","messageID":"{id}"}}"#);
        WrittenMessage { parts: vec![part], ..message(id, info) }
    };
    let tools = answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.find(&idle().with(
        "s",
        [
            spoken("m1", r#"{"id":"m1","role":"user"}"#),
            spoken("m2", &tools),
            spoken("m3", r#"{"id":"m3","role":"user"}"#),
            spoken(
                "m4",
                r#"{"id":"m4","role":"assistant","parentID":"m3","finish":"stop","time":{"completed":1}}"#,
            ),
        ],
    ));
    assert_eq!(stage.end(), Some("completed"));
}

#[test]
fn a_turn_that_was_refused_has_nothing_of_the_next() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    let ask =
        r#""id":"per_1","permission":"bash","patterns":[],"tool":{"messageID":"m2","callID":"c"}"#;
    stage.tell("permission.asked", ask);
    stage.tell("permission.replied", r#""requestID":"per_1","reply":"reject""#);
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("rejected"), "before the next one is heard of");
}

#[test]
fn what_a_subagent_was_refused_does_not_end_the_turn() {
    for is_told in [true, false] {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.answer("");
        stage.hear(event_of_child("session.created", r#""info":{"id":"c","parentID":"s"}"#));
        let ask = r#""id":"per_1","permission":"bash","patterns":[]"#;
        stage.hear(event_of_child("permission.asked", ask));
        assert_eq!(stage.did, ["post", "ask permission"]);
        if is_told {
            let told = r#""requestID":"per_1","reply":"reject""#;
            stage.hear(event_of_child("permission.replied", told));
        } else {
            let refusal = stage.asked.pop().unwrap().refuse();
            stage.does(|turn, session, now| turn.answer(refusal, session, now));
        }
        stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
        // The server is started anew.
        stage.gap();
        for _ in 0..20 {
            stage.wait(SECOND);
            stage.find(&idle());
        }
        assert_eq!(stage.end(), Some("torn"));
    }
}
