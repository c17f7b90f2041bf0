//! Commands typed by hand: a little of cmd.exe, nltest and PowerShell.

mod console;
mod expression;
mod line;
mod nltest;
mod ping;
mod powershell;
mod run;
mod shell;
mod text;

pub(crate) use console::serve;
pub(crate) use powershell::{Script, evaluate};
pub(crate) use run::exists;
pub(crate) use text::Printed;
