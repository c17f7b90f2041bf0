//! `fleetmend inventory import`: the directory's computers as an inventory file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use fleetmend_inventory::{DirectoryListing, DirectorySource, Options, Place, load_text};
use jiff::Timestamp;

use crate::args::{CredentialsArgs, DirectoryArgs, Ldap};
use crate::credentials::CredentialsFile;
use crate::directory::{Directory, Open};
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Write the directory's computers as a YAML inventory
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ImportArgs {
    /// Ask this domain, or this controller: ldaps://HOST, or ldap://HOST for StartTLS
    #[arg(long, value_name = "DOMAIN|URL")]
    ldap: Option<Ldap>,
    /// Take the computers below this organizational unit, as OU=PCs,DC=corp,DC=example,DC=jp
    #[arg(long, value_name = "DN")]
    ou: Option<String>,
    /// Take only those that pass this LDAP filter, as (operatingSystem=Windows*)
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Write to this new file instead of standard output; one that is there is left alone
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    overwrite: bool,
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    credentials: CredentialsArgs,
}

const AFTER_HELP: &str = "\
Examples:
  fleetmend inventory import --ldap corp.example.jp --directory-user svc-fleetmend \\
      --ou 'OU=端末,DC=corp,DC=example,DC=jp' --filter '(operatingSystem=Windows*)' --output pcs.yaml
  fleetmend inventory import --ldap ldaps://dc1.corp.example.jp --directory-ca corp-ca.pem \\
      --directory-user svc-fleetmend --output pcs.yaml

Organizational units become groups, disabled accounts are left out. An inventory can name the
directory instead and be looked up whenever it is used: see docs/guide/inventory.md.";

/// Writes the inventory.
///
/// # Errors
/// The directory cannot be asked, or the file is there or cannot be written.
pub(super) async fn cmd_import(args: &ImportArgs, printer: &Printer) -> Result<u8, CliError> {
    if let Some(file) = args
        .output
        .as_deref()
        .filter(|file| !args.overwrite && file.exists())
    {
        // Before the password is asked for.
        return Err(is_there(file));
    }
    let arguments = arguments(args)?;
    let file = CredentialsFile::find(&args.credentials)?;
    let mut directory = Directory::new(&arguments).with(file.as_ref());
    let domain = directory.must_have()?;
    let source = source(args, &domain)?;
    let open = directory.open(&domain).await?;
    let listing = open.list(&source).await?;
    let text = listing.to_yaml(&about(args, open));
    readable(&text)?;
    let (taken, left_out) = listing.sort();
    match &args.output {
        None => printer.data(&text)?,
        Some(file) => write(file, &text, args.overwrite)?,
    }
    printer.note(&told(taken.len(), &listing, args.output.as_deref()));
    for line in left_out.lines() {
        printer.note(&line);
    }
    Ok(exit_code::OK)
}

/// `--ldap` as the arguments that it stands for.
fn arguments(args: &ImportArgs) -> Result<DirectoryArgs, CliError> {
    let mut arguments = args.directory.clone();
    let Some(ldap) = &args.ldap else {
        return Ok(arguments);
    };
    if arguments.directory.is_none() {
        arguments.directory = ldap.domain().map(str::to_owned);
    }
    if arguments.directory.is_none() {
        return Err(CliError::user("--ldap does not say which domain that is")
            .hint("name it: --directory DOMAIN"));
    }
    if let Ldap::Controller { server, starttls } = ldap {
        arguments.directory_server = vec![server.clone()];
        arguments.directory_starttls |= *starttls;
    }
    Ok(arguments)
}

/// The arguments as the same source in an inventory, so that they are held to the same rules.
fn source(args: &ImportArgs, domain: &str) -> Result<DirectorySource, CliError> {
    let text = |name: &str, value: &Option<String>| {
        let value = serde_json::Value::from(value.as_deref());
        format!(", {name}: {value}")
    };
    let yaml = format!(
        "directory: {{domain: {}{}{}}}\n",
        serde_json::Value::from(domain),
        text("ou", &args.ou),
        text("filter", &args.filter)
    );
    let inventory = load_text("the arguments", &yaml, &Options::default()).map_err(|errors| {
        let problems: Vec<String> = errors
            .iter()
            .map(|error| error.problem.to_string())
            .collect();
        CliError::user(problems.join("; "))
    })?;
    let source = inventory.sources.into_iter().next();
    let source = source.ok_or_else(|| CliError::internal("the arguments made no source"))?;
    Ok(DirectorySource {
        place: Place {
            file: "the arguments".into(),
            at: None,
        },
        ..source
    })
}

fn about(args: &ImportArgs, open: &Open) -> Vec<String> {
    let from = format!(
        "Computers of {} as {} listed them on {}; written by `fleetmend inventory import`.",
        open.domain,
        open.proof.dc,
        Timestamp::now().strftime("%Y-%m-%d %H:%M UTC")
    );
    let ou = args.ou.as_ref().map(|ou| format!("Below {ou}"));
    let filter = args
        .filter
        .as_ref()
        .map(|filter| format!("Filter {filter}"));
    [Some(from), ou, filter].into_iter().flatten().collect()
}

/// Nothing is written that would not be read.
fn readable(text: &str) -> Result<(), CliError> {
    load_text("the new inventory", text, &Options::default())
        .map(|_| ())
        .map_err(|errors| {
            CliError::internal("the inventory could not be read back").because(errors)
        })
}

fn write(path: &Path, text: &str, overwrite: bool) -> Result<(), CliError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => is_there(path),
        _ => CliError::config(format!("failed to write {}", path.display())).because(error),
    };
    if overwrite {
        return replace(path, text).map_err(failed);
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// The old file stays whole until the new one is.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

fn is_there(path: &Path) -> CliError {
    CliError::user(format!("{} is there already", path.display()))
        .hint("name another file, or replace it: --overwrite")
}

fn told(taken: usize, listing: &DirectoryListing, file: Option<&Path>) -> String {
    let of = listing.computers.len();
    let file = file.map_or_else(String::new, |file| format!(" to {}", file.display()));
    format!("{taken} of {of} computers written{file}")
}
