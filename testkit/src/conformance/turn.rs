//! Turns on a fake server, for behaviour that the real OpenCode does not show on demand or no
//! longer has.

pub mod world;

pub(super) mod events;
pub(super) mod looks;
pub(super) mod old;
pub(super) mod refusals;
pub(super) mod shortcuts;
