use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::SockRef;

use crate::http::{begin_stream, respond, write_chunk};

use super::record::{ModelRequest, Outcome};
use super::script::{Reply, ReplyAction, ReplyEnd, Usage};
use super::stage::Cue;
use super::state::ModelState;

/// Sends the reply of `cue` to the client. Fails when the connection does.
pub(super) fn play(
    cue: &Cue,
    request: &ModelRequest,
    stream: &TcpStream,
    shared: &ModelState,
) -> io::Result<Outcome> {
    let Cue { call, reply, .. } = cue;
    Player {
        call: *call,
        reply,
        request,
        stream,
        shared,
        head: HeadState::Held,
        deltas: 0,
        tools: 0,
    }
    .play()
}

struct Player<'a> {
    call: usize,
    reply: &'a Reply,
    request: &'a ModelRequest,
    stream: &'a TcpStream,
    shared: &'a ModelState,
    head: HeadState,
    deltas: usize,
    tools: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadState {
    Held,
    Sent,
}

impl Player<'_> {
    fn play(mut self) -> io::Result<Outcome> {
        for action in &self.reply.actions {
            match action {
                ReplyAction::Head => self.head()?,
                ReplyAction::Pause(gate) => gate.wait(|| self.shared.is_stopping()),
                ReplyAction::Raw(bytes) => self.send(bytes)?,
                ReplyAction::Reason(text) => self.delta(&json!({ "reasoning_content": text }))?,
                ReplyAction::Say(text) => self.delta(&json!({ "content": text }))?,
                ReplyAction::Use { tool, arguments } => self.call_tool(tool, arguments)?,
            }
            if self.shared.is_stopping() {
                return Ok(Outcome::Stopped);
            }
        }
        self.end()
    }

    fn end(mut self) -> io::Result<Outcome> {
        match &self.reply.end {
            ReplyEnd::Body(body) if self.head == HeadState::Held => {
                respond(self.stream, self.reply.status, &self.reply.headers, body)?;
            }
            ReplyEnd::Body(body) => {
                self.send(body.as_bytes())?;
                write_chunk(self.stream, b"")?;
            }
            ReplyEnd::Close => {
                self.head()?;
                write_chunk(self.stream, b"")?;
            }
            ReplyEnd::Finish(reason) => {
                let own = if self.tools > 0 { "tool_calls" } else { "stop" };
                let reason = reason.as_deref().unwrap_or(own);
                self.event(&json!([{ "index": 0, "delta": {}, "finish_reason": reason }]), None)?;
                self.event(&json!([]), Some(self.reply.usage))?;
                self.send(b"data: [DONE]\n\n")?;
                write_chunk(self.stream, b"")?;
            }
            ReplyEnd::HangUp => {
                self.stream.shutdown(Shutdown::Both)?;
                return Ok(Outcome::BrokenOff);
            }
            ReplyEnd::Reset => {
                // A linger time of zero makes close send RST; the caller closes.
                SockRef::from(self.stream).set_linger(Some(Duration::ZERO))?;
                return Ok(Outcome::BrokenOff);
            }
            ReplyEnd::Stall => {
                let mut ignored = [0; 1024];
                let mut stream = self.stream;
                while stream.read(&mut ignored)? > 0 {}
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Outcome::Answered)
    }

    /// Streams a tool call as providers do: first the name, then the arguments.
    fn call_tool(&mut self, tool: &str, arguments: &str) -> io::Result<()> {
        let index = self.tools;
        self.tools += 1;
        // Reproducible, and unique within the session.
        let id = format!("call_{}_{index}", self.call);
        let function = json!({ "name": tool, "arguments": "" });
        let named = json!({ "index": index, "id": id, "type": "function", "function": function });
        self.delta(&json!({ "tool_calls": [named] }))?;
        let rest = json!({ "index": index, "function": { "arguments": arguments } });
        self.delta(&json!({ "tool_calls": [rest] }))
    }

    fn delta(&mut self, delta: &Value) -> io::Result<()> {
        if self.deltas > 0 && !self.reply.interval.is_zero() {
            self.shared.pause(self.reply.interval);
        }
        let mut choice = json!({ "index": 0, "delta": delta, "finish_reason": null });
        if self.deltas == 0 {
            choice["delta"]["role"] = json!("assistant");
        }
        self.deltas += 1;
        self.event(&json!([choice]), None)
    }

    fn event(&mut self, choices: &Value, usage: Option<Usage>) -> io::Result<()> {
        let mut event = json!({
            "id": format!("chatcmpl-{}", self.request.number()),
            "object": "chat.completion.chunk",
            "created": 0,
            "model": self.request.model(),
            "choices": choices,
        });
        if let Some(usage) = usage {
            event["usage"] = json!({
                "prompt_tokens": usage.input,
                "completion_tokens": usage.output,
                "total_tokens": usage.input + usage.output,
                "prompt_tokens_details": { "cached_tokens": usage.cached },
                "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
            });
        }
        self.send(format!("data: {event}\n\n").as_bytes())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.head()?;
        write_chunk(self.stream, bytes)
    }

    fn head(&mut self) -> io::Result<()> {
        if self.head == HeadState::Held {
            begin_stream(self.stream, self.reply.status, &self.reply.headers)?;
            self.head = HeadState::Sent;
        }
        Ok(())
    }
}
