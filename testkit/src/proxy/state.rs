use std::collections::BTreeMap;
use std::sync::Arc;

use crate::request::{Pattern, Request};
use crate::traffic::{HasTraffic, Traffic};

use super::link::ProxyLink;
use super::watch::Trigger;
use super::{Cut, CutAt};

/// ProxyState that the threads of one proxy share.
#[derive(Debug, Default)]
pub(super) struct ProxyState {
    pub(super) traffic: Traffic,
    pub(super) rules: Vec<Rule>,
    pub(super) trigger: Option<Trigger>,
    pub(super) flow: EventFlow,
    pub(super) door: Door,
    pub(super) links: BTreeMap<u64, Connection>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Arc<ProxyLink>,
    pub(super) carries: Carries,
    /// Treatment of the reply whose head has not arrived yet.
    pub(super) awaited: Option<ReplyFate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    Replies,
    /// The client requested an event stream, and the server has not replied yet.
    Asked,
    Events,
}

/// Treatment of a request and the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyFate {
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
    /// Complete bytes of the reply.
    Answer(Vec<u8>),
}

/// Treatment of event streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum EventFlow {
    #[default]
    Passing,
    Held,
}

/// Treatment of new connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Door {
    #[default]
    Open,
    Shut,
}

impl ProxyState {
    /// Registers a new connection, unless connections are refused.
    pub(super) fn enter(&mut self, link: Arc<ProxyLink>) -> Option<u64> {
        if self.door == Door::Shut {
            return None;
        }
        self.next += 1;
        let connection = Connection { link, carries: Carries::Replies, awaited: None };
        self.links.insert(self.next, connection);
        Some(self.next)
    }

    /// Records a request and returns the fault that applies to it.
    pub(super) fn admit(&mut self, number: u64, request: Request) -> Option<Fault> {
        let rule = self.rules.iter().position(|rule| rule.pattern.matches(&request));
        let fault = rule.map(|at| self.rules.remove(at).fault);
        let asks = request.event_stream().is_some();
        self.traffic.requests.push(Arc::new(request));
        let connection = self.links.get_mut(&number)?;
        connection.carries = Carries::Replies;
        match fault {
            Some(Fault::Answer(_)) => return fault,
            Some(Fault::Cut(at)) => connection.awaited = Some(ReplyFate::Cut(at)),
            None => connection.awaited = Some(ReplyFate::Pass),
        }
        if asks {
            connection.carries = Carries::Asked;
        }
        fault
    }

    /// Notes that the head of a reply has arrived.
    pub(super) fn begin_reply(&mut self, number: u64, status: u16) {
        let Some(connection) = self.links.get_mut(&number) else { return };
        connection.awaited = None;
        if connection.carries == Carries::Asked && status == 200 {
            connection.carries = Carries::Events;
            self.traffic.streams_opened += 1;
        }
    }

    pub(super) fn fate(&self, number: u64) -> Option<ReplyFate> {
        self.links.get(&number)?.awaited
    }

    pub(super) fn carries(&self, number: u64) -> Carries {
        self.links.get(&number).map_or(Carries::Replies, |connection| connection.carries)
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

impl HasTraffic for ProxyState {
    fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn streams_open(&self) -> usize {
        let carries = self.links.values().map(|connection| connection.carries);
        carries.filter(|carries| *carries == Carries::Events).count()
    }
}
