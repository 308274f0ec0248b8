//! Time-based one-time codes (RFC 6238): six digits, SHA-1, thirty seconds, as every application does them.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Seconds of a step.
const STEP: u64 = 30;
const DIGITS: usize = 6;
/// Steps before and after now that are taken: clocks differ, and people type slowly.
const DRIFT: u64 = 1;
/// RFC 4226 section 4 wants 128 bits at least and recommends 160.
const SECRET_BYTES: usize = 20;
/// RFC 4648.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret in base32.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(to_base32(&bytes))
}

/// The step whose code this is, if it is one of now.
#[must_use]
pub fn step_of(secret: &str, code: &str, unix_seconds: u64) -> Option<u64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != DIGITS || !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let key = from_base32(secret)?;
    let now = unix_seconds / STEP;
    // All are computed, whichever fits.
    let fitting: Vec<u64> = (now.saturating_sub(DRIFT)..=now + DRIFT)
        .filter(|step| code_at(&key, *step).is_some_and(|right| right == code))
        .collect();
    fitting.last().copied()
}

/// The code of a moment: what an application shows then.
#[must_use]
pub fn code(secret: &str, unix_seconds: u64) -> Option<String> {
    code_at(&from_base32(secret)?, unix_seconds / STEP)
}

/// What applications read from a picture.
#[must_use]
pub fn uri(issuer: &str, user: &str, secret: &str) -> String {
    format!("otpauth://totp/{issuer}:{user}?secret={secret}&issuer={issuer}")
}

/// RFC 4226 section 5.3.
fn code_at(key: &[u8], step: u64) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest.last()? & 0xf);
    let four = digest.get(offset..offset + 4)?;
    let number = u32::from_be_bytes(four.try_into().ok()?) & 0x7fff_ffff;
    Some(format!("{:06}", number % 1_000_000))
}

fn to_base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for five in bytes.chunks(5) {
        let mut padded = [0_u8; 8];
        if let Some(place) = padded.get_mut(3..3 + five.len()) {
            place.copy_from_slice(five);
        }
        let bits = u64::from_be_bytes(padded);
        let letters = (five.len() * 8).div_ceil(5);
        for n in 0..letters {
            let index = (bits >> (35 - 5 * n)) & 31;
            text.push(BASE32.get(usize::try_from(index).unwrap_or(0)).map_or('A', |b| char::from(*b)));
        }
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u64, 0_u32, Vec::new());
    for letter in text.bytes().filter(|b| *b != b'=' && *b != b' ') {
        let value = BASE32.iter().position(|b| *b == letter.to_ascii_uppercase())?;
        bits = (bits << 5 | u64::try_from(value).ok()?) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B; the last six of its eight digits.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let secret = to_base32(b"12345678901234567890");
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step_of(&secret, code, time), Some(time / 30), "{time}");
            assert_eq!(step_of(&secret, code, time + 30), Some(time / 30), "a step late");
            assert_eq!(step_of(&secret, code, time + 90), None);
            assert_eq!(step_of(&secret, &format!(" {} {} ", &code[..3], &code[3..]), time), Some(time / 30));
        }
        for odd in ["", "28708", "2870820", "abcdef", "２８７０８２", "-28708"] {
            assert_eq!(step_of(&secret, odd, 59), None, "{odd}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(to_base32(bytes.as_bytes()), text);
            assert_eq!(from_base32(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(from_base32("1"), None);
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert!(one.len() == 32 && one != two);
    }
}
