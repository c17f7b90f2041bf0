//! cmd.exe: runs a command line that was typed by hand.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::line;
use super::ping::Ping;
use super::powershell::{self, Script};
use super::run::{program, version};
use super::shell::{self, Target, When};
use super::text::{Printed, encode};
use crate::pc::SimPc;
use crate::process::LabCommand;
use crate::shared::count;
use crate::stdio::{Gone, Stdio};

/// How long a small program takes.
const TIME: Duration = Duration::from_millis(250);

/// Runs the command; returns its exit code.
pub(crate) async fn serve(
    pc: &SimPc,
    command: &LabCommand,
    stdio: &mut Stdio,
) -> Result<i32, Gone> {
    count(&pc.shared().counters.commands);
    pc.work(TIME).await;
    let mut console = Console {
        pc,
        user: &command.user,
        japanese: pc.machine().is_japanese(),
        utf8: command.code_page == Some(65001),
        stdio,
    };
    if command.through_shell {
        console.shell(&command.line).await.map(Ran::code)
    } else {
        console.start(&command.line, false, Streams::OWN).await
    }
}

/// Where a command's streams go.
#[derive(Clone, Copy)]
struct Streams {
    stdout: Target,
    stderr: Target,
}

impl Streams {
    const OWN: Self = Self {
        stdout: Target::Own,
        stderr: Target::Own,
    };
}

/// How a line ended.
#[derive(Clone, Copy)]
enum Ran {
    /// With its last command.
    Through(i32),
    /// By `exit`.
    Exit(i32),
}

impl Ran {
    fn code(self) -> i32 {
        match self {
            Self::Through(code) | Self::Exit(code) => code,
        }
    }
}

/// What commands by hand run in.
struct Console<'c> {
    pc: &'c SimPc,
    user: &'c str,
    japanese: bool,
    /// Whether the code page is 65001.
    utf8: bool,
    stdio: &'c mut Stdio,
}

impl Console<'_> {
    /// Does what cmd.exe does with a line. Boxed, because one shell may start another.
    fn shell<'f>(&'f mut self, line: &'f str) -> BoxFuture<'f, Result<Ran, Gone>> {
        async move {
            let line = shell::expanded(line, |name| variable(self.pc, self.user, name));
            let mut code = 0;
            for command in shell::commands(&line) {
                let due = match command.when {
                    When::Always => true,
                    When::Succeeded => code == 0,
                    When::Failed => code != 0,
                };
                if !due {
                    continue;
                }
                let streams = Streams {
                    stdout: command.stdout,
                    stderr: command.stderr,
                };
                if [command.stdout, command.stderr].contains(&Target::Missing) {
                    let text = format!("the lab has neither pipes nor files: {line}");
                    self.show(&Printed::complaint(&text, 255), Streams::OWN)
                        .await?;
                    return Ok(Ran::Exit(255));
                }
                code = self.start(&command.text, true, streams).await?;
                if line::program_name(line::split_program(&command.text).0) == "exit" {
                    return Ok(Ran::Exit(code));
                }
            }
            Ok(Ran::Through(code))
        }
        .boxed()
    }

    /// Runs one program, or one command of cmd.exe's own where that is asked.
    async fn start(&mut self, text: &str, in_shell: bool, streams: Streams) -> Result<i32, Gone> {
        let (name, rest) = line::split_program(text);
        if shell::is_shell(name) {
            return match shell::argument(rest) {
                Some(line) => self.shell(line).await.map(Ran::code),
                None => self.prompt().await,
            };
        }
        let words = line::words(text);
        let arguments = words.get(1..).unwrap_or_default();
        match line::program_name(name).as_str() {
            "chcp" if in_shell => {
                self.utf8 = arguments.first().is_some_and(|page| page == "65001");
                Ok(0)
            }
            "ping" => self.ping(arguments, streams).await,
            // The usual ways to see one's own input again.
            "more" | "more.com" | "findstr" => {
                let input = self.stdio.all().await;
                self.stdio.print(&input).await?;
                Ok(0)
            }
            "sort" => self.sort().await,
            "powershell" if words.last().is_some_and(|last| last == "-") => {
                let text = String::from_utf8_lossy(&self.stdio.all().await).into_owned();
                let printed = powershell::evaluate(self.pc, &Script::command(&text, self.user));
                self.show(&printed, streams).await
            }
            _ => {
                let printed = program(self.pc, self.user, text, in_shell);
                self.show(&printed, streams).await
            }
        }
    }

    /// Prints where the streams go; returns the exit code.
    async fn show(&mut self, printed: &Printed, streams: Streams) -> Result<i32, Gone> {
        let encoded = |text: &str| encode(text, self.japanese, self.utf8);
        match streams.stdout {
            Target::Own => self.stdio.print(&encoded(&printed.stdout)).await?,
            Target::Other => self.stdio.complain(&encoded(&printed.stdout)).await?,
            Target::Nul | Target::Missing => {}
        }
        match streams.stderr {
            Target::Own => self.stdio.complain(&encoded(&printed.stderr)).await?,
            Target::Other => self.stdio.print(&encoded(&printed.stderr)).await?,
            Target::Nul | Target::Missing => {}
        }
        Ok(printed.code)
    }

    /// cmd.exe without `/c` runs what it reads, until the end of its input.
    async fn prompt(&mut self) -> Result<i32, Gone> {
        let mut banner = version(self.pc);
        banner.stdout = banner.stdout.trim_start().to_owned();
        banner.line("(c) Microsoft Corporation. All rights reserved.");
        let mut code = 0;
        loop {
            banner
                .stdout
                .push_str(&format!("\r\nC:\\Users\\{}>", self.user));
            self.show(&banner, Streams::OWN).await?;
            banner = Printed::default();
            let Some(line) = self.stdio.line().await else {
                return Ok(code);
            };
            let line = String::from_utf8_lossy(&line).into_owned();
            self.stdio.print(format!("{line}\r\n").as_bytes()).await?;
            match self.shell(&line).await? {
                Ran::Exit(code) => return Ok(code),
                Ran::Through(last) => code = last,
            }
        }
    }

    async fn sort(&mut self) -> Result<i32, Gone> {
        let input = self.stdio.all().await;
        let mut lines: Vec<&[u8]> = input
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .collect();
        lines.sort_unstable();
        for line in lines {
            self.stdio.print(&[line, b"\r\n"].concat()).await?;
        }
        Ok(0)
    }

    async fn ping(&mut self, arguments: &[String], streams: Streams) -> Result<i32, Gone> {
        let ping = match Ping::read(arguments, self.japanese) {
            Ok(ping) => ping,
            Err(printed) => return self.show(&printed, streams).await,
        };
        if let Some(printed) = ping.unknown(self.pc) {
            return self.show(&printed, streams).await;
        }
        match ping.time() {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
        self.show(&ping.statistics(self.japanese), streams).await
    }
}

/// Returns the value of a variable, asked for in small letters.
fn variable(pc: &SimPc, user: &str, name: &str) -> Option<String> {
    let windows = r"C:\Windows";
    Some(match name {
        "os" => "Windows_NT".to_owned(),
        "computername" | "userdomain" => pc.machine().name.clone(),
        "username" => user.to_owned(),
        "userprofile" | "cd" => format!(r"C:\Users\{user}"),
        "systemroot" | "windir" => windows.to_owned(),
        "systemdrive" => "C:".to_owned(),
        "comspec" => format!(r"{windows}\system32\cmd.exe"),
        "path" => format!(r"{windows}\system32;{windows};{windows}\System32\Wbem"),
        "processor_architecture" => "AMD64".to_owned(),
        _ => return None,
    })
}
