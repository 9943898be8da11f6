//! A turn to which anything happens, in any order.

#![allow(clippy::wildcard_enum_match_arm, reason = "it looks at some of what happens")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{MessageWithParts, Pending, PermissionReply};
use crate::hub::{HubEnd, Interruption};
use crate::server_event::{ServerEvent, ServerEventKind, SessionStatus};
use crate::transcript::AskId;
use crate::turn::{
    Arrival, AskReply, LookError, PermissionAsk, Posted, QuestionAsk, QuestionReply, Snapshot,
    Turn, TurnAction, TurnEventKind, TurnKind, TurnSettings,
};

/// Whatever happens in whatever order, a turn posts once, ends once, within its deadlines, and says nothing twice.
///
/// `data` is the kind of turn, then what happens, two bytes each.
pub fn turn_machine(data: &[u8], now: Instant) {
    let Some((kind, steps)) = data.split_first() else { return };
    let kind = [TurnKind::Prompt, TurnKind::NoReply, TurnKind::Shell][usize::from(*kind % 3)];
    let mut play = Play::new(kind, now);
    for step in steps.chunks_exact(2) {
        play.step(step[0], step[1]);
    }
    play.end();
}

struct Play {
    turn: Turn,
    now: Instant,
    posts: usize,
    is_over: bool,
    owed: Vec<Owed>,
    permissions: Vec<PermissionAsk>,
    questions: Vec<QuestionAsk>,
    told: BTreeSet<String>,
}

/// What the machine waits for.
enum Owed {
    Aborted,
    Look,
    Posted,
    Replied(AskId),
}

impl Play {
    fn new(kind: TurnKind, now: Instant) -> Self {
        let settings = TurnSettings::default().with_kind(kind);
        let mut play = Self {
            turn: Turn::new("s".into(), "m0".into(), settings, now),
            now,
            posts: 0,
            is_over: false,
            owed: Vec::new(),
            permissions: Vec::new(),
            questions: Vec::new(),
            told: BTreeSet::new(),
        };
        play.drain();
        play
    }

    fn step(&mut self, what: u8, how: u8) {
        let now = self.now;
        match what % 16 {
            0..=7 => {
                let event = Arc::new(ServerEvent::decode(event(what, how).into()));
                self.turn.handle_event(&event, now);
            }
            8 => self.pay(how),
            9 => self.turn.handle_interrupted(&Interruption::Closed),
            10 => self.turn.handle_reopened(now),
            11 => {
                self.now += Duration::from_millis(u64::from(how) * 20);
                self.turn.handle_timeout(self.now);
            }
            12 => self.answer(how),
            13 if how.is_multiple_of(16) => self.turn.cancel(now),
            14 if how.is_multiple_of(64) => self.turn.handle_lost(&HubEnd::Exited, now),
            15 if how.is_multiple_of(8) => {
                self.now += Duration::from_secs(u64::from(how) * 10);
                self.turn.handle_timeout(self.now);
            }
            _ => self.turn.handle_timeout(now),
        }
        self.drain();
    }

    /// Lets a reply come.
    fn pay(&mut self, how: u8) {
        if self.owed.is_empty() {
            return;
        }
        let owed = self.owed.remove(usize::from(how) % self.owed.len());
        let now = self.now;
        match owed {
            Owed::Aborted => self.turn.handle_aborted(now),
            Owed::Look => self.turn.handle_look(look(how), now),
            Owed::Posted => self.turn.handle_posted(
                match how / 64 {
                    0 | 1 => Posted::Accepted,
                    2 => Posted::Unknown { reason: "cut".to_owned() },
                    _ => Posted::Failed { reason: "refused".to_owned() },
                },
                now,
            ),
            Owed::Replied(id) => {
                let arrival =
                    if how.is_multiple_of(2) { Arrival::Arrived } else { Arrival::Unknown };
                self.turn.handle_replied(&id, arrival, now);
            }
        }
    }

