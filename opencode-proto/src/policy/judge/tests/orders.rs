//! Requests of a session tree, in any order of events, replies and decisions.

#![allow(clippy::wildcard_enum_match_arm, reason = "most subjects of a test are alike")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// One request: its session, subject, and the times of everything around it, in milliseconds.
#[derive(Clone, Debug)]
struct Suspect {
    session: usize,
    subject: Subject,
    event: u64,
    arguments: u64,
    confirm: u64,
    /// Time at which the turn ends that handed the request over.
    withdrawn: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Allowed,
    Confirmed,
    ConfirmedForGood,
    Denied,
    ReadInside,
    ReadOutside,
    Refused,
    ResumesChild,
    ResumesOther,
}

impl Subject {
    fn is_allowed(self) -> bool {
        match self {
            Self::Allowed
            | Self::Confirmed
            | Self::ConfirmedForGood
            | Self::ReadInside
            | Self::ResumesChild => true,
            Self::Denied | Self::ReadOutside | Self::Refused | Self::ResumesOther => false,
        }
    }

    fn permission(self) -> &'static str {
        match self {
            Self::Allowed => "webfetch",
            Self::Confirmed | Self::ConfirmedForGood | Self::Refused => "skill",
            Self::Denied => "bash",
            Self::ReadInside | Self::ReadOutside => "read",
            Self::ResumesChild | Self::ResumesOther => "task",
        }
    }
}

/// Something that arrives.
#[derive(Debug)]
enum Arrival {
    Asked(usize),
    Confirm(PermissionId),
    /// A call reaches the server.
    Call(ApiCallId, String),
    Files(FileQuestion),
    Reply(ApiCallId, String),
    /// A verdict reaches the server.
    Verdict(PermissionId, PermissionReply),
    Wake,
    Withdrawn(usize),
}

/// The judge, a server, and the time in between.
struct Court<'a> {
    suspects: &'a [Suspect],
    judge: PolicyJudge,
    start: Instant,
    ms: u64,
    arrivals: BTreeMap<(u64, u64), Arrival>,
    number: u64,
    delays: std::iter::Cycle<std::slice::Iter<'a, u64>>,
    /// Requests that the server waits for.
    pending: BTreeSet<usize>,
    open_paths: Vec<String>,
    decided: BTreeMap<usize, PermissionReply>,
    withdrawn: BTreeSet<usize>,
    confirmed: BTreeSet<PermissionId>,
    looked_at: usize,
}

fn index(id: &PermissionId) -> usize {
    id.as_str().strip_prefix("per_").expect("an id of this test").parse().expect("a number")
}

impl<'a> Court<'a> {
    fn new(suspects: &'a [Suspect], delays: &'a [u64]) -> Self {
        let settings = PolicySettings::new()
            .within("/w/p")
            .allow("webfetch")
            .allow("read")
            .allow("task")
            .deny("bash")
            .with_unruled(Unruled::Confirm);
        let project = || Confinement::new(["/w/p".into()]);
        let scope = PolicyScope::new("ses_0", ServerPaths::new("/w/p", "/w"))
            .with_reads(project())
            .with_writes(project());
        let mut court = Self {
            suspects,
            judge: PolicyJudge::new(settings, scope),
            start: start(),
            ms: 0,
            arrivals: BTreeMap::new(),
            number: 0,
            delays: delays.iter().cycle(),
            pending: (0..suspects.len()).collect(),
            open_paths: Vec::new(),
            decided: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            confirmed: BTreeSet::new(),
            looked_at: 0,
        };
        for (index, suspect) in suspects.iter().enumerate() {
            court.arrives(suspect.event, Arrival::Asked(index));
            if let Some(withdrawn) = suspect.withdrawn {
                court.arrives(suspect.event + withdrawn, Arrival::Withdrawn(index));
            }
        }
        court
    }

    fn arrives(&mut self, delay: u64, arrival: Arrival) {
        self.number += 1;
        self.arrivals.insert((self.ms + delay, self.number), arrival);
    }

