use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

/// What the program does in one call, in order. It exits with 0 where nothing else is said.
///
/// Arguments, environment and working directory are recorded before the first action.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Behavior {
    actions: Vec<Action>,
}

#[derive(Debug, Clone)]
enum Action {
    CloseStdout,
    Exit(u8),
    Hang,
    Ignore(Signal),
    Kill(Signal),
    Orphan(Pipes),
    Print { stream: Stream, bytes: Vec<u8> },
    ReadStdin,
    Tool(Pipes),
    WaitFor(String),
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Stderr,
    Stdout,
}

/// A signal that a program can get or ignore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP
    Hangup,
    /// SIGINT
    Interrupt,
    /// SIGKILL
    Kill,
    /// SIGTERM
    Terminate,
}

/// What a process that outlives the program does with the output of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipes {
    /// Closes it: readers see the end when the program ends.
    Close,
    /// Keeps it open: readers see no end.
    Hold,
}

impl Behavior {
    /// Exits at once, with 0 and without reading its input.
    pub fn new() -> Self {
        Self::default()
    }

    /// Prints a line to stdout.
    pub fn stdout_line(self, line: &str) -> Self {
        self.stdout_raw(format!("{line}\n"))
    }

    /// Prints bytes to stdout.
    pub fn stdout_raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Action::Print { stream: Stream::Stdout, bytes: bytes.into() })
    }

    /// Prints a line to stderr.
    pub fn stderr_line(self, line: &str) -> Self {
        self.stderr_raw(format!("{line}\n"))
    }

    /// Prints bytes to stderr.
    pub fn stderr_raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Action::Print { stream: Stream::Stderr, bytes: bytes.into() })
    }

    /// Reads stdin to its end and records it. Without this, stdin is never read.
    pub fn read_stdin(self) -> Self {
        self.then(Action::ReadStdin)
    }

    /// Waits until the test opens this gate with [`Fake::open`](super::Fake::open).
    ///
    /// # Panics
    ///
    /// When the name has other characters than ASCII letters, digits and `-`.
    pub fn pause_until(self, gate: &str) -> Self {
        let named = gate.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        assert!(named && !gate.is_empty(), "not a name for a gate: {gate:?}");
        self.then(Action::WaitFor(format!("\"$home/gates/{gate}\"")))
    }

    /// Waits until a file exists.
    ///
    /// # Panics
    ///
    /// When the path is not UTF-8.
    pub fn wait_for_file(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_str().expect("the path is UTF-8");
        self.then(Action::WaitFor(quote(path)))
    }

    /// Closes stdout and goes on.
    pub fn close_stdout(self) -> Self {
        self.then(Action::CloseStdout)
    }

    /// Does nothing more until a signal ends it.
    pub fn hang(self) -> Self {
        self.then(Action::Hang)
    }

    /// Ignores a signal from here on, as do the processes it starts.
    ///
    /// # Panics
    ///
    /// With [`Signal::Kill`], which cannot be ignored.
    pub fn ignore(self, signal: Signal) -> Self {
        assert!(signal != Signal::Kill, "SIGKILL cannot be ignored");
        self.then(Action::Ignore(signal))
    }

    /// Starts a process that belongs to nobody: in a session of its own, and no longer a child.
    /// Its id is in [`Call::started`](super::Call::started). Needs `setsid(1)`.
    pub fn spawn_orphan(self, pipes: Pipes) -> Self {
        self.then(Action::Orphan(pipes))
    }

    /// Starts a process as OpenCode starts tools: in a session of its own, and a child for as long as
    /// the program lives. Its id is in [`Call::started`](super::Call::started). Needs `setsid(1)`.
    pub fn spawn_tool(self, pipes: Pipes) -> Self {
        self.then(Action::Tool(pipes))
    }

    /// Ends by a signal of its own.
    pub fn kill_self(self, signal: Signal) -> Self {
        self.then(Action::Kill(signal))
    }

    /// Ends with this code.
    pub fn exit(self, code: u8) -> Self {
        self.then(Action::Exit(code))
    }

    fn then(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Hangup => "HUP",
            Self::Interrupt => "INT",
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
        }
    }
}

impl Pipes {
    fn redirection(self) -> &'static str {
        match self {
            Self::Close => "</dev/null >/dev/null 2>&1",
            // Shells give a background process an empty stdin anyway.
            Self::Hold => "",
        }
    }
}

/// The shell function `play`, which gets the number of the call. What is printed goes into `blobs`.
pub(super) fn script(
    attempts: impl IntoIterator<Item = Behavior>,
    blobs: &Path,
) -> io::Result<String> {
    let mut cases = Vec::new();
    let mut printed = 0;
    for behavior in attempts {
        let mut lines = String::new();
        for action in behavior.actions {
            if let Action::Print { bytes, .. } = &action {
                printed += 1;
                fs::write(blobs.join(printed.to_string()), bytes)?;
            }
            writeln!(lines, "    {}", command(&action, printed)).expect("strings grow");
        }
        cases.push(lines);
    }
    let last = cases.len().checked_sub(1).expect("a program needs a behavior");
    let mut script = "play() {\n    case $1 in\n".to_owned();
    for (number, lines) in cases.iter().enumerate() {
        let pattern = if number == last { "*".to_owned() } else { number.to_string() };
        write!(script, "    {pattern})\n{lines}    exit 0\n    ;;\n").expect("strings grow");
    }
    script.push_str("    esac\n}\n");
    Ok(script)
}

/// The shell's words for an action; `printed` numbers the blobs.
fn command(action: &Action, printed: usize) -> String {
    match action {
        Action::CloseStdout => "exec >/dev/null".to_owned(),
        Action::Exit(code) => format!("exit {code}"),
        // Nobody ever writes, and there is no process beside the shell that could be left behind.
        Action::Hang => r#"command -p mkfifo "$call/never"; read -r _ <"$call/never""#.to_owned(),
        Action::Ignore(signal) => format!("trap '' {}", signal.name()),
        Action::Kill(signal) => format!("kill -s {} $$", signal.name()),
        Action::Orphan(pipes) => {
            format!("(sleep_in_session {} & echo \"$!\" >>\"$call/started\")", pipes.redirection())
        }
        Action::Print { stream: Stream::Stderr, .. } => {
            format!("command -p cat \"$home/blobs/{printed}\" >&2")
        }
        Action::Print { stream: Stream::Stdout, .. } => {
            format!("command -p cat \"$home/blobs/{printed}\"")
        }
        Action::ReadStdin => {
            // Renamed, so that what the test finds is whole.
            r#"command -p cat >"$call/part"; command -p mv "$call/part" "$call/stdin""#.to_owned()
        }
        Action::Tool(pipes) => {
            format!("sleep_in_session {} & echo \"$!\" >>\"$call/started\"", pipes.redirection())
        }
        Action::WaitFor(path) => {
            // Without its directory it has outlived the test.
            format!(
                "until [ -e {path} ]; do [ -d \"$home\" ] || exit 97; command -p sleep 0.02; done"
            )
        }
    }
}

/// One word of the shell, whatever is in it.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
