//! An offline join blob, made by Samba's `net` on this machine.

use std::process::{Output, Stdio};
use std::sync::Arc;

use fleetmend_model::{Credential, Secret};
use ldap3::Scope;
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::{Zeroize, Zeroizing};

use super::failure::{failed, member_kind};
use crate::account::bind_name;
use crate::computer::{Names, find, may_see};
use crate::controller::{Controller, Session};
use crate::filter::escape;
use crate::operation::Question;
use crate::sid::sid_text;
use crate::{Acted, ActionError, ActiveDirectory, DirectoryError, Limit, LogonRefusal};

/// The first Samba that has `net offlinejoin`.
const OLDEST: (u32, u32) = (4, 15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provision {
    computer: String,
    domain: String,
    domain_controller: Option<String>,
    ou: Option<String>,
}

/// Tells whether Samba's `net` is here and can make offline join blobs.
pub async fn offline_join_available(limit: &Limit) -> bool {
    available(limit).await.is_ok()
}

/// Makes the blob. The account gets a new password by that, and what it lacks else.
pub(super) async fn provision(
    directory: &ActiveDirectory,
    on: Provision,
    limit: &Limit,
) -> Result<Acted, ActionError> {
    let settings = &directory.access.settings;
    if on.domain.trim_end_matches('.').to_lowercase() != settings.domain {
        let message = format!(
            "the directory is that of {}, not of {}",
            settings.domain, on.domain
        );
        return Err(failed("DomainDiffers", message));
    }
    // One at a time: each is a logon of our account that the gate does not see.
    let _one = limit
        .bound(directory.provisioning.lock())
        .await
        .map_err(|_| failed("DirectoryDeadline", "no time was left to begin".to_owned()))?;
    available(limit).await?;
    let controller = directory
        .named_or_any(on.domain_controller.as_deref(), limit)
        .await?;
    let session = controller.session(limit).await?;
    let names = Names::of(&on.computer, &settings.domain);
    let machine = machine(&controller, &session, &names, limit).await?;
    let netbios = netbios_name(&controller, &session, limit).await?;
    let account = &directory.access.account;
    let stdin = credential_file(account, &settings.domain)?;
    let folder = TempDir::new().map_err(|error| {
        failed(
            "OfflineJoinUnavailable",
            format!("no folder for `net`: {error}"),
        )
    })?;
    let mut command = command(&machine, &netbios, &settings.domain, &session.dc, &folder);
    command.args(on.ou.map(|ou| format!("machine_account_ou={ou}")));
    let output = run(command, &stdin, limit).await?;
    let blob = blob(output).map_err(|failure| judge(directory, &session.dc, failure))?;
    let after = find(
        &controller,
        &session,
        &names,
        &["objectSid"],
        Vec::new(),
        limit,
    )
    .await;
    let sid = after
        .ok()
        .flatten()
        .and_then(|entry| sid_text(entry.bytes("objectSid")?));
    Ok(Acted {
        answer: json!({"dc": session.dc, "sid": sid}),
        made: Some(blob),
    })
}

async fn available(limit: &Limit) -> Result<(), ActionError> {
    let missing = |why: String| failed("OfflineJoinUnavailable", why);
    let mut command = Command::new("net");
    command
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match limit.bound(command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(missing(format!("Samba's `net` cannot be run: {error}"))),
        Err(_) => return Err(missing("`net --version` gave no answer".to_owned())),
    };
    match version(&String::from_utf8_lossy(&output.stdout)) {
        Some(found) if output.status.success() && found >= OLDEST => Ok(()),
        Some((major, minor)) => Err(missing(format!(
            "Samba {major}.{minor} has no `net offlinejoin`; it came with {}.{}",
            OLDEST.0, OLDEST.1
        ))),
        None => Err(missing(
            "the `net` of this machine is not Samba's".to_owned(),
        )),
    }
}

/// Reads `Version 4.17.12-Debian`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text
        .trim()
        .strip_prefix("Version ")?
        .split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Returns the NetBIOS name to provision. An account that is there must be a member's, and its
/// flags must be ours to write: `net` sets the password first and fails at the flags afterwards,
/// which would break a trust that holds.
async fn machine(
    controller: &Arc<Controller>,
    session: &Session,
    names: &Names,
    limit: &Limit,
) -> Result<String, ActionError> {
    let wanted = ["userAccountControl", "allowedAttributesEffective"];
    let Some(entry) = find(controller, session, names, &wanted, Vec::new(), limit).await? else {
        may_see(controller, session, limit).await?;
        let first = names.given.trim_end_matches('$').split('.').next();
        return Ok(first.unwrap_or_default().chars().take(15).collect());
    };
    member_kind(&entry)?;
    let writable = entry
        .texts("allowedAttributesEffective")
        .unwrap_or_default();
    if !writable
        .iter()
        .any(|name| name.eq_ignore_ascii_case("userAccountControl"))
    {
        return Err(failed(
            "OfflineJoinRights",
            format!(
                "the directory account may not write userAccountControl of {}, without which an \
                 offline join fails halfway",
                entry.dn
            ),
        ));
    }
    let account = entry.text("sAMAccountName").unwrap_or(&names.account);
    Ok(account.trim_end_matches('$').to_owned())
}

/// Returns the domain's NetBIOS name.
async fn netbios_name(
    controller: &Arc<Controller>,
    session: &Session,
    limit: &Limit,
) -> Result<String, ActionError> {
    let configuration = session
        .root
        .configuration_naming_context
        .as_deref()
        .unwrap_or_default();
    let base = format!("CN=Partitions,{configuration}");
    let filter = format!(
        "(&(objectClass=crossRef)(nCName={}))",
        escape(&session.domain)
    );
    let question = Question {
        doing: "name its domain",
        base: &base,
        scope: Scope::OneLevel,
        filter: &filter,
        attributes: &["nETBIOSName"],
        controls: Vec::new(),
        size_limit: 2,
    };
    let answer = controller.search(&question, limit).await?;
    let name = answer
        .entries
        .first()
        .and_then(|entry| entry.text("nETBIOSName"));
    name.map(str::to_owned).ok_or_else(|| {
        let message = format!("{} does not tell its domain's NetBIOS name", session.dc);
        failed("OfflineJoinUnavailable", message)
    })
}

/// Returns the text of an authentication file. It goes through a pipe, never to a disk.
fn credential_file(account: &Credential, domain: &str) -> Result<Zeroizing<String>, ActionError> {
    let name = bind_name(&account.user, domain);
    let password = account.password.reveal();
    // The format has no quotes: a line each, blanks at its ends taken away.
    let odd = |text: &str| text.contains(['\r', '\n', '\0']) || text.trim() != text;
    if odd(password) || odd(&name) || name.contains('=') {
        return Err(failed(
            "OfflineJoinUnavailable",
            "`net` cannot be given this account: neither a distinguished name nor a password with \
             a line break or a blank at an end fits its file format"
                .to_owned(),
        ));
    }
    let mut text = Zeroizing::new(String::with_capacity(name.len() + password.len() + 32));
    for part in ["username=", &name, "\npassword=", password, "\n"] {
        text.push_str(part);
    }
    Ok(text)
}

fn command(machine: &str, netbios: &str, domain: &str, dc: &str, folder: &TempDir) -> Command {
    let mut command = Command::new("net");
    command
        .args(["offlinejoin", "provision", "reuse", "printblob"])
        .arg(format!("domain={domain}"))
        .arg(format!("machine_name={machine}"))
        .arg(format!("dcname={dc}"))
        .args(["--configfile=/dev/null", "--authentication-file=/dev/stdin"])
        .arg(format!("--option=netbios name={machine}"))
        .arg(format!("--option=workgroup={netbios}"))
        .arg(format!("--option=realm={}", domain.to_uppercase()))
        .arg("--option=security=ads");
    // Its databases: this machine's own Samba, if it has one, is left alone, and no root is needed.
    for place in [
        "private dir",
        "lock directory",
        "state directory",
        "cache directory",
    ] {
        command.arg(format!("--option={place}={}", folder.path().display()));
    }
    command
        .env("LC_ALL", "C")
        .env("KRB5CCNAME", "MEMORY:fleetmend")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command, stdin: &str, limit: &Limit) -> Result<Output, ActionError> {
    let unavailable = |error: std::io::Error| {
        failed(
            "OfflineJoinUnavailable",
            format!("Samba's `net` cannot be run: {error}"),
        )
    };
    let mut child = command.spawn().map_err(unavailable)?;
    let pipe = child.stdin.take();
    let running = async {
        if let Some(mut pipe) = pipe {
            // A child that ends early says why in its answer.
            let _ = pipe.write_all(stdin.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    // From here on the account may have been written.
    let unknown = |why: String| ActionError::Unknown {
        message: format!("`net offlinejoin provision` {why}"),
    };
    match limit.bound(running).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(unknown(format!("cannot be waited for: {error}"))),
        Err(_) => Err(unknown("was ended before it was done".to_owned())),
    }
}

/// How `net` failed: its exit code, and what it printed for people.
struct Failure {
    code: Option<i32>,
    said: String,
}

fn blob(output: Output) -> Result<Secret, Failure> {
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut stdout = output.stdout;
    stdout.zeroize();
    let blob = text
        .lines()
        .map(str::trim)
        .find(|line| line.len() > 256 && line.chars().all(base64));
    if let Some(blob) = blob.filter(|_| output.status.success()) {
        let blob = Secret::new(blob.to_owned());
        text.zeroize();
        return Ok(blob);
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = text.lines().chain(errors.lines()).map(str::trim);
    let said: Vec<_> = lines
        .filter(|line| !line.is_empty() && line.len() <= 256)
        .collect();
    Err(Failure {
        code: output.status.code(),
        said: said.join("; "),
    })
}

/// Judges a failure. The exit code is the low byte of a Win32 code.
fn judge(directory: &ActiveDirectory, dc: &str, failure: Failure) -> ActionError {
    let refusal = failure.code.and_then(|code| {
        let byte = u32::try_from(code).ok()?;
        // 1 and 50 have meanings of their own; the other logon failures' low bytes do not occur.
        let mut refusals = LogonRefusal::NAMED.into_iter();
        refusals.find(|refusal| refusal.win32() & 0xff == byte && !matches!(byte, 1 | 50))
    });
    if let Some(refusal) = refusal {
        let dc = dc.to_owned();
        let refused = DirectoryError::CredentialRefused { dc, refusal };
        return directory.access.gate.close(refused).into();
    }
    let code = failure
        .code
        .map_or_else(|| "a signal".to_owned(), |code| code.to_string());
    ActionError::Unknown {
        message: format!(
            "`net offlinejoin provision` ended with {code}: {}",
            failure.said
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[test]
    fn reads_the_version() {
        assert_eq!(version("Version 4.17.12-Debian\n"), Some((4, 17)));
        assert!(version("Version 4.9.5").is_some_and(|found| found < OLDEST));
        assert_eq!(
            version("The syntax of this command is: NET [ ACCOUNTS"),
            None
        );
    }

    fn account(user: &str, password: &str) -> Credential {
        Credential {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
        }
    }

    #[test]
    fn writes_only_what_the_format_can_hold() {
        let text = credential_file(&account("svc", "p=a%ss 日本"), "corp.jp")
            .ok()
            .unwrap();
        assert_eq!(*text, "username=svc@corp.jp\npassword=p=a%ss 日本\n");
        for (user, password) in [("svc", " x"), ("svc", "a\nb"), ("CN=svc,DC=x", "a")] {
            assert!(credential_file(&account(user, password), "corp.jp").is_err());
        }
    }

    #[test]
    fn a_refused_logon_closes_the_gate_and_all_else_is_unknown() {
        let directory = ActiveDirectory::new(Settings::new("corp.jp"), account("svc", "x"));
        let judged = |code| {
            let said = String::new();
            judge(&directory, "dc1", Failure { code, said })
        };
        for code in [None, Some(5), Some(31), Some(1), Some(255), Some(-1)] {
            assert!(
                matches!(judged(code), ActionError::Unknown { .. }),
                "{code:?}"
            );
            assert_eq!(directory.access.gate.check(), Ok(()));
        }
        // 1326, of which a process can give only the low byte.
        let refused = judged(Some(46));
        assert!(matches!(
            refused,
            ActionError::Failed {
                credential_refused: Some(1326),
                ..
            }
        ));
        assert!(directory.access.gate.check().is_err());
    }

    #[cfg(unix)]
    #[test]
    fn takes_the_blob_and_keeps_it_out_of_messages() {
        use std::os::unix::process::ExitStatusExt;
        let output = |code: i32, stdout: String| Output {
            status: std::process::ExitStatus::from_raw(code << 8),
            stdout: stdout.into_bytes(),
            stderr: b"ads: 50\n".to_vec(),
        };
        let base64 = "ARAIAMzMzMxw".repeat(40);
        let printed = format!("Successfully provisioned computer 'PC1'\n{base64}\n");
        let made = blob(output(0, printed.clone())).ok().unwrap();
        assert_eq!(made.reveal(), base64);
        let failure = blob(output(5, printed)).err().unwrap();
        assert_eq!(failure.code, Some(5));
        assert!(!failure.said.contains("zMzM") && failure.said.contains("ads: 50"));
    }
}
