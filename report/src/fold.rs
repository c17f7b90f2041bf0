//! Many host names in few words: `pc-[001:009],srv-1`.

use fleetmend_model::HostName;

/// Returns the names folded into inventory ranges, in the order given.
///
/// Neighbours that differ only in one number of the same width, counting up by one, become
/// `pc-[001:009]`; `--limit` and inventories read the result back.
pub fn fold_names<'a>(names: impl IntoIterator<Item = &'a HostName>) -> String {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for name in names {
        let extended = runs.last_mut().is_some_and(|run| run.extend(&name.0));
        if !extended {
            runs.push(Run::new(&name.0));
        }
    }
    runs.iter().map(Run::show).collect::<Vec<_>>().join(",")
}

/// A name, and how far it counts up.
struct Run<'a> {
    first: &'a str,
    parts: Option<Parts<'a>>,
    last: u64,
}

/// `pc-` `007` `.corp`: the first number from the left that is not inside another.
#[derive(Clone, Copy)]
struct Parts<'a> {
    before: &'a str,
    digits: &'a str,
    after: &'a str,
    number: u64,
}

impl<'a> Run<'a> {
    fn new(name: &'a str) -> Self {
        let parts = split(name);
        Self {
            first: name,
            parts,
            last: parts.map_or(0, |parts| parts.number),
        }
    }

    fn extend(&mut self, name: &str) -> bool {
        let (Some(own), Some(new)) = (self.parts, split(name)) else {
            return false;
        };
        let follows = own.before == new.before
            && own.after == new.after
            && own.digits.len() == new.digits.len()
            && self.last.checked_add(1) == Some(new.number);
        if follows {
            self.last = new.number;
        }
        follows
    }

    fn show(&self) -> String {
        match self.parts {
            Some(Parts {
                before,
                digits,
                after,
                number,
            }) if number < self.last => {
                let width = digits.len();
                format!("{before}[{digits}:{:0width$}]{after}", self.last)
            }
            _ => self.first.to_owned(),
        }
    }
}

fn split(name: &str) -> Option<Parts<'_>> {
    let start = name.find(|c: char| c.is_ascii_digit())?;
    let (before, rest) = name.split_at(start);
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    Some(Parts {
        before,
        digits,
        after,
        number: digits.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(names: &[&str]) -> String {
        let names: Vec<HostName> = names
            .iter()
            .map(|name| HostName((*name).to_owned()))
            .collect();
        fold_names(&names)
    }

    #[test]
    fn folds_neighbours_only() {
        assert_eq!(
            fold(&["pc-001", "pc-002", "pc-003", "pc-005"]),
            "pc-[001:003],pc-005"
        );
        assert_eq!(fold(&["pc-9.a", "pc-10.a"]), "pc-9.a,pc-10.a");
        assert_eq!(fold(&["経理-1", "経理-2", "総務-3"]), "経理-[1:2],総務-3");
        assert_eq!(fold(&["a", "b"]), "a,b");
        assert_eq!(fold(&[]), "");
    }

    #[test]
    fn numbers_beyond_64_bits_stay_names() {
        let long = "pc-99999999999999999999999";
        assert_eq!(fold(&[long, long]), format!("{long},{long}"));
    }
}
