//! Parts of a distinguished name (RFC 4514).

/// Returns the name of the container: what follows the first unescaped comma.
pub(crate) fn parent(name: &str) -> Option<&str> {
    split_first(name).1
}

/// Returns the values of the organizational units and containers above the object, outermost
/// first: `CN=PC1,OU=Kiosk,OU=東京,DC=…` lies in `東京`, `Kiosk`.
pub(crate) fn path(name: &str) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = parent(name);
    while let Some(name) = rest {
        let (first, tail) = split_first(name);
        match first.split_once('=') {
            Some((kind, value)) if !kind.trim().eq_ignore_ascii_case("dc") => {
                path.push(unescape(value.trim()));
            }
            _ => break,
        }
        rest = tail;
    }
    path.reverse();
    path
}

/// Returns the value of the first component: `PC1` of `CN=PC1,OU=…`.
pub(crate) fn first_value(name: &str) -> Option<String> {
    let (_, value) = split_first(name).0.split_once('=')?;
    Some(unescape(value.trim()))
}

/// Returns the DNS name that the `DC=` components spell.
pub(crate) fn dns_name(name: &str) -> String {
    let mut labels = Vec::new();
    let mut rest = Some(name);
    while let Some(name) = rest {
        let (first, tail) = split_first(name);
        if let Some((kind, value)) = first.split_once('=')
            && kind.trim().eq_ignore_ascii_case("dc")
        {
            labels.push(unescape(value.trim()).to_lowercase());
        }
        rest = tail;
    }
    labels.join(".")
}

fn split_first(name: &str) -> (&str, Option<&str>) {
    let mut escaped = false;
    for (at, character) in name.char_indices() {
        match character {
            ',' if !escaped => {
                let (first, rest) = name.split_at(at);
                return (first, rest.strip_prefix(','));
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    (name, None)
}

/// Takes escapes back: `\,` and `\e6\9d\b1`.
fn unescape(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let hex = tail
            .first_chunk::<2>()
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let Some(byte) = hex {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else if let Some((&byte, tail)) = tail.split_first() {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_names_apart() {
        let name = "CN=PC\\,1,OU=Kiosk\\, 2\\+,OU=東京,DC=Corp,DC=example,DC=jp";
        assert_eq!(
            parent(name),
            Some("OU=Kiosk\\, 2\\+,OU=東京,DC=Corp,DC=example,DC=jp")
        );
        assert_eq!(path(name), ["東京", "Kiosk, 2+"]);
        assert_eq!(first_value(name).unwrap(), "PC,1");
        assert_eq!(dns_name(name), "corp.example.jp");
        assert_eq!(path("CN=PC1,OU=\\e6\\9d\\b1,DC=x"), ["東"]);
        assert_eq!(path("CN=PC1,CN=Computers,DC=x"), ["Computers"]);
        assert_eq!(parent("DC=jp"), None);
        assert_eq!(path("DC=jp"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn never_panics(name in ".*") {
            let _ = (parent(&name), path(&name), first_value(&name), dns_name(&name));
        }
    }
}
