use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::{Command, ExitStatus, Stdio};
use std::task::{Context, Poll};

use async_process::{Child, ChildStdin};
use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use opencode_client::runtime::{ByteSink, ByteSource, ChunkBuffer, Process, ProcessExit};

pub(crate) fn start(command: Command) -> io::Result<Process> {
    let mut command = async_process::Command::from(command);
    // The conversion drops the pipes that the command was configured with.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let piped = "a pipe was asked for";
    Ok(Process {
        id: child.id(),
        stdin: Box::new(Sink(child.stdin.take().expect(piped))),
        stdout: Box::new(Source::new(child.stdout.take().expect(piped))),
        stderr: Box::new(Source::new(child.stderr.take().expect(piped))),
        exit: Box::new(Exit::new(child)),
    })
}

struct Exit {
    status: Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send>>,
    /// A dropped child runs on, and is reaped at its exit.
    child: Child,
}

impl Exit {
    fn new(mut child: Child) -> Self {
        Self { status: Box::pin(child.status()), child }
    }
}

impl ProcessExit for Exit {
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        self.status.as_mut().poll(cx)
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        // Reaps a child that has exited at once: the reaper thread may run late.
        let _ = self.child.try_status();
    }
}

struct Source<R> {
    reader: R,
    buffer: ChunkBuffer,
}

impl<R> Source<R> {
    fn new(reader: R) -> Self {
        Self { reader, buffer: ChunkBuffer::default() }
    }
}

impl<R: AsyncRead + Send + Unpin> ByteSource for Source<R> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let Self { reader, buffer } = self;
        buffer.poll_fill(|free| Pin::new(reader).poll_read(cx, free))
    }
}

struct Sink(ChildStdin);

impl ByteSink for Sink {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
}
