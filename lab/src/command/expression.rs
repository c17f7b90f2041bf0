//! Values that people ask PowerShell for: literals and a few well-known expressions.

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::pc::{SimPc, now};
use crate::secure_channel::{self, RepairError};
use crate::win32;

/// The longest text that `*` makes.
const LONGEST: usize = 64 << 20;

/// Returns what an expression prints, line by line, or its error; `None`: the lab does not
/// understand it.
pub(super) fn value(pc: &SimPc, user: &str, text: &str) -> Option<Result<Vec<String>, String>> {
    let lower = text.trim().to_ascii_lowercase();
    match lower.as_str() {
        "get-date" => Some(Ok(date(pc))),
        "test-computersecurechannel" => Some(channel(pc, user).map(|value| vec![value])),
        _ => literal(text)
            .or_else(|| repeated(text))
            .or_else(|| known(pc, user, &lower))
            .map(|value| Ok(vec![value])),
    }
}

/// Reads a quoted text or a number.
fn literal(text: &str) -> Option<String> {
    let text = text.trim();
    for quote in ['\'', '"'] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        let Some(inner) = inner else { continue };
        let plain = inner.replace(&format!("{quote}{quote}"), "");
        let variable = quote == '"' && inner.contains(['$', '`']);
        return (!plain.contains(quote) && !variable)
            .then(|| inner.replace(&format!("{quote}{quote}"), &quote.to_string()));
    }
    text.parse::<i64>().ok().map(|number| number.to_string())
}

/// Reads `'x' * 1000`.
fn repeated(text: &str) -> Option<String> {
    let (what, times) = text.rsplit_once('*')?;
    let (what, times) = (literal(what)?, times.trim().parse::<usize>().ok()?);
    (what.len().checked_mul(times)? <= LONGEST).then(|| what.repeat(times))
}

fn known(pc: &SimPc, user: &str, lower: &str) -> Option<String> {
    let domain = pc.shared().domain().dns_name.clone();
    let machine = pc.machine();
    if let Some(property) = system_property(lower) {
        return Some(match property {
            "partofdomain" => truth(machine.domain.is_some()),
            "domain" if machine.domain.is_some() => domain,
            "domain" => "WORKGROUP".to_owned(),
            "domainrole" => machine.domain_role.to_string(),
            "name" => machine.name.clone(),
            _ => return None,
        });
    }
    Some(match lower {
        "$env:computername" | "$env:userdomain" => machine.name.clone(),
        "$env:username" => user.to_owned(),
        "$psversiontable.psversion.tostring()" => {
            format!("5.1.{}.{}", machine.os.build, machine.os.ubr)
        }
        "[environment]::osversion.version.tostring()" => format!("10.0.{}.0", machine.os.build),
        "(get-uiculture).name" | "(get-culture).name" if machine.is_japanese() => {
            "ja-JP".to_owned()
        }
        "(get-uiculture).name" | "(get-culture).name" => "en-US".to_owned(),
        "(get-service netlogon).status" if machine.netlogon.running => "Running".to_owned(),
        "(get-service netlogon).status" => "Stopped".to_owned(),
        "$true" => truth(true),
        "$false" => truth(false),
        _ => return None,
    })
}

/// Returns which property of `Win32_ComputerSystem` is asked for.
fn system_property(lower: &str) -> Option<&str> {
    let (call, property) = lower.strip_prefix('(')?.split_once(").")?;
    let mut words = call.split_whitespace();
    let verb = words.next()?;
    let class = match (words.next()?, words.next()) {
        ("-classname" | "-class", Some(class)) => class,
        (class, None) => class,
        _ => return None,
    };
    let is_query = matches!(verb, "get-ciminstance" | "get-wmiobject" | "gcim" | "gwmi");
    (is_query && class == "win32_computersystem").then_some(property)
}

fn truth(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}

/// Does what `Test-ComputerSecureChannel` does: it asks Netlogon, and wants an administrator.
fn channel(pc: &SimPc, user: &str) -> Result<String, String> {
    let machine = pc.machine();
    let domain = pc.shared().domain();
    let (error, text) = if !machine.is_elevated(user) {
        (RepairError::NotElevated, "Access is denied.".to_owned())
    } else if machine.domain.is_none() {
        let text = "The local computer is not joined to a domain.".to_owned();
        (RepairError::NotInDomain, text)
    } else {
        let answer = secure_channel::query(&machine, &domain, &domain.dns_name);
        if answer.call == win32::OK {
            return Ok(truth(answer.connection == win32::OK));
        }
        let text = format!(
            "Cannot verify the secure channel for the local computer. Netlogon: {}.",
            answer.call
        );
        (RepairError::Call(answer.call), text)
    };
    Err(format!(
        "Test-ComputerSecureChannel : {text}\r\n    + FullyQualifiedErrorId : \
         {},Microsoft.PowerShell.Commands.TestComputerSecureChannelCommand",
        error.id()
    ))
}

/// Shows the PC's own clock, in the long form of its language.
fn date(pc: &SimPc) -> Vec<String> {
    let machine = pc.machine();
    let skew = SignedDuration::from_millis(machine.clock_offset_ms);
    let time = now().checked_add(skew).unwrap_or(Timestamp::UNIX_EPOCH);
    // Japan has had no other offset since 1951.
    let zone = TimeZone::fixed(Offset::constant(9));
    let time = time.to_zoned(zone);
    let form = if machine.is_japanese() {
        "%Y年%-m月%-d日 %-H:%M:%S"
    } else {
        "%A, %B %-d, %Y %-I:%M:%S %p"
    };
    vec![
        String::new(),
        time.strftime(form).to_string(),
        String::new(),
        String::new(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_and_variables_in_texts_are_not() {
        assert_eq!(literal("'it''s'").as_deref(), Some("it's"));
        assert_eq!(literal(r#""a b""#).as_deref(), Some("a b"));
        assert_eq!(literal("-42").as_deref(), Some("-42"));
        assert_eq!(literal(r#""$env:X""#), None);
        assert_eq!(literal("'a' + 'b'"), None);
        assert_eq!(repeated("'ab' * 3").as_deref(), Some("ababab"));
    }

    #[test]
    fn properties_are_found() {
        for call in [
            "(Get-CimInstance Win32_ComputerSystem).PartOfDomain",
            "(gwmi -Class Win32_ComputerSystem).PartOfDomain",
        ] {
            assert_eq!(
                system_property(&call.to_ascii_lowercase()),
                Some("partofdomain")
            );
        }
        assert_eq!(system_property("(get-ciminstance win32_bios).name"), None);
    }
}
