//! What the probes of a script may take together fits into the deadline of its step. Else a PC
//! where nothing answers would end as unknown, not as what the probes found.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use fleetmend_playbooks::{Playbook, Step, library};
use regex::Regex;

/// Functions whose last argument is how long they may take, in milliseconds.
const BOUNDED: &str = "Invoke-Netlogon|Invoke-NetlogonApi|Invoke-Nltest|Invoke-BoundedCmdlet|\
                       Invoke-Tool|Invoke-SystemTask|Find-DomainController|Resolve-Addresses|Resolve-Address|Test-Ports|\
                       Invoke-Tool";

static WAITS: LazyLock<[(Regex, u64); 4]> = LazyLock::new(|| {
    [
        (r"-OperationTimeoutSec (\d+)", 1000),
        (r"FromSeconds\((\d+)\)", 1000),
        (r"Start-Sleep -Seconds (\d+)", 1000),
        (r"ReceiveTimeout = (\d+)", 1),
    ]
    .map(|(pattern, unit)| (Regex::new(pattern).unwrap(), unit))
});
static CALL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!(r"(^|[^\w-])({BOUNDED}) (.*)")).unwrap());
static LAST: LazyLock<Regex> = LazyLock::new(|| Regex::new(r".*\b(\d{4,7})\b").unwrap());

/// What starting PowerShell's parts and everything else takes at most.
const SPARE: Duration = Duration::from_secs(20);

/// Milliseconds that each function and the script itself (``) may wait, by what stands in the text.
struct Budget {
    parts: BTreeMap<String, Vec<(String, u64)>>,
}

impl Budget {
    fn read(text: &str) -> Self {
        let mut parts: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
        let mut part = String::new();
        let mut times = 1;
        for line in text.lines() {
            if line.trim_start().starts_with('#') {
                continue;
            }
            if let Some(rest) = line.strip_prefix("function ") {
                let end = rest.find(['(', ' ']).unwrap();
                part = rest.split_at(end).0.to_owned();
                continue;
            }
            if line.starts_with("foreach ($run in 1, 2) {") {
                times = 2;
            }
            let entry = parts.entry(part.clone()).or_default();
            entry.push((line.to_owned(), times));
            if line == "}" {
                part.clear();
                times = 1;
            }
        }
        Self { parts }
    }

    fn of(&self, part: &str, tcp: u64) -> u64 {
        self.sum(part, tcp, &mut BTreeMap::new())
    }

    fn sum(&self, part: &str, tcp: u64, known: &mut BTreeMap<String, u64>) -> u64 {
        if let Some(sum) = known.get(part) {
            return *sum;
        }
        // One that calls itself is counted once.
        known.insert(part.to_owned(), 0);
        let mut sum = 0;
        for (line, times) in &self.parts[part] {
            let mut cost = waits(line) + calls(line, tcp);
            let words: Vec<&str> = line
                .split(|letter: char| !(letter.is_alphanumeric() || letter == '-'))
                .collect();
            for name in self.parts.keys().filter(|name| !name.is_empty()) {
                if words.contains(&name.as_str()) {
                    cost += self.sum(name, tcp, known);
                }
            }
            sum += cost * times;
        }
        known.insert(part.to_owned(), sum);
        sum
    }
}

/// Waits that stand in the line themselves.
fn waits(line: &str) -> u64 {
    let mut sum = 0;
    for (pattern, unit) in WAITS.iter() {
        for found in pattern.captures_iter(line) {
            sum += found[1].parse::<u64>().unwrap() * unit;
        }
    }
    assert!(
        !line.contains("Get-CimInstance") || line.contains("-OperationTimeoutSec"),
        "without a limit: {line}"
    );
    assert!(!line.contains("WaitForExit()"), "without a limit: {line}");
    sum
}

/// A call of a bounded function, by its last argument.
fn calls(line: &str, tcp: u64) -> u64 {
    let Some(found) = CALL.captures(line) else {
        return 0;
    };
    let rest = &found[3];
    if let Some(number) = LAST.captures(rest) {
        return number[1].parse().unwrap();
    }
    if rest.contains("tcp_timeout_ms") {
        return tcp;
    }
    // Handed on by a function, it is counted where that is called.
    assert!(rest.contains("$Milliseconds"), "without a limit: {line}");
    0
}

fn longest(step: &Step) -> Duration {
    let tcp = step
        .with
        .iter()
        .find(|(name, _)| name == "tcp_timeout_ms")
        .map_or(0, |(_, value)| value.text.parse().unwrap());
    Duration::from_millis(Budget::read(&step.script.text).of("", tcp))
}

#[test]
fn the_probes_of_every_step_fit_into_its_deadline() {
    let mut seen = BTreeMap::new();
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let rungs = playbook.ladder.iter().flat_map(|rung| &rung.steps);
        let steps = [&playbook.diagnose, &playbook.verify.step];
        // What the controller does ends by its own clock; for sh, `timeout` bounds each probe.
        let scripts = steps
            .into_iter()
            .chain(rungs)
            .filter(|step| step.action().is_none() && step.script.name.ends_with(".ps1"));
        for step in scripts {
            let longest = longest(step);
            assert!(
                longest + SPARE <= step.deadline,
                "{} may take {longest:?} and has {:?}",
                step.script.name,
                step.deadline
            );
            seen.insert(step.script.name.clone(), longest.as_secs());
        }
    }
    // That the sum is one: what is known of each by hand.
    for (name, least) in [
        ("trust-repair/diagnose.ps1", 200),
        ("trust-repair/netlogon-rediscover.ps1", 155),
        ("trust-repair/sc-reset.ps1", 70),
        ("trust-repair/secure-channel-repair.ps1", 70),
        ("trust-repair/store-machine-password.ps1", 185),
        ("trust-repair/rotate-machine-password.ps1", 110),
        ("trust-repair/ksetup-machine-password.ps1", 40),
        ("trust-repair/verify.ps1", 124),
    ] {
        let Some(sum) = seen.get(name) else {
            panic!("{name} is gone")
        };
        assert!(*sum >= least, "{name}: {sum}");
    }
}

#[test]
fn the_sum_counts_loops_and_functions() {
    let text = "function Ask([string]$A) {\n    Invoke-BoundedCmdlet $A @{} 5000\n}\n\
                # Ask\nforeach ($run in 1, 2) {\n    Start-Sleep -Seconds 2\n    Ask 'x'\n}\n\
                $r = Get-CimInstance A -OperationTimeoutSec 10\nTest-Ports $a @(53, 88) $Params.tcp_timeout_ms\n";
    assert_eq!(Budget::read(text).of("", 3000), 2 * 7000 + 10_000 + 3000);
}
