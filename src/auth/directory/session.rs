//! One conversation with a directory server. Whatever users type is escaped for where it goes.

use std::sync::Arc;

use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry, SearchOptions,
    dn_escape, ldap_escape,
};
use rustls::ClientConfig;

use super::{DirectoryError, DirectoryKey, Entry};
use crate::auth::authorized_key;
use crate::config::{Ldap as Rules, LdapEntry};
use crate::reservation::UserName;

/// Result codes of RFC 4511, appendix A.
const SUCCESS: u32 = 0;
const SIZE_LIMIT: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;
const INAPPROPRIATE_AUTH: u32 = 48;
const INVALID_CREDENTIALS: u32 = 49;
const INSUFFICIENT_ACCESS: u32 = 50;
const BUSY: u32 = 51;
const UNAVAILABLE: u32 = 52;
const UNWILLING: u32 = 53;
/// RFC 4511 section 4.5.1.8: no attributes at all.
const NO_ATTRIBUTES: &str = "1.1";
/// Ids below are the system's own, above are not a uid_t that tools agree on.
const UIDS: std::ops::RangeInclusive<u32> = 1000..=0x7fff_fffe;
/// Keys of one entry that are read.
const MOST_KEYS: usize = 64;

pub(super) struct Session<'a> {
    rules: &'a Rules,
    service: Option<&'a (String, String)>,
    ldap: Ldap,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl<'a> Session<'a> {
    pub(super) async fn connect(
        rules: &'a Rules,
        tls: Arc<ClientConfig>,
        service: Option<&'a (String, String)>,
        url: &str,
    ) -> Result<Self, LdapError> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(rules.timeout)
            .set_starttls(url.starts_with("ldap://"))
            .set_config(tls);
        let connecting = LdapConnAsync::with_settings(settings, url);
        let connected = tokio::time::timeout(rules.timeout, connecting).await;
        let (connection, ldap) = connected.map_err(|elapsed| LdapError::Timeout { elapsed })??;
        let driver = tokio::spawn(async move {
            let _ = connection.drive().await;
        });
        Ok(Self { rules, service, ldap, driver })
    }

    /// RFC 4513 section 5.1.2: a bind without a password succeeds and proves nothing.
    pub(super) async fn check(
        &mut self,
        user: &UserName,
        password: &str,
    ) -> Result<Option<Entry>, DirectoryError> {
        if password.is_empty() || password.contains('\0') {
            return Ok(None);
        }
        match &self.rules.entry {
            LdapEntry::BindAs { dn } => {
                let dn = dn.replace("{user}", &dn_escape(user.as_str()));
                if !self.bind(&dn, password).await? {
                    return Ok(None);
                }
                let entry = self.read(&dn, Scope::Base, "(objectClass=*)", user).await?;
                Ok(Some(entry.ok_or(DirectoryError::Unseen)?))
            }
            LdapEntry::Search { base, .. } => {
                let nobody = format!("cn=clusteria-nobody,{base}");
                let entry = self.look_up(user).await?;
                // Who does not exist takes as many steps as who does.
                let dn = entry.as_ref().map_or(nobody, |entry| entry.dn.clone());
                let right = self.bind(&dn, password).await?;
                Ok(entry.filter(|_| right))
            }
        }
    }

    pub(super) async fn look_up(&mut self, user: &UserName) -> Result<Option<Entry>, DirectoryError> {
        match &self.rules.entry {
            LdapEntry::BindAs { dn } => {
                let dn = dn.replace("{user}", &dn_escape(user.as_str()));
                let entry = self.read(&dn, Scope::Base, "(objectClass=*)", user).await?;
                // It may well be there: nobody without a password may look.
                Ok(Some(entry.ok_or(DirectoryError::Unseen)?))
            }
            LdapEntry::Search { base, filter, .. } => {
                if let Some((dn, password)) = self.service
                    && !self.bind(dn, password).await?
                {
                    tracing::error!("directory: the password of {dn} is refused");
                    return Err(DirectoryError::Unseen);
                }
                let filter = filter.replace("{user}", &ldap_escape(user.as_str()));
                self.read(base, Scope::Subtree, &filter, user).await
            }
        }
    }

    async fn bind(&mut self, dn: &str, password: &str) -> Result<bool, DirectoryError> {
        let result = self.ldap.with_timeout(self.rules.timeout).simple_bind(dn, password).await;
        let result = result.map_err(DirectoryError::Refused)?;
        match result.rc {
            SUCCESS => Ok(true),
            BUSY | UNAVAILABLE => Err(refused(result)),
            // Wrong, locked, no such entry, an entry without a password: nobody gets in by it.
            INVALID_CREDENTIALS | NO_SUCH_OBJECT | INAPPROPRIATE_AUTH | INSUFFICIENT_ACCESS | UNWILLING => {
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// The one entry that matches, with what the site wants to know of it.
    async fn read(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        user: &UserName,
    ) -> Result<Option<Entry>, DirectoryError> {
        let mut attributes = vec!["uid".to_owned()];
        attributes.extend(self.rules.uid_attribute.clone());
        if !self.rules.key_attribute.is_empty() {
            attributes.push(self.rules.key_attribute.clone());
        }
        let found = self.search(base, scope, filter, attributes).await?;
        let [only] = found.as_slice() else {
            if found.len() > 1 {
                tracing::error!(%user, "directory: more than one entry: nobody gets in by that name");
            }
            return Ok(None);
        };
        let rules = self.rules;
        let member = self.is_in(rules.group.as_ref(), &only.dn, user).await?.unwrap_or(true);
        let admin = self.is_in(rules.admin_group.as_ref(), &only.dn, user).await?.unwrap_or(false);
        let must_have_two = self.is_in(rules.totp_group.as_ref(), &only.dn, user).await?.unwrap_or(false);
        let uid = self.rules.uid_attribute.as_ref().and_then(|name| uid(only, name));
        Ok(Some(Entry { dn: only.dn.clone(), uid, keys: self.keys(only), member, admin, must_have_two }))
    }

    fn keys(&self, entry: &SearchEntry) -> Vec<DirectoryKey> {
        let name = &self.rules.key_attribute;
        let values =
            entry.attrs.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).flat_map(|(_, v)| v);
        values
            .take(MOST_KEYS)
            .filter_map(|line| authorized_key::parse(line).ok())
            .map(|key| DirectoryKey {
                demands_verification: authorized_key::demands_verification(&key.line),
                fingerprint: key.fingerprint,
            })
            .collect()
    }

    /// `None` where the site names no such group.
    async fn is_in(
        &mut self,
        group: Option<&String>,
        dn: &str,
        user: &UserName,
    ) -> Result<Option<bool>, DirectoryError> {
        let Some(group) = group else { return Ok(None) };
        let (dn, user) = (ldap_escape(dn), ldap_escape(user.as_str()));
        let filter = format!("(|(member={dn})(uniqueMember={dn})(memberUid={user}))");
        let found = self.search(group, Scope::Base, &filter, vec![NO_ATTRIBUTES.to_owned()]).await?;
        Ok(Some(!found.is_empty()))
    }

    async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: Vec<String>,
    ) -> Result<Vec<SearchEntry>, DirectoryError> {
        let limit = self.rules.timeout;
        self.ldap.with_timeout(limit).with_search_options(SearchOptions::new().sizelimit(2));
        let result =
            self.ldap.search(base, scope, filter, attributes).await.map_err(DirectoryError::Refused)?;
        let (entries, result) = (result.0, result.1);
        match result.rc {
            SUCCESS | SIZE_LIMIT => {
                let real = entries.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
                Ok(real.map(SearchEntry::construct).collect())
            }
            NO_SUCH_OBJECT => Ok(Vec::new()),
            _ => Err(refused(result)),
        }
    }
}

fn refused(result: LdapResult) -> DirectoryError {
    DirectoryError::Refused(LdapError::LdapResult { result })
}

fn uid(entry: &SearchEntry, name: &str) -> Option<u32> {
    let (_, values) = entry.attrs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    values.first()?.parse().ok().filter(|uid| UIDS.contains(uid))
}
