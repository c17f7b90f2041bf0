//! The reader that runs PowerShell text typed by an operator: base64 of UTF-8 on standard input.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::command::{Printed, Script, evaluate};
use crate::noise;
use crate::pc::SimPc;
use crate::process::LabCommand;
use crate::shared::count;
use crate::stdio::{Gone, Stdio};

/// How long powershell.exe and a small script take.
const TIME: Duration = Duration::from_millis(900);

/// Reads the text, runs it, returns its exit code.
pub(crate) async fn serve(
    pc: &SimPc,
    command: &LabCommand,
    stdio: &mut Stdio,
) -> Result<i32, Gone> {
    count(&pc.shared().counters.commands);
    let input = stdio.all().await;
    pc.work(TIME).await;
    let text = STANDARD
        .decode(input.trim_ascii())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let printed = match text {
        Some(text) => evaluate(pc, &Script::typed(&text, &command.user)),
        None => Printed::complaint("FormatException", 1),
    };
    let japanese = pc.machine().is_japanese();
    // Behind sshd there is no console whose encoding could be set: the bytes stay in the code
    // page of the system.
    let utf8 = !command.through_shell;
    let encode = |text: &str| match utf8 {
        true => text.as_bytes().to_vec(),
        false => noise::oem(text, japanese),
    };
    stdio.print(&encode(&printed.stdout)).await?;
    if !printed.stderr.is_empty() {
        stdio
            .complain(&encode(&clixml_error(&printed.stderr)))
            .await?;
    }
    Ok(printed.code)
}

/// Wraps an error text as PowerShell does when its standard error is no console.
fn clixml_error(text: &str) -> String {
    let text = text
        .trim_end()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace("\r\n", "_x000D__x000A_");
    format!(
        "#< CLIXML\r\n<Objs Version=\"1.1.0.1\" \
         xmlns=\"http://schemas.microsoft.com/powershell/2004/04\"><S S=\"Error\">{text}\
         _x000D__x000A_</S></Objs>"
    )
}
