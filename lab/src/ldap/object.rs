//! The objects of the simulated directory.

use crate::domain::{AccountState, ComputerAccount, Domain, UserAccount};
use crate::ldap::dn::Dn;
use crate::ldap::value::Values;

/// One object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object<'a> {
    Fixed(&'a Fixed),
    User(&'a UserAccount),
    Computer(&'a ComputerAccount),
}

/// An object that only is there, with everything that it says.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    pub(super) dn: Dn,
    /// `objectClass`, the most special last.
    pub(super) classes: &'static [&'static str],
    pub(super) values: Vec<(&'static str, Values)>,
}

impl Object<'_> {
    /// Tells where it comes in a list: containers, users, computers, each by name. A page goes on
    /// behind such a place, whatever was added meanwhile.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Fixed(fixed) => format!("0{}", fixed.dn),
            Self::User(user) => format!("1{}", user.name.to_ascii_lowercase()),
            Self::Computer(computer) => format!("2{}", computer.name.to_ascii_lowercase()),
        }
    }

    /// Returns its distinguished name.
    pub(super) fn dn(&self, domain: &Domain) -> Dn {
        let head = || Dn::of_domain(&domain.dns_name);
        match self {
            Self::Fixed(fixed) => fixed.dn.clone(),
            Self::User(user) => users(&head()).child("CN", &user.name),
            Self::Computer(computer) if computer.state == AccountState::Deleted => {
                let name = format!("{}\nDEL:{}", computer.name, computer.guid);
                deleted_objects(&head()).child("CN", &name)
            }
            Self::Computer(computer) => container(computer, &head()).child("CN", &computer.name),
        }
    }

    pub(super) fn classes(&self) -> &'static [&'static str] {
        match self {
            Self::Fixed(fixed) => fixed.classes,
            Self::User(_) => &["top", "person", "organizationalPerson", "user"],
            Self::Computer(_) => &["top", "person", "organizationalPerson", "user", "computer"],
        }
    }
}

/// Returns where a computer lies, or lay before it was deleted.
pub(super) fn container(computer: &ComputerAccount, head: &Dn) -> Dn {
    let below = |dn: Dn, ou: &String| dn.child("OU", ou);
    computer.ou.iter().fold(head.clone(), below)
}

pub(super) fn users(head: &Dn) -> Dn {
    head.child("CN", "Users")
}

pub(super) fn deleted_objects(head: &Dn) -> Dn {
    head.child("CN", "Deleted Objects")
}
