//! `include/freeze-signs.ps1`: what betrays products that undo changes of the disk.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::machine::Machine;

const UNINSTALL: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\";
const VOLUMES: &str =
    r"HKLM\SYSTEM\CurrentControlSet\Control\Class\{71a27cdd-812a-11d0-bec7-08002be2092f}\";

/// What betrays a product.
pub(super) struct Sign {
    pub(super) product: String,
    pub(super) image: bool,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) sure: bool,
}

/// Returns the list that a script brings with it: lines `'PRODUCT LAYER KIND HOW NAME'`.
pub(super) fn list(script: &str) -> Vec<Sign> {
    let lines = script
        .lines()
        .skip_while(|line| !line.starts_with("$FreezeSignatures = @("));
    let lines = lines.skip(1).take_while(|line| *line != ")");
    let read = |line: &str| {
        let line = line.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        let mut parts = line.splitn(5, ' ').map(str::to_owned);
        let mut next = || parts.next();
        Some(Sign {
            product: next()?,
            image: next()? == "image",
            kind: next()?,
            sure: next()? == "known",
            name: next()?,
        })
    };
    lines.filter_map(read).collect()
}

/// Returns the products that restore the disk of a PC, without repeats.
pub(super) fn products(script: &str, pc: &Machine) -> BTreeSet<String> {
    let found = list(script)
        .into_iter()
        .filter(|sign| !sign.image && sign.is_there(pc));
    found.map(|sign| sign.product).collect()
}

impl Sign {
    /// Tells whether a PC bears it.
    pub(super) fn is_there(&self, pc: &Machine) -> bool {
        let name = &self.name;
        match self.kind.as_str() {
            "service" => {
                let start = format!(r"HKLM\SYSTEM\CurrentControlSet\Services\{name}\Start");
                pc.registry
                    .get(&start)
                    .is_some_and(|start| *start != json!(4))
            }
            "filter" => ["UpperFilters", "LowerFilters"].iter().any(|value| {
                let drivers = pc.registry.get(&format!("{VOLUMES}{value}"));
                let mut drivers = drivers.and_then(Value::as_array).into_iter().flatten();
                drivers.any(|driver| driver.as_str() == Some(name))
            }),
            "program" => pc.registry.iter().any(|(path, value)| {
                let named = path.starts_with(UNINSTALL) && path.ends_with(r"\DisplayName");
                named && value.as_str().is_some_and(|text| is_like(text, name))
            }),
            _ => {
                let below = format!(r"HKLM\{name}\");
                pc.registry.keys().any(|path| path.starts_with(&below))
            }
        }
    }
}

/// Tells whether a text is like a pattern with `*`, without regard to case, as `-like` does.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.to_lowercase(), pattern.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_shell() {
        assert!(is_like("HD革命/WinProtector Ver.8", "*winprotector*"));
        assert!(is_like("Shadow Defender", "Shadow Defender*"));
        assert!(!is_like("My Shadow Defender", "Shadow Defender*"));
        assert!(is_like("abc", "abc") && !is_like("abcd", "abc"));
        assert!(is_like("Toolwiz Time Freeze 2017", "Toolwiz Time*Freeze*"));
    }

    #[test]
    fn the_list_is_that_of_the_script() {
        let script = "$FreezeSignatures = @(\n    'a disk service heard A b'\n    'c image key known C\\D'\n)\n'x'";
        let signs = list(script);
        assert_eq!(signs.len(), 2);
        assert_eq!((signs[0].name.as_str(), signs[0].image), ("A b", false));
        assert!(signs[1].image && signs[1].sure && signs[1].kind == "key");
    }
}
