//! Finds the answer line among whatever else a process prints.

use super::frame::Marker;
use super::text;

/// The longest answer line that is accepted: 64 MiB.
pub const ANSWER_LIMIT: usize = 64 << 20;

/// How much of one stray line is kept.
const STRAY_LINE: usize = 4096;

/// How many stray lines are kept between two looks.
const STRAY_LINES: usize = 200;

/// The answer is longer than [`ANSWER_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Splits standard output into lines, finds the one awaited answer and keeps the rest, bounded,
/// as diagnostics. It works however the bytes are cut.
#[derive(Debug, Default)]
pub struct AnswerReader {
    /// `MARKER ID ` of the awaited answer.
    awaited: Option<Vec<u8>>,
    /// The line so far.
    line: Vec<u8>,
    stray: Vec<String>,
    dropped: usize,
}

impl AnswerReader {
    /// Awaits the answer to this request; every other line is stray.
    pub fn await_answer(&mut self, marker: &Marker, id: u64) {
        self.awaited = Some(format!("{marker} {id} ").into_bytes());
    }

    /// Takes bytes of standard output; returns the JSON of the awaited answer once its line is
    /// complete.
    ///
    /// # Errors
    /// [`TooLong`] when the answer grows beyond all bounds.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Option<Vec<u8>>, TooLong> {
        let mut answer = None;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.extend(line)?;
            if let Some(json) = self.end_line() {
                answer = Some(json);
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.extend(bytes)?;
        Ok(answer)
    }

    /// Returns the stray lines since the last call.
    pub fn take_stray(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.stray);
        if self.dropped > 0 {
            lines.push(format!(
                "… and {} more lines",
                std::mem::take(&mut self.dropped)
            ));
        }
        lines
    }

    /// Returns the stray lines and what of the last line there is: the process has ended.
    pub fn finish(&mut self) -> Vec<String> {
        self.awaited = None;
        self.end_line();
        self.take_stray()
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let is_answer = self.awaited.as_ref().is_some_and(|awaited| {
            let begin = self.line.iter().chain(bytes).take(awaited.len());
            begin.eq(awaited.iter())
        });
        if is_answer {
            if self.line.len() + bytes.len() > ANSWER_LIMIT {
                return Err(TooLong);
            }
            self.line.extend_from_slice(bytes);
        } else {
            let room = STRAY_LINE.saturating_sub(self.line.len());
            self.line
                .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        Ok(())
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let mut line = std::mem::take(&mut self.line);
        if let Some(awaited) = &self.awaited
            && line.starts_with(awaited)
        {
            line.drain(..awaited.len());
            self.awaited = None;
            return Some(line);
        }
        let text = text::decode(&line);
        let text = text.trim_end();
        if !text.is_empty() {
            if self.stray.len() < STRAY_LINES {
                self.stray.push(text.to_owned());
            } else {
                self.dropped += 1;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &str = "0123456789abcdef0123456789abcdef";

    fn reader() -> AnswerReader {
        let mut reader = AnswerReader::default();
        reader.await_answer(&MARKER.parse().unwrap(), 2);
        reader
    }

    #[test]
    fn finds_the_answer_wherever_the_bytes_are_cut() {
        let mut stream = b"stray \x93\xfa\x96\x7b without end\n".to_vec();
        stream.extend(format!("{MARKER} 2 {{\"ok\":true}}\nafter\n").bytes());
        for cut in 0..stream.len() {
            let mut reader = reader();
            let (head, tail) = stream.split_at(cut);
            let answers: Vec<_> = [head, tail]
                .into_iter()
                .filter_map(|part| reader.push(part).unwrap())
                .collect();
            assert_eq!(answers, [b"{\"ok\":true}"], "cut at {cut}");
            assert_eq!(reader.take_stray(), ["stray 日本 without end", "after"]);
        }
    }

    #[test]
    fn never_takes_a_line_of_another_marker_or_id() {
        let mut reader = reader();
        let other = MARKER.replace('0', "1");
        let text = format!(
            "{other} 2 {{}}\n{MARKER} 1 {{}}\n{MARKER} 20 {{}}\nx{MARKER} 2 {{}}\n {MARKER} 2 {{}}\n"
        );
        assert_eq!(reader.push(text.as_bytes()).unwrap(), None);
        assert_eq!(reader.take_stray().len(), 5);
        assert_eq!(
            reader
                .push(format!("{MARKER} 2 x\r\n").as_bytes())
                .unwrap()
                .unwrap(),
            b"x\r"
        );
        // The same answer again is stray: each is taken once.
        assert_eq!(
            reader.push(format!("{MARKER} 2 x\n").as_bytes()).unwrap(),
            None
        );
    }

    #[test]
    fn stray_output_is_bounded() {
        let mut reader = reader();
        for _ in 0..1000 {
            reader.push(&[b'x'; 10_000]).unwrap();
        }
        assert!(reader.line.len() <= STRAY_LINE);
        for _ in 0..1000 {
            reader.push(b"line\n").unwrap();
        }
        let stray = reader.take_stray();
        assert_eq!(stray.len(), STRAY_LINES + 1);
        assert_eq!(stray[STRAY_LINES], "… and 800 more lines");
        let mut reader = self::reader();
        reader.push(format!("{MARKER} 2 ").as_bytes()).unwrap();
        let megabyte = vec![b'x'; 1 << 20];
        let end = (0..100).find(|_| reader.push(&megabyte).is_err());
        assert_eq!(end, Some(63));
    }
}
