//! The table of docs/coverage.md names only what is there, and every rung of every shipped playbook.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fleetmend_playbooks::{Guard, Playbook, library};

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Returns the cells of every row of the tables: statement, what does it, what shows it, what only
/// Windows proves.
fn rows() -> Vec<Vec<String>> {
    let text = read("docs/coverage.md");
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<Vec<String>> = lines
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
        })
        .map(Iterator::collect)
        .filter(|row: &Vec<String>| row[0] != "statement" && !row[0].starts_with("---"))
        .collect();
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
    assert!(rows.len() > 60, "{}", rows.len());
    rows
}

/// Returns what stands in a cell between backquotes.
fn spans(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Rungs, guards and causes of every shipped playbook, as `PLAYBOOK/ID`.
fn parts() -> (BTreeSet<String>, BTreeSet<String>) {
    let mut rungs = BTreeSet::new();
    let mut others = BTreeSet::new();
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        others.extend(
            playbook
                .causes
                .iter()
                .map(|cause| format!("{name}/{}", cause.id)),
        );
        for rung in &playbook.ladder {
            rungs.insert(format!("{name}/{}", rung.id));
            let looked_at = rung
                .preflight
                .iter()
                .flat_map(|preflight| &preflight.guards);
            let guards = rung.guards.iter().chain(looked_at);
            others.extend(guards.map(|guard: &Guard| format!("{name}/{}", guard.name)));
        }
    }
    (rungs, others)
}

#[test]
fn what_does_it_is_there() {
    let (rungs, others) = parts();
    let options: String = ["run.rs", "reboot.rs"]
        .map(|file| read(&format!("cli/src/args/{file}")).replace('_', "-"))
        .concat();
    let mut wrong = Vec::new();
    for row in rows() {
        for span in spans(&row[1]) {
            let known = library().contains(&span)
                || rungs.contains(span)
                || others.contains(span)
                || span
                    .strip_prefix("--")
                    .is_some_and(|name| options.contains(&format!(") {name}:")))
                || (span.contains('.') && root().join(span).exists());
            if !known {
                wrong.push(format!("{}: {span}", row[0]));
            }
        }
        if spans(&row[1]).is_empty() {
            wrong.push(format!("{}: nothing does it", row[0]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rung_is_in_the_table() {
    let rows = rows();
    let named: BTreeSet<&str> = rows.iter().flat_map(|row| spans(&row[1])).collect();
    let (rungs, _) = parts();
    let forgotten = rungs.iter().filter(|rung| !named.contains(rung.as_str()));
    assert_eq!(forgotten.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// A test is `FILE::FUNCTION`, a case `PLAYBOOK/CASE`.
#[test]
fn what_shows_it_is_there() {
    let mut wrong = Vec::new();
    let mut files: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let rows = rows();
    for row in &rows {
        for span in spans(&row[2]) {
            let there = match span.split_once("::") {
                Some((file, function)) => {
                    let tests = files.entry(file).or_insert_with(|| tests_of(&read(file)));
                    tests.contains(function)
                }
                None => root().join(format!("playbooks/cases/{span}.yaml")).exists(),
            };
            if !there {
                wrong.push(format!("{}: {span}", row[0]));
            }
        }
        if spans(&row[2]).is_empty() {
            wrong.push(format!("{}: nothing shows it", row[0]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the functions of a file that are tests, and not switched off.
fn tests_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("#[ignore") {
            is_test = false;
        } else if let Some((_, rest)) = line.split_once("fn ")
            && !line.starts_with("//")
        {
            if is_test {
                found.insert(rest.split('(').next().unwrap().to_owned());
            }
            is_test = false;
        }
    }
    found
}

/// The fourth column links to a heading of unproven.md and names rows below it, or is a dash.
#[test]
fn what_only_windows_proves_is_listed() {
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in read("docs/unproven.md").lines() {
        if line.starts_with('#') {
            section = slug(line.trim_start_matches('#').trim());
            sections.entry(section.clone()).or_default();
        } else if let Some(row) = line.strip_prefix("| ") {
            let id = row.split([' ', '|']).next().unwrap();
            sections.get_mut(&section).unwrap().insert(id.to_owned());
        }
    }
    let mut wrong = Vec::new();
    for row in rows() {
        if row[3] == "–" {
            continue;
        }
        let mut links = 0;
        for part in row[3].split('[').skip(1) {
            let (ids, rest) = part.split_once("](unproven.md#").unwrap();
            let heading = rest.split(')').next().unwrap();
            let known = sections.get(heading);
            for id in ids.split(", ") {
                if !known.is_some_and(|known| known.contains(id)) {
                    wrong.push(format!("{}: {id} below {heading}", row[0]));
                }
            }
            links += 1;
        }
        if links == 0 {
            wrong.push(format!("{}: {}", row[0], row[3]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the anchor of a heading, as pages are shown.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}
