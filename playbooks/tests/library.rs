//! Shipped playbooks, exported ones and those on disk.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fleetmend_model::DirectoryAction;
use fleetmend_playbooks::{ExportError, Playbook, action_file, export, library, library_scripts};

#[test]
fn ships_trust_repair() {
    assert!(library().contains(&"trust-repair"));
    let error = Playbook::load("trust-repeir").unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to find a shipped playbook named `trust-repeir`, did you mean `trust-repair`?"
    );
}

/// Returns the names of files in the library's folder of a playbook, `PLAYBOOK/FILE`.
fn on_disk(playbook: &str) -> BTreeSet<String> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
    let mut names = BTreeSet::new();
    for folder in [playbook.to_owned(), format!("{playbook}/include")] {
        let entries = fs::read_dir(library.join(&folder)).into_iter().flatten();
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_file() {
                let file = path.file_name().unwrap().to_string_lossy();
                names.insert(format!("{folder}/{file}"));
            }
        }
    }
    names
}

/// A script that no step runs is one that nobody tests.
#[test]
fn every_script_is_run_by_a_step_and_named_once() {
    let shipped = library_scripts().unwrap();
    let names: BTreeSet<_> = shipped.iter().map(|script| script.name.clone()).collect();
    assert_eq!(names.len(), shipped.len());
    assert!(names.contains("trust-repair/diagnose.ps1"));
    for playbook in library() {
        let files = on_disk(playbook);
        let is_script = |name: &&String| name.ends_with(".ps1") || name.ends_with(".sh");
        let include = format!("{playbook}/include/");
        let run = files.iter().filter(is_script);
        let run = run.filter(|name| !name.starts_with(&include));
        for script in run {
            assert!(names.contains(script), "no step runs {script}");
        }
    }
}

/// What the controller does is no script, so the lab and the export have none for it.
#[test]
fn actions_are_not_among_the_scripts() {
    for script in library_scripts().unwrap() {
        assert!(!script.name.starts_with("directory/"), "{}", script.name);
        assert!(!script.text.is_empty(), "{}", script.name);
    }
}

#[test]
fn an_exported_playbook_is_the_same_until_it_is_edited() {
    let folder = tempfile::tempdir().unwrap();
    let files = export("trust-repair", folder.path()).unwrap();
    assert_eq!(
        files.first(),
        Some(&folder.path().join("trust-repair.yaml"))
    );
    let shipped = Playbook::load_shipped("trust-repair").unwrap();
    // It does not load without the playbooks for hosts of other platforms.
    let names = || std::iter::once(&shipped.name).chain(&shipped.also);
    let own: BTreeSet<_> = names()
        .flat_map(|name| on_disk(name).into_iter().chain([format!("{name}.yaml")]))
        .map(|file| folder.path().join(file))
        .collect();
    let files: BTreeSet<_> = files.into_iter().collect();
    let missing: Vec<_> = own.difference(&files).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // What playbooks share comes with the one that uses it, and nothing else.
    let scripts: Vec<_> = own
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let shared: Vec<_> = files.difference(&own).collect();
    assert!(shared.contains(&&folder.path().join("include/probe.ps1")));
    for path in shared {
        assert_eq!(path.parent(), Some(folder.path().join("include").as_path()));
        let name = path.file_name().unwrap().to_string_lossy();
        let line = format!("#include {name}\n");
        assert!(
            scripts.iter().any(|script| script.contains(&line)),
            "{line}"
        );
    }
    // Another one that shares them can be exported beside it.
    let beside = export("local-admin-access", folder.path()).unwrap();
    assert!(beside.contains(&folder.path().join("include/probe.ps1")));

    let path = folder.path().join("trust-repair.yaml");
    let exported = Playbook::load(path.to_str().unwrap()).unwrap();
    assert_eq!(exported.digest, shipped.digest);
    let also = exported.load_also(path.to_str().unwrap()).unwrap();
    let digests: Vec<_> = also.iter().map(|sibling| &sibling.digest).collect();
    let siblings = shipped.load_also("trust-repair").unwrap();
    let expected: Vec<_> = siblings.iter().map(|sibling| &sibling.digest).collect();
    assert_eq!(digests, expected);
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

    // What a script includes is part of it; a playbook's own file goes before the shared one.
    let own = folder.path().join("trust-repair/include/probe.ps1");
    fs::write(&own, "# mine\n").unwrap();
    assert_ne!(Playbook::load_file(&path).unwrap().digest, shipped.digest);
    fs::remove_file(&own).unwrap();
    assert_eq!(Playbook::load_file(&path).unwrap().digest, shipped.digest);
    let included = folder.path().join("include/probe.ps1");
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
    let actions = DirectoryAction::ALL.map(|action| action_file(action).unwrap());
    for script in library_scripts().unwrap().iter().chain(&actions) {
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
