//! One turn of a new session of a server.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opencode_proto::api::{
    AbortSession, ApiError, CreateSession, ListMessages, ListPermissions, ListQuestions,
    PromptAsync, RejectQuestion, ReplyPermission, ReplyQuestion, SessionStatuses,
};
use opencode_proto::{
    Arrival, AskId, AskReply, Hub, HubAction, HubSettings, Look, LookError, MessageId,
    PermissionReply, Posted, Prompt, QuestionReply, SessionStatus, Snapshot, Turn, TurnAction,
    TurnOutcome, TurnSettings,
};

use crate::http::Server;
use crate::{Result, wait};

enum Input {
    Aborted,
    Found(Result<Snapshot, LookError>),
    Posted(Posted),
    Replied(AskId, Arrival),
    Stream { number: usize, news: News },
}

/// What an event stream says.
enum News {
    Chunk(Bytes),
    End,
    Head,
    Lost(String),
    Refused(Box<ApiError>),
}

pub(crate) fn turn(address: &str, prompt: &str) -> Result<()> {
    let server = Server::new(address);
    let session = server.call(&CreateSession::new().with_title("blocking"))??;
    let (tell, inputs) = channel();
    let mut driver = Driver {
        server,
        tell,
        hub: Hub::new(HubSettings::default(), Instant::now()),
        turn: None,
        post: PromptAsync::new(session.id.clone(), message_id(), Prompt::from(prompt)),
        streams: 0,
    };
    driver.hub.follow(session.id);
    let outcome = driver.drive(&inputs)?;
    println!("\n[{}; {} tokens]", outcome.end, outcome.tokens().total);
    if outcome.end.is_completed() { Ok(()) } else { Err("no answer".into()) }
}

struct Driver {
    server: Server,
    tell: Sender<Input>,
    hub: Hub,
    /// Begun when the event stream is open: before that, events would be missed.
    turn: Option<Turn>,
    post: PromptAsync,
    /// How many event streams were opened. What an older one still says is dropped.
    streams: usize,
}

impl Driver {
    fn drive(&mut self, inputs: &Receiver<Input>) -> Result<TurnOutcome> {
        loop {
            let hub_wake = self.drive_hub()?;
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
            if let Some(turn) = &mut self.turn {
                turn.handle_timeout(now);
            }
        }
    }

    fn drive_hub(&mut self) -> Result<Option<Instant>> {
        loop {
            let now = Instant::now();
            match self.hub.poll_action() {
                HubAction::Connect(stream) => self.open(stream.path()),
                HubAction::Deliver { event, root } => {
                    if let (Some(turn), Some(_)) = (&mut self.turn, root) {
                        turn.handle_event(&event, now);
                    }
                }
                HubAction::Disconnect => self.streams += 1,
                HubAction::Finished(end) => match &mut self.turn {
                    Some(turn) => turn.handle_lost(&end, now),
                    None => return Err(end.into()),
                },
                HubAction::Interrupted(why) => {
                    if let Some(turn) = &mut self.turn {
                        turn.handle_interrupted(&why);
                    }
                }
                HubAction::Opened => match &mut self.turn {
                    Some(turn) => turn.handle_reopened(now),
                    None => {
                        let (session, message) =
                            (self.post.session().clone(), self.post.message().clone());
                        self.turn = Some(Turn::new(session, message, TurnSettings::default(), now));
                    }
                },
                HubAction::Wait(wake) => return Ok(wake),
            }
        }
    }

