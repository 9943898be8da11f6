//! Numbers of jobs, groups and servers within one batch, each counted from 0.

use serde::Serialize;

/// Number of a job: the place in the list of the batch.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct JobNo(pub usize);

/// Number of a group: the jobs that can share one server.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GroupNo(pub usize);

/// Number of a server. A number is never used for another server; a given server that comes back
/// keeps the number.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ServerNo(pub usize);
