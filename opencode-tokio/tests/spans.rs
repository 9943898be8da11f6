//! Spans that attribute log lines to turns.
//!
//! A program of its own: `tracing` remembers for the whole process whether a span that is first
//! reached on another thread has a subscriber.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use opencode_tokio::config::Credentials;
use opencode_tokio::{AttachRequest, CreateSession, TokioRuntime, TurnRequest};
use testkit::conformance::Host;
use testkit::server::{FakeServer, ServerScript, turn_events};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A span or an event, with the fields as text.
#[derive(Clone, Debug, Default)]
struct Entry {
    name: &'static str,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

/// Everything that was logged on this thread.
#[derive(Clone, Debug, Default)]
struct Journal(Arc<Mutex<JournalState>>);

#[derive(Debug, Default)]
struct JournalState {
    spans: Vec<Entry>,
    entered: Vec<usize>,
    /// Each event, with the index of the span.
    events: Vec<(Entry, Option<usize>)>,
}

fn index(id: &Id) -> usize {
    usize::try_from(id.into_u64()).unwrap() - 1
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("opencode_client")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut entry = Entry { name: span.metadata().name(), ..Entry::default() };
        span.record(&mut entry);
        let mut state = self.0.lock().unwrap();
        state.spans.push(entry);
        Id::from_u64(state.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut self.0.lock().unwrap().spans[index(span)]);
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut entry = Entry { name: event.metadata().name(), ..Entry::default() };
        event.record(&mut entry);
        let mut state = self.0.lock().unwrap();
        let span = state.entered.last().copied();
        state.events.push((entry, span));
    }

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().entered.push(index(span));
    }

    fn exit(&self, span: &Id) {
        let left = self.0.lock().unwrap().entered.pop();
        assert_eq!(left, Some(index(span)), "spans are left in order");
    }
}

#[tokio::test]
async fn two_turns_at_once_can_be_told_apart() {
    let journal = Journal::default();
    let _default = tracing::subscriber::set_default(journal.clone());
    let host = Host::of(TokioRuntime::new());
    let script = ServerScript::new().with_password("opencode", "secret word");
    let fake = Arc::new(FakeServer::start(script).unwrap());
    let attach = AttachRequest::new(fake.url()).with_credentials(Credentials::new("secret word"));
    let server = opencode_tokio::opencode().attach(attach).await.unwrap();
    let mut turns = Vec::new();
    for n in 1..=2 {
        let session = server.create_session(CreateSession::new()).await.unwrap();
        let turn = session.send(TurnRequest::new(format!("Question {n}?")));
        let id = session.id().to_string();
        turns.push((id.clone(), host.spawn(turn.outcome())));
        let waiting = Arc::clone(&fake);
        let posted = host
            .blocking(move || waiting.wait_for_requests("POST", "/session/{id}/prompt_async", n))
            .await;
        let message = posted[n - 1].json()["messageID"].as_str().unwrap().to_owned();
        // The first turn goes on until both have begun.
        if n == 2 {
            let first = posted[0].json()["messageID"].as_str().unwrap().to_owned();
            turn_events(&turns[0].0, &first, "One.").iter().for_each(|e| fake.send_event(e));
            turn_events(&id, &message, "Two.").iter().for_each(|e| fake.send_event(e));
        }
    }
    let mut ids = Vec::new();
    for (id, turn) in turns {
        turn.await.unwrap();
        ids.push(id);
    }

    let state = journal.0.lock().unwrap();
    let spans: Vec<_> = state.spans.iter().filter(|span| span.name == "turn").collect();
    let sessions: Vec<_> = spans.iter().map(|span| span.fields["session"].clone()).collect();
    assert_eq!(sessions, ids);
    assert!(spans.iter().all(|span| span.fields["end"] == "completed"), "{spans:?}");
    assert!(spans.iter().all(|span| span.fields["version"] == "1.18.33"), "{spans:?}");
    for id in &ids {
        let ended: Vec<_> = state
            .events
            .iter()
            .filter(|(event, _)| event.fields["message"] == "turn ended")
            .filter(|(event, _)| event.fields["session"] == *id)
            .collect();
        let [(_, Some(span))] = ended[..] else { panic!("{ended:?}") };
        assert_eq!(state.spans[*span].fields["session"], *id);
    }
    let logged = format!("{state:?}");
    assert!(!logged.contains("secret word") && !logged.contains("Question"), "{logged}");
}
