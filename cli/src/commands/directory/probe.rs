//! `fleetmend directory probe`: one logon, no more.

use std::path::PathBuf;

use fleetmend_directory::{LockoutPolicy, Probe};
use fleetmend_model::Credential;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::{CredentialsArgs, DirectoryArgs};
use crate::credentials::CredentialsFile;
use crate::directory::{Directory, Open};
use crate::domain_account::spend;
use crate::error::CliError;
use crate::exit_code;
use crate::password;
use crate::printer::Printer;

/// Log on once with the directory account, or with another account
#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArgs {
    /// Then try this account, too, exactly once, unless it is near its lockout
    #[arg(long, value_name = "USER")]
    domain_user: Option<String>,
    /// Read its password from FILE instead of asking
    #[arg(long, value_name = "FILE", requires = "domain_user")]
    domain_password_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    credentials: CredentialsArgs,
}

/// Tries the accounts.
///
/// # Errors
/// The directory cannot be asked, its account is refused, or standard output failed.
pub(super) async fn cmd_probe(args: &ProbeArgs, printer: &Printer) -> Result<u8, CliError> {
    let file = CredentialsFile::find(&args.credentials)?;
    let mut directory = Directory::new(&args.directory).with(file.as_ref());
    let domain = directory.must_have()?;
    let other = match &args.domain_user {
        None => None,
        Some(user) => Some(Credential {
            user: user.clone(),
            password: match &args.domain_password_file {
                Some(file) => password::read(file)?,
                None => password::ask(
                    &format!("the password of the domain account {user}"),
                    "name a file that holds it: --domain-password-file FILE",
                )?,
            },
            ssh: None,
        }),
    };
    let open = &directory.open(&domain).await?.clone();
    let probe = match &other {
        None => None,
        Some(credential) => {
            let budget = directory.budget().await?;
            Some(spend(open, credential, &budget).await?)
        }
    };
    let user = other.as_ref().map(|credential| credential.user.as_str());
    let told = user.zip(probe.as_ref());
    if args.json {
        let document = document(open, told);
        printer.data(&(serde_json::to_string_pretty(&document)? + "\n"))?;
    } else {
        let mut text = opened_text(open);
        if let Some((user, probe)) = told {
            text += &words(user, probe);
        }
        printer.data(&text)?;
    }
    Ok(match probe.is_some_and(|probe| probe.refusal.is_some()) {
        true => exit_code::BUDGET,
        false => exit_code::OK,
    })
}

fn document(open: &Open, told: Option<(&str, &Probe)>) -> Value {
    let proof = &open.proof;
    json!({
        "domain": open.domain,
        "user": open.user,
        "dc": proof.dc,
        "controllers": proof.controllers,
        "read_only": proof.read_only,
        "synchronized": proof.synchronized,
        "clock_ahead_seconds": proof.clock_ahead.map(|ahead| ahead.as_secs()),
        "probe": told.map(|(user, probe)| value(user, probe)),
    })
}

fn opened_text(open: &Open) -> String {
    let proof = &open.proof;
    let mut text = format!("{} accepts {}\n", proof.dc, open.user);
    text += &format!("  controllers  {}\n", proof.controllers.join(", "));
    if let Some(ahead) = proof.clock_ahead {
        text += &format!("  clock        {} s ahead of ours\n", ahead.as_secs());
    }
    if proof.read_only {
        text += "  read-only    it cannot be written\n";
    }
    text
}

/// Tells what came of a trial, and what the lockout policy is.
pub(crate) fn words(user: &str, probe: &Probe) -> String {
    let verdict = match &probe.refusal {
        None => format!("{} accepts {user}\n", probe.dc),
        Some(refusal) => format!("{} refuses {user}: {refusal}\n", probe.dc),
    };
    format!("{verdict}  lockout      {}\n", policy(probe))
}

/// When the account would be locked, and how near it was before the trial.
pub(crate) fn policy(probe: &Probe) -> String {
    let rule = rule(&probe.policy);
    let count = probe.account.as_ref().map(|account| {
        let counting = account.counting(&probe.policy, Timestamp::now());
        format!("; {counting} counted against it before this trial")
    });
    let silent = match probe.silent.as_slice() {
        [] => String::new(),
        silent => format!("; {} could not be asked", silent.join(", ")),
    };
    rule + &count.unwrap_or_default() + &silent
}

/// When wrong passwords lock an account.
fn rule(policy: &LockoutPolicy) -> String {
    match policy.threshold {
        None => "the policy cannot be read".to_owned(),
        Some(0) => "accounts are never locked".to_owned(),
        Some(threshold) => {
            let window = policy.window.map(|window| window.as_secs() / 60);
            let window =
                window.map_or_else(String::new, |minutes| format!(" within {minutes} min"));
            format!("after {threshold} wrong passwords{window}")
        }
    }
}

fn value(user: &str, probe: &Probe) -> Value {
    let account = probe.account.as_ref();
    json!({
        "user": user,
        "dc": probe.dc,
        "accepted": probe.refusal.is_none(),
        "code": probe.refusal.map(|refusal| refusal.win32()),
        "reason": probe.refusal.map(|refusal| refusal.to_string()),
        "lockout_threshold": probe.policy.threshold,
        "bad_password_count_before": account.and_then(|account| account.bad_password_count),
        "silent_controllers": probe.silent,
    })
}
