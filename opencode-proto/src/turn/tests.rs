//! Whole turns in virtual time. The recordings are played in `tests/turns.rs`; here is what they do not have.

use std::time::Duration;

use super::*;
use crate::api::{MessageWithParts, Pending};
use crate::server_event::ServerEventKind;
use crate::{Deadlines, MessageInfo, StepRole};

const SECOND: Duration = Duration::from_secs(1);

/// A turn of session `s` with the prompt `m1`, and all that it did and told.
struct Stage {
    turn: Turn,
    now: Instant,
    events: Vec<TurnEvent>,
    /// The names of the other actions.
    did: Vec<&'static str>,
    asked: Vec<PermissionAsk>,
    outcome: Option<TurnOutcome>,
}

impl Stage {
    fn new(settings: TurnSettings) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        let turn = Turn::new("s".into(), "m1".into(), settings, now);
        let (events, did, asked) = (Vec::new(), Vec::new(), Vec::new());
        let mut stage = Self { turn, now, events, did, asked, outcome: None };
        stage.drain();
        assert_eq!(stage.did, ["post"]);
        stage
    }

    /// A turn whose prompt the server has told.
    fn posted(settings: TurnSettings) -> Self {
        let mut stage = Self::new(settings);
        stage.does(|turn, now| turn.handle_posted(Posted::Accepted, now));
        stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
        stage
    }

    fn tell(&mut self, event_type: &str, properties: &str) {
        let event = event(event_type, properties);
        self.does(|turn, now| turn.handle_event(&event, now));
    }

    fn answer(&mut self, rest: &str) {
        self.tell("message.updated", &format!(r#""info":{}"#, answer(rest)));
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.does(Turn::handle_timeout);
    }

    fn find(&mut self, snapshot: Snapshot) {
        self.does(|turn, now| turn.handle_look(Ok(snapshot), now));
    }

    fn does(&mut self, input: impl FnOnce(&mut Turn, Instant)) {
        input(&mut self.turn, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            let name = match self.turn.poll_action() {
                TurnAction::Abort => "abort",
                TurnAction::AskPermission(ask) => {
                    self.asked.push(ask);
                    "ask permission"
                }
                TurnAction::AskQuestion(_) => "ask question",
                TurnAction::Event(event) => {
                    self.events.push(*event);
                    continue;
                }
                TurnAction::Finished(outcome) => {
                    self.outcome = Some(*outcome);
                    continue;
                }
                TurnAction::Look(_) => "look",
                TurnAction::Post => "post",
                TurnAction::Reply(_) => "reply",
                TurnAction::Wait(_) => return,
            };
            self.did.push(name);
        }
    }

    fn end(&self) -> Option<&'static str> {
        self.outcome.as_ref().map(|outcome| outcome.end.name())
    }
}

