//! Turns of one session to which anything happens, in any order.

#![allow(clippy::wildcard_enum_match_arm, reason = "it looks at some of what happens")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;

use super::server::{WrittenMessage, WrittenServer, not_found};
use crate::api::{Prompt, PromptReply, ShellRequest};
use crate::ask::AskAnswer;
use crate::call::{ApiCall, ApiReply, CallFailure, Delivery};
use crate::hub::{HubEnd, Interruption};
use crate::server_event::ServerEvent;
use crate::session::Session;
use crate::turn::{
    DroppedFollow, FollowTarget, Turn, TurnAction, TurnEventKind, TurnPost, TurnSettings,
};
use crate::{PermissionAsk, PermissionReply, QuestionAsk, TurnEnd};

/// With any inputs in any order, a turn posts once (or never, when it is followed), ends once, within the deadlines, and
/// repeats no text; no prompt is posted while an abort is in flight, aborts of a session go
/// one after another, and an ask is answered by one turn.
///
/// `data` is the kinds and the number of turns, then the steps, two bytes each.
pub fn turn_machine(data: &[u8], now: Instant) {
    let Some((kinds, steps)) = data.split_first() else { return };
    let mut play = TurnPlay::new(*kinds, now);
    for step in steps.chunks_exact(2) {
        play.step(step[0], step[1]);
    }
    play.end();
}

struct TurnPlay {
    session: Session,
    turns: Vec<PlayedTurn>,
    now: Instant,
}

struct PlayedTurn {
    turn: Turn,
    message: &'static str,
    posts: usize,
    is_over: bool,
    is_dropped: bool,
    owed: Vec<ApiCall>,
    permissions: Vec<PermissionAsk>,
    questions: Vec<QuestionAsk>,
    told: BTreeSet<String>,
}

impl TurnPlay {
    fn new(kinds: u8, now: Instant) -> Self {
        let mut session = Session::new("s".into(), None);
        let count = if kinds < 128 { 1 } else { 2 };
        let turns = ["m0", "m1"].into_iter().take(count).map(|message| {
            let mut turn = begin(kinds, message, &mut session, now);
            turn.handle_opened(&mut session, now);
            PlayedTurn {
                turn,
                message,
                posts: 0,
                is_over: false,
                is_dropped: false,
                owed: Vec::new(),
                permissions: Vec::new(),
                questions: Vec::new(),
                told: BTreeSet::new(),
            }
        });
        let turns = turns.collect();
        let mut play = Self { session, turns, now };
        play.drain();
        play
    }

    fn step(&mut self, what: u8, how: u8) {
        let place = usize::from(what >> 7) % self.turns.len();
        let now = self.now;
        let (played, session) = (&mut self.turns[place], &mut self.session);
        let turn = &mut played.turn;
        match what % 16 {
            0..=7 => {
                let event = Arc::new(ServerEvent::decode(event(what, how).into()));
                turn.handle_event(&event, session, now);
            }
            8 => self.pay(place, how),
            9 => turn.handle_interrupted(&Interruption::Closed, session, now),
            10 => turn.handle_opened(session, now),
            11 => {
                self.now += Duration::from_millis(u64::from(how) * 20);
                turn.handle_timeout(session, self.now);
            }
            12 => played.answer(how, session, now),
            13 if how.is_multiple_of(16) => turn.cancel(session, now),
            13 if how % 16 == 1 => played.drop(session, now),
            14 if how.is_multiple_of(64) => turn.handle_lost(&HubEnd::Exited, session, now),
            15 if how.is_multiple_of(8) => {
                self.now += Duration::from_secs(u64::from(how) * 10);
                turn.handle_timeout(session, self.now);
            }
            _ => turn.handle_timeout(session, now),
        }
        self.drain();
    }

    /// Lets a reply come.
    fn pay(&mut self, place: usize, how: u8) {
        let played = &mut self.turns[place];
        if played.owed.is_empty() {
            return;
        }
        let call = played.owed.remove(usize::from(how) % played.owed.len());
        if call.request.uri().path().ends_with("/abort") && !played.turn.awaits(call.id) {
            panic!("an abort has to be awaited");
        }
        played.turn.handle_reply(call.id, reply(&call, how), &mut self.session, self.now);
    }

