//! As much HTTP/1.1 as this takes: one request per connection.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use http::{Request, Response};
use opencode_proto::api::{ApiError, Operation};
use opencode_proto::{ApiCall, ApiReply, CallFailure, Delivery};

/// A server, by address.
#[derive(Clone)]
pub(crate) struct HttpServer {
    address: String,
    /// The value of the header.
    authorization: Option<String>,
}

/// A request without a reply.
pub(crate) struct HttpFailure {
    delivery: Delivery,
    error: io::Error,
}

/// Body of a reply, piece by piece.
pub(crate) struct ReplyBody {
    reader: BufReader<TcpStream>,
    length: Length,
}

enum Length {
    /// In chunks, each after a line with the size.
    Chunked,
    /// As long as the connection.
    Endless,
    /// This much is left.
    Known(usize),
}

impl HttpServer {
    pub(crate) fn new(address: &str) -> Self {
        use base64::Engine;

        let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
        let password = env::var("OPENCODE_SERVER_PASSWORD").ok();
        let authorization =
            password.map(|password| format!("Basic {}", encode(format!("opencode:{password}"))));
        Self { address: address.to_owned(), authorization }
    }

    /// Carries out an operation. The inner error is the server's.
    pub(crate) fn call<O: Operation>(
        &self,
        operation: &O,
    ) -> io::Result<Result<O::Output, ApiError>> {
        let reply = self.reply(operation.request()).map_err(|failure| failure.error)?;
        Ok(operation.decode(reply))
    }

    /// Sends a request, and returns the whole reply.
    pub(crate) fn reply(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpFailure> {
        let failure = |delivery| move |error| HttpFailure { delivery, error };
        let socket = self.connect().map_err(failure(Delivery::NotSent))?;
        let sent = self.send(socket, request);
        let (head, mut body) = sent.map_err(failure(Delivery::Unknown))?;
        let mut whole = Vec::new();
        while let Some(chunk) = body.next_chunk().map_err(failure(Delivery::Received))? {
            whole.extend_from_slice(&chunk);
        }
        Ok(head.map(|()| whole.into()))
    }

    /// Carries out a call of a machine.
    pub(crate) fn execute(&self, call: ApiCall) -> ApiReply {
        let reply = self.reply(call.request);
        reply.map_err(|failure| CallFailure::new(failure.delivery, failure.error.to_string()))
    }

    /// Opens an event stream. The inner error is the server's refusal.
    pub(crate) fn events(&self, path: &str) -> io::Result<Result<ReplyBody, ApiError>> {
        let request = Request::get(path).header("accept", "text/event-stream");
        let request = request.body(Bytes::new()).map_err(io::Error::other)?;
        let (head, body) = self.send(self.connect()?, request)?;
        let content_type = head.headers().get("content-type").and_then(|text| text.to_str().ok());
        let is_stream = content_type.is_some_and(|text| text.starts_with("text/event-stream"));
        if head.status().is_success() && is_stream {
            return Ok(Ok(body));
        }
        Ok(Err(ApiError::no_stream(path, head.map(|()| Bytes::new()))))
    }

    fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect(&self.address)
    }

    fn send(
        &self,
        mut socket: TcpStream,
        request: Request<Bytes>,
    ) -> io::Result<(Response<()>, ReplyBody)> {
        let (head, body) = request.into_parts();
        let mut text =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\n", head.method, head.uri, self.address);
        for (name, value) in &head.headers {
            text += &format!("{name}: {}\r\n", value.to_str().map_err(io::Error::other)?);
        }
        if let Some(authorization) = &self.authorization {
            text += &format!("authorization: {authorization}\r\n");
        }
        text += &format!("connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(text.as_bytes())?;
        socket.write_all(&body)?;
        receive(BufReader::new(socket))
    }
}

/// Reads the head of a response.
fn receive(mut reader: BufReader<TcpStream>) -> io::Result<(Response<()>, ReplyBody)> {
    let status = line(&mut reader)?;
    let status = status.split(' ').nth(1).unwrap_or_default();
    let mut response = Response::builder().status(status);
    let mut length = Length::Endless;
    loop {
        let header = line(&mut reader)?;
        let Some((name, value)) = header.split_once(':') else { break };
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("transfer-encoding", "chunked") => length = Length::Chunked,
            ("content-length", size) => {
                length = Length::Known(size.parse().map_err(io::Error::other)?);
            }
            (name, value) => response = response.header(name, value),
        }
    }
    let response = response.body(()).map_err(io::Error::other)?;
    Ok((response, ReplyBody { reader, length }))
}

impl ReplyBody {
    /// `None` is the end.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.length {
            Length::Chunked => {
                let size = line(&mut self.reader)?;
                let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
                let mut chunk = vec![0; size];
                self.reader.read_exact(&mut chunk)?;
                line(&mut self.reader)?;
                Ok((size > 0).then(|| chunk.into()))
            }
            Length::Endless => {
                let chunk = Bytes::copy_from_slice(self.reader.fill_buf()?);
                self.reader.consume(chunk.len());
                Ok((!chunk.is_empty()).then_some(chunk))
            }
            Length::Known(left) => {
                let mut chunk = vec![0; std::mem::take(left)];
                self.reader.read_exact(&mut chunk)?;
                Ok((!chunk.is_empty()).then(|| chunk.into()))
            }
        }
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
