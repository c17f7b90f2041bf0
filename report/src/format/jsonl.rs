//! One line of JSON for each record: the stream itself.

use fleetmend_model::Record;

/// Returns the record as one line of JSON, without the line feed.
///
/// # Errors
/// `serde_json::Error`, which a record of the model cannot cause.
pub fn jsonl(record: &Record) -> serde_json::Result<String> {
    serde_json::to_string(record)
}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn shows_one_record_a_line() {
        let lines: Vec<String> = testing::repair_run()[..4]
            .iter()
            .map(|record| super::jsonl(record).unwrap())
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"run":"01920000-0000-7000-8000-000000000001","seq":1,"at":"2026-07-24T08:00:01Z","event":"run-started","mode":"repair","subject":"trust-repair","digest":"5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e","version":"0.1.0","hosts":["pc-001","pc-002","pc-003.corp.example.jp","経理-04","pc-005","pc-006"]}
        {"run":"01920000-0000-7000-8000-000000000001","seq":2,"at":"2026-07-24T08:00:02Z","event":"host","host":"pc-002","what":{"what":"connecting"}}
        {"run":"01920000-0000-7000-8000-000000000001","seq":3,"at":"2026-07-24T08:00:03Z","event":"host","host":"pc-002","what":{"what":"connected","transport":"winrm-http","address":"127.0.1.2:5985"}}
        {"run":"01920000-0000-7000-8000-000000000001","seq":4,"at":"2026-07-24T08:00:04Z","event":"host","host":"pc-002","what":{"what":"rung-started","rung":"restart-netlogon"}}
        "#);
    }

    #[test]
    fn reads_back_the_same() {
        for record in testing::repair_run() {
            let line = super::jsonl(&record).unwrap();
            assert!(!line.contains('\n'));
            let back: fleetmend_model::Record = serde_json::from_str(&line).unwrap();
            assert_eq!(back, record);
        }
    }
}
