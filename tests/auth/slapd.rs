//! A real OpenLDAP server with people, groups and certificates of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{SOON, eventually, free_port};

pub struct Slapd {
    folder: tempfile::TempDir,
    pub ldap: u16,
    pub ldaps: u16,
    server: Option<Child>,
}

/// `name`, group memberships and user id; the password is `pw-NAME`.
const PEOPLE: [(&str, u32, &[&str]); 4] = [
    ("lia", 5001, &["students"]),
    ("max", 5002, &["students", "admins"]),
    ("out", 5003, &[]),
    ("low", 12, &["students"]),
];

impl Slapd {
    /// With this public key as lia's.
    pub fn start(key: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("ct-ldap-").tempdir().unwrap();
        let mut slapd = Self { folder, ldap: free_port(), ldaps: free_port(), server: None };
        slapd.certificates();
        fs::create_dir(slapd.path("db")).unwrap();
        fs::write(slapd.path("slapd.conf"), slapd.config()).unwrap();
        fs::write(slapd.path("base.ldif"), people(key)).unwrap();
        let (config, ldif) = (slapd.path("slapd.conf"), slapd.path("base.ldif"));
        ran(Command::new("slapadd").arg("-f").arg(config).arg("-l").arg(ldif));
        slapd.serve();
        slapd
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn serve(&mut self) {
        let urls = format!("ldap://127.0.0.1:{} ldaps://127.0.0.1:{}", self.ldap, self.ldaps);
        let server = Command::new("/usr/sbin/slapd")
            .arg("-f")
            .arg(self.path("slapd.conf"))
            .args(["-h", &urls, "-d", "0"])
            .stderr(fs::File::create(self.path("stderr")).unwrap())
            .spawn()
            .unwrap();
        let server = self.server.insert(server);
        let ldaps = self.ldaps;
        eventually("slapd listens", SOON, || std::net::TcpStream::connect(("127.0.0.1", ldaps)).ok());
        let ended = server.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(self.path("stderr")).unwrap());
    }

    /// Accepts and says nothing any more.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    fn signal(&self, signal: Signal) {
        let server = self.server.as_ref().unwrap();
        kill(Pid::from_raw(server.id() as i32), signal).unwrap();
    }

    /// One line of the directory changed.
    pub fn modify(&self, ldif: &str) {
        let file = self.path("change.ldif");
        fs::write(&file, ldif).unwrap();
        ran(Command::new("ldapmodify")
            .args(["-x", "-H", &format!("ldap://127.0.0.1:{}", self.ldap)])
            .args(["-D", "cn=admin,dc=lab,dc=test", "-w", "adminpw", "-f"])
            .arg(file));
    }

    fn config(&self) -> String {
        let folder = self.folder.path().display();
        format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/nis.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {folder}/pid\n\
             TLSCACertificateFile {folder}/ca.pem\nTLSCertificateFile {folder}/server.pem\n\
             TLSCertificateKeyFile {folder}/server-key.pem\n\
             attributetype ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )\n\
             objectclass ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY MAY ( sshPublicKey $ uid ) )\n\
             database mdb\nsuffix \"dc=lab,dc=test\"\nrootdn \"cn=admin,dc=lab,dc=test\"\nrootpw adminpw\n\
             directory {folder}/db\nindex uid eq\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to dn.subtree=\"dc=lab,dc=test\" by dn.exact=\"cn=reader,dc=lab,dc=test\" read by self read by users read by anonymous auth\n"
        )
    }

    /// A CA and a server certificate for 127.0.0.1; another CA that has signed nothing.
    fn certificates(&self) {
        let make =
            |script: &str| ran(Command::new("sh").arg("-ec").arg(script).current_dir(self.folder.path()));
        let ca = |name: &str| {
            format!(
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} \
                 -keyout {name}-key.pem -out {name}.pem -addext basicConstraints=critical,CA:TRUE \
                 -addext keyUsage=critical,keyCertSign 2>&1"
            )
        };
        make(&ca("ca"));
        make(&ca("other-ca"));
        make(
            "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=slapd -keyout server-key.pem -out server.csr 2>&1
             printf 'extendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n' > ext
             openssl x509 -req -in server.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile ext -out server.pem 2>&1",
        );
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}

#[track_caller]
fn ran(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn people(key: &str) -> String {
    let mut ldif =
        "dn: dc=lab,dc=test\nobjectClass: dcObject\nobjectClass: organization\ndc: lab\no: Lab\n\n"
            .to_owned();
    for unit in ["people", "groups"] {
        ldif += &format!("dn: ou={unit},dc=lab,dc=test\nobjectClass: organizationalUnit\nou: {unit}\n\n");
    }
    ldif += "dn: cn=reader,dc=lab,dc=test\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: readerpw\n\n";
    for (name, uid, _) in PEOPLE {
        ldif += &format!(
            "dn: uid={name},ou=people,dc=lab,dc=test\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nobjectClass: ldapPublicKey\n\
             uid: {name}\ncn: {name}\nsn: {name}\nuidNumber: {uid}\ngidNumber: 5000\nhomeDirectory: /home/{name}\nuserPassword: pw-{name}\n"
        );
        if name == "lia" {
            ldif += &format!("sshPublicKey: {key}\n");
        }
        ldif += "\n";
    }
    for group in ["students", "admins"] {
        ldif += &format!("dn: cn={group},ou=groups,dc=lab,dc=test\nobjectClass: groupOfNames\ncn: {group}\n");
        for (name, _, groups) in PEOPLE {
            if groups.contains(&group) {
                ldif += &format!("member: uid={name},ou=people,dc=lab,dc=test\n");
            }
        }
        ldif += "\n";
    }
    ldif
}

/// `[auth.ldap]` with a searching account.
pub fn searching(urls: &[String], ca: &Path, password_file: &Path) -> String {
    format!(
        "[auth.ldap]\nurls = {urls:?}\nca = {ca:?}\ntimeout = \"1s\"\ncache = \"0s\"\nbase = \"ou=people,dc=lab,dc=test\"\n\
         bind_dn = \"cn=reader,dc=lab,dc=test\"\nbind_password_file = {password_file:?}\n\
         group = \"cn=students,ou=groups,dc=lab,dc=test\"\nadmin_group = \"cn=admins,ou=groups,dc=lab,dc=test\"\n\
         uid_attribute = \"uidNumber\"\n\n"
    )
}

/// `[auth.ldap]` that binds as the user.
pub fn binding(urls: &[String], ca: &Path) -> String {
    format!(
        "[auth.ldap]\nurls = {urls:?}\nca = {ca:?}\ntimeout = \"1s\"\ncache = \"0s\"\n\
         user_dn = \"uid={{user}},ou=people,dc=lab,dc=test\"\ngroup = \"cn=students,ou=groups,dc=lab,dc=test\"\n\n"
    )
}
