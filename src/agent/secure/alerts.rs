//! Alerts (RFC 8446 section 6).

use rustls::{AlertDescription, Error};

pub(super) const CLOSE_NOTIFY: [u8; 2] = [WARNING, 0];

const WARNING: u8 = 1;
const FATAL: u8 = 2;
/// Says that a farewell follows (section 6.1).
const USER_CANCELED: u8 = 90;

/// Whatever is no farewell, and does not announce one, ends the connection, whatever its level.
pub(super) fn is_farewell(alert: &[u8]) -> Result<bool, Error> {
    match alert {
        [_, 0] => Ok(true),
        [_, USER_CANCELED] => Ok(false),
        [_, description] => Err(Error::AlertReceived(AlertDescription::from(*description))),
        _ => Err(Error::General("an alert of another length".into())),
    }
}

/// What the other side is told of an error; nothing when it has told us.
pub(super) fn for_error(error: &Error) -> Option<[u8; 2]> {
    let description = match error {
        Error::AlertReceived(_) => return None,
        Error::DecryptError => AlertDescription::BadRecordMac,
        Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
        _ => AlertDescription::UnexpectedMessage,
    };
    Some([FATAL, description.into()])
}