    fn drive_turn(&mut self) -> Result<Progress> {
        let Some(turn) = &mut self.turn else { return Ok(Progress::Waiting(None)) };
        loop {
            let now = Instant::now();
            let (server, post) = (self.server.clone(), self.post.clone());
            // Whatever waits for the server does so on a thread.
            let later = |work: Box<dyn FnOnce() -> Input + Send>| {
                let tell = self.tell.clone();
                thread::spawn(move || drop(tell.send(work())));
            };
            match turn.poll_action() {
                TurnAction::Abort => later(Box::new(move || {
                    // The turn ends by itself when this does not work.
                    let _ = server.call(&AbortSession::new(post.session()));
                    Input::Aborted
                })),
                // A program would ask somebody.
                TurnAction::AskPermission(ask) => {
                    turn.answer_permission(ask, PermissionReply::reject(), now);
                }
                TurnAction::AskQuestion(ask) => {
                    turn.answer_question(ask, QuestionReply::Dismiss, now);
                }
                TurnAction::Event(event) => {
                    if let Some(text) = event.text() {
                        print!("{text}");
                        io::stdout().flush()?;
                    }
                }
                TurnAction::Finished(outcome) => return Ok(Progress::Finished(outcome)),
                TurnAction::Look(about) => {
                    later(Box::new(move || Input::Found(look(&server, &about))));
                }
                TurnAction::Post => later(Box::new(move || {
                    Input::Posted(match server.call(&post) {
                        Ok(Ok(())) => Posted::Accepted,
                        Ok(Err(refusal)) => Posted::Refused(Box::new(refusal)),
                        // It may have arrived. It is not sent again.
                        Err(error) => Posted::Unknown { reason: error.to_string() },
                    })
                })),
                TurnAction::Reply(answer) => later(Box::new(move || reply(&server, answer))),
                TurnAction::Wait(wake) => return Ok(Progress::Waiting(wake)),
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let now = Instant::now();
        if let Input::Stream { number, news } = input {
            if number != self.streams {
                return;
            }
            return match news {
                News::Chunk(chunk) => self.hub.handle_chunk(chunk, now),
                News::End => self.hub.handle_end(now),
                News::Head => self.hub.handle_head(now),
                News::Lost(reason) => self.hub.handle_lost(reason, now),
                News::Refused(error) => self.hub.handle_refused(*error, now),
            };
        }
        let Some(turn) = &mut self.turn else { return };
        match input {
            Input::Aborted => turn.handle_aborted(now),
            Input::Found(found) => turn.handle_look(found, now),
            Input::Posted(posted) => turn.handle_posted(posted, now),
            Input::Replied(id, arrival) => turn.handle_replied(&id, arrival, now),
            Input::Stream { .. } => {}
        }
    }

    /// Opens the event stream and reads it, on a thread.
    fn open(&mut self, path: &'static str) {
        self.streams += 1;
        let (server, tell, number) = (self.server.clone(), self.tell.clone(), self.streams);
        thread::spawn(move || {
            let say = |news| tell.send(Input::Stream { number, news }).is_ok();
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

/// What the server knows. (A program that has subagents looks at their sessions as well.)
fn look(server: &Server, about: &Look) -> Result<Snapshot, LookError> {
    let away = |error: &dyn std::error::Error| LookError::unavailable(error.to_string());
    let call = |called: io::Result<Result<_, ApiError>>| match called {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(away(&error)),
        Err(error) => Err(away(&error)),
    };
    let mut statuses = call(server.call(&SessionStatuses::new()))?;
    let status = statuses.remove(&about.session).unwrap_or(SessionStatus::Idle);
    let mut snapshot = Snapshot::new(status);
    let list = ListMessages::new(about.session.clone());
    let page = server.call(&list).map_err(|error| away(&error))?.map_err(|error| away(&error))?;
    let own = page.messages.iter().position(|message| message.info.id == about.message);
    snapshot.messages = page.messages;
    drop(snapshot.messages.drain(..own.unwrap_or(0)));
    let asked = server.call(&ListPermissions::new()).map_err(|error| away(&error))?;
    snapshot.permissions = asked.map_err(|error| away(&error))?;
    let asked = server.call(&ListQuestions::new()).map_err(|error| away(&error))?;
    snapshot.questions = asked.map_err(|error| away(&error))?;
    Ok(snapshot)
}

fn reply(server: &Server, answer: AskReply) -> Input {
    let arrival = |called: io::Result<Result<(), ApiError>>| match called {
        Ok(_) => Arrival::Arrived,
        Err(_) => Arrival::Unknown,
    };
    match answer {
        AskReply::Permission { id, reply, .. } => {
            let called = server.call(&ReplyPermission::new(id.clone(), reply));
            Input::Replied(AskId::Permission(id), arrival(called))
        }
        AskReply::Question { id, reply, .. } => {
            let request = id.clone();
            let called = match reply {
                QuestionReply::Answer(answers) => {
                    server.call(&ReplyQuestion::new(request, answers))
                }
                QuestionReply::Dismiss => server.call(&RejectQuestion::new(request)),
            };
            Input::Replied(AskId::Question(id), arrival(called))
        }
    }
}

/// An id as OpenCode makes them: the time first.
fn message_id() -> MessageId {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = (since_epoch.as_millis() << 12) & 0xffff_ffff_ffff;
    format!("msg_{time:012x}{:014}", std::process::id()).into()
}
