//! The terminal while a password is typed. rpassword reads the keys; but it asks before it turns
//! the echo off, so that what a quick typist or a script answers is seen, and at Ctrl-C it raises
//! the signal before it has turned the echo on again. So the terminal is set here.

use std::fs::File;
use std::io::{self, Read, Write};

use rpassword::{ConfigBuilder, prompt_password_with_config};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

/// What Ctrl-C sends where it is no signal.
const CTRL_C: u8 = 3;

/// Asks, and returns what is typed until Enter.
///
/// # Errors
/// The terminal fails; of the kind `Interrupted`: the operator pressed Ctrl-C.
pub(super) fn ask(question: &str) -> io::Result<String> {
    let silent = Silent::begin()?;
    let config = ConfigBuilder::new()
        .input_reader(Keys(silent.terminal.try_clone()?))
        .output_writer(silent.terminal.try_clone()?);
    let typed = prompt_password_with_config(question, config.build());
    (&silent.terminal).write_all(b"\n")?;
    typed
}

/// A terminal that shows nothing, and gives each key as it is pressed, until this is dropped.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn begin() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes -=
            LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// The keys, up to Ctrl-C.
struct Keys(File);

impl Read for Keys {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        match buffer.iter().take(count).any(|key| *key == CTRL_C) {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(count),
        }
    }
}
