//! Pages for the person who goes to a PC that nobody reaches over the network: what was found, and
//! what to do there, with this PC's names filled in.
//!
//! Each page is one HTML file that needs nothing else, for A4. What PCs and inventories say is text
//! and never markup.

mod file_name;
mod html;
mod steps;
mod story;
mod words;

pub use file_name::file_names;
pub use story::Story;

use fleetmend_model::{Outcome, RunId};
use jiff::Timestamp;

use crate::HostReport;

/// In which languages pages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Languages {
    /// English.
    En,
    /// Japanese.
    Ja,
    /// First Japanese, then English, a sheet each.
    Both,
}

/// The script for a USB stick that goes with the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stick {
    /// Its file's name.
    pub file: String,
    /// The SHA-256 of the file, in hex, for comparing before it is run.
    pub sha256: String,
    /// Whether it carries an Authenticode signature.
    pub signed: bool,
}

/// A PC that needs a person.
#[derive(Clone, Debug)]
pub struct Pc<'a> {
    /// How it ended.
    pub host: &'a HostReport,
    /// What happened on it.
    pub story: Story,
    /// Where the inventory has it.
    pub address: String,
    /// What the inventory may call its account: `pc-001`.
    pub names: Vec<String>,
    /// The local account with which it was to be logged on, if that is known.
    pub account: Option<String>,
    /// Whether it is no Windows PC.
    pub posix: bool,
}

/// All that the pages of one run tell.
#[derive(Clone, Debug)]
pub struct Pages<'a> {
    /// Which run.
    pub run: RunId,
    /// Its playbook.
    pub subject: String,
    /// When the pages were made.
    pub made: Timestamp,
    /// The languages.
    pub languages: Languages,
    /// The domain of the run's PCs, where they agree: for those that could not say it themselves.
    pub domain: Option<String>,
    /// The script, if there is one for Windows PCs.
    pub stick: Option<Stick>,
    /// The PCs, in the order of the run.
    pub pcs: Vec<Pc<'a>>,
}

impl Pages<'_> {
    /// Returns the files, each with its name: the list, all sheets for printing at once, and one
    /// for each PC.
    pub fn files(&self) -> Vec<(String, String)> {
        let names = file_names(self.pcs.iter().map(|pc| pc.host.host.0.as_str()));
        let mut files = vec![
            ("index.html".to_owned(), html::index(self, &names)),
            ("all.html".to_owned(), html::all(self)),
        ];
        for (pc, name) in self.pcs.iter().zip(&names) {
            files.push((name.clone(), html::one(self, pc)));
        }
        files
    }
}

impl Pc<'_> {
    /// Returns what the PC calls itself, else what the inventory may call it, in capitals.
    fn computer(&self) -> String {
        let told = self.story.fact("/computer/name");
        let name = told.or_else(|| self.names.first().cloned());
        name.unwrap_or_else(|| self.host.host.0.clone())
            .to_uppercase()
    }

    /// Tells whether nobody could speak with it.
    fn is_silent(&self) -> bool {
        matches!(self.host.outcome(), Some(Outcome::Unreachable { .. }))
    }

    /// Tells whether it refused the logon.
    fn is_locked(&self) -> bool {
        matches!(self.host.outcome(), Some(Outcome::AccessDenied { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RunReport, testing};

    fn pages(report: &RunReport, languages: Languages) -> Vec<(String, String)> {
        let pcs = report.hosts.iter().filter(|host| !host.is_well());
        let pcs = pcs.map(|host| Pc {
            host,
            story: Story::default(),
            address: "<b>10.0.0.1</b>".into(),
            names: vec!["pc-x".into()],
            account: Some("fleet<admin>".into()),
            posix: false,
        });
        let pages = Pages {
            run: report.run.unwrap(),
            subject: "trust-repair".into(),
            made: "2026-07-24T09:00:00Z".parse().unwrap(),
            languages,
            domain: Some("corp.example.jp".into()),
            stick: Some(Stick {
                file: "fleetmend-handoff.ps1".into(),
                sha256: "ab".repeat(32),
                signed: false,
            }),
            pcs: pcs.collect(),
        };
        pages.files()
    }

    #[test]
    fn what_others_say_is_text() {
        let mut records = testing::repair_run();
        for record in &mut records {
            if let fleetmend_model::Event::Host {
                what: fleetmend_model::HostEvent::Finished { result },
                ..
            } = &mut record.event
            {
                result.reason = "</p><script>alert('x')</script>\u{202e}&amp;".into();
                result.next = "\"><img src=http://x/ onerror=1>".into();
            }
        }
        let report = RunReport::from_records(&records);
        for (name, html) in pages(&report, Languages::Both) {
            assert!(!html.contains("<script"), "{name}");
            assert!(!html.contains("<img") && !html.contains("<b>10"), "{name}");
            assert!(!html.contains('\u{202e}'), "{name}");
            assert!(!html.contains("src=\"") && !html.contains("url("), "{name}");
            assert!(!html.contains("href=\"http"), "{name}");
            if name != "index.html" {
                assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{name}");
                assert!(html.contains("fleet&lt;admin&gt;"), "{name}");
            }
        }
    }

    #[test]
    fn every_pc_has_its_sheet_in_each_language() {
        let report = RunReport::from_records(&testing::repair_run());
        let files = pages(&report, Languages::Both);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "index.html",
                "all.html",
                "pc-003.corp.example.jp.html",
                "経理-04.html",
                "pc-005.html",
                "pc-006.html"
            ]
        );
        let (_, all) = &files[1];
        assert_eq!(all.matches("<section class=\"sheet\"").count(), 8);
        let (_, one) = &files[3];
        for text in [
            "nltest /sc_query:corp.example.jp",
            "PC-X\\Administrator",
            "ワークグループ",
            "LAN ケーブル",
            "BitLocker は再起動で回復キーを求める状態です",
            "Get-FileHash",
            "□",
        ] {
            assert!(one.contains(text), "{text}\n{one}");
        }
        let english = pages(&report, Languages::En);
        assert!(!english[2].1.contains("ワークグループ"));
        let japanese = pages(&report, Languages::Ja);
        assert!(!japanese[2].1.contains("Workgroup:"));
    }
}
