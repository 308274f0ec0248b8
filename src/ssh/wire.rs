//! The fields of a request, RFC 4251 section 5.

/// Reads fields one after the other.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let mut rest = Self(self.0);
        let length = usize::try_from(rest.number()?).ok()?;
        let (field, rest) = rest.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
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
