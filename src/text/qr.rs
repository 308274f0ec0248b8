//! A text as a picture that telephones read, in half blocks: two modules to a character.

use qrcodegen::{QrCode, QrCodeEcc};

/// The white frame that readers need, in modules (ISO 18004 wants four; two are read in practice, and fit a terminal).
const FRAME: i32 = 2;

/// The picture, or nothing when the text is too long for one. White on black screens: light modules are drawn.
#[must_use]
pub fn picture(text: &str) -> String {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Low) else { return String::new() };
    let light = |x, y| {
        let inside = (0..code.size()).contains(&x) && (0..code.size()).contains(&y);
        !(inside && code.get_module(x, y))
    };
    let end = code.size() + FRAME;
    let mut lines = Vec::new();
    let mut y = -FRAME;
    while y < end {
        let row = (-FRAME..end).map(|x| match (light(x, y), y + 1 < end && light(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        });
        lines.push(row.collect::<String>());
        y += 2;
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_fits_a_terminal() {
        let uri =
            crate::auth::totp::uri("clusteria-lab", "jean-luc.picard", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let picture = picture(&uri);
        assert!(picture.lines().count() <= 24, "{picture}");
        assert!(picture.lines().all(|line| line.chars().count() <= 80));
        // The three corners that readers look for, inside the frame.
        let first: Vec<char> = picture.lines().nth(1).unwrap().chars().collect();
        assert_eq!(first[..9].iter().collect::<String>(), "██ ▄▄▄▄▄ ");
        assert_eq!(super::picture(&"x".repeat(5000)), "");
    }
}