/// An answer to the prompt.
fn answer(rest: &str) -> String {
    format!(r#"{{"id":"m2","role":"assistant","parentID":"m1"{rest}}}"#)
}

fn event(event_type: &str, properties: &str) -> Arc<ServerEvent> {
    let comma = if properties.is_empty() { "" } else { "," };
    let event =
        format!(r#"{{"type":"{event_type}","properties":{{"sessionID":"s"{comma}{properties}}}}}"#);
    Arc::new(ServerEvent::decode(event.into()))
}

fn info(message: &str) -> MessageInfo {
    let event = event("message.updated", &format!(r#""info":{message}"#));
    let ServerEventKind::MessageUpdated(info) = &event.kind else { panic!("{event:?}") };
    (**info).clone()
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
        let properties = format!(
            r#""id":"{id}","permission":"bash","patterns":[],"tool":{{"messageID":"{message}","callID":"c"}}"#
        );
        let event = event("permission.asked", &properties);
        let ServerEventKind::PermissionAsked(request) = &event.kind else { panic!("{event:?}") };
        Pending::new("s".into(), (**request).clone())
    };
    let mut found = Snapshot::new(SessionStatus::Busy);
    found.messages = vec![MessageWithParts::new(info(&answer("")), Vec::new())];
    found.permissions = vec![ask("per_1", "m0"), ask("per_2", "m2")];
    let child = info(r#"{"id":"c2","role":"assistant","parentID":"c1","tokens":{"input":5}}"#);
    let child = MessageWithParts::new(child, Vec::new());
    found.children = vec![ChildSnapshot { session: "child".into(), messages: vec![child] }];
    stage.find(found);

    assert_eq!(stage.did, ["post", "look", "ask permission"]);
    let asked = stage.events.iter().filter_map(|event| {
        let TurnEventKind::PermissionAsked(request) = &event.kind else { return None };
        Some(request.id.as_str())
    });
    assert!(asked.eq(["per_2"]), "{:#?}", stage.events);
    stage.does(|turn, now| turn.handle_lost(&HubEnd::Exited, now));
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
        stage.find(Snapshot::new(SessionStatus::Busy));
        stage.wait(settings().settle_delay);
        assert_eq!(stage.did, ["post", "look", "look"]);
        stage
    };
    let mut stage = idle_and_found_busy();
    stage.find(Snapshot::new(SessionStatus::Idle));
    assert_eq!(stage.end(), Some("completed"));

    // One that is busy twice is at work, and says so itself.
    let mut stage = idle_and_found_busy();
    stage.find(Snapshot::new(SessionStatus::Busy));
    stage.wait(settings().look_interval - SECOND);
    assert_eq!((stage.did.len(), stage.end()), (3, None));
}

#[test]
fn what_a_look_finds_while_the_stream_is_broken_does_not_count() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.wait(TurnSettings::default().look_interval);
    let why = Interruption::Closed;
    stage.does(|turn, _| turn.handle_interrupted(&why));
    let mut found = Snapshot::new(SessionStatus::Busy);
    found.messages = vec![MessageWithParts::new(info(&answer("")), Vec::new())];
    stage.find(found);

    stage.does(Turn::handle_reopened);
    stage.does(Turn::handle_timeout);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!((stage.did, stage.outcome.is_none()), (vec!["post", "look", "look"], true));
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
        stage.find(Snapshot::new(SessionStatus::Idle));
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
    let lost = Posted::Unknown { reason: "lost".to_owned() };
    stage.does(|turn, now| turn.handle_posted(lost, now));
    stage.wait(SECOND);
    stage.find(Snapshot::new(SessionStatus::Idle));
    stage.wait(SECOND);
    // It was idle when that was asked, and a while later, when the messages were, there it was.
    stage.now += 20 * SECOND;
    let mut found = Snapshot::new(SessionStatus::Idle);
    let prompt = info(r#"{"id":"m1","role":"user"}"#);
    found.messages = vec![MessageWithParts::new(prompt, Vec::new())];
    stage.find(found);
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
    stage.find(Snapshot::new(SessionStatus::Idle));
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
    stage.does(Turn::handle_aborted);
    stage.wait(Duration::ZERO);
    assert_eq!(stage.did, ["post", "abort", "look"]);
    stage.find(Snapshot::new(SessionStatus::Idle));
    assert_eq!(stage.end(), None, "the prompt may still arrive");

    stage.does(|turn, now| turn.handle_posted(Posted::Accepted, now));
    assert_eq!(stage.did, ["post", "abort", "look", "abort"]);
    stage.does(Turn::handle_aborted);
    stage.wait(Duration::ZERO);
    stage.find(Snapshot::new(SessionStatus::Idle));
    assert_eq!(stage.end(), Some("cancelled"));
}

#[test]
fn a_shell_command_that_was_cancelled_is_not_complete() {
    for (is_cancelled, end) in [(true, "cancelled"), (false, "completed")] {
        let mut stage = Stage::posted(TurnSettings::default().with_kind(TurnKind::Shell));
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
    stage.does(Turn::handle_aborted);
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
    stage.does(|turn, _| turn.handle_interrupted(&Interruption::Closed));
    stage.does(Turn::handle_reopened);
    for _ in 0..30 {
        stage.wait(SECOND);
        if stage.did.last() == Some(&"look") {
            stage.find(Snapshot::new(SessionStatus::Idle));
        }
    }
    assert_eq!(stage.end(), None, "nobody knows yet whether it arrives");

    stage.does(|turn, now| turn.handle_posted(Posted::Unknown { reason: "late".into() }, now));
    for _ in 0..5 {
        stage.wait(SECOND);
        stage.find(Snapshot::new(SessionStatus::Idle));
    }
    assert_eq!(stage.end(), Some("not_posted"));
}

#[test]
fn a_look_finds_the_answer_to_the_prompt_that_came_meanwhile() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.does(|turn, _| turn.handle_interrupted(&Interruption::Closed));
    stage.does(Turn::handle_reopened);
    stage.wait(Duration::ZERO);
    assert_eq!(stage.did, ["post", "look"]);

    let message = |json: &str, part: &str| {
        let part = format!(r#""part":{{"id":"p","type":"text","text":"hi",{part}}}"#);
        let event = event("message.part.updated", &part);
        let ServerEventKind::PartUpdated(part) = &event.kind else { panic!("{event:?}") };
        MessageWithParts::new(info(json), vec![part.clone()])
    };
    let mut found = Snapshot::new(SessionStatus::Idle);
    let tools = answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    found.messages = vec![
        message(r#"{"id":"m1","role":"user"}"#, r#""messageID":"m1""#),
        message(&tools, r#""messageID":"m2""#),
        message(r#"{"id":"m3","role":"user"}"#, r#""messageID":"m3""#),
        message(
            r#"{"id":"m4","role":"assistant","parentID":"m3","finish":"stop","time":{"completed":1}}"#,
            r#""messageID":"m4""#,
        ),
    ];
    stage.find(found);
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
        let child = r#"{"type":"session.created","properties":{"sessionID":"c","info":{"id":"c","parentID":"s"}}}"#;
        let ask = r#"{"type":"permission.asked","properties":{"sessionID":"c","id":"per_1","permission":"bash","patterns":[]}}"#;
        for event in [child, ask] {
            let event = Arc::new(ServerEvent::decode(event.into()));
            stage.does(|turn, now| turn.handle_event(&event, now));
        }
        assert_eq!(stage.did, ["post", "ask permission"]);
        if is_told {
            let told = r#"{"type":"permission.replied","properties":{"sessionID":"c","requestID":"per_1","reply":"reject"}}"#;
            let event = Arc::new(ServerEvent::decode(told.into()));
            stage.does(|turn, now| turn.handle_event(&event, now));
        } else {
            let ask = stage.asked.pop().unwrap();
            let refusal = PermissionReply::reject();
            stage.does(|turn, now| turn.answer_permission(ask, refusal, now));
        }
        stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
        // The server is started anew.
        stage.does(|turn, _| turn.handle_interrupted(&Interruption::Closed));
        stage.does(Turn::handle_reopened);
        for _ in 0..20 {
            stage.wait(SECOND);
            stage.find(Snapshot::new(SessionStatus::Idle));
        }
        assert_eq!(stage.end(), Some("torn"));
    }
}
