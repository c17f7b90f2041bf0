//! The CLIXML reader against what Windows wrote (recordings in the project's shared folder).

#![expect(clippy::print_stdout, reason = "tests")]

use std::path::PathBuf;

use fleetmend_transport::powershell::clixml::{StderrReader, unescape};
use serde_json::Value;

fn recordings() -> Option<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("FLEETMEND_SHARED")
        .map(PathBuf::from)
        .or_else(|| {
            own.ancestors()
                .map(|folder| folder.join("../shared"))
                .find(|path| path.is_dir())
        });
    let folder = shared.map(|shared| shared.join("recordings/psrp/clixml"));
    let found = folder.filter(|folder| folder.is_dir());
    if found.is_none() {
        println!("SKIPPED: CLIXML recordings because the shared folder is not there");
    }
    found
}

/// Returns the messages, the bytes cut in two at `cut`.
fn read(bytes: &[u8], cut: usize) -> Vec<(String, String)> {
    let mut reader = StderrReader::default();
    let (head, tail) = bytes.split_at(cut);
    reader.push(head);
    let mut messages = reader.take(false);
    reader.push(tail);
    messages.extend(reader.take(true));
    messages
        .into_iter()
        .map(|message| (message.stream, message.text))
        .collect()
}

#[test]
fn reads_every_recording_wherever_it_is_cut() {
    let Some(folder) = recordings() else { return };
    let catalog = std::fs::read_to_string(folder.join("catalog.json")).unwrap();
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    let mut errors_seen = 0;
    for file in catalog["files"].as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let whole = read(&bytes, 0);
        for cut in 0..=bytes.len() {
            // Two documents cut apart give their messages apart.
            let texts = |messages: &[(String, String)]| -> String {
                messages
                    .iter()
                    .map(|(_, text)| text.as_str())
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            assert_eq!(
                texts(&read(&bytes, cut)),
                texts(&whole),
                "{name} cut at {cut}"
            );
        }
        let errors: Vec<&str> = whole
            .iter()
            .filter(|(stream, _)| stream == "error")
            .map(|(_, text)| text.as_str())
            .collect();
        errors_seen += errors.len();
        if let Some(expected) = file["expected"]["error_text"].as_str() {
            assert_eq!(errors.join("\n"), expected.trim_end(), "{name}");
        }
        if name.contains("progress-only") || name.contains("progress-japanese") {
            assert_eq!(whole, [], "{name}");
        }
    }
    assert!(errors_seen >= 4, "{errors_seen}");
}

#[test]
fn resolves_the_escapes_of_the_specification() {
    let Some(folder) = recordings() else { return };
    let text = std::fs::read_to_string(folder.join("escapes.json")).unwrap();
    let escapes: Value = serde_json::from_str(&text).unwrap();
    let cases = escapes["cases"].as_array().unwrap();
    assert!(cases.len() >= 9);
    for case in cases {
        let escaped = case["clixml"].as_str().unwrap();
        assert_eq!(
            unescape(escaped),
            case["text"].as_str().unwrap(),
            "{escaped}"
        );
    }
}
