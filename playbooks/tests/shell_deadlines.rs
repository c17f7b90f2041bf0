//! What a script for `sh` may take on its longest way fits into the deadline of its step. Else a
//! host where nothing answers would end as unknown, not as what the probes found.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_playbooks::{Playbook, library};

/// What everything else takes at most.
const SPARE: Duration = Duration::from_secs(10);

/// How long `timeout -k` of `bounded` waits before it kills what did not end.
const KILLED_AFTER: u64 = 2000;

/// Splits a script into words and signs. Texts are left out, but not the commands in them.
struct Lexer {
    letters: Vec<char>,
    at: usize,
    words: Vec<String>,
    word: String,
}

impl Lexer {
    fn words(text: &str) -> Vec<String> {
        let mut lexer = Self {
            letters: text.chars().collect(),
            at: 0,
            words: Vec::new(),
            word: String::new(),
        };
        while lexer.code() {}
        lexer.end_word();
        lexer.words
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn sign(&mut self, sign: &str) {
        self.end_word();
        self.words.push(sign.to_owned());
    }

    fn starts(&self, what: &str) -> bool {
        let mut rest = self.letters[self.at..].iter();
        what.chars().all(|letter| rest.next() == Some(&letter))
    }

    fn upto(&mut self, end: char) -> String {
        let rest = &self.letters[self.at..];
        let length = rest.iter().position(|letter| *letter == end);
        let found: String = rest[..length.unwrap_or(rest.len())].iter().collect();
        self.at += found.chars().count() + 1;
        found
    }

    /// Reads one letter, or what begins with it.
    fn code(&mut self) -> bool {
        let Some(letter) = self.letters.get(self.at).copied() else {
            return false;
        };
        self.at += 1;
        match letter {
            '\\' => {
                self.at += 1;
                self.word.push('\\');
            }
            '\'' => {
                self.upto('\'');
                self.word.push('\'');
            }
            '"' => self.text(),
            '$' if self.starts("(") => self.substitution(),
            '$' if self.starts("{") => {
                self.upto('}');
                self.word.push('$');
            }
            '#' if self.word.is_empty() => {
                let comment = self.upto('\n');
                let times = comment
                    .trim()
                    .strip_prefix("At most ")
                    .and_then(|rest| rest.strip_suffix(" times."));
                if let Some(times) = times {
                    self.sign(&format!("#{times}"));
                }
                self.sign("\n");
            }
            ';' if self.starts(";") => {
                self.at += 1;
                self.sign(";;");
            }
            ' ' | '\t' => self.end_word(),
            '\n' | ';' | '|' | '&' | '(' | ')' => self.sign(&letter.to_string()),
            _ => self.word.push(letter),
        }
        true
    }

    /// Reads `$(…)` as a group.
    fn substitution(&mut self) {
        let word = std::mem::take(&mut self.word);
        self.at += 1;
        self.sign("(");
        let mut depth = 1;
        while depth > 0 {
            match self.letters.get(self.at) {
                Some('(') => depth += 1,
                Some(')') => depth -= 1,
                _ => {}
            }
            assert!(self.code(), "a substitution without an end");
        }
        // What follows is part of the same word.
        self.word = format!("{word}$");
    }

    fn text(&mut self) {
        loop {
            let letter = *self.letters.get(self.at).unwrap();
            self.at += 1;
            match letter {
                '"' => break,
                '\\' => self.at += 1,
                '$' if self.starts("(") => self.substitution(),
                '$' if self.starts("{") => {
                    self.upto('}');
                }
                _ => {}
            }
        }
        self.word.push('"');
    }
}

/// Milliseconds that a script may wait on its longest way.
struct Budget {
    words: Vec<String>,
    at: usize,
    functions: BTreeMap<String, u64>,
    /// How often the next loop goes round, as a comment before it says.
    times: Option<u64>,
}

impl Budget {
    fn of(text: &str) -> u64 {
        let mut budget = Self {
            words: Lexer::words(text),
            at: 0,
            functions: BTreeMap::new(),
            times: None,
        };
        // Again until what each function takes is known: one may call another that comes later.
        loop {
            let before = budget.functions.clone();
            budget.at = 0;
            let sum = budget.sequence(&[]).0;
            if budget.functions == before {
                return sum;
            }
        }
    }

    fn next(&mut self) -> Option<String> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    /// Sums up to one of these words, where a command may begin; returns which it was.
    fn sequence(&mut self, ends: &[&str]) -> (u64, String) {
        let (mut sum, mut begins) = (0, true);
        while let Some(word) = self.next() {
            // A sign ends a command wherever it stands.
            if ends.contains(&word.as_str()) && (begins || [")", ";;"].contains(&word.as_str())) {
                return (sum, word);
            }
            let starts = begins;
            begins = matches!(
                word.as_str(),
                "\n" | ";" | "|" | "&" | "!" | "{" | "(" | "then" | "do" | "else"
            );
            match word.as_str() {
                name if self.defines() => {
                    let name = name.to_owned();
                    self.at += 2;
                    while self.next().unwrap() != "{" {}
                    let cost = self.sequence(&["}"]).0;
                    self.functions.insert(name, cost);
                }
                "(" => sum += self.sequence(&[")"]).0,
                "{" if starts => sum += self.sequence(&["}"]).0,
                "if" if starts => sum += self.branches(),
                "case" if starts => sum += self.arms(),
                "for" | "while" | "until" if starts => sum += self.rounds(),
                "sleep" if starts => sum += self.seconds(),
                "bounded" => sum += self.seconds() + KILLED_AFTER,
                word => match word.strip_prefix('#').and_then(|word| word.parse().ok()) {
                    Some(found) => (self.times, begins) = (Some(found), true),
                    None => sum += self.functions.get(word).unwrap_or(&0),
                },
            }
        }
        assert!(ends.is_empty(), "without {ends:?}");
        (sum, String::new())
    }

