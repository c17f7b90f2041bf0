//! `fleetmend directory laps`: the local administrator's password that LAPS keeps.

use std::path::PathBuf;

use fleetmend_directory::LapsReading;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::{CredentialsArgs, DirectoryArgs};
use crate::credentials::CredentialsFile;
use crate::data_dir::data_dir;
use crate::directory::{Directory, ask};
use crate::directory_error::asking;
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;
use crate::trail::{self, Entry};
use crate::wire::JOURNAL;

/// Show what LAPS keeps of a computer's local administrator
#[derive(Debug, clap::Args)]
pub(crate) struct LapsArgs {
    /// Computer: its account's name, DNS name or CN
    computer: String,
    /// Ask this controller
    #[arg(long, value_name = "HOST")]
    domain_controller: Option<String>,
    /// Print the password, too; without it only account and expiry
    #[arg(long)]
    reveal: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Keep what is spent, and who asked and was shown a password, in the journal in DIR
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    credentials: CredentialsArgs,
}

/// Shows what LAPS keeps.
///
/// # Errors
/// The directory cannot be asked, or standard output failed.
pub(super) async fn cmd_laps(args: &LapsArgs, printer: &Printer) -> Result<u8, CliError> {
    let file = CredentialsFile::find(&args.credentials)?;
    let mut directory = Directory::new(&args.directory)
        .with(file.as_ref())
        .kept_in(args.data_dir.as_deref());
    let domain = directory.must_have()?;
    let open = directory.open(&domain).await?;
    let dc = args.domain_controller.as_deref();
    let laps = open.directory.laps(&args.computer, dc, &ask()).await;
    let laps = laps.map_err(|error| asking(error, &format!("read LAPS of {}", args.computer)))?;
    let kinds = [("windows", &laps.windows), ("legacy", &laps.legacy)];
    if args.reveal {
        note(args, &laps.dn, kinds.map(|(_, reading)| reading)).await?;
    }
    if args.json {
        let document = json!({
            "dc": laps.dc,
            "dn": laps.dn,
            "windows": value(&laps.windows, args.reveal),
            "legacy": value(&laps.legacy, args.reveal),
        });
        printer.data(&(serde_json::to_string_pretty(&document)? + "\n"))?;
    } else {
        let mut text = format!("{}  at {}\n", laps.dn, laps.dc);
        for (name, reading) in kinds {
            text += &format!("  {name:<8} {}\n", words(reading, args.reveal));
        }
        printer.data(&text)?;
    }
    Ok(match laps.password() {
        Some(_) => exit_code::OK,
        None => exit_code::NOT_WELL,
    })
}

/// Puts on the audit trail that passwords are about to be shown, if there are any.
async fn note(args: &LapsArgs, dn: &str, readings: [&LapsReading; 2]) -> Result<(), CliError> {
    let accounts: Vec<&str> = readings
        .iter()
        .filter_map(|reading| match reading {
            LapsReading::Password(found) => Some(found.account.as_deref().unwrap_or_default()),
            _ => None,
        })
        .collect();
    if accounts.is_empty() {
        return Ok(());
    }
    let entry = Entry {
        kind: "password-shown",
        host: Some(args.computer.clone()),
        body: json!({
            "dn": dn, "accounts": accounts, "asked_as": args.directory.directory_user,
        }),
    };
    let path = data_dir(args.data_dir.as_deref())?.join(JOURNAL);
    let noted = trail::note_async(path, entry).await;
    noted.map_err(|error| {
        CliError::config("no password was shown")
            .because(error)
            .hint("name another folder: --data-dir DIR")
    })
}

fn words(reading: &LapsReading, reveal: bool) -> String {
    match reading {
        LapsReading::NotInSchema => "the forest's schema does not have it".to_owned(),
        LapsReading::Empty => "nothing is kept, or nothing that this account may see".to_owned(),
        LapsReading::Unreadable { expires } => {
            format!(
                "a password is kept that this account may not read{}",
                until(*expires)
            )
        }
        LapsReading::Encrypted { expires } => format!(
            "the password is kept encrypted and cannot be read here; on a Windows host, as one who \
             may decrypt it: Get-LapsADPassword{}",
            until(*expires)
        ),
        LapsReading::Password(found) => {
            let account = found
                .account
                .as_deref()
                .unwrap_or("the local administrator");
            let password = if reveal {
                format!(", password {}", found.password.reveal())
            } else {
                ", password not shown (--reveal)".to_owned()
            };
            format!("{account}{password}{}", until(found.expires))
        }
        _ => "what is kept is not what LAPS writes".to_owned(),
    }
}

fn value(reading: &LapsReading, reveal: bool) -> Value {
    match reading {
        LapsReading::NotInSchema => json!({ "state": "not-in-schema" }),
        LapsReading::Empty => json!({ "state": "empty" }),
        LapsReading::Unreadable { expires } => {
            json!({ "state": "unreadable", "expires": time(*expires) })
        }
        LapsReading::Encrypted { expires } => {
            json!({ "state": "encrypted", "expires": time(*expires) })
        }
        LapsReading::Password(found) => json!({
            "state": "password",
            "account": found.account,
            "set": time(found.set),
            "expires": time(found.expires),
            "password": reveal.then(|| found.password.reveal()),
        }),
        _ => json!({ "state": "malformed" }),
    }
}

fn until(expires: Option<Timestamp>) -> String {
    expires.map_or_else(String::new, |time| {
        format!("; expires {}", time.strftime("%Y-%m-%d %H:%M UTC"))
    })
}

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}
