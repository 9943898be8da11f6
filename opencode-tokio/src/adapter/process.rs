use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::process::{Command, ExitStatus};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use opencode_client::runtime::{ByteSink, ByteSource, ChunkBuffer, Process, ProcessExit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin};

pub(crate) fn start(command: Command) -> io::Result<Process> {
    let mut child = tokio::process::Command::from(command).spawn()?;
    let piped = "the client makes pipes of all three";
    Ok(Process {
        id: child.id().expect("a child has an id until it is reaped"),
        stdin: Box::new(Sink(child.stdin.take().expect(piped))),
        stdout: Box::new(Source::new(child.stdout.take().expect(piped))),
        stderr: Box::new(Source::new(child.stderr.take().expect(piped))),
        exit: Box::new(Exit(child)),
    })
}

struct Exit(Child);

impl ProcessExit for Exit {
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        pin!(self.0.wait()).poll(cx)
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
        buffer.poll_fill(|free| {
            let mut free = ReadBuf::new(free);
            ready!(Pin::new(reader).poll_read(cx, &mut free))?;
            Poll::Ready(Ok(free.filled().len()))
        })
    }
}

struct Sink(ChildStdin);

impl ByteSink for Sink {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
}
