//! The protection of records (RFC 8446 section 5.2), in place.

use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use rustls::{ConnectionTrafficSecrets, Error, PeerMisbehaved};

/// Content types (RFC 8446 section 5.1).
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

/// The length of a record's head: kind, version, length.
pub(super) const HEAD: usize = 5;
/// The most that one record says, in bytes (RFC 8446 section 5.1).
pub(super) const MOST_PLAIN: usize = 1 << 14;
/// The most that follows its head (section 5.2).
const MOST_SEALED: usize = MOST_PLAIN + 256;
/// What all three suites add.
const TAG: usize = 16;

/// One direction's key and how often it was used.
pub(super) struct Protection {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

impl Protection {
    pub(super) fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, Error> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(Error::General("a cipher suite that nobody offered".into())),
        };
        let strange = || Error::General("a key of another length".into());
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| strange())?;
        let iv = iv.as_ref().try_into().map_err(|_| strange())?;
        Ok(Self { key: LessSafeKey::new(key), iv, sequence })
    }

    /// How many records there were with this key.
    pub(super) fn used(&self) -> u64 {
        self.sequence
    }

    #[cfg(test)]
    pub(super) fn set_used(&mut self, records: u64) {
        self.sequence = records;
    }

    /// RFC 8446 section 5.3. No number is used twice, whatever becomes of the record.
    fn next_nonce(&mut self) -> Result<Nonce, Error> {
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(self.sequence.to_be_bytes().iter().rev()) {
            *byte ^= number;
        }
        self.sequence = self.sequence.checked_add(1).ok_or(Error::EncryptError)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    /// Opens a whole record where it is. Its kind, and how much it says from behind its head.
    pub(super) fn open(&mut self, record: &mut [u8]) -> Result<(u8, usize), Error> {
        let (head, body) = record.split_at_mut_checked(HEAD).ok_or(Error::DecryptError)?;
        if head.first() != Some(&APPLICATION_DATA) {
            return Err(Error::General("a record that is not protected".into()));
        }
        let nonce = self.next_nonce()?;
        let plain = self.key.open_in_place(nonce, Aad::from(head), body).map_err(|_| Error::DecryptError)?;
        // The kind stands behind the content; what follows it are zeros to hide its length.
        let end =
            plain.iter().rposition(|byte| *byte != 0).ok_or(PeerMisbehaved::IllegalTlsInnerPlaintext)?;
        if end > MOST_PLAIN {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok((plain.get(end).copied().unwrap_or_default(), end))
    }

    /// Appends one record with what `fill` appends, at most [`MOST_PLAIN`] bytes; or nothing.
    pub(super) fn seal(
        &mut self,
        kind: u8,
        into: &mut Vec<u8>,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        let begin = into.len();
        into.extend_from_slice(&[0; HEAD]);
        fill(into);
        into.push(kind);
        let length = into.len() - begin - HEAD + TAG;
        let [high, low] = u16::try_from(length).unwrap_or_default().to_be_bytes();
        let head = [APPLICATION_DATA, 3, 3, high, low];
        if let Some(place) = into.get_mut(begin..begin + HEAD) {
            place.copy_from_slice(&head);
        }
        let sealed = self.next_nonce().and_then(|nonce| {
            let body = into.get_mut(begin + HEAD..).unwrap_or_default();
            let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(head), body);
            tag.map_err(|_| Error::EncryptError)
        });
        match sealed {
            Ok(tag) => into.extend_from_slice(tag.as_ref()),
            // What is not sealed must not leave.
            Err(_) => into.truncate(begin),
        }
        sealed.map(|_| ())
    }
}

/// The length of the first record, when all of it is there.
pub(super) fn first_length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some([_, _, _, high, low]) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > MOST_SEALED {
        return Err(Error::PeerSentOversizedRecord);
    }
    Ok(Some(HEAD + length).filter(|length| *length <= bytes.len()))
}

/// What so many bytes become.
pub(super) fn sealed_length(plain: usize) -> usize {
    plain + plain.div_ceil(MOST_PLAIN) * (HEAD + 1 + TAG)
}
