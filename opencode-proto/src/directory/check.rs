//! Check of a directory on the machine of a server that this library did not start itself.
//!
//! # Theory of operation
//!
//! ```text
//!   Paths -- another name --> RealName -- a link here --------------> Existence -- listed --> found
//!     |                          |                                       ^   |
//!     | the requested name       | no such link                          |   | status 500
//!     +--------------------------)---------------------------------------+   v
//!                                v                                       |  missing
//!                             OwnPaths -- a link on that machine --------+
//!                                |
//!                                | the server's own directory: the header was lost
//!                                v
//!                             elsewhere
//! ```
//!
//! Other replies decide nothing: the next call shows the state of such a server.

use std::collections::VecDeque;
use std::mem;

use super::{DirectoryError, RequestedDirectory};
use crate::api::{CheckDirectory, Operation, ReadPaths, Repeat};
use crate::call::{ApiCall, ApiCallId, ApiReply, CallScope, OpenCalls, read_reply};

/// Machine that finds out whether a server can work in a directory.
///
/// ```
/// use http::Response;
/// use opencode_proto::{DirectoryAction, DirectoryCheck};
///
/// let mut check = DirectoryCheck::new("/src/link");
/// let directory = loop {
///     match check.poll_action() {
///         DirectoryAction::Call(call) => {
///             // Send the request to the server. These are the replies of one that works.
///             let reply = match call.request.uri().path() {
///                 "/path" => r#"{"directory":"/src/app","worktree":"/"}"#,
///                 _ => "[]",
///             };
///             check.handle_reply(call.id, Ok(Response::new(reply.into())));
///         }
///         // Look for the directory on this machine, which the server may run on.
///         DirectoryAction::FindRealName => check.handle_real_name(Some("/src/app".to_owned())),
///         DirectoryAction::Wait => {}
///         DirectoryAction::Finished(result) => break result?,
///     }
/// };
/// assert_eq!(directory.real_name(), Some("/src/app"));
/// # Ok::<(), opencode_proto::DirectoryError>(())
/// ```
#[derive(Debug)]
pub struct DirectoryCheck {
    directory: RequestedDirectory,
    state: CheckState,
    calls: OpenCalls<()>,
    actions: VecDeque<DirectoryAction>,
}

#[derive(Debug)]
enum CheckState {
    /// The files of the directory are being listed.
    Existence,
    Over,
    /// The server is asked for its own directory. Holds the name that the server reported.
    OwnPaths(String),
    /// The server is asked for the name of the directory.
    Paths,
    /// The driver looks for a link on this machine. Holds the name that the server reported.
    RealName(String),
}

/// Next task for the driver of a [`DirectoryCheck`].
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum DirectoryAction {
    /// Send the request to the server, and pass the reply to
    /// [`handle_reply`](DirectoryCheck::handle_reply).
    Call(Box<ApiCall>),
    /// Look for the requested directory on this machine, and pass the path without links to
    /// [`handle_real_name`](DirectoryCheck::handle_real_name).
    FindRealName,
    /// The check is over, and no action follows.
    Finished(Result<RequestedDirectory, DirectoryError>),
    /// Wait for the input that was asked for.
    Wait,
}

impl DirectoryCheck {
    /// Creates a check of this path on the machine of the server.
    pub fn new(directory: impl Into<String>) -> Self {
        let mut check = Self {
            directory: RequestedDirectory::new(directory),
            state: CheckState::Over,
            calls: OpenCalls::default(),
            actions: VecDeque::new(),
        };
        match check.directory.check_name() {
            Ok(()) => check.call(&ReadPaths::new(), CallScope::Directory, CheckState::Paths),
            Err(error) => check.finish(Err(error)),
        }
        check
    }

    /// Takes the reply to [`DirectoryAction::Call`].
    pub fn handle_reply(&mut self, id: ApiCallId, reply: ApiReply) {
        if self.calls.end(id).is_none() {
            return;
        }
        match mem::replace(&mut self.state, CheckState::Over) {
            CheckState::Existence => {
                let checked = read_reply(&CheckDirectory::new(), reply);
                let is_missing = checked.is_err_and(|fault| {
                    fault.api().is_some_and(|error| error.status.as_u16() == 500)
                });
                let directory = self.directory.requested().unwrap_or_default().to_owned();
                self.finish(if is_missing {
                    Err(DirectoryError::Missing { directory })
                } else {
                    Ok(self.directory.clone())
                });
            }
            CheckState::OwnPaths(reported) => match read_reply(&ReadPaths::new(), reply) {
                Ok(own) if own.directory == reported => {
                    let requested = self.directory.requested().unwrap_or_default().to_owned();
                    self.finish(Err(DirectoryError::Elsewhere { requested, reported }));
                }
                Ok(_) | Err(_) => self.named(reported),
            },
            CheckState::Paths => match read_reply(&ReadPaths::new(), reply) {
                Ok(paths) if self.directory.is_named(&paths.directory) => self.check_existence(),
                Ok(paths) => {
                    self.state = CheckState::RealName(paths.directory);
                    self.actions.push_back(DirectoryAction::FindRealName);
                }
                Err(fault) if fault.api().is_some() => self.check_existence(),
                Err(_) => self.finish(Ok(self.directory.clone())),
            },
            other @ (CheckState::Over | CheckState::RealName(_)) => self.state = other,
        }
    }

    /// Takes the result of [`DirectoryAction::FindRealName`]; `None` where this machine has no such
    /// directory.
    pub fn handle_real_name(&mut self, real_name: Option<String>) {
        match mem::replace(&mut self.state, CheckState::Over) {
            CheckState::RealName(reported) if real_name.as_ref() == Some(&reported) => {
                self.named(reported);
            }
            CheckState::RealName(reported) => {
                let state = CheckState::OwnPaths(reported);
                self.call(&ReadPaths::new(), CallScope::Session, state);
            }
            other @ (CheckState::Existence
            | CheckState::Over
            | CheckState::OwnPaths(_)
            | CheckState::Paths) => self.state = other,
        }
    }

