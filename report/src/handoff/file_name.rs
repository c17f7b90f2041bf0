//! Names of files that every system takes.

use std::collections::BTreeSet;

/// Names that Windows keeps for devices, with any ending.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
/// The same with a number behind them.
const NUMBERED: [&str; 2] = ["com", "lpt"];
/// Bytes of a name without its ending: file systems take 255.
const LONGEST: usize = 120;

/// Returns a file name ending in `.html` for each PC: of letters, digits and `-._` only, none that
/// Windows keeps for itself, no two that differ in case alone.
pub fn file_names<'a>(pcs: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken: BTreeSet<String> = ["index", "all"].map(str::to_owned).into();
    let mut name = |pc: &str| {
        let plain = safe(pc);
        let mut name = plain.clone();
        let mut count = 1;
        while !taken.insert(name.to_lowercase()) {
            count += 1;
            name = format!("{plain}-{count}");
        }
        format!("{name}.html")
    };
    pcs.into_iter().map(&mut name).collect()
}

fn safe(name: &str) -> String {
    let mut made = String::new();
    for c in name.chars() {
        let plain = c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let c = if plain { c } else { '_' };
        if made.len() + c.len_utf8() > LONGEST {
            break;
        }
        made.push(c);
    }
    let made = made.trim_matches('.');
    let first = made.split('.').next().unwrap_or_default().to_lowercase();
    if made.is_empty() || is_device(&first) {
        return format!("pc-{made}");
    }
    made.to_owned()
}

fn is_device(name: &str) -> bool {
    let numbered = NUMBERED.iter().any(|device| {
        let number = name.strip_prefix(device);
        // Superscript digits count, too.
        number.is_some_and(|number| {
            number.chars().count() == 1 && number.chars().all(char::is_numeric)
        })
    });
    numbered || DEVICES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::file_names;

    #[test]
    fn names_are_safe_and_differ() {
        let names = file_names([
            "pc-001",
            "PC-001",
            "経理-04",
            "CON",
            "nul.corp",
            "com1",
            "LPT²",
            "../../etc/passwd",
            "a:b*c?\"<>|",
            "index",
            "..",
            "",
            "com10",
            "pc-001-2",
        ]);
        assert_eq!(
            names,
            [
                "pc-001.html",
                "PC-001-2.html",
                "経理-04.html",
                "pc-CON.html",
                "pc-nul.corp.html",
                "pc-com1.html",
                "pc-LPT².html",
                "_.._etc_passwd.html",
                "a_b_c_____.html",
                "index-2.html",
                "pc-.html",
                "pc--2.html",
                "com10.html",
                "pc-001-2-2.html",
            ]
        );
        let long = file_names(["あ".repeat(300).as_str()]);
        assert_eq!(long[0].len(), 120 + 5);
    }
}
