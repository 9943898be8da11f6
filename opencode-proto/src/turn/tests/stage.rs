//! A turn in virtual time, and a server that knows what a test writes down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::{ApiCall, ApiReply, CallFailure, Delivery};
use crate::fuzzing::{WrittenMessage, WrittenServer};
use crate::server_event::ServerEvent;
use crate::turn::*;
use crate::{PermissionAsk, QuestionAsk, SessionId};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A turn of session `s` with the prompt `m1`, and a record of actions and events.
pub(super) struct Stage {
    pub(super) session: Session,
    pub(super) turn: Turn,
    pub(super) now: Instant,
    pub(super) events: Vec<TurnEvent>,
    /// Names of the other actions.
    pub(super) did: Vec<&'static str>,
    pub(super) calls: Vec<ApiCall>,
    pub(super) asked: Vec<PermissionAsk>,
    pub(super) questions: Vec<QuestionAsk>,
    pub(super) links: Vec<(SessionId, SessionId)>,
    pub(super) outcome: Option<TurnOutcome>,
}

impl Stage {
    /// A turn that waits for the event stream.
    pub(super) fn waiting(
        post: impl Into<TurnPost>,
        settings: TurnSettings,
        session: Session,
    ) -> Self {
        let begin =
            |session: &mut Session, now| Turn::new(post, settings, "m0".into(), session, now);
        let stage = Self::begun(begin, session);
        assert_eq!(stage.did, [""; 0]);
        stage
    }

    /// A turn that was there before, and that waits for the event stream.
    pub(super) fn following(
        prompt: Option<&str>,
        dropped: DroppedFollow,
        settings: TurnSettings,
    ) -> Self {
        Self::joining(prompt.map(MessageId::from).into(), dropped, settings)
    }

    /// A turn that is about to find the one to follow.
    pub(super) fn joining(
        target: FollowTarget,
        dropped: DroppedFollow,
        settings: TurnSettings,
    ) -> Self {
        let begin = |session: &mut Session, now| {
            Turn::follow(target, dropped, settings, "m0".into(), session, now)
        };
        Self::begun(begin, Session::new("s".into(), None))
    }

