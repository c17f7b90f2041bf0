//! `ping.exe`, which administrators also use to wait.

use std::time::Duration;

use super::text::Printed;
use crate::pc::SimPc;

/// What ping was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ping {
    host: String,
    /// `None`: until somebody ends it (`-t`).
    count: Option<u64>,
}

impl Ping {
    /// Reads the arguments; an error is what ping prints about them.
    pub(crate) fn read(arguments: &[String], japanese: bool) -> Result<Self, Printed> {
        let mut ping = Self {
            host: String::new(),
            count: Some(4),
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.to_ascii_lowercase().as_str() {
                "-t" => ping.count = None,
                "-4" | "-6" | "-a" => {}
                "-n" => ping.count = words.next().and_then(|count| count.parse().ok()),
                "-w" | "-l" => drop(words.next()),
                _ if word.starts_with('-') || !ping.host.is_empty() => {
                    return Err(failed(&if japanese {
                        format!("オプション {word} は正しくありません。")
                    } else {
                        format!("Bad parameter {word}.")
                    }));
                }
                _ => ping.host.clone_from(word),
            }
        }
        if ping.host.is_empty() {
            ping.host = "127.0.0.1".to_owned();
        }
        Ok(ping)
    }

    /// Returns what ping says of a host that it does not know; `None`: it knows it.
    pub(crate) fn unknown(&self, pc: &SimPc) -> Option<Printed> {
        let (host, machine) = (self.host.to_ascii_lowercase(), pc.machine());
        let domain = pc.shared().domain();
        let known = host == "127.0.0.1"
            || host == "localhost"
            || host == machine.name.to_ascii_lowercase()
            || domain.controller(&host).is_some();
        let host = &self.host;
        (!known).then(|| {
            failed(&if machine.is_japanese() {
                format!(
                    "ping 要求ではホスト {host} が見つかりませんでした。\
                     ホスト名を確認してもう一度実行してください。"
                )
            } else {
                format!(
                    "Ping request could not find host {host}. Please check the name and try again."
                )
            })
        })
    }

    /// Returns how long all echoes take; `None`: for ever.
    pub(crate) fn time(&self) -> Option<Duration> {
        self.count
            .map(|count| Duration::from_secs(count.saturating_sub(1)))
    }

    /// Returns what it prints at its end.
    pub(crate) fn statistics(&self, japanese: bool) -> Printed {
        let (host, count) = (&self.host, self.count.unwrap_or_default());
        let line = if japanese {
            format!("{host} の ping 統計:")
        } else {
            format!("Ping statistics for {host}:")
        };
        let packets = if japanese {
            format!("    パケット数: 送信 = {count}、受信 = {count}、損失 = 0 (0% の損失)、")
        } else {
            format!("    Packets: Sent = {count}, Received = {count}, Lost = 0 (0% loss),")
        };
        Printed::lines(["", &line, &packets])
    }
}

fn failed(line: &str) -> Printed {
    Printed {
        code: 1,
        ..Printed::lines([line])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            Ping::read(&words, false).map_err(|printed| printed.stdout)
        };
        assert_eq!(
            read(&["-n", "3", "dc"]).unwrap().time(),
            Some(Duration::from_secs(2))
        );
        assert_eq!(read(&["-t", "dc"]).unwrap().time(), None);
        assert_eq!(read(&["a", "b c"]).unwrap_err(), "Bad parameter b c.\r\n");
    }
}
