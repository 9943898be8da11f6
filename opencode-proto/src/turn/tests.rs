//! Whole turns in virtual time. The recordings are played in `tests/turns.rs`; here are cases that
//! they do not have.

mod background;
mod compaction;
mod dropped;
mod ends;
mod follow;
mod json;
mod latest;
mod looks;
mod neighbours;
mod questions;
mod refusals;
mod repetition;
mod retries;
mod rivals;
mod stage;
mod summary;
mod surroundings;
mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::call::{ApiCall, ApiReply, CallFailure, Delivery};
use crate::fuzzing::{WrittenMessage, WrittenServer, not_found};
use crate::{
    Deadline, Deadlines, PermissionAsk, PermissionReply, Prompt, PromptReply, SessionId,
    ShellRequest, StepRole,
};
use stage::*;
