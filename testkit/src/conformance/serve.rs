//! Servers: those that a program only pretends to be, and those that run already.

mod pretended;

pub use pretended::{answering, answering_with, ready, request, request_with, serve, stubborn};

pub(super) mod attach;
pub(super) mod dropped;
pub(super) mod failures;
pub(super) mod guardian;
pub(super) mod stop;
