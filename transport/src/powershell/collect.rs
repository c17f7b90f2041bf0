//! Collects what a command by hand prints.

use super::clixml::StderrReader;
use super::guard;
use crate::{ExecOutput, Limits, SessionError, Wire};

/// How much output of one command is held: 64 MiB.
const OUTPUT_LIMIT: usize = 64 << 20;

/// Receives until the process has ended.
pub(super) async fn output(
    wire: &mut dyn Wire,
    clixml: bool,
    limits: &Limits,
) -> Result<ExecOutput, SessionError> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut pace = guard::Pace::default();
    loop {
        let received = guard::bounded(limits, wire.receive(limits)).await?;
        stdout.extend_from_slice(&received.stdout);
        stderr.extend_from_slice(&received.stderr);
        if stdout.len() + stderr.len() > OUTPUT_LIMIT {
            return Err(SessionError::Unknown {
                detail: "the output is longer than 64 MiB".to_owned(),
            });
        }
        if let Some(exit_code) = received.exit_code {
            if clixml {
                stderr = readable(stderr);
            }
            return Ok(ExecOutput {
                stdout,
                stderr,
                exit_code,
            });
        }
        pace.wait(&received, limits).await;
    }
}

/// Turns CLIXML into text; bytes without any stay as they are.
fn readable(stderr: Vec<u8>) -> Vec<u8> {
    let has_clixml = |needle: &[u8]| stderr.windows(needle.len()).any(|window| window == needle);
    if !has_clixml(b"#< CLIXML") {
        return stderr;
    }
    let mut reader = StderrReader::default();
    reader.push(&stderr);
    let mut text = String::new();
    for message in reader.take(true) {
        text.push_str(&message.text);
        text.push('\n');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn only_clixml_is_rewritten() {
        assert_eq!(readable(b"\x93\xfa raw".to_vec()), b"\x93\xfa raw");
        let clixml = b"#< CLIXML\r\n<Objs><S S=\"Error\">oops_x000D__x000A_</S></Objs>";
        assert_eq!(readable(clixml.to_vec()), b"oops\n");
    }
}
