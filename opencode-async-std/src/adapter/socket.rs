use futures_io::{AsyncRead, AsyncWrite};
use opencode_client::runtime::Connection;
use smol_hyper::rt::FuturesIo;

pub(crate) fn connection<S>(stream: S) -> Box<dyn Connection>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Box::new(FuturesIo::new(stream))
}
