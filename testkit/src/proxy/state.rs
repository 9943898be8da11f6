use std::collections::BTreeMap;
use std::sync::Arc;

use crate::request::{Pattern, Request};

use super::link::Link;
use super::watch::Trigger;
use super::{Cut, CutAt};

/// What the threads of one proxy have in common.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) requests: Vec<Arc<Request>>,
    pub(super) rules: Vec<Rule>,
    pub(super) trigger: Option<Trigger>,
    pub(super) flow: Flow,
    pub(super) door: Door,
    /// The event streams that the server has opened in all.
    pub(super) opened: usize,
    pub(super) links: BTreeMap<u64, Connection>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Arc<Link>,
    pub(super) carries: Carries,
    /// What becomes of the reply whose head has not come yet.
    pub(super) awaited: Option<Fate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    Replies,
    /// An event stream was asked for.
    Asked,
    Events,
}

/// What becomes of a request and its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    Cut(CutAt),
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    pub(super) fault: Fault,
}

#[derive(Debug)]
pub(super) enum Fault {
    Cut(CutAt),
    /// The whole reply.
    Answer(Vec<u8>),
}

/// Whether event streams pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Passing,
    Held,
}

/// Whether new connections are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Door {
    #[default]
    Open,
    Shut,
}

impl State {
    /// Takes a new connection, unless the door is shut.
    pub(super) fn enter(&mut self, link: Arc<Link>) -> Option<u64> {
        if self.door == Door::Shut {
            return None;
        }
        self.next += 1;
        let connection = Connection { link, carries: Carries::Replies, awaited: None };
        self.links.insert(self.next, connection);
        Some(self.next)
    }

    /// Records a request and says what is done about it.
    pub(super) fn admit(&mut self, number: u64, request: Request) -> Option<Fault> {
        let rule = self.rules.iter().position(|rule| rule.pattern.matches(&request));
        let fault = rule.map(|at| self.rules.remove(at).fault);
        let asks = request.event_stream().is_some();
        self.requests.push(Arc::new(request));
        let connection = self.links.get_mut(&number)?;
        connection.carries = Carries::Replies;
        match fault {
            Some(Fault::Answer(_)) => return fault,
            Some(Fault::Cut(at)) => connection.awaited = Some(Fate::Cut(at)),
            None => connection.awaited = Some(Fate::Pass),
        }
        if asks {
            connection.carries = Carries::Asked;
        }
        fault
    }

    /// The head of a reply came.
    pub(super) fn begin_reply(&mut self, number: u64, status: u16) {
        let Some(connection) = self.links.get_mut(&number) else { return };
        connection.awaited = None;
        if connection.carries == Carries::Asked && status == 200 {
            connection.carries = Carries::Events;
            self.opened += 1;
        }
    }

    pub(super) fn fate(&self, number: u64) -> Option<Fate> {
        self.links.get(&number)?.awaited
    }

    pub(super) fn carries(&self, number: u64) -> Carries {
        self.links.get(&number).map_or(Carries::Replies, |connection| connection.carries)
    }

    pub(super) fn open_events(&self) -> usize {
        let carries = self.links.values().map(|connection| connection.carries);
        carries.filter(|carries| *carries == Carries::Events).count()
    }

    pub(super) fn end_events(&mut self, cut: Cut) -> Vec<u64> {
        self.end(cut, |connection| connection.carries != Carries::Replies)
    }

    pub(super) fn end_all(&mut self, cut: Cut) -> Vec<u64> {
        self.end(cut, |_| true)
    }

    fn end(&mut self, cut: Cut, which: impl Fn(&Connection) -> bool) -> Vec<u64> {
        let meant = self.links.iter().filter(|(_, connection)| which(connection));
        meant
            .map(|(number, connection)| {
                connection.link.end(cut);
                *number
            })
            .collect()
    }
}
