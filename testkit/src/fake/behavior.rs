use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

/// Actions of the program in one call, in order. Without [`Self::exit`] the program exits with code
/// 0.
///
/// Arguments, environment and working directory are recorded before the first action.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Behavior {
    actions: Vec<BehaviorAction>,
}

#[derive(Debug, Clone)]
enum BehaviorAction {
    CloseStdout,
    Exit(u8),
    Flood { stream: StdStream, line: String },
    Hang,
    Ignore(Signal),
    Kill(Signal),
    Orphan(Pipes),
    Print { stream: StdStream, bytes: Vec<u8> },
    ReadStdin,
    Tool(Pipes),
    Work(u32),
    WaitFor(String),
}

#[derive(Debug, Clone, Copy)]
enum StdStream {
    Stderr,
    Stdout,
}

/// A signal to send or to ignore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    Hangup,
    /// SIGINT.
    Interrupt,
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
}

/// Treatment of the program's output pipes by a process that outlives the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipes {
    /// The process closes the pipes: readers see the end when the program ends.
    Close,
    /// The process keeps the pipes open: readers do not see the end.
    Hold,
}

impl Behavior {
    /// Creates a behavior that exits with code 0 and reads no input.
    pub fn new() -> Self {
        Self::default()
    }

    /// Prints a line to stdout.
    pub fn stdout_line(self, line: &str) -> Self {
        self.stdout_raw(format!("{line}\n"))
    }

    /// Prints bytes to stdout.
    pub fn stdout_raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(BehaviorAction::Print { stream: StdStream::Stdout, bytes: bytes.into() })
    }

    /// Prints a line to stderr.
    pub fn stderr_line(self, line: &str) -> Self {
        self.stderr_raw(format!("{line}\n"))
    }

    /// Prints bytes to stderr.
    pub fn stderr_raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(BehaviorAction::Print { stream: StdStream::Stderr, bytes: bytes.into() })
    }

    /// Reads stdin to the end and records the input. Without this action, stdin is never read.
    pub fn read_stdin(self) -> Self {
        self.then(BehaviorAction::ReadStdin)
    }

    /// Waits until the test opens the gate with [`Fake::open`](super::Fake::open).
    ///
    /// # Panics
    ///
    /// When the name has characters other than ASCII letters, digits and `-`.
    pub fn pause_until(self, gate: &str) -> Self {
        let named = gate.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        assert!(named && !gate.is_empty(), "invalid name of a gate: {gate:?}");
        self.then(BehaviorAction::WaitFor(format!("\"$home/gates/{gate}\"")))
    }

    /// Waits until a file exists.
    ///
    /// # Panics
    ///
    /// When the path is not UTF-8.
    pub fn wait_for_file(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_str().expect("the path is UTF-8");
        self.then(BehaviorAction::WaitFor(quote(path)))
    }

    /// Closes stdout and continues.
    pub fn close_stdout(self) -> Self {
        self.then(BehaviorAction::CloseStdout)
    }

    /// Prints a line to stdout again and again, until a signal ends the program.
    pub fn flood_stdout(self, line: &str) -> Self {
        self.then(BehaviorAction::Flood { stream: StdStream::Stdout, line: line.to_owned() })
    }

    /// Prints a line to stderr again and again, until a signal ends the program.
    pub fn flood_stderr(self, line: &str) -> Self {
        self.then(BehaviorAction::Flood { stream: StdStream::Stderr, line: line.to_owned() })
    }

    /// Uses the processor for this number of steps, without output.
    pub fn work(self, steps: u32) -> Self {
        self.then(BehaviorAction::Work(steps))
    }

    /// Waits until a signal ends the program.
    pub fn hang(self) -> Self {
        self.then(BehaviorAction::Hang)
    }

    /// Ignores a signal from here on; started processes inherit that.
    ///
    /// # Panics
    ///
    /// With [`Signal::Kill`], because SIGKILL cannot be ignored.
    pub fn ignore(self, signal: Signal) -> Self {
        assert!(signal != Signal::Kill, "SIGKILL cannot be ignored");
        self.then(BehaviorAction::Ignore(signal))
    }

    /// Starts a process in a separate session that is no child of the program.
    /// [`Call::started`](super::Call::started) has the id. Needs `setsid(1)`.
    pub fn spawn_orphan(self, pipes: Pipes) -> Self {
        self.then(BehaviorAction::Orphan(pipes))
    }

    /// Starts a process as OpenCode starts tools: in a separate session, as a child while the
    /// program lives. [`Call::started`](super::Call::started) has the id. Needs `setsid(1)`.
    pub fn spawn_tool(self, pipes: Pipes) -> Self {
        self.then(BehaviorAction::Tool(pipes))
    }

    /// Sends a signal to the program itself.
    pub fn kill_self(self, signal: Signal) -> Self {
        self.then(BehaviorAction::Kill(signal))
    }

    /// Exits with this code.
    pub fn exit(self, code: u8) -> Self {
        self.then(BehaviorAction::Exit(code))
    }

    fn then(mut self, action: BehaviorAction) -> Self {
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
            // Shells give background processes an empty stdin in any case.
            Self::Hold => "",
        }
    }
}

