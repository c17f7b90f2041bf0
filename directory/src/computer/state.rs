//! One controller's reading of one computer account.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::account_control::DISABLED;
use crate::distinguished_name::parent;
use crate::entry::Entry;
use crate::security_descriptor::owner;
use crate::sid::sid_text;
use crate::time::unix;

/// What is read of a computer account.
pub(crate) const ATTRIBUTES: &[&str] = &[
    "objectSid",
    "userAccountControl",
    "pwdLastSet",
    "whenCreated",
    "lastLogonTimestamp",
    "lockoutTime",
    "badPwdCount",
    "msDS-SupportedEncryptionTypes",
    "servicePrincipalName",
    "mS-DS-CreatorSID",
    "nTSecurityDescriptor",
];

/// One controller's reading of one computer account. What our account may not read is none.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) dn: String,
    pub(crate) account: Option<String>,
    pub(crate) dns_host_name: Option<String>,
    pub(crate) sid: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) creator: Option<String>,
    pub(crate) control: Option<u32>,
    pub(crate) password_set: Option<Timestamp>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) last_logon: Option<Timestamp>,
    pub(crate) locked: Option<bool>,
    pub(crate) bad_passwords: Option<i64>,
    pub(crate) encryption_types: Option<i64>,
    pub(crate) service_names: Option<Vec<String>>,
}

impl State {
    pub(crate) fn read(entry: &Entry) -> Self {
        let text = |name| entry.text(name).map(str::to_owned);
        Self {
            dn: entry.dn.clone(),
            account: text("sAMAccountName"),
            dns_host_name: text("dNSHostName"),
            sid: entry.bytes("objectSid").and_then(sid_text),
            owner: entry.bytes("nTSecurityDescriptor").and_then(owner),
            creator: entry.bytes("mS-DS-CreatorSID").and_then(sid_text),
            control: entry.flags("userAccountControl"),
            password_set: entry.filetime("pwdLastSet"),
            created: entry.generalized("whenCreated"),
            last_logon: entry.filetime("lastLogonTimestamp"),
            // As the attribute says. The computed flag never says it of a computer ([MS-ADTS]
            // 3.1.1.4.5.17), and Samba lets one with it log on.
            // Where it was never locked the attribute is not there.
            locked: match entry.number("lockoutTime") {
                Some(time) => Some(time > 0),
                None => entry.has("userAccountControl").then_some(false),
            },
            bad_passwords: entry.number("badPwdCount"),
            encryption_types: entry.number("msDS-SupportedEncryptionTypes"),
            service_names: entry.texts("servicePrincipalName"),
        }
    }

    pub(crate) fn enabled(&self) -> Option<bool> {
        self.control.map(|control| control & DISABLED == 0)
    }

    /// Returns its part of the answer of `read-computer`.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let fields = json!({
            "dn": self.dn,
            "sam_account_name": self.account,
            "dns_host_name": self.dns_host_name,
            "sid": self.sid,
            "ou": parent(&self.dn),
            "owner_sid": self.owner,
            "creator_sid": self.creator,
            "enabled": self.enabled(),
            "user_account_control": self.control,
            "pwd_last_set": time(self.password_set),
            "pwd_last_set_unix": self.password_set.map(unix),
            "when_created": time(self.created),
            "last_logon_timestamp": time(self.last_logon),
            "locked": self.locked,
            "bad_pwd_count": self.bad_passwords,
            "encryption_types": self.encryption_types,
            "spns": self.service_names,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// Returns that part where there is no computer: every field null.
    pub(crate) fn no_fields() -> Map<String, Value> {
        let nothing = Self::read(&Entry::default()).fields();
        nothing
            .into_iter()
            .map(|(name, _)| (name, Value::Null))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sid::tests::ADMINISTRATORS;

    #[test]
    fn tells_what_it_may_read_and_null_for_the_rest() {
        let entry = Entry::of(
            "CN=PC\\,1,OU=店舗,DC=corp",
            &[
                ("objectSid", &ADMINISTRATORS),
                ("userAccountControl", b"4098"),
                ("pwdLastSet", b"134087562051234560"),
                ("lockoutTime", b"134087562051234560"),
            ],
        );
        let fields = State::read(&entry).fields();
        assert_eq!(fields["sid"], "S-1-5-32-544");
        assert_eq!(fields["ou"], "OU=店舗,DC=corp");
        assert_eq!(fields["enabled"], false);
        assert_eq!(fields["pwd_last_set"], "2025-11-27T22:30:05.123456Z");
        assert_eq!(fields["pwd_last_set_unix"], 1_764_282_605.123_456);
        assert_eq!(fields["locked"], true);
        assert_eq!(fields["spns"], Value::Null);
        let never = State::read(&Entry::of("CN=A", &[("pwdLastSet", b"0")])).fields();
        assert_eq!(never["pwd_last_set_unix"], Value::Null);
        assert_eq!(never["locked"], Value::Null);
        assert!(State::no_fields().values().all(Value::is_null));
    }
}