    fn delay(&mut self) -> u64 {
        *self.delays.next().expect("a delay")
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms)
    }

    /// Plays until nothing is on its way.
    fn play(&mut self) {
        while let Some(((ms, _), arrival)) = self.arrivals.pop_first() {
            self.ms = ms;
            assert!(ms < 3_600_000, "the judge asks without end");
            self.take(arrival);
            self.drain();
        }
    }

    fn take(&mut self, arrival: Arrival) {
        let now = self.now();
        match arrival {
            Arrival::Asked(index) => {
                let ask = listed(&self.entry(index)).remove(0);
                self.judge.handle_ask(ask, now);
            }
            Arrival::Confirm(id) => {
                let reply = match self.suspects[index(&id)].subject {
                    Subject::ConfirmedForGood => PermissionReply::Always,
                    Subject::Refused => PermissionReply::reject_with("no"),
                    _ => PermissionReply::Once,
                };
                self.judge.handle_confirm(&id, reply, now);
            }
            Arrival::Call(id, path) => {
                let (body, delay) = (self.serve(&path), self.delay());
                self.arrives(delay, Arrival::Reply(id, body));
                self.open_paths.retain(|open| *open != path);
            }
            Arrival::Files(question) => {
                let out = FileFinding::found("/out");
                let answer = Links::default().with("/w/p/out", out).answer(&question);
                self.judge.handle_files(question.id, &answer, now);
            }
            Arrival::Reply(id, body) => self.judge.handle_reply(id, reply(body), now),
            Arrival::Verdict(id, reply) => self.settle(index(&id), &reply),
            Arrival::Wake => self.judge.handle_timeout(now),
            Arrival::Withdrawn(index) => {
                if !self.decided.contains_key(&index) {
                    self.withdrawn.insert(index);
                    self.judge.handle_withdrawn(&format!("per_{index}").into(), now);
                }
            }
        }
    }

    fn drain(&mut self) {
        loop {
            let delay = self.delay();
            match self.judge.poll_action() {
                PolicyAction::Call(call) => {
                    let path = call.request.uri().path().to_owned();
                    // Two calls may resume the same session.
                    if !path.starts_with("/session/child_of_") {
                        assert!(!self.open_paths.contains(&path), "{path} is read twice at once");
                        self.open_paths.push(path.clone());
                    }
                    self.arrives(delay, Arrival::Call(call.id, path));
                }
                PolicyAction::Confirm(ask) => {
                    let id = ask.request.id;
                    assert!(self.confirmed.insert(id.clone()), "{id} is confirmed twice");
                    let confirm = self.suspects[index(&id)].confirm;
                    self.arrives(confirm, Arrival::Confirm(id));
                }
                PolicyAction::Decided(verdict) => {
                    let PolicyVerdict { request, reply, .. } = *verdict;
                    let before = self.decided.insert(index(&request.id), reply.clone());
                    assert_eq!(before, None, "{} is decided twice", request.id);
                    self.arrives(delay, Arrival::Verdict(request.id, reply));
                }
                PolicyAction::LookAtFiles(question) => {
                    self.looked_at += 1;
                    self.arrives(delay, Arrival::Files(question));
                }
                PolicyAction::Wait(Some(at)) => {
                    let ms = (at - self.start).as_millis() as u64;
                    return self.arrives(ms.saturating_sub(self.ms), Arrival::Wake);
                }
                PolicyAction::Wait(None) => return,
            }
        }
    }

    /// The server takes a reply: a refusal takes all of the session along.
    fn settle(&mut self, index: usize, reply: &PermissionReply) {
        if !self.pending.remove(&index) {
            assert!(!self.suspects[index].subject.is_allowed(), "{index} was taken along");
            return;
        }
        if matches!(reply, PermissionReply::Reject { .. }) {
            let session = self.suspects[index].session;
            self.pending.retain(|other| self.suspects[*other].session != session);
        }
    }

    fn entry(&self, index: usize) -> String {
        let Suspect { session, subject, .. } = &self.suspects[index];
        let pattern = match subject {
            Subject::ReadInside => "p/in".to_owned(),
            Subject::ReadOutside => "p/out".to_owned(),
            _ => format!("subject {index}"),
        };
        ask(
            &format!("per_{index}"),
            &format!("ses_{session}"),
            subject.permission(),
            &[&pattern],
            &[&pattern],
            "{}",
            &format!(r#"{{"messageID":"msg_{session}","callID":"call_{index}"}}"#),
        )
    }

    fn serve(&self, path: &str) -> String {
        let listed = |indices: &mut dyn Iterator<Item = usize>, text: &dyn Fn(usize) -> String| {
            indices.map(text).collect::<Vec<_>>().join(",")
        };
        if path == "/permission" {
            let mut pending = self.pending.iter().copied();
            return format!("[{}]", listed(&mut pending, &|index| self.entry(index)));
        }
        if let Some(child) = path.strip_prefix("/session/child_of_") {
            return format!(r#"{{"id":"child","title":"","parentID":"ses_{child}"}}"#);
        }
        let (session, _) = path["/session/ses_".len()..].split_once('/').expect("a message");
        let session: usize = session.parse().expect("a number");
        let mut calls = (0..self.suspects.len()).filter(|i| self.suspects[*i].session == session);
        let parts = listed(&mut calls, &|index| self.part(index));
        let info = r#"{"id":"m","sessionID":"s","role":"assistant"}"#;
        format!(r#"{{"info":{info},"parts":[{parts}]}}"#)
    }

    fn part(&self, index: usize) -> String {
        let Suspect { session, subject, arguments, .. } = &self.suspects[index];
        let input = match subject {
            Subject::ReadInside => r#"{"filePath":"in"}"#.to_owned(),
            Subject::ReadOutside => r#"{"filePath":"out"}"#.to_owned(),
            Subject::ResumesChild => {
                format!(r#"{{"prompt":"Go","task_id":"child_of_{session}"}}"#)
            }
            Subject::ResumesOther => r#"{"prompt":"Go","task_id":"child_of_9"}"#.to_owned(),
            _ => "{}".to_owned(),
        };
        let state = if *arguments <= self.ms { running(&input) } else { PENDING.to_owned() };
        format!(
            r#"{{"id":"p","messageID":"m","sessionID":"s","type":"tool","tool":"t",
                "callID":"call_{index}","state":{state}}}"#
        )
    }
}

fn suspects() -> impl Strategy<Value = Vec<Suspect>> {
    let subject = prop_oneof![
        Just(Subject::Allowed),
        Just(Subject::Confirmed),
        Just(Subject::ConfirmedForGood),
        Just(Subject::Denied),
        Just(Subject::ReadInside),
        Just(Subject::ReadOutside),
        Just(Subject::Refused),
        Just(Subject::ResumesChild),
        Just(Subject::ResumesOther),
    ];
    let withdrawn = prop_oneof![4 => Just(None), 1 => (0_u64..3000).prop_map(Some)];
    let suspect = (0_usize..3, subject, 0_u64..1500, 0_u64..4000, 0_u64..60_000, withdrawn);
    let suspect = suspect.prop_map(|(session, subject, event, arguments, confirm, withdrawn)| {
        Suspect { session, subject, event, arguments, confirm, withdrawn }
    });
    prop::collection::vec(suspect, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// No allowed request is taken along by a refusal, none is left undecided, and nothing is
    /// asked twice.
    #[test]
    fn every_request_gets_its_own_verdict(
        suspects in suspects(),
        delays in prop::collection::vec(0_u64..400, 1..40),
    ) {
        let mut court = Court::new(&suspects, &delays);
        court.play();

        for (index, suspect) in suspects.iter().enumerate() {
            if court.withdrawn.contains(&index) {
                prop_assert!(!court.decided.contains_key(&index));
                continue;
            }
            let reply = court.decided.get(&index);
            prop_assert!(reply.is_some(), "{index} is undecided");
            let is_once = reply == Some(&PermissionReply::Once);
            prop_assert_eq!(is_once, suspect.subject.is_allowed(), "{}", index);
        }
        let with_files = suspects.iter().filter(|suspect| suspect.subject.permission() == "read");
        prop_assert!(court.looked_at <= with_files.count());
        prop_assert_eq!(court.judge.wake(), None);
        prop_assert!(court.judge.requests.is_empty() && !court.judge.calls.any(|_| true));
    }
}
