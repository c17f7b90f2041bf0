//! Where the objects are: finding one by its name, listing those below another.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{AccountState, ComputerAccount, Domain, UserAccount};
use crate::ldap::dn::Dn;
use crate::ldap::object::{Fixed, Object, deleted_objects, users};
use crate::ldap::refusal::Refusal;
use crate::ldap::schema::LAPS;
use crate::ldap::value::{interval, sid, text};
use crate::ldap::view::{LOCKOUT_DURATION, View};

/// Containers by their well-known GUIDs ([MS-ADTS] 6.1.1.4).
const WELL_KNOWN: [(&str, &str, &str); 3] = [
    ("18E2EA80684F11D2B9AA00C04F79F805", "CN", "Deleted Objects"),
    ("A9D1CA15768811D1ADED00C04FD8D5CD", "CN", "Users"),
    (
        "A361B2FFFFD211D1AA4B00C04FD7D83A",
        "OU",
        "Domain Controllers",
    ),
];

/// The objects that are neither users nor computers, as one domain has them.
#[derive(Debug)]
pub(super) struct Tree {
    fixed: Vec<Fixed>,
    configuration: Dn,
}

/// How deep a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Base,
    Children,
    All,
}

/// Which users and computers may be meant, by the keys of their accounts.
pub(super) type Among = Option<BTreeSet<String>>;

impl Tree {
    pub(super) fn of(domain: &Domain, laps: bool, recycle_bin: bool) -> Self {
        let head = Dn::of_domain(&domain.dns_name);
        let configuration = head.child("CN", "Configuration");
        let mut fixed = vec![Fixed {
            dn: head.clone(),
            classes: &["top", "domain", "domainDNS"],
            values: vec![
                ("objectSid", sid(&domain.sid)),
                ("lockoutThreshold", text(domain.lockout_threshold)),
                ("lockoutDuration", interval(LOCKOUT_DURATION)),
                ("lockOutObservationWindow", interval(LOCKOUT_DURATION)),
                ("minPwdLength", text(7)),
                ("pwdProperties", text(1)),
                ("ms-DS-MachineAccountQuota", text(10)),
            ],
        }];
        let container = |dn: Dn| Fixed {
            dn,
            classes: &["top", "container"],
            values: Vec::new(),
        };
        fixed.push(container(users(&head)));
        let mut deleted = container(deleted_objects(&head));
        deleted.values.push(("isDeleted", text("TRUE")));
        fixed.push(deleted);
        for unit in domain.units() {
            let below = |dn: Dn, name: &String| dn.child("OU", name);
            fixed.push(Fixed {
                dn: unit.iter().fold(head.clone(), below),
                classes: &["top", "organizationalUnit"],
                values: Vec::new(),
            });
        }
        fixed.push(Fixed {
            dn: configuration.clone(),
            classes: &["top", "configuration"],
            values: Vec::new(),
        });
        let mut partitions = container(configuration.child("CN", "Partitions"));
        if recycle_bin {
            let feature = ["Windows NT", "Directory Service", "Optional Features"];
            let services = configuration.child("CN", "Services");
            let at = feature
                .iter()
                .fold(services, |dn, name| dn.child("CN", name));
            let feature = at.child("CN", "Recycle Bin Feature");
            partitions
                .values
                .push(("msDS-EnabledFeature", text(feature)));
        }
        fixed.push(partitions);
        let schema = configuration.child("CN", "Schema");
        fixed.push(Fixed {
            dn: schema.clone(),
            classes: &["top", "dMD"],
            values: Vec::new(),
        });
        for name in LAPS.into_iter().filter(|_| laps) {
            fixed.push(Fixed {
                dn: schema.child("CN", name),
                classes: &["top", "attributeSchema"],
                values: vec![("lDAPDisplayName", text(name))],
            });
        }
        Self {
            fixed,
            configuration,
        }
    }

