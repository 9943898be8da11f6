//! Servers: started from a fake program, and running ones.

pub(super) mod fake_program;

pub use fake_program::{answering, answering_with, ready, request, request_with, serve, stubborn};

pub(super) mod attach;
pub(super) mod dropped;
pub(super) mod failures;
pub(super) mod floods;
pub(super) mod guardian;
pub(super) mod output;
pub(super) mod pages;
pub(super) mod places;
pub(super) mod requests;
pub(super) mod stop;
