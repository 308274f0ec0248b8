//! The fields of SSH's messages, RFC 4251 section 5: read with bounds, written.

/// Reads fields one after the other; `None` past the end.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Over a message's payload.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// `byte`
    pub fn byte(&mut self) -> Option<u8> {
        let (head, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*head)
    }

    /// `uint32`
    pub fn number(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    /// `uint64`
    pub fn long(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*head))
    }

    /// `string`, any bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let mut rest = Self(self.0);
        let length = usize::try_from(rest.number()?).ok()?;
        let (field, rest) = rest.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    /// `string` in UTF-8.
    pub fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    /// Is nothing left?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes a `string`. What is longer than its length field can say is cut; nothing of ours is.
pub fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend(length.to_be_bytes());
    to.extend(bytes.iter().take(length as usize));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_never_past_the_end() {
        let mut fields = Fields::new(b"\0\0\0\x02hi\0\0\0\x07\0\0\0\x05no");
        assert_eq!(fields.text().as_deref(), Some("hi"));
        assert_eq!(fields.number(), Some(7));
        assert_eq!(fields.bytes(), None);
        assert!(!fields.is_over());
        assert_eq!(Fields::new(&[0xff; 3]).number(), None);
        assert!(Fields::new(b"").is_over());
    }
}