    fn drain(&mut self) {
        loop {
            for place in 0..self.turns.len() {
                self.drain_turn(place);
            }
            let Some(woken) = self.session.poll_woken() else { return };
            let woken = self.turns.iter_mut().find(|played| played.turn.number() == woken);
            if let Some(played) = woken {
                played.turn.handle_timeout(&mut self.session, self.now);
            }
        }
    }

    fn drain_turn(&mut self, place: usize) {
        loop {
            let played = &mut self.turns[place];
            let action = played.turn.poll_action();
            match &action {
                TurnAction::Wait(wake) => {
                    let may_wait = !played.is_over || played.is_dropped;
                    assert!(may_wait || wake.is_none(), "it waits after the end");
                    return;
                }
                TurnAction::Call(call) if is_abort(call) || played.is_dropped => {}
                _ => assert!(!played.is_over, "something after the end: {action:?}"),
            }
            match action {
                TurnAction::AskPermission(ask) => {
                    let id = ask.request.id.clone();
                    played.permissions.push(ask);
                    let holds = |played: &&PlayedTurn| {
                        let is_held = |ask: &PermissionAsk| ask.request.id == id;
                        !played.is_over && played.permissions.iter().any(is_held)
                    };
                    assert_eq!(self.turns.iter().filter(holds).count(), 1, "one turn answers");
                }
                TurnAction::AskQuestion(ask) => played.questions.push(ask),
                TurnAction::Call(call) => self.call(place, *call),
                TurnAction::Event(event) => played.tell(&event),
                TurnAction::Finished(outcome) => {
                    played.is_over = true;
                    assert!(outcome.full_text().ends_with(&*outcome.text()));
                    assert!(!matches!(outcome.end, TurnEnd::Refused(_)));
                }
                TurnAction::Link { .. } => {}
                TurnAction::Ready => {
                    let message = played.message.into();
                    played.turn.post(message, &mut self.session, self.now);
                }
                TurnAction::Wait(_) => unreachable!("it was looked at"),
            }
        }
    }

    fn call(&mut self, place: usize, call: ApiCall) {
        let aborts = self.turns.iter().flat_map(|played| &played.owed);
        let aborts = aborts.filter(|call| is_abort(call)).count();
        let played = &mut self.turns[place];
        if is_abort(&call) {
            assert_eq!(aborts, 0, "aborts go one after another");
        }
        if is_post(&call) {
            assert_eq!(aborts, 0, "an abort is on its way");
            played.posts += 1;
            assert_eq!(played.posts, 1, "posted twice");
        }
        played.owed.push(call);
    }

    /// Nothing happens any more but replies and time: the turns end.
    fn end(&mut self) {
        for played in &mut self.turns {
            played.turn.handle_opened(&mut self.session, self.now);
        }
        for _ in 0..1000 {
            self.drain();
            if self.turns.iter().all(|played| played.turn.is_over()) {
                return;
            }
            for place in 0..self.turns.len() {
                self.turns[place].answer(1, &mut self.session, self.now);
                self.drain();
                while !self.turns[place].owed.is_empty() {
                    self.pay(place, 0);
                    self.drain();
                }
            }
            let wakes =
                self.turns.iter_mut().filter_map(|played| match played.turn.poll_action() {
                    TurnAction::Wait(wake) => wake,
                    action => panic!("not drained: {action:?}"),
                });
            if let Some(wake) = wakes.min() {
                self.now = self.now.max(wake);
            }
            for played in &mut self.turns {
                played.turn.handle_timeout(&mut self.session, self.now);
            }
        }
        panic!("the turns do not end");
    }
}

impl PlayedTurn {
    fn answer(&mut self, how: u8, session: &mut Session, now: Instant) {
        let mut answers: Vec<AskAnswer> = Vec::new();
        if let Some(ask) = self.permissions.pop() {
            answers.push(match how.is_multiple_of(2) {
                true => ask.reply(PermissionReply::Once),
                false => ask.refuse(),
            });
        }
        answers.extend(self.questions.pop().map(QuestionAsk::refuse));
        for answer in answers {
            self.turn.answer(answer, session, now);
        }
    }

