//! Turns on a server that only pretends to be OpenCode: what the real one does not do on demand, or did once.

pub mod world;

pub(super) mod events;
pub(super) mod looks;
pub(super) mod old;
pub(super) mod refusals;
