//! What one account sees of an object at one controller.

use jiff::SignedDuration;

use crate::domain::{
    AccountState, ComputerAccount, Domain, DomainController, LapsValues, Rights, Sid, UserAccount,
};
use crate::ldap::dn::Dn;
use crate::ldap::object::{Fixed, Object, container, users};
use crate::ldap::schema::{self, Attribute};
use crate::ldap::value::{
    Values, filetime, filetime_or_never, generalized, guid, owner_descriptor, sid, text, texts,
};

/// `UF_LOCKOUT`.
const LOCKOUT: u32 = 0x10;
/// `Domain Admins`, who own what nobody else made.
const DOMAIN_ADMINS: u32 = 512;
/// How long an account stays locked.
pub(super) const LOCKOUT_DURATION: SignedDuration = SignedDuration::from_mins(30);

/// What one account sees at one controller.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) domain: &'a Domain,
    pub(super) controller: &'a DomainController,
    pub(super) rights: Rights,
    /// Whether the schema has LAPS.
    pub(super) laps: bool,
    /// Whether the owner of an object was asked for, and nothing that needs more rights.
    pub(super) owner: bool,
    /// The head of the domain.
    pub(super) head: Dn,
}

impl View<'_> {
    /// Returns the attribute of this name; none if the schema has none.
    pub(super) fn attribute(&self, name: &str) -> Option<Attribute> {
        let hidden = |name: &str| !self.laps && schema::LAPS.contains(&name);
        schema::attribute(name).filter(|(name, ..)| !hidden(name))
    }

    /// Tells whether the account sees the object at all.
    pub(super) fn sees(&self, object: &Object<'_>) -> bool {
        match object {
            Object::Computer(computer) if computer.state == AccountState::Deleted => {
                self.rights.restore
            }
            Object::Computer(_) => !self.rights.blind,
            Object::Fixed(fixed) => self.rights.restore || !fixed.is_deleted_objects(),
            Object::User(_) => true,
        }
    }

    /// Returns the values of an attribute; none where it is not set or not for this account.
    pub(super) fn values(&self, object: &Object<'_>, name: &str) -> Values {
        match name {
            "objectClass" => return texts(object.classes()),
            "distinguishedName" => return text(object.dn(self.domain)),
            "objectCategory" => return text(self.category(object)),
            "instanceType" => return text(4),
            "nTSecurityDescriptor" if !self.owner => return Vec::new(),
            _ => {}
        }
        match object {
            Object::Fixed(fixed) => self.of_fixed(fixed, name),
            Object::User(user) => self.of_user(user, name),
            Object::Computer(computer) => self.of_computer(computer, name),
        }
    }

    fn of_fixed(&self, fixed: &Fixed, name: &str) -> Values {
        let own = fixed.values.iter().find(|(known, _)| *known == name);
        if let Some((_, values)) = own {
            return values.clone();
        }
        let first = fixed.dn.first();
        match name {
            "name" => first.map_or_else(Vec::new, |(_, value)| text(value)),
            "cn" | "ou" | "dc" => first
                .filter(|(kind, _)| kind.eq_ignore_ascii_case(name))
                .map_or_else(Vec::new, |(_, value)| text(value)),
            "nTSecurityDescriptor" => owner_descriptor(&self.domain.sid.account(DOMAIN_ADMINS)),
            _ => Vec::new(),
        }
    }

    fn of_user(&self, user: &UserAccount, name: &str) -> Values {
        let locked = if user.locked { LOCKOUT } else { 0 };
        match name {
            "cn" | "name" | "displayName" | "sAMAccountName" => text(&user.name),
            "userPrincipalName" => text(format!("{}@{}", user.name, self.domain.dns_name)),
            "objectSid" => sid(&self.domain.sid.account(user.rid)),
            "objectGUID" => guid(user.guid),
            "userAccountControl" => text(if user.enabled { 0x200 } else { 0x202 }),
            "msDS-User-Account-Control-Computed" => text(locked),
            "badPwdCount" => text(user.bad_passwords),
            "badPasswordTime" => filetime_or_never(user.bad_password_at),
            "lockoutTime" => filetime_or_never(user.locked_at.filter(|_| user.locked)),
            "pwdLastSet" => filetime(user.password_set),
            "whenCreated" | "whenChanged" => generalized(user.password_set),
            "accountExpires" => text(i64::MAX),
            "primaryGroupID" => text(513),
            "sAMAccountType" => text(0x3000_0000),
            "nTSecurityDescriptor" => owner_descriptor(&self.domain.sid.account(DOMAIN_ADMINS)),
            _ => Vec::new(),
        }
    }

    fn of_computer(&self, computer: &ComputerAccount, name: &str) -> Values {
        let deleted = computer.state == AccountState::Deleted;
        let optional = |value: &Option<String>| value.iter().flat_map(text).collect();
        let system = |version: bool| {
            let (name, number) = computer.os.clone().unwrap_or_default();
            let value = if version { number } else { name };
            Some(value).filter(|value| !value.is_empty())
        };
        match name {
            "cn" | "name" if deleted => text(format!("{}\nDEL:{}", computer.name, computer.guid)),
            "isDeleted" if deleted => text("TRUE"),
            "lastKnownParent" if deleted => text(container(computer, &self.head)),
            "msDS-LastKnownRDN" if deleted => text(&computer.name),
            // The account of a lost object keeps no category and no expiry.
            "accountExpires" if !deleted => text(i64::MAX),
            "cn" | "name" => text(&computer.name),
            "sAMAccountName" => text(computer.sam_account_name()),
            "sAMAccountType" => text(0x3000_0001),
            "primaryGroupID" => text(515),
            "description" => optional(&computer.description),
            "dNSHostName" => optional(&computer.dns_host_name),
            "servicePrincipalName" => texts(&computer.spns),
            "operatingSystem" => optional(&system(false)),
            "operatingSystemVersion" => optional(&system(true)),
            "objectSid" => sid(&self.domain.sid.account(computer.rid)),
            "objectGUID" => guid(computer.guid),
            "mS-DS-CreatorSID" => computer
                .creator
                .map_or_else(Vec::new, |rid| sid(&self.domain.sid.account(rid))),
            "nTSecurityDescriptor" => owner_descriptor(&self.owner_of(computer)),
            "msDS-SupportedEncryptionTypes" => {
                computer.encryption_types.iter().flat_map(text).collect()
            }
            _ => self.state_of(computer, name),
        }
    }

    fn state_of(&self, computer: &ComputerAccount, name: &str) -> Values {
        let locked = computer.locked_at.map_or(0, |_| LOCKOUT);
        match name {
            "userAccountControl" => text(computer.control()),
            "msDS-User-Account-Control-Computed" => text(locked),
            "badPwdCount" => text(computer.bad_passwords),
            "badPasswordTime" => text(0),
            "lockoutTime" => computer.locked_at.map_or_else(Vec::new, filetime),
            "pwdLastSet" => filetime(self.domain.password_set_at(self.controller, computer)),
            "lastLogonTimestamp" => computer.last_logon.map_or_else(Vec::new, filetime),
            "whenCreated" => generalized(computer.created),
            "whenChanged" => generalized(computer.changed),
            "uSNChanged" => text(computer.usn),
            _ => self.laps_of(&computer.laps, name),
        }
    }

    /// The passwords are confidential, their expiry is not.
    fn laps_of(&self, kept: &LapsValues, name: &str) -> Values {
        let LapsValues {
            legacy,
            clear,
            encrypted,
            expires,
        } = kept;
        let windows = clear.is_some() || encrypted.is_some();
        let expiry = |kept: bool| {
            let expires = expires.filter(|_| kept);
            expires.map_or_else(Vec::new, filetime)
        };
        match name {
            "ms-Mcs-AdmPwdExpirationTime" => expiry(legacy.is_some()),
            "msLAPS-PasswordExpirationTime" => expiry(windows),
            _ if !self.rights.laps => Vec::new(),
            "ms-Mcs-AdmPwd" => legacy.iter().flat_map(|kept| text(kept.reveal())).collect(),
            "msLAPS-Password" => clear.iter().flat_map(|kept| text(kept.reveal())).collect(),
            "msLAPS-EncryptedPassword" => encrypted.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Whoever joins a computer without being an administrator owns it.
    fn owner_of(&self, computer: &ComputerAccount) -> Sid {
        self.domain
            .sid
            .account(computer.creator.unwrap_or(DOMAIN_ADMINS))
    }

    fn category(&self, object: &Object<'_>) -> String {
        let name = match object.classes().last() {
            Some(&"computer") => "Computer",
            Some(&"user") => "Person",
            Some(&"organizationalUnit") => "Organizational-Unit",
            Some(&"domainDNS") => "Domain-DNS",
            Some(&"attributeSchema") => "Attribute-Schema",
            _ => "Container",
        };
        format!("CN={name},CN=Schema,CN=Configuration,{}", self.head)
    }
}

impl Fixed {
    /// Tells whether it is the container of deleted objects, which only few see.
    pub(super) fn is_deleted_objects(&self) -> bool {
        self.dn.first() == Some(("CN", "Deleted Objects"))
    }
}

/// Returns the distinguished name of a user account.
pub(super) fn user_dn(domain: &Domain, user: &UserAccount) -> Dn {
    users(&Dn::of_domain(&domain.dns_name)).child("CN", &user.name)
}
