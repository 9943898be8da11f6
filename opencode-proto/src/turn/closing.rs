//! Ends of turns whose directory another client closes.

use super::core::TurnInput;
use super::disposal::Disposal;
use super::outcome::TurnEnd;
use super::posted::PostedTurn;
use crate::hub::Interruption;

impl PostedTurn {
    pub(super) fn note_interruption(&mut self, why: &Interruption) {
        if *why == Interruption::Disposed && self.record.chain.is_seen() {
            self.disposal = Disposal::Reported;
        }
    }

    /// The report comes behind the events of the turn, which may be read late.
    pub(super) fn expect_disposal_later(&mut self, input: &TurnInput<'_>) {
        if let Disposal::Expected(until) = &mut self.disposal
            && !self.record.chain.is_superseded()
        {
            *until = input.now + input.core.settings.settle_delay;
        }
    }

    /// Ends an aborted turn when the report did not come.
    pub(super) fn give_up_disposal(&mut self, input: &mut TurnInput<'_>) {
        if let Disposal::Expected(until) = self.disposal
            && until <= input.now
        {
            self.disposal = Disposal::Passed;
            if !self.record.chain.is_torn() {
                self.conclude(input);
            }
        }
    }

    /// Ends the turn, or waits for the reason of an abort.
    pub(super) fn finish(&mut self, end: TurnEnd, input: &mut TurnInput<'_>) {
        match (&end, self.disposal) {
            _ if self.is_disposed(&end) => input.finish(TurnEnd::Disposed),
            (TurnEnd::Aborted | TurnEnd::Torn, Disposal::Unknown) => {
                self.disposal = Disposal::Expected(input.now + input.core.settings.settle_delay);
            }
            (TurnEnd::Aborted | TurnEnd::Torn, _) if self.awaits_disposal(input) => {}
            (TurnEnd::Completed, _) => self.finish_answered(end, input),
            _ => input.finish(end),
        }
    }

    /// Returns whether the turn ends so because the directory was closed.
    pub(super) fn is_disposed(&self, end: &TurnEnd) -> bool {
        matches!((end, self.disposal), (TurnEnd::Aborted | TurnEnd::Torn, Disposal::Reported))
    }

    /// Returns whether the reason of an abort may still be reported.
    pub(super) fn awaits_disposal(&self, input: &TurnInput<'_>) -> bool {
        matches!(self.disposal, Disposal::Expected(until) if input.now < until)
    }
}