    fn defines(&self) -> bool {
        let next = |ahead: usize| self.words.get(self.at + ahead).map(String::as_str);
        let letters = |word: &str| word.chars().all(|c| c.is_alphanumeric() || c == '_');
        letters(&self.words[self.at - 1]) && next(0) == Some("(") && next(1) == Some(")")
    }

    fn seconds(&mut self) -> u64 {
        let word = self.next().unwrap();
        let seconds: f64 = word
            .parse()
            .unwrap_or_else(|_| panic!("without a limit: {word}"));
        u64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap()
    }

    /// `if`: each condition until one holds, and the dearest branch.
    fn branches(&mut self) -> u64 {
        let condition = self.sequence(&["then"]).0;
        let (branch, end) = self.sequence(&["elif", "else", "fi"]);
        let other = match end.as_str() {
            "elif" => self.branches(),
            "else" => self.sequence(&["fi"]).0,
            _ => 0,
        };
        condition + branch.max(other)
    }

    /// `case`: the word, and the dearest arm.
    fn arms(&mut self) -> u64 {
        let mut dearest = 0;
        let mut word = 0;
        loop {
            let next = self.next().unwrap();
            match next.as_str() {
                "in" => break,
                "(" => word += self.sequence(&[")"]).0,
                _ => {}
            }
        }
        loop {
            match self.next().unwrap().as_str() {
                "esac" => return word + dearest,
                ")" => {
                    let (arm, end) = self.sequence(&[";;", "esac"]);
                    dearest = dearest.max(arm);
                    if end == "esac" {
                        return word + dearest;
                    }
                }
                _ => {}
            }
        }
    }

    fn rounds(&mut self) -> u64 {
        let times = self.times.take();
        let condition = self.sequence(&["do"]).0;
        let round = condition + self.sequence(&["done"]).0;
        let times = times.unwrap_or_else(|| {
            assert_eq!(round, 0, "a loop that waits, without 'At most N times.'");
            0
        });
        round * times
    }
}

#[test]
fn the_longest_way_of_every_script_fits_into_its_deadline() {
    let mut seen = BTreeMap::new();
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let rungs = playbook.ladder.iter().flat_map(|rung| &rung.steps);
        let steps = [&playbook.diagnose, &playbook.verify.step];
        for step in steps.into_iter().chain(rungs) {
            if !step.script.name.ends_with(".sh") {
                continue;
            }
            let longest = Duration::from_millis(Budget::of(&step.script.text));
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
        ("trust-repair-linux/diagnose.sh", 215),
        ("trust-repair-linux/verify.sh", 165),
        ("trust-repair-linux/services-restart.sh", 140),
        ("trust-repair-linux/change-trust-password.sh", 290),
        ("trust-repair-linux/store-machine-password.sh", 240),
        ("trust-repair-linux/offline-join.sh", 225),
        ("trust-repair-linux/join-with-credential.sh", 315),
    ] {
        let Some(sum) = seen.get(name) else {
            panic!("{name} is gone")
        };
        assert!(*sum >= least, "{name}: {sum}");
    }
}

#[test]
fn the_sum_counts_loops_functions_and_the_dearest_branch() {
    for (text, seconds) in [
        ("bounded 5 a\nbounded 6 b | c", 7 + 8),
        (
            "g() {\n  f\n}\nf() {\n  bounded 5 a\n}\nf\nx=$(g) # f\nf 'f' \"f\"",
            21,
        ),
        (
            "echo \"it's ${a-} $(printf '%s' \"$(bounded 3 a)\")\" | b",
            5,
        ),
        (
            "if bounded 1 a; then sleep 2; elif bounded 4 b; then sleep 1; else sleep 9; fi",
            3 + 6 + 9,
        ),
        ("if a; then sleep 7; fi || { sleep 1; }\n! sleep 1", 9),
        (
            "case $(bounded 1 a) in b | 'c d') sleep 1 ;; (e) sleep 4 ;; *) ;; esac\nsleep 2",
            9,
        ),
        (
            "# At most 3 times.\nuntil bounded 1 a; do\n  sleep 1\ndone\nsleep 1",
            13,
        ),
        ("for a in b; do echo; done\nawk '{ if (x) sleep 5\n}'", 0),
        ("a=$(b && echo $((1 + 2)))\nbounded 1 c & wait", 3),
    ] {
        assert_eq!(Budget::of(text), seconds * 1000, "{text}");
    }
}

#[test]
#[should_panic(expected = "a loop that waits")]
fn a_loop_without_a_limit_is_found() {
    Budget::of("while a; do\n  sleep 1\ndone");
}
