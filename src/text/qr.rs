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

/// The picture for a page: its size and the dark modules as an SVG path, with the frame that the standard wants.
#[must_use]
pub fn path(text: &str) -> Option<(i32, String)> {
    const WIDE_FRAME: i32 = 4;
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let places = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    let dark = places.filter(|(x, y)| code.get_module(*x, *y));
    let path = dark.map(|(x, y)| format!("M{} {}h1v1h-1z", x + WIDE_FRAME, y + WIDE_FRAME)).collect();
    Some((code.size() + 2 * WIDE_FRAME, path))
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
