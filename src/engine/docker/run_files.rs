//! The agent's files for a container that has no directory of the gateway's: root's alone, as the directory would be.

use std::io;

use crate::agent::protocol::RUN_DIR;

/// An archive to be unpacked at `/`.
pub(super) fn archive(files: &[(String, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let directory = RUN_DIR.trim_start_matches('/');
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o700);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, format!("{directory}/"), io::empty())?;
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        tar.append_data(&mut header, format!("{directory}/{name}"), content.as_slice())?;
    }
    tar.into_inner()
}
