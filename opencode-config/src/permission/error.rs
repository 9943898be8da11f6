/// A permission rule that cannot be used. Paths are keys joined by dots.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PermissionError {
    /// The action is `ask` where no client can reply.
    #[error(
        "the permission rule `{path}` is `ask`, which `opencode run` cannot follow: use `allow` or \
         `deny`, or run over a server"
    )]
    Ask {
        /// Path of the rule.
        path: String,
    },
    /// The value is neither an action nor an object of actions.
    #[error("{} is {found}: use an action or an object of patterns", subject(.path))]
    NotARule {
        /// Path of the rule, empty for the whole config.
        path: String,
        /// Kind of the value, such as `an array`.
        found: &'static str,
    },
    /// OpenCode has no such action.
    #[error("the permission rule `{path}` is `{action}`: use `allow`, `ask` or `deny`")]
    UnknownAction {
        /// Path of the rule.
        path: String,
        /// Action as written.
        action: String,
    },
}

/// The thing at `path`, for error messages.
fn subject(path: &str) -> String {
    if path.is_empty() {
        "the permission config".to_owned()
    } else {
        format!("the permission rule `{path}`")
    }
}
