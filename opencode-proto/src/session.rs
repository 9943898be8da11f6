//! State that the turns of one session share.
//!
//! # Theory of operation
//!
//! ```text
//!   Turn 1 --+                +-- claims: one turn answers an ask
//!   Turn 2 --+--> Session ----+-- gate: no prompt is posted while an abort is in flight
//!   abort  --+                +-- model guard, errors that are reported late
//! ```
//!
//! A [`Turn`](crate::Turn) takes the session as an argument of the inputs, and so decides at once.
//! Where it has to wait for another turn, the session names it in
//! [`poll_woken`](Session::poll_woken) as soon as waiting is over.

mod claims;
mod gate;
mod late_errors;
mod model_guard;
mod own_prompts;
mod tool_switches;

use std::collections::{BTreeSet, VecDeque};

use opencode_config::ModelRef;

use crate::ask::AskId;
use crate::server_event::SessionInfo;
use crate::{AgentError, MessageId, SessionId};

use claims::Claims;
use gate::AbortGate;
pub use gate::AbortNo;
use late_errors::LateErrors;
pub(crate) use model_guard::ModelAdvice;
use model_guard::ModelGuard;
use own_prompts::OwnPrompts;
use tool_switches::SessionRules;
pub use tool_switches::ToolSwitchError;
pub(crate) use tool_switches::ToolUse;

/// Number of a turn, unique within one [`Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnNo(u64);

/// The machine for one session, shared by the turns that are driven with it.
///
/// Inputs never fail. The only contract: after any input to a turn of the session, let
/// [`handle_timeout`](crate::Turn::handle_timeout) of each turn that
/// [`poll_woken`](Self::poll_woken) names be called.
///
/// ```
/// use std::time::Instant;
/// use opencode_proto::{Prompt, Session, Turn, TurnAction, TurnSettings};
///
/// let now = Instant::now();
/// let mut session = Session::new("ses_1".into(), None);
/// let abort = session.begin_abort();
/// let prompt = Prompt::from("Tidy up.");
/// let mut turn = Turn::new(prompt, TurnSettings::default(), "msg_1".into(), &mut session, now);
/// turn.handle_opened(&mut session, now);
/// assert!(matches!(turn.poll_action(), TurnAction::Wait(_)), "the abort would end this prompt too");
///
/// // The server has replied to the abort: the turn may go on.
/// session.end_abort(abort);
/// assert_eq!(session.poll_woken(), Some(turn.number()));
/// turn.handle_timeout(&mut session, now);
/// assert!(matches!(turn.poll_action(), TurnAction::Ready));
/// ```
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    turns: u64,
    gate: AbortGate,
    claims: Claims,
    models: ModelGuard,
    rules: SessionRules,
    late_errors: LateErrors,
    prompts: OwnPrompts,
    /// Turns that wait for another turn, or for an abort.
    waiting: BTreeSet<TurnNo>,
    woken: VecDeque<TurnNo>,
}

impl Session {
    /// Creates the machine of a session. `model` is the model that the session was created with.
    pub fn new(id: SessionId, model: Option<ModelRef>) -> Self {
        Self {
            id,
            turns: 0,
            gate: AbortGate::default(),
            claims: Claims::default(),
            models: ModelGuard::new(model),
            rules: SessionRules::default(),
            late_errors: LateErrors::default(),
            prompts: OwnPrompts::default(),
            waiting: BTreeSet::new(),
            woken: VecDeque::new(),
        }
    }

    /// Takes the permission rules of the session from the server's description.
    pub fn handle_info(&mut self, info: &SessionInfo) {
        if self.rules != SessionRules::Own {
            self.rules = SessionRules::of(info);
        }
    }

    /// Keeps the permission rules of the session from now on: a policy relies on the rules, which
    /// tool switches of a prompt would replace.
    pub fn keep_rules(&mut self) {
        self.rules = SessionRules::Own;
    }

    /// Makes the tool switches of a turn hold for that turn alone.
    pub(crate) fn apply_switches(&mut self, tools: ToolUse<'_>) -> Result<(), ToolSwitchError> {
        self.rules.apply(tools)
    }

    /// Returns the id of the session.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Returns a turn that waited and may go on. The driver of the turn calls
    /// [`Turn::handle_timeout`](crate::Turn::handle_timeout).
    pub fn poll_woken(&mut self) -> Option<TurnNo> {
        self.woken.pop_front()
    }