    /// Returns the object that a request names, by DN, `<WKGUID=…>`, `<SID=…>` or `<GUID=…>`.
    ///
    /// # Errors
    /// The text is no name, or the account sees no such object.
    pub(super) fn named<'a>(
        &'a self,
        name: &str,
        view: &View<'a>,
        deleted: bool,
    ) -> Result<Object<'a>, Refusal> {
        let bad = || Refusal::bad_name(name);
        let known = match name
            .strip_prefix('<')
            .and_then(|name| name.strip_suffix('>'))
        {
            Some(other) => {
                let (kind, value) = other.split_once('=').ok_or_else(bad)?;
                match kind.to_ascii_uppercase().as_str() {
                    "WKGUID" => self.at(&well_known(value).ok_or_else(bad)?, view),
                    "SID" => accounts(view.domain).find(|object| {
                        rid(object).is_some_and(|rid| {
                            let sid = view.domain.sid.account(rid).to_string();
                            sid.eq_ignore_ascii_case(value)
                        })
                    }),
                    "GUID" => {
                        let wanted = value.parse::<uuid::Uuid>().map_err(|_| bad())?;
                        accounts(view.domain).find(|object| guid(object) == Some(wanted))
                    }
                    _ => return Err(bad()),
                }
            }
            None => self.at(&Dn::parse(name).ok_or_else(bad)?, view),
        };
        let seen = |object: &Object<'_>| view.sees(object) && (deleted || !is_deleted(object));
        known.filter(seen).ok_or_else(|| {
            let mut above = Dn::parse(name).and_then(|dn| dn.parent());
            while let Some(dn) = above.take_if(|dn| !dn.is_root()) {
                if self.at(&dn, view).filter(seen).is_some() {
                    return Refusal::no_object(dn.to_string());
                }
                above = dn.parent();
            }
            Refusal::no_object(String::new())
        })
    }

    /// Returns the object of this name, whoever sees it.
    fn at<'a>(&'a self, dn: &Dn, view: &View<'a>) -> Option<Object<'a>> {
        if let Some(fixed) = self.fixed.iter().find(|fixed| fixed.dn.is(dn)) {
            return Some(Object::Fixed(fixed));
        }
        let (_, value) = dn.first()?;
        let value = value.split('\n').next().unwrap_or(value);
        let computer = view.domain.computer(value).map(Object::Computer);
        let user = view.domain.user(value).map(Object::User);
        let objects = [computer, user].into_iter().flatten();
        { objects }.find(|object| object.dn(view.domain).is(dn))
    }

    /// Returns everything that lies so deep below an object, in the order of
    /// [`Object::place`]; of the accounts only those that may be meant.
    pub(super) fn below<'a>(
        &'a self,
        base: Object<'a>,
        depth: Depth,
        among: &'a Among,
        view: &View<'a>,
        deleted: bool,
    ) -> Box<dyn Iterator<Item = Object<'a>> + 'a> {
        match base {
            Object::Fixed(fixed) => {
                Box::new(self.inside(fixed.dn.clone(), depth, among, view, deleted))
            }
            // Nothing lies below an account.
            leaf => Box::new((depth != Depth::Children).then_some(leaf).into_iter()),
        }
    }

    fn inside<'a>(
        &'a self,
        base: Dn,
        depth: Depth,
        among: &'a Among,
        view: &View<'a>,
        deleted: bool,
    ) -> impl Iterator<Item = Object<'a>> + use<'a> {
        let fits = move |below: Option<usize>| match depth {
            Depth::Base => below == Some(0),
            Depth::Children => below == Some(1),
            Depth::All => below.is_some(),
        };
        let head = view.head.clone();
        let domain = view.domain;
        // Lies below the head by its name, and yet is another tree.
        let outside = base.below(&self.configuration).is_none();
        let mut fixed: Vec<&Fixed> = self.fixed.iter().collect();
        fixed.retain(|fixed| {
            let elsewhere = outside && fixed.dn.below(&self.configuration).is_some();
            !elsewhere && fits(fixed.dn.below(&base))
        });
        let mut fixed: Vec<Object<'a>> = fixed.into_iter().map(Object::Fixed).collect();
        fixed.sort_by_key(Object::place);
        let depth_of = |container: &Dn| container.below(&base).map(|depth| depth + 1);
        let in_users = fits(depth_of(&users(&head)));
        let in_deleted = deleted && fits(depth_of(&deleted_objects(&head)));
        let people = some_users(domain, among).filter(move |_| in_users);
        let mut units: HashMap<&'a [String], bool> = HashMap::new();
        let computers = some_computers(domain, among).filter(move |computer| {
            if computer.state == AccountState::Deleted {
                return in_deleted;
            }
            *units.entry(&computer.ou).or_insert_with(|| {
                let container = crate::ldap::object::container(computer, &head);
                fits(container.below(&base).map(|depth| depth + 1))
            })
        });
        let fixed = fixed.into_iter();
        let deleted = move |object: &Object<'_>| deleted || !is_deleted(object);
        fixed
            .chain(people.map(Object::User))
            .chain(computers.map(Object::Computer))
            .filter(deleted)
    }
}

fn some_users<'a>(
    domain: &'a Domain,
    among: &'a Among,
) -> Box<dyn Iterator<Item = &'a UserAccount> + 'a> {
    match among {
        Some(keys) => Box::new(keys.iter().filter_map(|key| domain.user(key))),
        None => Box::new(domain.users()),
    }
}

fn some_computers<'a>(
    domain: &'a Domain,
    among: &'a Among,
) -> Box<dyn Iterator<Item = &'a ComputerAccount> + 'a> {
    match among {
        Some(keys) => Box::new(keys.iter().filter_map(|key| domain.computer(key))),
        None => Box::new(domain.computers()),
    }
}

fn accounts(domain: &Domain) -> impl Iterator<Item = Object<'_>> {
    let users = domain.users().map(Object::User);
    users.chain(domain.computers().map(Object::Computer))
}

fn rid(object: &Object<'_>) -> Option<u32> {
    match object {
        Object::Fixed(_) => None,
        Object::User(user) => Some(user.rid),
        Object::Computer(computer) => Some(computer.rid),
    }
}

fn guid(object: &Object<'_>) -> Option<uuid::Uuid> {
    match object {
        Object::Fixed(_) => None,
        Object::User(user) => Some(user.guid),
        Object::Computer(computer) => Some(computer.guid),
    }
}

/// Tells whether only a request that asks for deleted objects finds it.
fn is_deleted(object: &Object<'_>) -> bool {
    match object {
        Object::Fixed(fixed) => fixed.is_deleted_objects(),
        Object::User(_) => false,
        Object::Computer(computer) => computer.state == AccountState::Deleted,
    }
}

fn well_known(value: &str) -> Option<Dn> {
    let (guid, head) = value.split_once(',')?;
    let known = WELL_KNOWN
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(guid));
    let (_, kind, name) = known?;
    Some(Dn::parse(head)?.child(kind, name))
}