    fn drop(&mut self, session: &mut Session, now: Instant) {
        if self.is_dropped {
            return;
        }
        (self.is_dropped, self.is_over) = (true, true);
        self.permissions.clear();
        self.questions.clear();
        self.turn.abandon(session, now);
        let turn = &self.turn;
        self.owed.retain(|call| turn.awaits(call.id));
    }

    fn tell(&mut self, event: &crate::TurnEvent) {
        let told = match &event.kind {
            TurnEventKind::Posted(_) => "posted".to_owned(),
            TurnEventKind::PermissionAsked(request) => request.id.to_string(),
            TurnEventKind::QuestionAsked(request) => request.id.to_string(),
            TurnEventKind::MessageUpdated(info) if info.completed_ms.is_some() => {
                format!("{} {}", event.session, info.raw)
            }
            _ => return,
        };
        let is_new = self.told.insert(told.clone());
        assert!(is_new || told.contains(' '), "told twice: {told}");
    }
}

/// Begins a turn that is sent, or that is followed with or without the id of the prompt.
fn begin(kinds: u8, message: &'static str, session: &mut Session, now: Instant) -> Turn {
    let settings = TurnSettings::default();
    if kinds & 0x40 == 0 {
        return Turn::new(post(kinds), settings, message.into(), session, now);
    }
    let target = match kinds & 0x30 {
        0x20 => FollowTarget::Running,
        0x30 => FollowTarget::Latest,
        _ => FollowTarget::Prompt(message.into()),
    };
    let dropped = [DroppedFollow::Abort, DroppedFollow::LeaveRunning][usize::from(kinds) % 2];
    Turn::follow(target, dropped, settings, "mx".into(), session, now)
}

fn post(kinds: u8) -> TurnPost {
    match kinds % 3 {
        0 => TurnPost::from("Go."),
        1 => Prompt::from("Go.").with_reply(PromptReply::NoReply).into(),
        _ => ShellRequest::new("build", "true").into(),
    }
}

fn is_abort(call: &ApiCall) -> bool {
    call.request.uri().path().ends_with("/abort")
}

fn is_post(call: &ApiCall) -> bool {
    let path = call.request.uri().path();
    path.ends_with("/prompt_async") || path.ends_with("/shell")
}

fn reply(call: &ApiCall, how: u8) -> ApiReply {
    let lost = |delivery| Err(CallFailure::new(delivery, "cut"));
    if call.request.method() == Method::GET {
        return match how {
            254 => Ok(not_found()),
            _ if how % 16 == 15 => lost(Delivery::NotSent),
            _ => written(how).reply(call),
        };
    }
    if is_post(call) {
        return match how / 64 {
            // An answer that cannot be read is one.
            0 | 1 => WrittenServer::default().reply(call),
            2 => lost(Delivery::Unknown),
            _ => lost(Delivery::NotSent),
        };
    }
    if how.is_multiple_of(2) {
        WrittenServer::default().reply(call)
    } else {
        lost(Delivery::Unknown)
    }
}

