//! Commands typed by hand: a little of cmd.exe, nltest and PowerShell.

mod line;
mod nltest;
mod powershell;
mod run;
mod text;

pub(crate) use powershell::{Script, evaluate};
pub(crate) use run::{exists, serve};
pub(crate) use text::Printed;
