#[cfg(test)]
mod tests;

use std::io;

use hyper_util::rt::TokioIo;
use opencode_client::runtime::Connection;
use tokio::net::TcpStream;

pub(crate) async fn connect(host: String, port: u16) -> io::Result<Box<dyn Connection>> {
    Ok(Box::new(TokioIo::new(open(&host, port).await?)))
}

async fn open(host: &str, port: u16) -> io::Result<TcpStream> {
    // `connect` tries every address of a name in order.
    let socket = TcpStream::connect((host, port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}
