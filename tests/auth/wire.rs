//! A client of our own, light enough to be a thousand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::client::{AuthResult, Config, Handle, Handler, connect_stream};
use russh::keys::PublicKeyOrCertificate;
use tokio::net::TcpSocket;

pub struct Client;

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Connects from a loopback address of its own.
pub async fn connect(port: u16, from: &str) -> Result<Handle<Client>, russh::Error> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0))?;
    let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    stream.set_nodelay(true)?;
    let config = Config { inactivity_timeout: Some(Duration::from_secs(120)), ..Config::default() };
    connect_stream(Arc::new(config), stream, Client).await
}

/// How long a wrong password takes to be refused.
pub async fn refusal_time(port: u16, from: &str, user: &str) -> Duration {
    let mut client = connect(port, from).await.unwrap();
    let began = Instant::now();
    let result = client.authenticate_password(user, "wrong").await.unwrap();
    assert!(!matches!(result, AuthResult::Success));
    began.elapsed()
}

/// For names that the real ssh does not send.
#[track_caller]
pub fn is_refused(port: u16, user: &str, password: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(async {
        let mut client = connect(port, &super::client::fresh_address()).await.unwrap();
        client.authenticate_password(user, password).await.unwrap()
    });
    assert!(!result.success(), "{user:?} is in");
}