/// Shell function `play` with the number of the call as the argument. Printed bytes go into files
/// in `blobs`.
pub(super) fn script(
    attempts: impl IntoIterator<Item = Behavior>,
    blobs: &Path,
) -> io::Result<String> {
    let mut cases = Vec::new();
    let mut printed = 0;
    for behavior in attempts {
        let mut lines = String::new();
        for action in behavior.actions {
            if let BehaviorAction::Print { bytes, .. } = &action {
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

/// Shell command of an action; `printed` is the number of the blob.
fn command(action: &BehaviorAction, printed: usize) -> String {
    match action {
        BehaviorAction::CloseStdout => "exec >/dev/null".to_owned(),
        BehaviorAction::Exit(code) => format!("exit {code}"),
        BehaviorAction::Flood { stream, line } => {
            let pipe = match stream {
                StdStream::Stderr => " >&2",
                StdStream::Stdout => "",
            };
            format!("PATH=$(command -p getconf PATH); exec yes {}{pipe}", quote(line))
        }
        // Without a writer the read blocks, and the shell has no child that could be left behind.
        BehaviorAction::Hang => {
            r#"command -p mkfifo "$call/never"; read -r _ <"$call/never""#.to_owned()
        }
        BehaviorAction::Ignore(signal) => format!("trap '' {}", signal.name()),
        BehaviorAction::Kill(signal) => format!("kill -s {} $$", signal.name()),
        BehaviorAction::Orphan(pipes) => {
            format!("(sleep_in_session {} & echo \"$!\" >>\"$call/started\")", pipes.redirection())
        }
        BehaviorAction::Print { stream: StdStream::Stderr, .. } => {
            format!("command -p cat \"$home/blobs/{printed}\" >&2")
        }
        BehaviorAction::Print { stream: StdStream::Stdout, .. } => {
            format!("command -p cat \"$home/blobs/{printed}\"")
        }
        BehaviorAction::ReadStdin => {
            // Renamed when complete, because tests look for the final name.
            r#"command -p cat >"$call/part"; command -p mv "$call/part" "$call/stdin""#.to_owned()
        }
        BehaviorAction::Tool(pipes) => {
            format!("sleep_in_session {} & echo \"$!\" >>\"$call/started\"", pipes.redirection())
        }
        BehaviorAction::Work(steps) => {
            format!("step=0; while [ \"$step\" -lt {steps} ]; do step=$((step + 1)); done")
        }
        BehaviorAction::WaitFor(path) => {
            // Without the directory, the program has outlived the test.
            format!(
                "until [ -e {path} ]; do [ -d \"$home\" ] || exit 97; command -p sleep 0.02; done"
            )
        }
    }
}

/// Quotes a text as one word of the shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
