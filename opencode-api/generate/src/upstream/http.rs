//! One request over plain HTTP, with the standard library.

use std::env;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a GET request. The password is that of `OPENCODE_SERVER_PASSWORD`, if any.
pub(super) fn get(url: &str, path: &str) -> Result<String, Box<dyn Error>> {
    let host = url.strip_prefix("http://").ok_or("only http:// is supported")?;
    let host = host.trim_end_matches('/');
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(&address).map_err(|error| format!("{address}: {error}"))?;
    let authorization = env::var("OPENCODE_SERVER_PASSWORD").map_or_else(
        |_| String::new(),
        |password| {
            let user = env::var("OPENCODE_SERVER_USERNAME");
            let user = user.unwrap_or_else(|_| "opencode".to_owned());
            let credentials = base64(format!("{user}:{password}").as_bytes());
            format!("Authorization: Basic {credentials}\r\n")
        },
    );
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    body(&reply).map_err(|error| format!("GET {path}: {error}").into())
}

fn body(reply: &[u8]) -> Result<String, String> {
    let end = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or("no reply")?;
    let head = String::from_utf8_lossy(&reply[..end]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!("status {status}"));
    }
    let rest = &reply[end + 4..];
    let is_chunked = head.contains("\r\ntransfer-encoding: chunked");
    let body = if is_chunked { dechunked(rest)? } else { rest.to_vec() };
    String::from_utf8(body).map_err(|error| error.to_string())
}

fn dechunked(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|bytes| bytes == b"\r\n").ok_or("a cut chunk")?;
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|error| error.to_string())?;
        if size == 0 {
            return Ok(body);
        }
        let start = end + 2;
        body.extend(rest.get(start..start + size).ok_or("a cut chunk")?);
        rest = rest.get(start + size + 2..).ok_or("a cut chunk")?;
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let number = number << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place > chunk.len() {
                text.push('=');
            } else {
                let digit = (number >> (18 - 6 * place)) & 63;
                text.push(char::from(DIGITS[digit as usize]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_in_chunks_are_joined() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let reply = [&head[..], b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"].concat();
        assert_eq!(body(&reply).unwrap(), "abcde");
        assert_eq!(body(b"HTTP/1.1 401 No\r\n\r\n").unwrap_err(), "status 401");
    }

    #[test]
    fn credentials_are_written_in_base64() {
        for (text, encoded) in
            [("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("abcd", "YWJjZA==")]
        {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
