//! Order of refusals.
//!
//! With one refusal, OpenCode refuses all pending permission requests of the same session, those
//! too that an application or a policy is about to allow. So a refusal is held back until the server
//! lists no request of the session that may still be allowed, or that is allowed while the reply is
//! in flight.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::api::Pending;
use crate::{PermissionId, PermissionRequest, SessionId};

#[cfg(test)]
mod tests;

/// First pause before permissions are listed again because a reply or an event is in flight.
/// Later pauses double.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(160);
/// Pause before permissions are listed again because another request is being decided.
const PAUSE_WHILE_DECIDING: Duration = Duration::from_millis(500);
/// Time that the event of a listed request may take. The requests of an aborted turn stay listed
/// without an event.
pub(crate) const UNKNOWN_LIMIT: Duration = Duration::from_secs(2);
/// Time that the reply to an allowed request may take.
pub(crate) const ALLOWED_LIMIT: Duration = Duration::from_secs(30);

/// Refusals that are held back, and the requests that they would take along.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// Requests to refuse, with their sessions.
    held: BTreeMap<PermissionId, SessionId>,
    /// Requests that are decided, until the server lists them no longer.
    settled: BTreeMap<PermissionId, Settled>,
    /// First sight of listed requests that no event named yet.
    unknown: BTreeMap<PermissionId, Instant>,
    listing: PermissionListing,
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Settled {
    Allowed { at: Instant },
    Refused,
}

/// State of `GET /permission`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PermissionListing {
    Asked,
    Idle,
    /// Asked before the newest refusal: the reply may miss a request.
    Outdated,
    Pausing {
        until: Instant,
        blocker: Blocker,
    },
}

/// State of a request that a refusal must not take along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Blocker {
    /// The request is being decided.
    Deciding,
    /// The reply to the request, or the event that names the request, is in flight.
    OnItsWay,
}

/// Requests that are being decided, with their sessions.
pub(crate) type Deciding = BTreeMap<PermissionId, SessionId>;

/// Call that the refusals need next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum ListingDemand {
    List,
    Nothing,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            held: BTreeMap::new(),
            settled: BTreeMap::new(),
            unknown: BTreeMap::new(),
            listing: PermissionListing::Idle,
            pause: PAUSE_FIRST,
        }
    }
}

impl Refusals {
    /// Remembers that a request was allowed, and that the reply is in flight.
    pub(crate) fn allow(&mut self, id: PermissionId, now: Instant) {
        self.settled.retain(|_, settled| settled.may_be_on_its_way(now));
        self.settled.insert(id, Settled::Allowed { at: now });
    }

    /// Holds a refusal back.
    pub(crate) fn hold(&mut self, id: PermissionId, session: SessionId) {
        self.held.insert(id, session);
        self.pause = PAUSE_FIRST;
        self.listing = match self.listing {
            PermissionListing::Asked | PermissionListing::Outdated => PermissionListing::Outdated,
            PermissionListing::Idle | PermissionListing::Pausing { .. } => PermissionListing::Idle,
        };
    }

    /// Returns whether a refusal is held back.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the sessions and requests whose refusals are held back.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&PermissionId, &SessionId)> {
        self.held.iter()
    }

    /// Forgets a request that was withdrawn, or that is asked again.
    pub(crate) fn forget(&mut self, id: &PermissionId) {
        self.held.remove(id);
        self.settled.remove(id);
        self.unknown.remove(id);
    }

    /// Returns whether the permissions have to be listed now.
    pub(crate) fn demand(&mut self, deciding: &Deciding, now: Instant) -> ListingDemand {
        use PermissionListing::{Asked, Idle, Outdated, Pausing};
        let is_ready = |session: &SessionId| deciding.values().all(|other| other != session);
        let is_due = match self.listing {
            Asked | Outdated => false,
            _ if self.held.is_empty() => {
                self.listing = Idle;
                false
            }
            Idle => self.held.values().any(is_ready),
            Pausing { until, blocker: Blocker::Deciding } => {
                until <= now || self.held.values().any(is_ready)
            }
            Pausing { until, blocker: Blocker::OnItsWay } => until <= now,
        };
        if is_due {
            self.listing = Asked;
            return ListingDemand::List;
        }
        if self.listing == Idle && !self.held.is_empty() {
            self.pause(Blocker::Deciding, now);
        }
        ListingDemand::Nothing
    }

    /// Takes the permissions that the server lists; `None` when the call failed. Returns the
    /// requests that may be refused now.
    pub(crate) fn take(
        &mut self,
        listed: Option<&[Pending<PermissionRequest>]>,
        deciding: &Deciding,
        now: Instant,
    ) -> Vec<PermissionId> {
        let was = std::mem::replace(&mut self.listing, PermissionListing::Idle);
        if was == PermissionListing::Outdated {
            return Vec::new();
        }
        // A server before 1.0.224 has no such list, and the requests that are known have to do.
        let mut blocked = match listed {
            Some(_) => BTreeMap::new(),
            None => deciding.values().map(|session| (session, Blocker::Deciding)).collect(),
        };
        let listed = listed.unwrap_or_default();
        let is_listed = |id: &PermissionId| listed.iter().any(|ask| ask.request.id == *id);
        self.settled.retain(|id, _| is_listed(id));
        self.unknown.retain(|id, _| is_listed(id));
        for ask in listed {
            if let Some(blocker) = self.blocker(&ask.request.id, deciding, now) {
                let worst = blocked.entry(&ask.session).or_insert(blocker);
                *worst = blocker.max(*worst);
            }
        }
        let held = std::mem::take(&mut self.held).into_iter();
        let (held, free): (_, BTreeMap<_, _>) =
            held.partition(|(_, session)| blocked.contains_key(session));
        self.held = held;
        let released: Vec<PermissionId> = free.into_keys().collect();
        self.settled.extend(released.iter().map(|id| (id.clone(), Settled::Refused)));
        let blockers = self.held.values().filter_map(|session| blocked.get(session).copied());
        if let Some(blocker) = blockers.max() {
            self.pause(blocker, now);
        }
        released
    }

    pub(crate) fn wake(&self) -> Option<Instant> {
        match self.listing {
            PermissionListing::Pausing { until, .. } => Some(until),
            PermissionListing::Asked | PermissionListing::Idle | PermissionListing::Outdated => {
                None
            }
        }
    }

    fn blocker(&mut self, id: &PermissionId, deciding: &Deciding, now: Instant) -> Option<Blocker> {
        if self.held.contains_key(id) {
            return None;
        }
        if deciding.contains_key(id) {
            return Some(Blocker::Deciding);
        }
        let is_on_its_way = match self.settled.get(id) {
            Some(settled) => settled.may_be_on_its_way(now),
            None => now - *self.unknown.entry(id.clone()).or_insert(now) < UNKNOWN_LIMIT,
        };
        is_on_its_way.then_some(Blocker::OnItsWay)
    }

    fn pause(&mut self, blocker: Blocker, now: Instant) {
        let pause = match blocker {
            Blocker::Deciding => PAUSE_WHILE_DECIDING,
            Blocker::OnItsWay => {
                let next = (self.pause * 2).min(PAUSE_MAX);
                std::mem::replace(&mut self.pause, next)
            }
        };
        self.listing = PermissionListing::Pausing { until: now + pause, blocker };
    }
}

impl Settled {
    /// Returns whether an allowing reply may still be in flight.
    fn may_be_on_its_way(self, now: Instant) -> bool {
        match self {
            Self::Allowed { at } => now - at < ALLOWED_LIMIT,
            Self::Refused => false,
        }
    }
}
