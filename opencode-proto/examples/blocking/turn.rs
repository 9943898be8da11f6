//! One turn of a new session of a server.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opencode_proto::api::{ApiError, CreateSession};
use opencode_proto::{
    ApiCallId, ApiReply, Hub, HubAction, HubSettings, MessageId, Session, Turn, TurnAction,
    TurnOutcome, TurnSettings,
};

use crate::http::HttpServer;
use crate::{Result, wait};

enum SeenInput {
    Reply(ApiCallId, ApiReply),
    Stream { number: usize, news: News },
}

/// Message of an event stream.
enum News {
    Chunk(Bytes),
    End,
    Head,
    Lost(String),
    Refused(Box<ApiError>),
}

pub(crate) fn turn(address: &str, prompt: &str) -> Result<()> {
    let server = HttpServer::new(address);
    let session = server.call(&CreateSession::new().with_title("blocking"))??;
    let (tell, inputs) = channel();
    let now = Instant::now();
    let mut shared = Session::new(session.id.clone(), None);
    let mut driver = TurnDriver {
        server,
        tell,
        hub: Hub::new(HubSettings::default(), now),
        turn: Turn::new(prompt, TurnSettings::default(), message_id(), &mut shared, now),
        session: shared,
        streams: 0,
    };
    driver.hub.follow(session.id);
    let outcome = driver.drive(&inputs)?;
    println!("\n[{}; {} tokens]", outcome.end, outcome.tokens().total);
    if outcome.end.is_completed() { Ok(()) } else { Err("no answer".into()) }
}

struct TurnDriver {
    server: HttpServer,
    tell: Sender<SeenInput>,
    hub: Hub,
    session: Session,
    turn: Turn,
    /// Number of event streams so far. Messages of an older one are dropped.
    streams: usize,
}

impl TurnDriver {
    fn drive(&mut self, inputs: &Receiver<SeenInput>) -> Result<TurnOutcome> {
        loop {
            let hub_wake = self.drive_hub();
            let turn_wake = match self.drive_turn()? {
                Progress::Finished(outcome) => return Ok(*outcome),
                Progress::Waiting(wake) => wake,
            };
            let wake = [hub_wake, turn_wake].into_iter().flatten().min();
            if let Some(input) = wait(inputs, wake)? {
                self.handle(input);
            }
            let now = Instant::now();
            self.hub.handle_timeout(now);
            self.turn.handle_timeout(&mut self.session, now);
        }
    }

    fn drive_hub(&mut self) -> Option<Instant> {
        loop {
            let now = Instant::now();
            let (turn, session) = (&mut self.turn, &mut self.session);
            match self.hub.poll_action() {
                HubAction::Connect(stream) => self.open(stream.path()),
                HubAction::Deliver { event, root } => {
                    if root.is_some() {
                        turn.handle_event(&event, session, now);
                    }
                }
                HubAction::Disconnect => self.streams += 1,
                HubAction::Finished(end) => turn.handle_lost(&end, session, now),
                HubAction::Interrupted(why) => turn.handle_interrupted(&why, session, now),
                HubAction::Opened => turn.handle_opened(session, now),
                HubAction::Wait(wake) => return wake,
            }
        }
    }

    fn drive_turn(&mut self) -> Result<Progress> {
        loop {
            let now = Instant::now();
            let (turn, session) = (&mut self.turn, &mut self.session);
            match turn.poll_action() {
                // A program would ask the user.
                TurnAction::AskPermission(ask) => turn.answer(ask.refuse(), session, now),
                TurnAction::AskQuestion(ask) => turn.answer(ask.refuse(), session, now),
                // A thread waits for the server.
                TurnAction::Call(call) => {
                    let (server, tell) = (self.server.clone(), self.tell.clone());
                    thread::spawn(move || {
                        let id = call.id;
                        drop(tell.send(SeenInput::Reply(id, server.execute(*call))));
                    });
                }
                TurnAction::Event(event) => {
                    if let Some(text) = event.text() {
                        print!("{text}");
                        io::stdout().flush()?;
                    }
                }
                TurnAction::Finished(outcome) => return Ok(Progress::Finished(outcome)),
                TurnAction::Link { child, parent } => self.hub.link(&child, &parent),
                TurnAction::Ready => turn.post(message_id(), session, now),
                TurnAction::Wait(wake) => return Ok(Progress::Waiting(wake)),
            }
        }
    }

    fn handle(&mut self, input: SeenInput) {
        let now = Instant::now();
        match input {
            SeenInput::Reply(call, reply) => {
                self.turn.handle_reply(call, reply, &mut self.session, now);
            }
            SeenInput::Stream { number, .. } if number != self.streams => {}
            SeenInput::Stream { news, .. } => match news {
                News::Chunk(chunk) => self.hub.handle_chunk(chunk, now),
                News::End => self.hub.handle_end(now),
                News::Head => self.hub.handle_head(now),
                News::Lost(reason) => self.hub.handle_lost(reason, now),
                News::Refused(error) => self.hub.handle_refused(*error, now),
            },
        }
    }

    /// Opens the event stream and reads it, on a thread.
    fn open(&mut self, path: &'static str) {
        self.streams += 1;
        let (server, tell, number) = (self.server.clone(), self.tell.clone(), self.streams);
        thread::spawn(move || {
            let say = |news| tell.send(SeenInput::Stream { number, news }).is_ok();
            let mut body = match server.events(path) {
                Ok(Ok(body)) => body,
                Ok(Err(refusal)) => return say(News::Refused(Box::new(refusal))),
                Err(error) => return say(News::Lost(error.to_string())),
            };
            let mut heard = say(News::Head);
            while heard {
                heard = match body.next_chunk() {
                    Ok(Some(chunk)) => say(News::Chunk(chunk)),
                    Ok(None) => return say(News::End),
                    Err(error) => return say(News::Lost(error.to_string())),
                };
            }
            heard
        });
    }
}

enum Progress {
    Finished(Box<TurnOutcome>),
    Waiting(Option<Instant>),
}

/// An id as OpenCode makes them: the time first.
fn message_id() -> MessageId {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = (since_epoch.as_millis() << 12) & 0xffff_ffff_ffff;
    format!("msg_{time:012x}{:014}", std::process::id()).into()
}
