//! The example that the guide shows is one that is read.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use fleetmend_credentials::Settings;
use fleetmend_credentials::settings::Origin;
use fleetmend_model::CredentialRef;

fn guide(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide");
    std::fs::read_to_string(path.join(name)).unwrap()
}

#[test]
fn the_example_is_read_and_has_every_source() {
    let settings = Settings::read(&guide("credentials.example.yaml"), Path::new("x.yaml"));
    let settings = settings.unwrap();
    let mut kinds: Vec<&str> = settings
        .names()
        .flat_map(|name| &settings.credential(name).unwrap().from)
        .filter_map(|one| one.password.as_ref().map(Origin::kind))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "LAPS",
            "command",
            "file",
            "file named by the environment",
            "keyring",
            "prompt",
            "vault"
        ]
    );
    let ssh = settings.credential(&CredentialRef("ssh-key".into()));
    assert!(ssh.unwrap().from.first().unwrap().ssh.is_some());
    assert!(!settings.groups().is_empty() && settings.directory().is_some());
    assert_eq!(settings.ansible_vault().len(), 2);
}

/// Every block of YAML in the guide is a file, or a part of one.
#[test]
fn the_guide_shows_what_is_read() {
    let page = guide("credentials.md");
    let blocks = page.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let mut seen = 0;
    for block in blocks {
        seen += 1;
        let text = if block.starts_with("version") {
            block.to_owned()
        } else if block.starts_with("groups") {
            format!(
                "version: 1\ncredentials: {{laps: {{laps: {{}}}}, kiosk: {{laps: {{}}}}}}\n{block}"
            )
        } else {
            let inner: String = block.lines().map(|line| format!("  {line}\n")).collect();
            format!("version: 1\nvaults: {{default: {{file: v}}}}\ncredentials:\n{inner}")
        };
        Settings::read(&text, Path::new("guide.yaml")).expect(block);
    }
    assert_eq!(seen, 4);
}
