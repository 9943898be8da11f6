//! One `opencode run` process.

use std::env;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use opencode_proto::{Exit, Run, RunAction, RunEventKind, RunSettings};

use crate::{Result, wait};

enum ProcessInput {
    Exit(Option<Exit>),
    Stderr(Bytes),
    StderrEnd,
    Stdout(Bytes),
    StdoutEnd,
}

pub(crate) fn run(prompt: &str) -> Result<()> {
    let program = env::var("OPENCODE_BINARY").unwrap_or_else(|_| "opencode".to_owned());
    let mut child = Command::new(program)
        .args(["run", "--format", "json", "--print-logs", "--log-level", "WARN"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (tell, inputs) = channel();
    // The prompt goes in as it is, and the end of it has to be seen.
    child.stdin.take().ok_or("no stdin")?.write_all(prompt.as_bytes())?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    read(stdout.ok_or("no stdout")?, tell.clone(), ProcessInput::Stdout, ProcessInput::StdoutEnd);
    read(stderr.ok_or("no stderr")?, tell.clone(), ProcessInput::Stderr, ProcessInput::StderrEnd);
    let pid = child.id();
    thread::spawn(move || tell.send(ProcessInput::Exit(reap(child))));

    let mut run = Run::new(RunSettings::default(), Instant::now());
    loop {
        let wake = match run.poll_action() {
            RunAction::Event(event) => {
                if let RunEventKind::Text(part) = &event.kind {
                    println!("{}", part.text);
                }
                continue;
            }
            RunAction::Signal(signal) => {
                // The process only: tools have sessions of their own, and take more
                // (`opencode-client` does it).
                let flag = if signal == opencode_proto::Signal::Kill { "-KILL" } else { "-TERM" };
                Command::new("kill").args([flag, &pid.to_string()]).status()?;
                continue;
            }
            RunAction::Sweep => continue,
            RunAction::Finished(outcome) => {
                println!("[{}; {} tokens]", outcome.end, outcome.answer.tokens().total);
                return if outcome.end.is_completed() { Ok(()) } else { Err("no answer".into()) };
            }
            RunAction::Wait(wake) => wake,
        };
        let input = wait(&inputs, wake)?;
        let now = Instant::now();
        match input {
            Some(ProcessInput::Exit(exit)) => run.handle_exit(exit, now),
            Some(ProcessInput::Stderr(chunk)) => run.handle_stderr(chunk, now),
            Some(ProcessInput::StderrEnd) => run.handle_stderr_end(now),
            Some(ProcessInput::Stdout(chunk)) => run.handle_stdout(chunk, now),
            Some(ProcessInput::StdoutEnd) => run.handle_stdout_end(now),
            None => run.handle_timeout(now),
        }
    }
}

/// Reads on a thread until the end.
fn read(
    mut source: impl Read + Send + 'static,
    tell: Sender<ProcessInput>,
    chunk: fn(Bytes) -> ProcessInput,
    end: ProcessInput,
) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(size @ 1..) = source.read(&mut buffer) {
            if tell.send(chunk(Bytes::copy_from_slice(&buffer[..size]))).is_err() {
                return;
            }
        }
        // The loop is gone, and needs no more input.
        let _ = tell.send(end);
    });
}

fn reap(mut child: Child) -> Option<Exit> {
    exit(child.wait().ok()?)
}

#[cfg(unix)]
fn exit(status: ExitStatus) -> Option<Exit> {
    use std::os::unix::process::ExitStatusExt;

    status.code().map(Exit::Code).or_else(|| status.signal().map(Exit::Signal))
}

#[cfg(not(unix))]
fn exit(status: ExitStatus) -> Option<Exit> {
    status.code().map(Exit::Code)
}
