//! Shipped playbooks, exported ones and those on disk.

use std::fs;

use fleetmend_playbooks::{ExportError, Playbook, export, library, library_scripts};

#[test]
fn ships_trust_repair() {
    assert_eq!(library(), ["trust-repair"]);
    let error = Playbook::load("trust-repeir").unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to find a shipped playbook named `trust-repeir`, did you mean `trust-repair`?"
    );
}

#[test]
fn names_every_script_once() {
    let mut names: Vec<_> = library_scripts()
        .unwrap()
        .iter()
        .map(|script| script.name.clone())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "trust-repair/diagnose.ps1",
            "trust-repair/netlogon-rediscover.ps1",
            "trust-repair/sc-reset.ps1",
            "trust-repair/secure-channel-repair.ps1",
            "trust-repair/verify.ps1"
        ]
    );
}

#[test]
fn an_exported_playbook_is_the_same_until_it_is_edited() {
    let folder = tempfile::tempdir().unwrap();
    let files = export("trust-repair", folder.path()).unwrap();
    assert_eq!(
        files.first(),
        Some(&folder.path().join("trust-repair.yaml"))
    );
    assert_eq!(files.len(), 18);

    let shipped = Playbook::load_shipped("trust-repair").unwrap();
    let path = folder.path().join("trust-repair.yaml");
    let exported = Playbook::load(path.to_str().unwrap()).unwrap();
    assert_eq!(exported.digest, shipped.digest);
    assert_eq!(shipped.digest.len(), 64);

    // Another line end is no edit, another script is.
    let script = folder.path().join("trust-repair/sc-reset.ps1");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(&script, text.replace('\n', "\r\n")).unwrap();
    assert_eq!(Playbook::load_file(&path).unwrap().digest, shipped.digest);
    fs::write(&script, format!("{text}# mine\n")).unwrap();
    assert_ne!(Playbook::load_file(&path).unwrap().digest, shipped.digest);
    fs::write(&script, &text).unwrap();
    assert_eq!(Playbook::load_file(&path).unwrap().digest, shipped.digest);

    // What a script includes is part of it.
    let included = folder.path().join("trust-repair/include/probe.ps1");
    fs::write(&included, "# mine\n").unwrap();
    assert_ne!(Playbook::load_file(&path).unwrap().digest, shipped.digest);
    fs::remove_file(&included).unwrap();
    let error = Playbook::load_file(&path).unwrap_err().to_string();
    assert!(
        error.contains("the file `trust-repair/include/probe.ps1` is missing"),
        "{error}"
    );
}

#[test]
fn export_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("trust-repair").join("verify.ps1");
    fs::create_dir_all(taken.parent().unwrap()).unwrap();
    fs::write(&taken, "mine").unwrap();
    let error = export("trust-repair", folder.path()).unwrap_err();
    assert!(matches!(error, ExportError::Exists { path } if path == taken));
    assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
    assert!(!folder.path().join("trust-repair.yaml").exists());
    assert!(matches!(
        export("../trust-repair", folder.path()),
        Err(ExportError::NotShipped { .. })
    ));
}

#[test]
fn every_field_of_every_schema_says_what_it_means() {
    let mut silent = Vec::new();
    for script in library_scripts().unwrap() {
        for schema in [&script.takes, &script.gives] {
            describe(schema, &script.name, &mut silent);
        }
    }
    assert!(silent.is_empty(), "{silent:?}");
}

fn describe(schema: &serde_json::Value, place: &str, silent: &mut Vec<String>) {
    if let Some(fields) = schema
        .get("properties")
        .and_then(serde_json::Value::as_object)
    {
        if schema.get("additionalProperties") != Some(&serde_json::Value::Bool(false)) {
            silent.push(format!("{place} is open"));
        }
        for (name, field) in fields {
            let place = format!("{place}/{name}");
            if field.get("description").is_none() {
                silent.push(place.clone());
            }
            describe(field, &place, silent);
        }
    }
    if let Some(items) = schema.get("items") {
        describe(items, &format!("{place}[]"), silent);
    }
}
