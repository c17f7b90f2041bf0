//! What the fuzz targets feed: an object as a controller's bytes.

use ldap3::asn1::parse_tag;

use crate::entry::Entry;
use crate::root_dse::RootDse;
use crate::{LogonRefusal, computer, distinguished_name, inventory, laps, lockout};
use crate::{security_descriptor, sid};

/// Reads a SearchResultEntry from BER in every way in which this crate reads one; tells whether it
/// was one. Nothing may panic, whatever a controller sends.
pub fn read_entry(bytes: &[u8]) -> bool {
    let _ = security_descriptor::owner(bytes);
    let token = ["S-1-1-0".to_owned()].into();
    let _ = security_descriptor::may_use_right(bytes, &[7; 16], &token);
    let _ = sid::sid_text(bytes);
    let _ = LogonRefusal::from_diagnostic(&String::from_utf8_lossy(bytes));
    let Ok((_, tag)) = parse_tag(bytes) else {
        return false;
    };
    let Some(entry) = Entry::read(tag) else {
        return false;
    };
    let _ = RootDse::read(&entry);
    let _ = computer::state::State::read(&entry).fields();
    let _ = (laps::windows(&entry), laps::legacy(&entry));
    let _ = (lockout::account(&entry), inventory::computer(&entry));
    let _ = distinguished_name::dns_name(&entry.dn);
    let _ = distinguished_name::parent(&entry.dn);
    for name in ["objectSid", "mS-DS-CreatorSID", "nTSecurityDescriptor"] {
        let value = entry.bytes(name).unwrap_or_default();
        let _ = (sid::leading_sid(value), security_descriptor::owner(value));
    }
    true
}
