//! Certificates, by openssl.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// A certificate authority, by openssl: `ca.pem` and its key.
pub fn make_authority(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    openssl(
        folder,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=test-ca \
         -keyout ca-key.pem -out ca.pem -addext basicConstraints=critical,CA:TRUE \
         -addext keyUsage=critical,keyCertSign,cRLSign",
    );
}

/// `NAME.pem` and `NAME-key.pem`, signed by the folder's authority.
pub fn make_certificate(folder: &Path, name: &str, usage: &str, address: Option<Ipv4Addr>) {
    let names = address.map_or(String::new(), |address| {
        format!("subjectAltName=DNS:{name},DNS:localhost,IP:{address},IP:127.0.0.1\n")
    });
    let extensions =
        format!("extendedKeyUsage={usage}\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n{names}");
    fs::write(folder.join(format!("{name}.ext")), extensions).unwrap();
    openssl(
        folder,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} \
             -keyout {name}-key.pem -out {name}.csr"
        ),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 \
             -extfile {name}.ext -out {name}.pem"
        ),
    );
}

#[track_caller]
fn openssl(folder: &Path, line: &str) {
    let made = Command::new("openssl").args(line.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&made.stderr));
}