    pub(super) fn begun(
        begin: impl FnOnce(&mut Session, Instant) -> Turn,
        mut session: Session,
    ) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        let turn = begin(&mut session, now);
        let mut stage = Self {
            session,
            turn,
            now,
            events: Vec::new(),
            did: Vec::new(),
            calls: Vec::new(),
            asked: Vec::new(),
            questions: Vec::new(),
            links: Vec::new(),
            outcome: None,
        };
        stage.drain();
        stage
    }

    pub(super) fn sent(post: impl Into<TurnPost>, settings: TurnSettings) -> Self {
        let mut stage = Self::waiting(post, settings, Session::new("s".into(), None));
        stage.does(Turn::handle_opened);
        assert_eq!(stage.did, ["post"]);
        stage
    }

    pub(super) fn new(settings: TurnSettings) -> Self {
        Self::sent("Go.", settings)
    }

    /// A turn whose prompt the server has reported.
    pub(super) fn posted(settings: TurnSettings) -> Self {
        Self::new(settings).told()
    }

    pub(super) fn told(mut self) -> Self {
        self.accept();
        self.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
        self
    }

    pub(super) fn tell(&mut self, event_type: &str, properties: &str) {
        self.hear(event(event_type, properties));
    }

    pub(super) fn hear(&mut self, event: Arc<ServerEvent>) {
        self.does(|turn, session, now| turn.handle_event(&event, session, now));
    }

    pub(super) fn answer(&mut self, rest: &str) {
        self.tell("message.updated", &format!(r#""info":{}"#, answer(rest)));
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.does(Turn::handle_timeout);
    }

    pub(super) fn interrupt(&mut self) {
        let why = Interruption::Closed;
        self.does(|turn, session, now| turn.handle_interrupted(&why, session, now));
    }

    pub(super) fn reopen(&mut self) {
        self.does(Turn::handle_opened);
    }

    /// The stream breaks, and is open again at once.
    pub(super) fn gap(&mut self) {
        self.interrupt();
        self.reopen();
    }

    /// The server replies to the call whose path ends like this.
    pub(super) fn reply(&mut self, path: &str, reply: ApiReply) {
        let is_meant = |call: &ApiCall| call.request.uri().path().ends_with(path);
        let place = self.calls.iter().position(is_meant).expect("such a call is on its way");
        let call = self.calls.remove(place);
        self.does(|turn, session, now| turn.handle_reply(call.id, reply, session, now));
    }

    pub(super) fn replied(&mut self, path: &str) {
        self.replied_by(&WrittenServer::default(), path);
    }

    /// This server replies to the call whose path ends like this.
    pub(super) fn replied_by(&mut self, server: &WrittenServer, path: &str) {
        let call = self.calls.iter().find(|call| call.request.uri().path().ends_with(path));
        let reply = server.reply(call.expect("such a call is on its way"));
        self.reply(path, reply);
    }

    pub(super) fn accept(&mut self) {
        let path = ["/prompt_async", "/shell"].into_iter().find(|path| self.is_calling(path));
        self.replied(path.expect("a post is on its way"));
    }

    pub(super) fn aborted(&mut self) {
        self.replied("/abort");
    }

    pub(super) fn is_calling(&self, path: &str) -> bool {
        self.calls.iter().any(|call| call.request.uri().path().ends_with(path))
    }

    /// The server answers the calls of a look, if there is one.
    pub(super) fn find(&mut self, server: &WrittenServer) {
        while let Some(call) = self.look_call() {
            let reply = server.reply(&call);
            self.does(|turn, session, now| turn.handle_reply(call.id, reply, session, now));
        }
    }

    pub(super) fn look_call(&mut self) -> Option<ApiCall> {
        let turn = &self.turn;
        self.calls.retain(|call| turn.awaits(call.id));
        let place = self.calls.iter().position(|call| call.request.method() == http::Method::GET);
        place.map(|place| self.calls.remove(place))
    }

    pub(super) fn does(&mut self, input: impl FnOnce(&mut Turn, &mut Session, Instant)) {
        input(&mut self.turn, &mut self.session, self.now);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        loop {
            match self.turn.poll_action() {
                TurnAction::AskPermission(ask) => {
                    self.asked.push(ask);
                    self.did.push("ask permission");
                }
                TurnAction::AskQuestion(ask) => {
                    self.questions.push(ask);
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

    pub(super) fn end(&self) -> Option<&'static str> {
        self.outcome.as_ref().map(|outcome| outcome.end.name())
    }
}

/// The name of a call. The calls of a look after the first have none.
pub(super) fn name(call: &ApiCall) -> Option<&'static str> {
    let path: Vec<_> = call.request.uri().path().split('/').skip(1).collect();
    match path.as_slice() {
        ["config"] => Some("configured model"),
        ["session", _, "abort"] => Some("abort"),
        ["session", _, "prompt_async" | "message" | "shell" | "summarize"]
            if call.request.method() != http::Method::GET =>
        {
            Some("post")
        }
        ["session", "status"] => Some("look"),
        [.., "reply" | "reject"] => Some("reply"),
        _ => None,
    }
}

pub(super) fn lost() -> ApiReply {
    Err(CallFailure::new(Delivery::Unknown, "lost"))
}

/// A server on which the session works.
pub(super) fn busy() -> WrittenServer {
    let mut server = WrittenServer::default();
    server.statuses.insert("s".to_owned(), r#"{"type":"busy"}"#.to_owned());
    server
}

/// A server on which the session is idle.
pub(super) fn idle() -> WrittenServer {
    WrittenServer::default()
}

pub(super) fn message(id: &str, info: &str) -> WrittenMessage {
    WrittenMessage { id: id.to_owned(), info: info.to_owned(), parts: Vec::new() }
}

pub(super) fn prompt() -> WrittenMessage {
    message("m1", r#"{"id":"m1","role":"user"}"#)
}

/// A message of the user's with one part.
pub(super) fn user_with(id: &str, part: &str) -> WrittenMessage {
    let mut message = message(id, &format!(r#"{{"id":"{id}","role":"user"}}"#));
    message.parts = vec![format!(r#"{{"id":"p_{id}","messageID":"{id}",{part}}}"#)];
    message
}

pub(super) fn user(id: &str, text: &str) -> WrittenMessage {
    user_with(id, &format!(r#""type":"text","text":"{text}""#))
}

pub(super) fn text_part(message: &str, text: &str, rest: &str) -> String {
    format!(r#"{{"id":"p_{message}","messageID":"{message}","type":"text","text":"{text}"{rest}}}"#)
}

pub(super) fn reply_to(id: &str, parent: &str, rest: &str) -> WrittenMessage {
    message(id, &format!(r#"{{"id":"{id}","role":"assistant","parentID":"{parent}"{rest}}}"#))
}

pub(super) fn said(mut message: WrittenMessage, text: &str) -> WrittenMessage {
    message.parts = vec![text_part(&message.id, text, r#","time":{"start":1,"end":2}"#)];
    message
}

pub(super) trait With: Sized {
    fn with(self, session: &str, messages: impl IntoIterator<Item = WrittenMessage>) -> Self;
}

impl With for WrittenServer {
    fn with(mut self, session: &str, messages: impl IntoIterator<Item = WrittenMessage>) -> Self {
        self.messages.entry(session.to_owned()).or_default().extend(messages);
        self
    }
}

/// An answer to the prompt.
pub(super) fn answer(rest: &str) -> String {
    format!(r#"{{"id":"m2","role":"assistant","parentID":"m1"{rest}}}"#)
}

pub(super) fn event(event_type: &str, properties: &str) -> Arc<ServerEvent> {
    event_in("s", event_type, properties)
}

pub(super) fn event_of_child(event_type: &str, properties: &str) -> Arc<ServerEvent> {
    event_in("c", event_type, properties)
}

pub(super) fn event_in(session: &str, event_type: &str, properties: &str) -> Arc<ServerEvent> {
    let comma = if properties.is_empty() { "" } else { "," };
    let event = format!(
        r#"{{"type":"{event_type}","properties":{{"sessionID":"{session}"{comma}{properties}}}}}"#
    );
    Arc::new(ServerEvent::decode(event.into()))
}

pub(super) const DONE: &str = r#","finish":"stop","time":{"completed":1}"#;
pub(super) const IDLE: &str = r#""status":{"type":"idle"}"#;
pub(super) const BUSY: &str = r#""status":{"type":"busy"}"#;
pub(super) const ABORTED: &str =
    r#""error":{"name":"MessageAbortedError","data":{"message":"Aborted"}}"#;
pub(super) const REFUSED: &str =
    r#""error":{"name":"APIError","data":{"message":"refused","statusCode":401}}"#;
pub(super) const OVERFLOW: &str =
    r#""error":{"name":"ContextOverflowError","data":{"message":"Too long"}}"#;

pub(super) const ASK: &str =
    r#""id":"per_1","permission":"bash","patterns":["ls"],"tool":{"messageID":"m2","callID":"c"}"#;