    /// Returns the next action. After [`DirectoryAction::Finished`], always returns
    /// [`DirectoryAction::Wait`].
    pub fn poll_action(&mut self) -> DirectoryAction {
        self.actions.pop_front().unwrap_or(DirectoryAction::Wait)
    }

    /// Goes on with the name that the server reports.
    fn named(&mut self, reported: String) {
        self.directory = mem::take(&mut self.directory).with_real_name(reported);
        match self.directory.check_name() {
            Ok(()) => self.check_existence(),
            Err(error) => self.finish(Err(error)),
        }
    }

    fn check_existence(&mut self) {
        self.call(&CheckDirectory::new(), CallScope::Directory, CheckState::Existence);
    }

    fn call(&mut self, operation: &impl Operation, scope: CallScope, state: CheckState) {
        let mut call = self.calls.begin(operation, scope, ());
        // The check must not delay the discovery that a server is dead.
        call.repeat = Repeat::Never;
        self.state = state;
        self.actions.push_back(DirectoryAction::Call(Box::new(call)));
    }

    fn finish(&mut self, result: Result<RequestedDirectory, DirectoryError>) {
        self.actions.push_back(DirectoryAction::Finished(result));
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::call::{CallFailure, Delivery};

    /// Plays a server on which each directory header has this reply to `GET /path`, and the list of
    /// files this status; `None` breaks the connection.
    struct Stage {
        own: Option<&'static str>,
        named: Option<&'static str>,
        here: Option<&'static str>,
        listed: u16,
    }

    impl Stage {
        fn check(&self, directory: &str) -> (Result<Option<String>, String>, usize) {
            let mut check = DirectoryCheck::new(directory);
            let mut calls = 0;
            loop {
                match check.poll_action() {
                    DirectoryAction::Call(call) => {
                        calls += 1;
                        assert_eq!(call.repeat, Repeat::Never);
                        let directory = match call.scope {
                            CallScope::Directory => self.named,
                            CallScope::Session => self.own,
                        };
                        let is_list = call.request.uri().path() == "/file";
                        let status = if is_list { self.listed } else { 200 };
                        let body = match directory {
                            _ if is_list => "[]".to_owned(),
                            Some(directory) => {
                                format!(r#"{{"directory":"{directory}","worktree":"/"}}"#)
                            }
                            None => {
                                let failure = CallFailure::new(Delivery::Unknown, "reset");
                                check.handle_reply(call.id, Err(failure));
                                continue;
                            }
                        };
                        let reply = Response::builder().status(status).body(body.into());
                        check.handle_reply(call.id, Ok(reply.expect("a reply")));
                    }
                    DirectoryAction::FindRealName => {
                        check.handle_real_name(self.here.map(str::to_owned));
                    }
                    DirectoryAction::Finished(result) => {
                        assert!(matches!(check.poll_action(), DirectoryAction::Wait));
                        let name = |found: RequestedDirectory| found.real_name().map(str::to_owned);
                        return (result.map(name).map_err(|error| error.to_string()), calls);
                    }
                    DirectoryAction::Wait => panic!("nothing to do"),
                }
            }
        }
    }

    fn found(name: &str) -> Result<Option<String>, String> {
        Ok(Some(name.to_owned()))
    }

    #[test]
    fn a_directory_that_the_server_names_alike_is_found() {
        let stage = Stage { own: Some("/"), named: Some("/a"), here: None, listed: 200 };
        assert_eq!(stage.check("/a"), (found("/a"), 2));
        assert_eq!(stage.check("/a/"), (found("/a/"), 2));
    }

    #[test]
    fn a_link_is_found_on_either_machine() {
        let stage = Stage { own: Some("/b"), named: Some("/b"), here: Some("/b"), listed: 200 };
        assert_eq!(stage.check("/a"), (found("/b"), 2));
        let there = Stage { own: Some("/"), here: None, ..stage };
        assert_eq!(there.check("/a"), (found("/b"), 3));
    }

    #[test]
    fn a_server_that_does_not_hear_the_directory_is_refused() {
        let stage = Stage { own: Some("/b"), named: Some("/b"), here: None, listed: 200 };
        let (error, _) = stage.check("/a");
        assert_eq!(error, Err("OpenCode works in /b in place of /a".to_owned()));
    }

    #[test]
    fn a_missing_directory_is_refused() {
        let stage = Stage { own: Some("/"), named: Some("/a"), here: None, listed: 500 };
        let error = stage.check("/a").0.expect_err("missing");
        assert!(error.starts_with("/a does not exist on the machine of the server"), "{error}");
    }

    #[test]
    fn names_that_opencode_changes_are_refused_without_a_call() {
        let stage = Stage { own: None, named: None, here: None, listed: 200 };
        for name in ["a", "/a%20b"] {
            let (result, calls) = stage.check(name);
            assert!(result.is_err() && calls == 0, "{name}: {result:?}");
        }
        let link = Stage { own: Some("/"), named: Some("/a%20b"), here: None, listed: 200 };
        assert!(link.check("/a").0.is_err());
    }

    #[test]
    fn other_failures_decide_nothing() {
        let lost = Stage { own: None, named: None, here: None, listed: 200 };
        assert_eq!(lost.check("/a"), (found("/a"), 1));
        let old = Stage { own: Some("/"), named: Some("/a"), here: None, listed: 404 };
        assert_eq!(old.check("/a"), (found("/a"), 2));
    }
}
