//! Finds what a step script must not do.

use std::collections::BTreeSet;
use std::fmt;

use tree_sitter::Node;

use crate::rules::*;
use crate::tree::{Tree, around, children, every, within};

/// What a script is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It runs as a step.
    Step,
    /// It runs the steps, so it alone may make code out of text.
    Channel,
}

/// One thing wrong.
pub(crate) struct Finding {
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.line, self.rule, self.text)
    }
}

pub(crate) fn check(text: &str, role: Role) -> Vec<Finding> {
    let tree = Tree::parse(text);
    let mut checker = Checker {
        tree: &tree,
        findings: Vec::new(),
    };
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_ascii())
    {
        let text = line.to_owned();
        checker.findings.push(Finding {
            line: index + 1,
            rule: "not ASCII",
            text,
        });
    }
    checker.grammar();
    checker.versions();
    if role == Role::Step {
        checker.header();
        checker.built_commands();
        checker.compiled();
        checker.stray_output();
        checker.prose();
        checker.secrets();
    }
    checker.findings
}

struct Checker<'t> {
    tree: &'t Tree<'t>,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn found(&mut self, node: Node<'_>, rule: &'static str) {
        let text = self.tree.text(node).chars().take(120).collect();
        self.findings.push(Finding {
            line: node.start_position().row + 1,
            rule,
            text,
        });
    }

    fn grammar(&mut self) {
        for node in every(self.tree.root()) {
            if node.is_error() || node.is_missing() {
                self.found(node, "not valid");
            }
        }
    }

    fn header(&mut self) {
        let params = self.tree.all("param_block");
        let top = params.iter().any(|node| {
            around(*node, "function_statement").is_none()
                && self.tree.lower(*node).replace(' ', "") == "param($params)"
        });
        if !top {
            self.found(self.tree.root(), "no param($Params)");
        }
    }

    fn versions(&mut self) {
        for node in self.tree.all("pipeline_chain_tail") {
            self.found(node, "newer than 5.1");
        }
        for kind in ["class_statement", "enum_statement"] {
            for node in self.tree.all(kind) {
                self.found(node, "newer than 3.0");
            }
        }
        for node in self.tree.all("variable") {
            if NEW_VARIABLES.contains(&self.tree.lower(node).as_str()) {
                self.found(node, "newer than 5.1");
            }
        }
        for node in self.tree.all("invokation_expression") {
            let new = self.member(node).is_some_and(|member| member == "new");
            if new && self.tree.child(node, "type_literal").is_some() {
                self.found(node, "newer than 3.0");
            }
        }
        for command in self.tree.all("command") {
            let name = self.name(command);
            if NEW_COMMANDS.contains(&name.as_str()) {
                self.found(command, "newer than 5.1");
            }
            let new = NEW_PARAMETERS
                .iter()
                .filter(|(names, _)| names.contains(&name.as_str()));
            let new: Vec<_> = new.flat_map(|(_, parameters)| *parameters).collect();
            for parameter in self.own(command, "command_parameter") {
                let text = self.tree.lower(parameter);
                let text = text.trim_start_matches('-').trim_end_matches(':');
                if text.len() > 2 && new.iter().any(|new| new.starts_with(text)) {
                    self.found(parameter, "newer than 5.1");
                }
            }
        }
    }

    fn built_commands(&mut self) {
        for command in self.tree.all("command") {
            let name = self.name(command);
            if SHELLS.contains(&name.as_str()) {
                self.found(command, "string-built command");
            }
            if ASKING.contains(&name.as_str()) {
                self.found(command, "asks a person");
            }
            // `&` may be followed by one variable only.
            if self
                .tree
                .child(command, "command_invokation_operator")
                .is_some()
                && !is_variable(&name)
            {
                self.found(command, "string-built command");
            }
        }
        for call in self.tree.all("invokation_expression") {
            let member = self.member(call).unwrap_or_default();
            let of_type = self
                .tree
                .child(call, "type_literal")
                .map(|node| self.tree.lower(node));
            let block = of_type.is_some_and(|name| name.contains("scriptblock"));
            if RUNNING_MEMBERS.contains(&member.as_str()) || (block && member == "create") {
                self.found(call, "string-built command");
            }
        }
    }

    /// `Add-Type` may load an assembly, or compile a text that stands there literally.
    fn compiled(&mut self) {
        for command in self.tree.all("command") {
            if self.name(command) != "add-type" {
                continue;
            }
            let named = |prefix: &str| {
                self.own(command, "command_parameter")
                    .into_iter()
                    .any(|node| self.tree.lower(node).trim_end_matches(':') == prefix)
            };
            let literal = !within(command, "verbatim_here_string_characters").is_empty();
            let built = !within(command, "variable").is_empty()
                || !within(command, "sub_expression").is_empty()
                || !within(command, "parenthesized_expression").is_empty();
            let compiles = named("-typedefinition") && literal;
            if built || !(named("-assemblyname") || compiles) {
                self.found(command, "string-built command");
            }
        }
    }

    /// What a probe leaves on the pipeline would become part of the answer.
    fn stray_output(&mut self) {
        for command in self.tree.all("command") {
            let probe = self.name(command) == "invoke-probe";
            if probe && around(command, "assignment_expression").is_none() {
                self.found(command, "leaves output");
            }
        }
    }

    fn prose(&mut self) {
        for node in self.tree.all("comparison_expression") {
            let Some(operator) = self.tree.child(node, "comparison_operator") else {
                continue;
            };
            let operator = self.tree.lower(operator);
            let operator = operator.trim_start_matches('-');
            let is =
                |word: &str| operator == word || operator.strip_prefix(['c', 'i']) == Some(word);
            if !COMPARING.iter().any(|word| is(word)) {
                continue;
            }
            let pattern = PATTERNS.iter().any(|word| is(word));
            let right = children(node).into_iter().next_back();
            let variable = right.is_some_and(|right| within(right, "string_literal").is_empty());
            if self.is_translated(node) || self.has_prose(node, pattern) || (pattern && variable) {
                self.found(node, "decides on text");
            }
        }
        for node in self.tree.all("invokation_expression") {
            let compares = self
                .member(node)
                .is_some_and(|name| COMPARING_METHODS.contains(&name.as_str()));
            if compares && (self.is_translated(node) || self.has_prose(node, true)) {
                self.found(node, "decides on text");
            }
        }
        for node in self.tree.all("switch_condition") {
            if self.is_translated(node) {
                self.found(node, "decides on text");
            }
        }
        for command in self.tree.all("command") {
            let name = self.name(command);
            let filters = ["where-object", "where", "?"].contains(&name.as_str());
            let translated = || {
                let tokens = self.own(command, "generic_token");
                tokens
                    .iter()
                    .any(|token| TRANSLATED.contains(&self.tree.lower(*token).as_str()))
            };
            if (filters && translated())
                || (name == "select-string" && self.has_prose(command, true))
            {
                self.found(command, "decides on text");
            }
        }
    }

    fn secrets(&mut self) {
        let tainted = self.tainted();
        let leaks = |node: Node<'_>| self.leaks(node, &tainted, &[]);
        let functions: BTreeSet<_> = self
            .tree
            .all("function_name")
            .into_iter()
            .map(|node| self.tree.lower(node))
            .collect();
        let mut found = Vec::new();
        for command in self.tree.all("command") {
            let name = self.name(command);
            let credential =
                name == "new-object" && self.tree.lower(command).contains(CREDENTIAL_TYPE);
            let kept = KEEPING.contains(&name.as_str()) || functions.contains(&name) || credential;
            let given = self.tree.child(command, "command_elements");
            if !kept && given.is_some_and(leaks) {
                found.push(command);
            }
        }
        for kind in [
            "expandable_string_literal",
            "expandable_here_string_literal",
        ] {
            found.extend(self.tree.all(kind).into_iter().filter(|node| leaks(*node)));
        }
        // `-f` with something to fill in has more than one child.
        let formats = self.tree.all("format_expression").into_iter();
        found.extend(formats.filter(|node| node.child_count() > 1 && leaks(*node)));
        // A method may print or store what it is given; those that build a secret text do not.
        for call in self.tree.all("invokation_expression") {
            let member = self.member(call).unwrap_or_default();
            let arguments = within(call, "argument_list");
            if !APPENDING.contains(&member.as_str()) && arguments.into_iter().any(leaks) {
                found.push(call);
            }
        }
        for entry in self.tree.all("hash_entry") {
            let value = children(entry).into_iter().next_back();
            if value.is_some_and(leaks) {
                found.push(entry);
            }
        }
        for assignment in self.tree.all("assignment_expression") {
            let Some(target) = self.tree.child(assignment, "left_assignment_expression") else {
                continue;
            };
            let target = self.tree.lower(target);
            let outside = target.starts_with("$env:") || target.ends_with(".arguments");
            if outside && assignment.child_by_field_name("value").is_some_and(leaks) {
                found.push(assignment);
            }
        }
        for node in found {
            self.found(node, "hands a secret out");
        }
    }

    /// Names of variables that hold a secret, or something made of one.
    fn tainted(&self) -> BTreeSet<String> {
        let mut tainted = BTreeSet::new();
        loop {
            let before = tainted.len();
            for assignment in self.tree.all("assignment_expression") {
                let target = self.tree.child(assignment, "left_assignment_expression");
                let target = target.map(|node| self.tree.lower(node)).unwrap_or_default();
                let value = assignment.child_by_field_name("value");
                if is_variable(&target)
                    && value.is_some_and(|value| self.leaks(value, &tainted, PASSING))
                {
                    tainted.insert(target);
                }
            }
            if tainted.len() == before {
                return tainted;
            }
        }
    }

    /// Tells whether a secret comes out of an expression: it stands there itself, not only as an
    /// argument of a command other than the `passing` ones.
    fn leaks(&self, node: Node<'_>, tainted: &BTreeSet<String>, passing: &[&str]) -> bool {
        if node.kind() == "command" && !passing.contains(&self.name(node).as_str()) {
            return false;
        }
        if node.kind() == "member_access" || node.kind() == "variable" {
            let text = self.tree.lower(node);
            let named = SECRET_NAMES.iter().any(|name| text.contains(name));
            if tainted.contains(&text) || (named && !text.ends_with("_error")) {
                return true;
            }
        }
        children(node)
            .into_iter()
            .any(|child| self.leaks(child, tainted, passing))
    }

    fn is_translated(&self, node: Node<'_>) -> bool {
        within(node, "member_name")
            .into_iter()
            .any(|member| TRANSLATED.contains(&self.tree.lower(member).as_str()))
    }

    /// Tells whether a string literal holds words that are not the same in every language. An
    /// identifier may be compared as a whole, but not looked for in a text.
    fn has_prose(&self, node: Node<'_>, searched: bool) -> bool {
        within(node, "string_literal").into_iter().any(|literal| {
            let text = self.tree.text(literal).trim_matches(['\'', '"']);
            let identifier = text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._,-".contains(c));
            let strange = words(text)
                .iter()
                .any(|word| !STABLE_WORDS.contains(&word.as_str()));
            strange && (searched || !identifier)
        })
    }

    /// The name of a command in small letters; of `& $x` the variable.
    fn name(&self, command: Node<'_>) -> String {
        command
            .child_by_field_name("command_name")
            .map(|n| self.tree.lower(n))
            .unwrap_or_default()
    }

    fn member(&self, call: Node<'_>) -> Option<String> {
        self.tree
            .child(call, "member_name")
            .map(|node| self.tree.lower(node))
    }

    /// Nodes of a kind that belong to a command itself, not to one inside it.
    fn own<'n>(&self, command: Node<'n>, kind: &str) -> Vec<Node<'n>> {
        within(command, kind)
            .into_iter()
            .filter(|node| around(*node, "command") == Some(command))
            .collect()
    }
}

fn is_variable(text: &str) -> bool {
    text.strip_prefix('$')
        .is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// Words of three letters and more in a pattern, without its classes and escapes.
fn words(pattern: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
                words.push(String::new());
            }
            '[' => in_class = true,
            ']' => in_class = false,
            c if !in_class && (c.is_alphabetic() || c == '_') => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| word.chars().count() > 2);
    words
}