    fn answer(&mut self, how: u8) {
        if let Some(ask) = self.permissions.pop() {
            let reply = if how.is_multiple_of(2) {
                PermissionReply::Once
            } else {
                PermissionReply::reject()
            };
            self.turn.answer_permission(ask, reply, self.now);
        }
        if let Some(ask) = self.questions.pop() {
            self.turn.answer_question(ask, QuestionReply::Dismiss, self.now);
        }
    }

    fn drain(&mut self) {
        loop {
            let action = self.turn.poll_action();
            if let TurnAction::Wait(wake) = action {
                assert!(!self.is_over || wake.is_none(), "it waits after the end");
                return;
            }
            assert!(!self.is_over, "something after the end: {action:?}");
            match action {
                TurnAction::Abort => self.owed.push(Owed::Aborted),
                TurnAction::AskPermission(ask) => self.permissions.push(ask),
                TurnAction::AskQuestion(ask) => self.questions.push(ask),
                TurnAction::Event(event) => {
                    let told = match &event.kind {
                        TurnEventKind::Posted(_) => "posted".to_owned(),
                        TurnEventKind::PermissionAsked(request) => request.id.to_string(),
                        TurnEventKind::QuestionAsked(request) => request.id.to_string(),
                        TurnEventKind::MessageUpdated(info) if info.completed_ms.is_some() => {
                            format!("{} {}", event.session, info.raw)
                        }
                        _ => continue,
                    };
                    let is_new = self.told.insert(told.clone());
                    assert!(is_new || told.contains(' '), "told twice: {told}");
                }
                TurnAction::Finished(outcome) => {
                    self.is_over = true;
                    assert!(outcome.full_text().ends_with(&*outcome.text()));
                }
                TurnAction::Look(_) => {
                    self.owed.retain(|owed| !matches!(owed, Owed::Look));
                    self.owed.push(Owed::Look);
                }
                TurnAction::Post => {
                    self.posts += 1;
                    assert_eq!(self.posts, 1, "posted twice");
                    self.owed.push(Owed::Posted);
                }
                TurnAction::Reply(reply) => self.owed.push(Owed::Replied(match reply {
                    AskReply::Permission { id, .. } => AskId::Permission(id),
                    AskReply::Question { id, .. } => AskId::Question(id),
                })),
                TurnAction::Wait(_) => unreachable!("it was looked at"),
            }
        }
    }

    /// Nothing happens any more but replies and time: the turn ends.
    fn end(&mut self) {
        self.turn.handle_reopened(self.now);
        for _ in 0..1000 {
            self.drain();
            if self.is_over {
                return;
            }
            self.answer(1);
            while !self.owed.is_empty() {
                self.pay(0);
                self.drain();
            }
            if let TurnAction::Wait(Some(wake)) = self.turn.poll_action() {
                self.now = self.now.max(wake);
                self.turn.handle_timeout(self.now);
            }
        }
        panic!("the turn does not end");
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

/// What a look finds: little, or some of what could have been told.
fn look(how: u8) -> Result<Snapshot, LookError> {
    if how % 16 == 15 {
        return Err(LookError::unavailable("away"));
    }
    if how == 254 {
        return Err(LookError::SessionGone);
    }
    let status = if how % 4 == 1 { SessionStatus::Busy } else { SessionStatus::Idle };
    let mut snapshot = Snapshot::new(status);
    for (what, how) in [(0, 0), (1, how), (1, how.wrapping_add(17)), (0, how % 4)] {
        if let ServerEventKind::MessageUpdated(info) =
            ServerEvent::decode(event(what, how).into()).kind
            && how & 0x40 == 0
        {
            let part = ServerEvent::decode(event(2, how).into());
            let parts = match part.kind {
                ServerEventKind::PartUpdated(part) => vec![part],
                _ => Vec::new(),
            };
            snapshot.messages.push(MessageWithParts::new(*info, parts));
        }
    }
    if how % 8 == 2
        && let ServerEventKind::PermissionAsked(request) =
            ServerEvent::decode(event(6, how & 0xfe).into()).kind
    {
        snapshot.permissions.push(Pending::new("s".into(), *request));
    }
    Ok(snapshot)
}
