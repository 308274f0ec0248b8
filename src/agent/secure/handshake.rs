//! Who is there? rustls asks, over whatever carries the bytes, and gives its keys away when it knows.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::kernel::KernelConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{ClientConfig, ConnectionTrafficSecrets, Error, ExtractedSecrets, ServerConfig};

use super::records::{self, Protection};
use super::{Keys, Session};

/// More than both sides' keys and signatures ever are; what comes beyond that is no handshake of ours.
const MOST_INCOMING: usize = 32 * 1024;
/// What is read at once: all that a side says.
const READ: usize = 4 * 1024;

/// Begins as the side that calls.
///
/// # Errors
/// When the configuration does not fit.
pub fn client(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<Handshake<UnbufferedClientConnection>, Error> {
    UnbufferedClientConnection::new(config, name).map(Handshake::new)
}

/// Begins as the side that is called.
///
/// # Errors
/// When the configuration does not fit.
pub fn server(config: Arc<ServerConfig>) -> Result<Handshake<UnbufferedServerConnection>, Error> {
    UnbufferedServerConnection::new(config).map(Handshake::new)
}

/// A connection whose sides do not know each other yet.
pub struct Handshake<M> {
    machine: M,
    incoming: Vec<u8>,
    /// How much of it the machine was shown: one record after the other, so that what follows the handshake is left.
    shown: usize,
    outgoing: Vec<u8>,
}

/// One side of rustls.
pub trait Machine: Sized {
    /// Its kind.
    type Data;

    #[doc(hidden)]
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    #[doc(hidden)]
    fn into_keys(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error>;
}

impl Machine for UnbufferedClientConnection {
    type Data = rustls::client::ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn into_keys(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error> {
        self.dangerous_into_kernel_connection()
    }
}

impl Machine for UnbufferedServerConnection {
    type Data = rustls::server::ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn into_keys(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error> {
        self.dangerous_into_kernel_connection()
    }
}

impl<Data: Send> Keys for KernelConnection<Data> {
    fn for_sending(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error> {
        self.update_tx_secret()
    }

    fn for_receiving(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error> {
        self.update_rx_secret()
    }
}

enum Next {
    GoOn,
    Wait,
    Done,
}

impl<M: Machine> Handshake<M> {
    fn new(machine: M) -> Self {
        Self { machine, incoming: Vec::new(), shown: 0, outgoing: Vec::new() }
    }

    /// Where what comes is appended, with room for it.
    pub fn incoming(&mut self) -> &mut Vec<u8> {
        self.incoming.reserve(READ);
        &mut self.incoming
    }

    /// What is to be sent now, also after an error: the other side is told why.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Goes on with what has come. True when both are known and what is left to send is all that is left.
    ///
    /// # Errors
    /// The other side is not who it should be, or does not speak this.
    pub fn advance(&mut self) -> Result<bool, Error> {
        if self.incoming.len() > MOST_INCOMING {
            return Err(Error::PeerSentOversizedRecord);
        }
        loop {
            let shown = self.incoming.get_mut(..self.shown).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.machine.process(shown);
            let next = state.and_then(|state| step(state, &mut self.outgoing));
            self.incoming.drain(..discard);
            self.shown -= discard;
            match next {
                Ok(Next::GoOn) => {}
                Ok(Next::Wait) => {
                    let rest = self.incoming.get(self.shown..).unwrap_or_default();
                    let Some(length) = records::first_length(rest)? else { return Ok(false) };
                    self.shown += length;
                }
                Ok(Next::Done) if self.shown == 0 => return Ok(true),
                Ok(Next::Done) => return Err(Error::General("half a word after the handshake".into())),
                Err(error) => {
                    self.say_why();
                    return Err(error);
                }
            }
        }
    }

    /// The connection.
    ///
    /// # Errors
    /// When it is not done.
    pub fn finish(self) -> Result<Session, Error>
    where
        M::Data: Send + 'static,
    {
        let (ExtractedSecrets { tx, rx }, keys) = self.machine.into_keys()?;
        Ok(Session {
            keys: Box::new(keys),
            opener: Protection::new(rx.0, &rx.1)?,
            sealer: Protection::new(tx.0, &tx.1)?,
            owes_new_keys: false,
            incoming: self.incoming,
            opened: 0,
            outgoing: self.outgoing,
            sent: 0,
        })
    }

    /// An alert, if there is one: the first thing that the machine gives after an error.
    fn say_why(&mut self) {
        let shown = self.incoming.get_mut(..self.shown).unwrap_or_default();
        if let Ok(ConnectionState::EncodeTlsData(data)) = self.machine.process(shown).state {
            let _ = encode(data, &mut self.outgoing);
        }
    }
}

fn step<Data>(state: ConnectionState<'_, '_, Data>, outgoing: &mut Vec<u8>) -> Result<Next, Error> {
    match state {
        ConnectionState::EncodeTlsData(data) => encode(data, outgoing)?,
        // The caller sends before it waits.
        ConnectionState::TransmitTlsData(data) => data.done(),
        ConnectionState::BlockedHandshake => return Ok(Next::Wait),
        ConnectionState::WriteTraffic(_) => return Ok(Next::Done),
        _ => return Err(Error::General("something else than a handshake".into())),
    }
    Ok(Next::GoOn)
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, outgoing: &mut Vec<u8>) -> Result<(), Error> {
    let Err(EncodeError::InsufficientSize(wanted)) = data.encode(&mut []) else { return Ok(()) };
    let begin = outgoing.len();
    outgoing.resize(begin + wanted.required_size, 0);
    let encoded = data.encode(outgoing.get_mut(begin..).unwrap_or_default());
    encoded.map(|_| ()).map_err(|e| Error::General(e.to_string()))
}