/// An event of few sessions, messages and parts, so that they meet.
fn event(what: u8, how: u8) -> String {
    let session = ["s", "s", "s", "c"][usize::from(how >> 5) % 4];
    let message = ["m0", "m1", "m2", "m3"][usize::from(how) % 4];
    let part = ["p0", "p1", "p2"][usize::from(how >> 2) % 3];
    let (event_type, properties) = match what % 8 {
        0 => ("message.updated", format!(r#""info":{{"id":"{message}","role":"user"}}"#)),
        1 => {
            let parent = ["m0", "m0", "m1", "mx"][usize::from(how >> 2) % 4];
            let more = [
                "",
                r#","time":{"completed":1},"finish":"stop""#,
                r#","time":{"completed":1},"finish":"tool-calls""#,
                r#","time":{"completed":1},"error":{"name":"ContextOverflowError","data":{}}"#,
            ][usize::from(how >> 4) % 4];
            let info =
                format!(r#"{{"id":"{message}","role":"assistant","parentID":"{parent}"{more}}}"#);
            ("message.updated", format!(r#""info":{info}"#))
        }
        2 => {
            let kind = [
                r#""type":"text","text":"a","time":{"start":1}"#,
                r#""type":"text","text":"ab","time":{"start":1,"end":2}"#,
                r#""type":"text","text":"x","synthetic":true"#,
                r#""type":"compaction","auto":true"#,
                r#""type":"tool","callID":"k","tool":"bash","state":{"status":"running","input":{}}"#,
                r#""type":"tool","callID":"k","tool":"task","state":{"status":"running","input":{},"metadata":{"sessionId":"c"}}"#,
                r#""type":"reasoning","text":"r","time":{"start":1}"#,
                r#""type":"step-finish","reason":"stop","tokens":{},"cost":0"#,
            ][usize::from(how >> 4) % 8];
            let part = format!(r#"{{"id":"{part}","messageID":"{message}",{kind}}}"#);
            ("message.part.updated", format!(r#""part":{part}"#))
        }
        3 => (
            "message.part.delta",
            format!(r#""messageID":"{message}","partID":"{part}","field":"text","delta":"b""#),
        ),
        4 => {
            let status = [
                r#"{"type":"busy"}"#,
                r#"{"type":"idle"}"#,
                r#"{"type":"retry","attempt":1,"message":"m","next":9}"#,
            ][usize::from(how) % 3];
            ("session.status", format!(r#""status":{status}"#))
        }
        5 if how.is_multiple_of(8) => {
            ("session.error", r#""error":{"name":"X","data":{}}"#.to_owned())
        }
        5 if how % 8 == 1 => {
            ("session.error", r#""error":{"name":"ContextOverflowError","data":{}}"#.to_owned())
        }
        5 if how == 255 => ("session.deleted", r#""info":{"id":"s"}"#.to_owned()),
        5 if how % 8 == 2 => ("session.created", r#""info":{"id":"c","parentID":"s"}"#.to_owned()),
        5 => ("session.idle", r#""x":1"#.to_owned()),
        6 if how.is_multiple_of(2) => {
            let tool = format!(r#"{{"messageID":"{message}","callID":"k"}}"#);
            let asked =
                format!(r#""id":"per_{part}","permission":"bash","patterns":[],"tool":{tool}"#);
            ("permission.asked", asked)
        }
        6 => ("question.asked", format!(r#""id":"que_{part}","questions":[]"#)),
        _ if how.is_multiple_of(2) => {
            ("permission.replied", format!(r#""requestID":"per_{part}","reply":"reject""#))
        }
        _ => ("question.rejected", format!(r#""requestID":"que_{part}""#)),
    };
    format!(r#"{{"type":"{event_type}","properties":{{"sessionID":"{session}",{properties}}}}}"#)
}

/// A server that knows little, or some of the state that events could have reported.
fn written(how: u8) -> WrittenServer {
    let mut server = WrittenServer::default();
    if how % 4 == 1 {
        server.statuses.insert("s".to_owned(), r#"{"type":"busy"}"#.to_owned());
    }
    if how & 0x40 == 0 {
        let messages = server.messages.entry("s".to_owned()).or_default();
        for (what, how) in [(0, 0), (1, how), (1, how.wrapping_add(17)), (0, how % 4)] {
            let (message, part) = (event(what, how), event(2, how));
            messages.push(WrittenMessage {
                id: ["m0", "m1", "m2", "m3"][usize::from(how) % 4].to_owned(),
                info: value(&message, "info"),
                parts: vec![value(&part, "part")],
            });
        }
    }
    if how % 8 == 2 {
        let asked = event(6, how & 0xfe);
        let (_, properties) = asked.split_once(r#""properties":"#).expect("an event");
        server.permissions.push(properties[..properties.len() - 1].to_owned());
    }
    server
}

/// The value of the last property of an event.
fn value(event: &str, name: &str) -> String {
    let (_, value) = event.split_once(&format!(r#""{name}":"#)).expect("the event has it");
    value[..value.len() - 2].to_owned()
}
