use std::collections::BTreeMap;

use super::TurnNo;
use crate::ask::AskId;

/// Asks of a session, each with the turn that answers it: several turns that run at once are all
/// asked the same.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<AskId, Claim>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// The turn has the ask, and the server does not have the answer yet.
    Held(TurnNo),
    /// The turn has refused, and the server does not have the refusal yet.
    Refused(TurnNo),
    /// The server has an answer.
    Settled,
}

impl Claims {
    /// Claims an ask. `false`: another turn has claimed it, or the server has an answer.
    pub(super) fn claim(&mut self, ask: AskId, turn: TurnNo) -> bool {
        *self.0.entry(ask).or_insert(Claim::Held(turn)) == Claim::Held(turn)
    }

    /// Notes that the turn has refused an ask that it has claimed.
    pub(super) fn refuse(&mut self, ask: AskId, turn: TurnNo) {
        self.0.insert(ask, Claim::Refused(turn));
    }

    /// Returns whether a turn has the ask and may still allow it.
    pub(super) fn is_undecided(&self, ask: &AskId) -> bool {
        matches!(self.0.get(ask), Some(Claim::Held(_)))
    }

    pub(super) fn settle(&mut self, ask: AskId) {
        self.0.insert(ask, Claim::Settled);
    }

    /// Frees the asks that the turn has claimed and not settled, answered or not: an answer that
    /// has not arrived is lost with the turn.
    pub(super) fn give_up(&mut self, turn: TurnNo) {
        self.0.retain(|_, claim| match claim {
            Claim::Held(owner) | Claim::Refused(owner) => *owner != turn,
            Claim::Settled => true,
        });
    }
}
