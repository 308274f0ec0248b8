//! Image names: by tag or digest, never by whatever is newest today.

use crate::config::words::quoted;

/// Checks `registry/name:tag` or `registry/name@sha256:…`.
pub(super) fn image(text: &str) -> Result<String, String> {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = split_tag(named);
    if !is_name(name)
        || digest.is_some_and(|digest| !is_digest(digest))
        || tag.is_some_and(|tag| !is_tag(tag))
    {
        let examples = "NAME:TAG or NAME@sha256:DIGEST";
        return Err(format!("{} is not an image; write it like {examples}", quoted(text)));
    }
    if tag == Some("latest") {
        return Err("the tag `latest` changes under people's feet; name a version or a digest".to_owned());
    }
    if tag.is_none() && digest.is_none() {
        let why = "has no tag, and that means `latest`";
        return Err(format!("{} {why}; name a version or a digest", quoted(text)));
    }
    Ok(text.to_owned())
}

/// A colon before the last slash is a registry's port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

fn is_name(name: &str) -> bool {
    let path = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
            if !host.chars().all(plain) {
                return false;
            }
            path
        }
        _ => name,
    };
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    path.split('/').all(|part| {
        part.starts_with(letter)
            && part.ends_with(letter)
            && part.chars().all(|c| letter(c) || "._-".contains(c))
    })
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_pinned() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for good in ["ubuntu:24.04", "localhost:5000/a/b:1", "ghcr.io/o/i_x:v1.2-rc", "localhost/x:1"] {
            assert!(image(good).is_ok(), "{good}");
        }
        assert!(image(&format!("ubuntu@{digest}")).is_ok());
        assert!(image(&format!("ubuntu:24.04@{digest}")).is_ok());
        assert!(image(&digest).is_ok(), "an image's id");
        for bad in
            ["", ":1", "a b:1", "Ubuntu:1", "a//b:1", "a:", "a@sha256:12", "a@md5:1", "-a:1", "a:1\n", "/a:1"]
        {
            assert!(image(bad).unwrap_err().contains("is not an image"), "{bad:?}");
        }
        for open in ["ubuntu", "localhost:5000/a"] {
            assert!(image(open).unwrap_err().contains("has no tag"), "{open}");
        }
        assert!(image("ubuntu:latest").unwrap_err().contains("`latest`"));
        assert!(image(&format!("ubuntu:latest@{digest}")).is_err());
    }
}