    /// Registers an abort of the session (`POST /session/{sessionID}/abort`) that is about to be
    /// sent. Prompts wait until [`end_abort`](Self::end_abort).
    ///
    /// An abort that overtakes the next prompt would end that one too, and OpenCode reports a
    /// session as idle when an old turn winds down after a new one began.
    pub fn begin_abort(&mut self) -> AbortNo {
        self.gate.begin()
    }

    /// Returns whether the abort may be sent: aborts of a session go one after another.
    pub fn may_abort(&self, abort: AbortNo) -> bool {
        self.gate.is_first(abort)
    }

    /// Ends an abort: the server has replied, or will not.
    pub fn end_abort(&mut self, abort: AbortNo) {
        self.gate.end(abort);
        self.wake();
    }

    /// Holds prompts back while the prompt of a turn without an application is in flight, and an
    /// abort may follow. Ends with [`end_leave`](Self::end_leave).
    pub(crate) fn leave(&mut self, turn: TurnNo) {
        self.gate.leave(turn);
    }

    pub(crate) fn end_leave(&mut self, turn: TurnNo) {
        self.gate.end_leave(turn);
        self.wake();
    }

    pub(crate) fn begin_turn(&mut self) -> TurnNo {
        self.turns += 1;
        TurnNo(self.turns)
    }

    /// Ends a turn. Asks that it claimed and has not settled are for other turns to answer, and its
    /// errors that are known and not reported yet are not those of the next turn.
    pub(crate) fn end_turn(&mut self, turn: TurnNo, unreported: impl Iterator<Item = AgentError>) {
        self.waiting.remove(&turn);
        self.claims.give_up(turn);
        self.late_errors.expect(unreported);
        self.wake();
    }

    /// Notes a prompt that is posted for this program.
    pub(crate) fn add_prompt(&mut self, prompt: MessageId) {
        self.prompts.add(prompt);
    }

    /// Returns whether the prompt was posted for this program, not for another client.
    pub(crate) fn is_own_prompt(&self, prompt: &MessageId) -> bool {
        self.prompts.contains(prompt)
    }

    /// Has a turn woken when something changes that another turn holds.
    pub(crate) fn wait(&mut self, turn: TurnNo) {
        self.waiting.insert(turn);
    }

    /// Returns whether no abort holds prompts back.
    pub(crate) fn may_post(&self) -> bool {
        self.gate.is_open()
    }

    /// Claims an ask. `false`: another turn answers it.
    pub(crate) fn claim(&mut self, ask: AskId, turn: TurnNo) -> bool {
        self.claims.claim(ask, turn)
    }

    /// Notes that the turn has refused an ask that it has claimed.
    pub(crate) fn refuse(&mut self, ask: AskId, turn: TurnNo) {
        self.claims.refuse(ask, turn);
        self.wake();
    }

    /// Returns whether a turn has the ask and may still allow it.
    pub(crate) fn is_undecided(&self, ask: &AskId) -> bool {
        self.claims.is_undecided(ask)
    }

    /// Settles an ask: the server has the answer.
    pub(crate) fn settle(&mut self, ask: AskId) {
        self.claims.settle(ask);
        self.wake();
    }

    /// Returns the model that a prompt without one has to name.
    pub(crate) fn model_advice(&self) -> ModelAdvice {
        self.models.advice()
    }

    /// Learns from the end of a turn that `asked` for a model: `used` answered, or `error` came.
    pub(crate) fn learn_model(
        &mut self,
        asked: Option<&ModelRef>,
        used: Option<&ModelRef>,
        error: Option<&AgentError>,
    ) {
        self.models.learn(asked, used, error);
    }

    /// Returns whether the error is one of an earlier turn, which is reported now.
    pub(crate) fn is_late_error(&self, error: &AgentError) -> bool {
        self.late_errors.contains(error)
    }

    /// Forgets the errors of earlier turns: the server has reported a later prompt, and reports
    /// everything in order.
    pub(crate) fn forget_late_errors(&mut self) {
        self.late_errors.clear();
    }

    fn wake(&mut self) {
        self.woken.extend(std::mem::take(&mut self.waiting));
    }
}

#[cfg(test)]
mod tests;
