//! Plays a recording to a hub and a turn.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opencode_proto::{
    ApiCallId, ApiReply, Hub, HubAction, HubSettings, Interruption, MessageId, Prompt, PromptReply,
    Session, SessionId, ShellRequest, StreamedText, Turn, TurnAction, TurnEvent, TurnEventKind,
    TurnOutcome, TurnPost, TurnSettings,
};

use super::server::{Recording, Server};

/// How to play.
pub(crate) struct Play {
    random: Option<u64>,
    gaps: Gaps,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    None,
    Some,
}

impl Play {
    /// Everything at once and in order.
    pub(crate) fn plain() -> Self {
        Self { random: None, gaps: Gaps::None }
    }

    pub(crate) fn random(seed: u64, gaps: Gaps) -> Self {
        Self { random: Some(seed | 1), gaps }
    }

    /// Below `limit`; 0 when nothing is left to chance.
    fn pick(&mut self, limit: usize) -> usize {
        let Some(state) = &mut self.random else { return 0 };
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 33).unwrap() % limit
    }
}

/// What came of it.
pub(crate) struct Ended {
    pub(crate) end: &'static str,
    pub(crate) text: String,
    /// The text as the events told it.
    pub(crate) streamed: String,
    /// What was told twice.
    pub(crate) twice: Vec<String>,
    pub(crate) looks: usize,
    pub(crate) events: Vec<TurnEvent>,
    pub(crate) outcome: TurnOutcome,
}

/// Plays the turn of one prompt of a recording.
pub(crate) fn play(name: &str, prompt: usize, play: &Play) -> Ended {
    let recording = Recording::load(name);
    let (session, message, told) = recording.prompts().swap_remove(prompt);
    let post = match name {
        "srv_noreply" => Prompt::from("Go.").with_reply(PromptReply::NoReply).into(),
        "srv_shell" => ShellRequest::new("build", "true").into(),
        _ => TurnPost::from("Go."),
    };
    let mut play = Play { random: play.random, gaps: play.gaps };
    let start = told.saturating_sub(play.pick(4));
    let mut player = Player::new(session, message, post, play);
    player.run(&recording, start);
    if name.starts_with("srv_kill") {
        player.hub.handle_exit();
        player.drive();
    }
    player.wait();
    player.ended()
}

struct Player {
    hub: Hub,
    turn: Option<Turn>,
    outcome: Option<TurnOutcome>,
    session: SessionId,
    shared: Session,
    message: MessageId,
    post: TurnPost,
    server: Server,
    /// Replies on their way to us, and how many frames each takes.
    replies: Vec<(usize, ApiCallId, ApiReply)>,
    events: Vec<TurnEvent>,
    looks: usize,
    now: Instant,
    play: Play,
}

impl Player {
    fn new(session: SessionId, message: MessageId, post: TurnPost, play: Play) -> Self {
        let now = Instant::now();
        let mut hub = Hub::new(HubSettings::default().with_seed(7), now);
        hub.follow(session.clone());
        Self {
            hub,
            turn: None,
            outcome: None,
            shared: Session::new(session.clone(), None),
            session,
            message,
            post,
            server: Server::new(),
            replies: Vec::new(),
            events: Vec::new(),
            looks: 0,
            now,
            play,
        }
    }

    fn run(&mut self, recording: &Recording, start: usize) {
        let frames = &recording.frames;
        let gap = match self.play.gaps {
            Gaps::None => frames.len()..frames.len(),
            Gaps::Some => {
                let from = self.play.pick(frames.len());
                from..(from + self.play.pick(12)).min(frames.len())
            }
        };
        let connected = Bytes::from_static(b"data: {\"type\":\"server.connected\"}\n\n");
        self.connect(&connected);
        let mut rest = Bytes::new();
        for (index, frame) in frames.iter().enumerate() {
            if index == start {
                self.begin();
                if !gap.is_empty() && index > gap.start && index <= gap.end {
                    self.turn(|turn, session, now| {
                        turn.handle_interrupted(&Interruption::Closed, session, now);
                    });
                }
                self.drive();
            }
            self.server.apply(&frame.event);
            self.now += Duration::from_millis(self.play.pick(50) as u64);
            if gap.contains(&index) {
                if index == gap.start {
                    rest.clear();
                    self.hub.handle_end(self.now);
                    self.drive();
                }
            } else {
                if index == gap.end && !gap.is_empty() {
                    self.connect(&connected);
                }
                rest = [rest, frame.bytes.clone()].concat().into();
                while !rest.is_empty() {
                    let size = match self.play.random {
                        None => rest.len(),
                        Some(_) => self.play.pick(2 * rest.len()) + 1,
                    };
                    if size > rest.len() {
                        break;
                    }
                    self.hub.handle_chunk(rest.split_to(size), self.now);
                    self.drive();
                }
            }
            self.tick();
        }
        if gap.end == frames.len() && !gap.is_empty() {
            self.connect(&connected);
        }
        self.hub.handle_chunk(rest, self.now);
        self.drive();
    }

