//! The user's account in the container: entries in `/etc`, a home, a shell that exists.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::{fs, io};

use super::protocol::{Account, BIN_DIR};

const SHELLS: [&str; 3] = ["/bin/bash", "/bin/sh", "/usr/bin/sh"];

/// The user, ready to be become.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) account: Account,
    /// The account's group and those that `/etc/group` lists the name in.
    pub(super) groups: Vec<u32>,
}

pub(super) fn prepare(account: &Account) -> io::Result<User> {
    let mut account = account.clone();
    if !Path::new(&account.shell).exists() {
        let found = SHELLS.into_iter().find(|shell| Path::new(shell).exists());
        account.shell = found.unwrap_or("/bin/sh").to_owned();
    }
    add_line("/etc/group", &account.name, &format!("{}:x:{}:", account.name, account.gid))?;
    let Account { name, uid, gid, home, shell } = &account;
    add_line("/etc/passwd", name, &format!("{name}:x:{uid}:{gid}::{home}:{shell}"))?;
    make_home(&account)?;
    // Login shells set a PATH of their own: the command must be where every PATH looks.
    if fs::create_dir_all("/usr/local/bin").is_ok() {
        let _ = symlink(format!("{BIN_DIR}/clusteria"), "/usr/local/bin/clusteria");
    }
    let groups = supplementary(&fs::read_to_string("/etc/group").unwrap_or_default(), &account);
    Ok(User { account, groups })
}

/// Appends an entry unless the name has one already.
fn add_line(file: &str, name: &str, line: &str) -> io::Result<()> {
    let text = match fs::read_to_string(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    if text.lines().any(|l| l.split(':').next() == Some(name)) {
        return Ok(());
    }
    if let Some(folder) = Path::new(file).parent() {
        fs::create_dir_all(folder)?;
    }
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let mut file = fs::File::options().append(true).create(true).open(file)?;
    writeln!(file, "{separator}{line}")
}

fn make_home(account: &Account) -> io::Result<()> {
    let home = Path::new(&account.home);
    if home.exists() {
        return Ok(());
    }
    fs::create_dir_all(home)?;
    let skeleton = Path::new("/etc/skel");
    if skeleton.is_dir() {
        copy_tree(skeleton, home, account)?;
    }
    fs::set_permissions(home, fs::Permissions::from_mode(0o700))?;
    chown(home, Some(account.uid), Some(account.gid))
}

fn copy_tree(from: &Path, to: &Path, account: &Account) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
            copy_tree(&source, &target, account)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
        std::os::unix::fs::lchown(&target, Some(account.uid), Some(account.gid))?;
    }
    Ok(())
}

fn supplementary(groups: &str, account: &Account) -> Vec<u32> {
    let member = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid: u32 = fields.next()?.parse().ok()?;
        let listed = fields.next()?.split(',').any(|name| name == account.name);
        (listed && gid != 0).then_some(gid)
    };
    let mut found: Vec<u32> = groups.lines().filter_map(member).collect();
    found.push(account.gid);
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_that_list_the_name_but_never_roots() {
        let account = Account {
            name: "ada".into(),
            uid: 20_000,
            gid: 20_000,
            home: "/home/ada".into(),
            shell: "/bin/sh".into(),
        };
        let text = "root:x:0:ada\nvideo:x:44:bob,ada\naudio:x:29:adam\nodd\nada:x:20000:\n";
        assert_eq!(supplementary(text, &account), [44, 20_000]);
    }
}
