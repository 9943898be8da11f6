use std::path::{Path, PathBuf};

/// Command lines that the `bash` tool of a server runs.
///
/// OpenCode asks for the commands that the parser finds in a line. Version 1.18.33 finds none in
/// `{touch,x}` or `[[ 'a[$(touch x)]' -eq 0 ]]`, and runs such lines without asking. A gate is a
/// shell that runs only lines with an approval, which the client leaves in a directory.
///
/// ```
/// use std::path::Path;
/// use opencode_config::{CommandGate, Environment, IsolationPlan, RunConfig};
///
/// let config = RunConfig::new().with_command_gate(CommandGate::Approved);
/// let plan = IsolationPlan::new(&config, &Environment::new(), "/tmp/run-1", Vec::new())?;
/// let shell = Path::new("/tmp/run-1/command-gate/bash");
/// assert!(plan.files.iter().any(|file| file.path == shell));
/// let approvals = CommandGate::approvals(shell).expect("the shell of a gate");
/// assert!(plan.directories.iter().any(|directory| directory.path == approvals));
/// # Ok::<(), opencode_config::RunConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum CommandGate {
    /// Lines with an approval run, in `bash` or else `sh`, whatever shell the user's config names.
    /// The commands do not inherit the credentials of the server.
    Approved,
    /// All lines run that OpenCode allows.
    #[default]
    Open,
}

/// Directory of a gate in the private directory of a run.
pub(crate) const DIRECTORY: &str = "command-gate";
/// Shell of a gate. OpenCode derives the kind of the shell from the name.
pub(crate) const SHELL: &str = "bash";
/// Directory of the approvals in the directory of a gate.
pub(crate) const APPROVALS: &str = "approved";

pub(crate) const SCRIPT: &str = include_str!("gate.sh");

impl CommandGate {
    /// Returns the directory for approvals of a server with this `shell` config; `None` when the
    /// shell is not the one of a gate.
    ///
    /// An approval is a file of any name that contains the line and a line break. The file is
    /// removed when the line runs.
    #[must_use]
    pub fn approvals(shell: &Path) -> Option<PathBuf> {
        let directory = shell.parent()?;
        let is_gate = shell.file_name()? == SHELL && directory.file_name()? == DIRECTORY;
        is_gate.then(|| directory.join(APPROVALS))
    }
}
