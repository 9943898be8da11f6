//! Messages of a turn and of the subagents of the turn.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Chain;
use super::held::HeldEvents;
use crate::transcript::Transcript;
use crate::{MessageId, SessionId};

#[derive(Debug)]
pub(super) struct Record {
    pub(super) chain: Chain,
    pub(super) own: Transcript,
    pub(super) children: Vec<Transcript>,
    places: BTreeMap<SessionId, usize>,
    pub(super) held: HeldEvents,
    /// Sessions of subagents that work.
    pub(super) working: BTreeSet<SessionId>,
    /// Subagents of earlier turns belong to this one while they work.
    pub(super) has_earlier_subagents: bool,
    /// The server can list the messages of the session, as far as is known.
    pub(super) is_listed: bool,
    /// Events were missed since the prompt was posted.
    has_gaps: bool,
}

/// Session of the turn itself, or of a subagent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Child(usize),
    Own,
}

impl Record {
    pub(super) fn new(session: SessionId, chain: Chain) -> Self {
        Self {
            chain,
            own: Transcript::new(session),
            children: Vec::new(),
            places: BTreeMap::new(),
            held: HeldEvents::default(),
            working: BTreeSet::new(),
            has_earlier_subagents: false,
            is_listed: true,
            has_gaps: false,
        }
    }

    /// Returns the place of a session; `None` for one that does not belong to the turn.
    pub(super) fn place(&self, session: &SessionId) -> Option<Place> {
        if session == self.own.id() {
            return Some(Place::Own);
        }
        self.places.get(session).map(|place| Place::Child(*place))
    }

    /// Returns the place of a subagent's session, which is added when new.
    pub(super) fn child(&mut self, session: &SessionId) -> Place {
        let next = self.children.len();
        let place = *self.places.entry(session.clone()).or_insert(next);
        if place == next {
            let mut transcript = Transcript::new(session.clone());
            if self.has_gaps {
                // The first events may have been missed.
                transcript.interrupt();
            }
            self.children.push(transcript);
        }
        Place::Child(place)
    }

    pub(super) fn at(&self, place: Place) -> &Transcript {
        match place {
            Place::Child(place) => &self.children[place],
            Place::Own => &self.own,
        }
    }

    pub(super) fn at_mut(&mut self, place: Place) -> &mut Transcript {
        match place {
            Place::Child(place) => &mut self.children[place],
            Place::Own => &mut self.own,
        }
    }

    /// Notes that events were missed.
    pub(super) fn interrupt(&mut self) {
        self.has_gaps = true;
        self.chain.interrupt();
        self.own.interrupt();
        self.children.iter_mut().for_each(Transcript::interrupt);
    }

    pub(super) fn is_prompt(&self, place: Place, message: &MessageId) -> bool {
        match place {
            Place::Child(place) => self.children[place].is_of_user(message),
            Place::Own => self.chain.is_prompt(message),
        }
    }
}
