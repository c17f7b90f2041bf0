//! The command line: what every command shares.

mod credentials;
mod directory;
mod inventory;
mod ldap;
mod logon;
mod output;
mod pace;
mod reboot;
mod run;
mod values;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use credentials::CredentialsArgs;
pub(crate) use directory::DirectoryArgs;
pub(crate) use inventory::{InventoryArgs, VaultArgs};
pub(crate) use ldap::Ldap;
pub(crate) use logon::LogonArgs;
pub(crate) use output::{Output, OutputArgs};
pub(crate) use pace::PaceArgs;
pub(crate) use reboot::RebootArgs;
pub(crate) use run::{DomainArgs, JobArgs, TextLanguage};
pub(crate) use values::{Setting, duration};

use crate::commands;
use crate::exit_code;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Repair the lost domain trust of many Windows PCs at once
#[derive(Debug, Parser)]
#[command(name = "fleetmend", version, styles = STYLES, max_term_width = 100)]
#[command(after_help = after_help(), disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Say more on standard error; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Colour the output; NO_COLOR is obeyed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::AlwaysAnsi,
            Color::Never => Self::Never,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(commands::run::RunArgs),
    Check(commands::check::CheckArgs),
    Resume(commands::resume::ResumeArgs),
    Exec(commands::exec::ExecArgs),
    Demo(commands::demo::DemoArgs),
    Lab(commands::lab::LabArgs),
    Inventory(commands::inventory::InventoryCommandArgs),
    Directory(commands::directory::DirectoryCommandArgs),
    Playbook(commands::playbook::PlaybookArgs),
    Doctor(commands::doctor::DoctorArgs),
    Vault(commands::vault::VaultArgs),
    Runs(commands::runs::RunsArgs),
    Show(commands::show::ShowArgs),
    Audit(commands::audit::AuditArgs),
    Handoff(commands::handoff::HandoffArgs),
    Completion(commands::completion::CompletionArgs),
}

impl Command {
    /// Tells whether data goes to standard output while the command still works.
    pub(crate) fn streams(&self) -> bool {
        match self {
            Self::Run(args) => args.job.output.output == Output::Jsonl,
            Self::Check(args) => args.job.output.output == Output::Jsonl,
            Self::Resume(args) => args.output.output == Output::Jsonl,
            Self::Exec(args) => args.output.output == Output::Jsonl,
            Self::Demo(args) => args.output == Output::Jsonl,
            _ => false,
        }
    }
}

fn after_help() -> String {
    format!(
        "\
Examples:
  fleetmend demo
  fleetmend check trust-repair -i pcs.yaml --user fleetadmin
  fleetmend run trust-repair -i pcs.yaml --user fleetadmin --limit 'pc-[001:020]*'
  fleetmend exec -i pcs.yaml --user fleetadmin -- nltest /sc_query:example.jp

{}",
        exit_code::HELP
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn help_is_imperative_and_without_full_stop() {
        fn check(command: &clap::Command) {
            let texts = command.get_arguments().filter_map(|arg| arg.get_help());
            for text in texts.chain(command.get_about()) {
                let text = text.to_string();
                assert!(!text.ends_with('.'), "{}: {text}", command.get_name());
                assert!(
                    text.starts_with(char::is_uppercase),
                    "{}: {text}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&super::Cli::command());
    }

    #[test]
    fn no_argument_takes_a_password() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                let name = arg.get_id().as_str();
                let is_password = name.contains("password") || name.contains("secret");
                let names_a_file = name.ends_with("_file");
                let is_flag = !arg.get_action().takes_values();
                assert!(!is_password || names_a_file || is_flag, "{name}");
            }
            command.get_subcommands().for_each(check);
        }
        check(&super::Cli::command());
    }
}