    fn begin(&mut self) {
        let (post, message) = (self.post.clone(), self.message.clone());
        let settings = TurnSettings::default();
        self.turn = Some(Turn::new(post, settings, message, &mut self.shared, self.now));
        self.turn(Turn::handle_opened);
        let turn = self.turn.as_mut().unwrap();
        assert!(matches!(turn.poll_action(), TurnAction::Ready));
        let message = self.message.clone();
        self.turn(|turn, session, now| turn.post(message, session, now));
    }

    fn turn(&mut self, input: impl FnOnce(&mut Turn, &mut Session, Instant)) {
        if let Some(turn) = &mut self.turn {
            input(turn, &mut self.shared, self.now);
        }
    }

    /// The stream is opened, as the hub has asked.
    fn connect(&mut self, connected: &Bytes) {
        self.drive();
        self.hub.handle_timeout(self.now);
        self.drive();
        self.hub.handle_head(self.now);
        self.hub.handle_chunk(connected.clone(), self.now);
        self.drive();
    }

    /// Replies that are due, and time.
    fn tick(&mut self) {
        for (frames, ..) in &mut self.replies {
            *frames = frames.saturating_sub(1);
        }
        while let Some(due) = self.replies.iter().position(|(frames, ..)| *frames == 0) {
            let (_, call, reply) = self.replies.remove(due);
            self.turn(|turn, session, now| turn.handle_reply(call, reply, session, now));
            self.drive();
        }
        self.drive();
    }

    /// Time passes until the turn is over.
    fn wait(&mut self) {
        for _ in 0..200 {
            self.replies.iter_mut().for_each(|(frames, ..)| *frames = 0);
            self.tick();
            if !self.replies.is_empty() {
                continue;
            }
            let Some(turn) = &mut self.turn else { return };
            match turn.poll_action() {
                TurnAction::Wait(Some(wake)) => self.now = self.now.max(wake),
                TurnAction::Wait(None) => {}
                action => panic!("not drained: {action:?}"),
            }
            self.turn(Turn::handle_timeout);
            self.drive();
        }
    }

    fn drive(&mut self) {
        loop {
            match self.hub.poll_action() {
                HubAction::Deliver { event, root } => {
                    if root.as_ref() == Some(&self.session) {
                        self.turn(|turn, session, now| turn.handle_event(&event, session, now));
                    }
                }
                HubAction::Interrupted(why) => {
                    self.turn(|turn, session, now| turn.handle_interrupted(&why, session, now));
                }
                HubAction::Opened => self.turn(Turn::handle_opened),
                HubAction::Finished(end) => {
                    self.turn(|turn, session, now| turn.handle_lost(&end, session, now));
                }
                HubAction::Connect(_) | HubAction::Disconnect => {}
                HubAction::Wait(_) => break,
            }
            self.drive_turn();
        }
        self.drive_turn();
    }

    fn drive_turn(&mut self) {
        self.turn(Turn::handle_timeout);
        while let Some(turn) = &mut self.turn {
            match turn.poll_action() {
                // The recording has the answer.
                TurnAction::AskPermission(_) | TurnAction::AskQuestion(_) => {}
                TurnAction::Call(call) => {
                    let path = call.request.uri().path();
                    self.looks += usize::from(path == "/session/status");
                    // A look makes several calls, and the first takes the longest.
                    let frames = match call.request.method() == "GET" && path != "/session/status" {
                        true => self.play.pick(3),
                        false => self.play.pick(12) + 1,
                    };
                    self.replies.push((frames, call.id, self.server.reply(&call)));
                }
                TurnAction::Event(event) => self.events.push(*event),
                TurnAction::Finished(outcome) => {
                    self.outcome = Some(*outcome);
                    self.turn = None;
                    return;
                }
                TurnAction::Link { child, parent } => self.hub.link(&child, &parent),
                TurnAction::Ready => panic!("it is posted"),
                TurnAction::Wait(_) => {
                    self.replies.retain(|(_, call, _)| turn.awaits(*call));
                    return;
                }
            }
        }
    }

    fn ended(self) -> Ended {
        let outcome = self.outcome.expect("the turn ends");
        let mut streamed = StreamedText::new();
        self.events.iter().for_each(|event| streamed.handle_turn_event(event));
        let streamed = streamed.to_str().into_owned();
        let text = outcome.text().into_owned();
        Ended {
            end: outcome.end.name(),
            text,
            streamed,
            twice: twice(&self.events),
            looks: self.looks,
            events: self.events,
            outcome,
        }
    }
}

fn twice(events: &[TurnEvent]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut twice = Vec::new();
    for event in events {
        let what = match &event.kind {
            TurnEventKind::PartAdded(part) => format!("added {:?}", part.key()),
            TurnEventKind::PartFinal { part, .. } => format!("final {:?}", part.key()),
            TurnEventKind::MessageUpdated(info) => format!("message {}", info.raw),
            TurnEventKind::PermissionAsked(request) => format!("ask {}", request.id),
            TurnEventKind::QuestionAsked(request) => format!("ask {}", request.id),
            TurnEventKind::StepFinished(step) => format!("step {:?}", step.key),
            TurnEventKind::Posted(message) => format!("posted {message}"),
            _ => continue,
        };
        if !seen.insert(what.clone()) {
            twice.push(what);
        }
    }
    twice
}
