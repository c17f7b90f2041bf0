//! The standard streams of a simulated process, from its own side.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use crate::process::Output;
use crate::shared::lock;

/// Whoever read the process's output has gone; the process has nothing more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// How many bytes go into one chunk of output, as a pipe of Windows would hold.
const CHUNK: usize = 32 * 1024;

/// The longest line that is taken: a script of 10 MB in base64, and room.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// The streams.
pub(crate) struct Stdio {
    input: mpsc::Receiver<Vec<u8>>,
    output: mpsc::Sender<Output>,
    rest: Vec<u8>,
    /// Up to where `rest` holds no line feed.
    searched: usize,
    /// Where everything that is read is noted, if anybody wants to know.
    record: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Stdio {
    pub(crate) fn new(input: mpsc::Receiver<Vec<u8>>, output: mpsc::Sender<Output>) -> Self {
        Self {
            input,
            output,
            rest: Vec::new(),
            searched: 0,
            record: None,
        }
    }

    /// Returns it noting down what is read.
    pub(crate) fn recorded(self, record: Option<Arc<Mutex<Vec<u8>>>>) -> Self {
        Self { record, ..self }
    }

    async fn receive(&mut self) -> Option<Vec<u8>> {
        let bytes = self.input.recv().await?;
        if let Some(record) = &self.record {
            lock(record).extend_from_slice(&bytes);
        }
        Some(bytes)
    }

    /// Writes to standard output, in chunks.
    pub(crate) async fn print(&self, bytes: &[u8]) -> Result<(), Gone> {
        for chunk in bytes.chunks(CHUNK) {
            self.output
                .send(Output::Stdout(chunk.to_vec()))
                .await
                .map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Writes to standard error.
    pub(crate) async fn complain(&self, bytes: &[u8]) -> Result<(), Gone> {
        for chunk in bytes.chunks(CHUNK) {
            self.output
                .send(Output::Stderr(chunk.to_vec()))
                .await
                .map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Ends the process with this code.
    pub(crate) async fn exit(&self, code: i32) {
        // Nobody left to tell is no failure.
        let _ = self.output.send(Output::Exit(code)).await;
    }

    /// Reads one line without its end; `None` at the end of input, or when a line never ends.
    pub(crate) async fn line(&mut self) -> Option<Vec<u8>> {
        loop {
            let fresh = self.rest.get(self.searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let tail = self.rest.split_off(self.searched + at + 1);
                let mut line = std::mem::replace(&mut self.rest, tail);
                self.searched = 0;
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Some(line);
            }
            self.searched = self.rest.len();
            match self.receive().await {
                Some(_) if self.rest.len() > MAX_LINE => return None,
                Some(bytes) => self.rest.extend_from_slice(&bytes),
                None if self.rest.is_empty() => return None,
                None => {
                    self.searched = 0;
                    return Some(std::mem::take(&mut self.rest));
                }
            }
        }
    }

    /// Reads everything up to the end of input.
    pub(crate) async fn all(&mut self) -> Vec<u8> {
        while let Some(bytes) = self.receive().await {
            if self.rest.len() > MAX_LINE {
                break;
            }
            self.rest.extend_from_slice(&bytes);
        }
        self.searched = 0;
        std::mem::take(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_survive_any_cut() {
        let text = b"first\r\n\nsecond line\nlast";
        for size in 1..text.len() {
            let (sender, input) = mpsc::channel(64);
            let (output, _reader) = mpsc::channel(1);
            for chunk in text.chunks(size) {
                sender.send(chunk.to_vec()).await.unwrap();
            }
            drop(sender);
            let mut stdio = Stdio::new(input, output);
            let mut lines = Vec::new();
            while let Some(line) = stdio.line().await {
                lines.push(String::from_utf8(line).unwrap());
            }
            assert_eq!(
                lines,
                ["first", "", "second line", "last"],
                "chunks of {size}"
            );
        }
    }
}
