use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::model::ModelServer;

/// ModelResponse to one request, up to the end of the connection.
#[derive(Debug)]
pub(super) struct ModelResponse {
    pub(super) head: String,
    pub(super) body: String,
    pub(super) ending: Ending,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The end that the head announced.
    Complete,
    /// Closed before the announced end.
    Cut,
    Reset,
}

impl ModelResponse {
    pub(super) fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// Data of all events that are JSON.
    pub(super) fn events(&self) -> Vec<Value> {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// Text of all deltas.
    pub(super) fn text(&self) -> String {
        self.joined("content")
    }

    pub(super) fn joined(&self, field: &str) -> String {
        let events = self.events();
        let delta = |event: &Value| event["choices"][0]["delta"][field].as_str().map(str::to_owned);
        events.iter().filter_map(delta).collect()
    }

    pub(super) fn finish(&self) -> Option<String> {
        let events = self.events();
        let reason =
            |event: &Value| event["choices"][0]["finish_reason"].as_str().map(str::to_owned);
        events.iter().find_map(reason)
    }
}

pub(super) fn prompt(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

pub(super) fn ask(model: &ModelServer, session: &str, messages: &Value) -> ModelResponse {
    let mut stream = send(model, session, messages);
    read(&mut stream)
}

pub(super) fn send(model: &ModelServer, session: &str, messages: &Value) -> TcpStream {
    let body = json!({ "model": "m1", "stream": true, "messages": messages }).to_string();
    let mut stream = TcpStream::connect(model.address()).unwrap();
    stream.write_all(&request(session, &body)).unwrap();
    stream
}

pub(super) fn request(session: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: model\r\nauthorization: Bearer secret\r\n\
         X-Session-Id: {session}\r\ncontent-length: {}\r\n\r\n",
        body.len(),
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Reads one response.
pub(super) fn read(stream: &mut TcpStream) -> ModelResponse {
    let mut head = Vec::new();
    let mut body = Vec::new();
    let ending = read_into(stream, &mut head, &mut body);
    let ending = match ending {
        Ok(()) => Ending::Complete,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ending::Cut,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ending::Reset,
        Err(error) => panic!("{error}"),
    };
    let [head, body] = [head, body].map(|bytes| String::from_utf8(bytes).unwrap());
    ModelResponse { head, body, ending }
}

fn read_into(stream: &mut TcpStream, head: &mut Vec<u8>, body: &mut Vec<u8>) -> io::Result<()> {
    while !head.ends_with(b"\r\n\r\n") {
        head.push(byte(stream)?);
    }
    let text = String::from_utf8_lossy(head);
    if let Some((_, rest)) = text.split_once("content-length: ") {
        let length: u64 = rest.split("\r\n").next().unwrap().parse().unwrap();
        return match stream.take(length).read_to_end(body)? {
            size if size as u64 == length => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        };
    }
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(byte(stream)?);
        }
        let size = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
        let size = usize::from_str_radix(&size, 16).unwrap();
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk)?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Ok(());
        }
    }
}

fn byte(stream: &mut TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}
