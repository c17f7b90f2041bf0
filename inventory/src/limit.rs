//! `--limit`: patterns like Ansible's over host and group names.

use std::collections::BTreeSet;
use std::path::Path;

use fleetmend_yaml::Position;
use regex::Regex;

use crate::error::{ErrorList, InventoryError, InventoryErrors, Problem};
use crate::graph::HostId;
use crate::inventory::Inventory;
use crate::{Place, file, range};

/// Bytes of an `@file`, which holds names only.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

impl Inventory {
    /// Returns the inventory with only the hosts that a limit names.
    ///
    /// Patterns stand apart by `,` or `:`: a host, a group, `all`, a glob (`pc-*`, `pc-0?`),
    /// a range, `~regex`, one of a group's hosts (`web[0]`, `web[0:4]`), or `@file` with a
    /// pattern a line. `:&x` keeps only hosts that are in `x` too, `:!x` takes those of `x` out.
    ///
    /// # Errors
    /// Each pattern that matches nothing, also behind `!` (a misspelt exception would touch
    /// PCs that should be left alone), and an expression that leaves no host.
    pub fn limit(&self, expression: &str) -> Result<Self, InventoryErrors> {
        let mut limit = Limit {
            inventory: self,
            errors: ErrorList::default(),
        };
        let place = Place {
            file: "--limit".into(),
            at: None,
        };
        let terms = limit.terms(expression, &place);
        let selected = limit.select(&terms);
        if limit.errors.is_empty() && selected.is_empty() {
            let pattern = expression.to_owned();
            limit
                .errors
                .push(InventoryError::new(place, Problem::NothingLeft { pattern }));
        }
        if let Some(errors) = limit.errors.into_errors() {
            return Err(errors);
        }
        let graph = &self.shared.graph;
        let is_left = |name: &str| graph.host_id(name).is_some_and(|id| selected.contains(&id));
        let hosts = self
            .hosts
            .iter()
            .filter(|host| is_left(&host.name.0))
            .cloned()
            .collect();
        Ok(Self {
            hosts,
            warnings: self.warnings.clone(),
            sources: self.sources.clone(),
            vaulted: self.vaulted.clone(),
            vaults: self.vaults.clone(),
            shared: self.shared.clone(),
            selected: Some(selected),
        })
    }
}

struct Limit<'a> {
    inventory: &'a Inventory,
    errors: ErrorList,
}

#[derive(Clone, Debug)]
struct Term {
    /// Ordered as they apply: union, then intersections, then exceptions.
    kind: Kind,
    pattern: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Union,
    And,
    Not,
}

impl Limit<'_> {
    /// Splits an expression; files are opened.
    fn terms(&mut self, expression: &str, place: &Place) -> Vec<Term> {
        let mut terms = Vec::new();
        for part in split(expression, |text| self.is_name(text)) {
            if let Some(path) = part.strip_prefix('@') {
                terms.extend(self.file(Path::new(path)));
                continue;
            }
            let (kind, pattern) = match (part.strip_prefix('&'), part.strip_prefix('!')) {
                (Some(pattern), _) => (Kind::And, pattern),
                (_, Some(pattern)) => (Kind::Not, pattern),
                _ => (Kind::Union, part.as_str()),
            };
            let pattern = pattern.trim().to_owned();
            terms.push(Term {
                kind,
                pattern,
                place: place.clone(),
            });
        }
        terms
    }

    fn file(&mut self, path: &Path) -> Vec<Term> {
        let place = Place::of_path(path);
        let text =
            file::read(path, MAX_FILE_BYTES).and_then(|bytes| file::decode_csv(&bytes, &place));
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                self.errors.push(error);
                return Vec::new();
            }
        };
        let mut terms = Vec::new();
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with(['#', '@']) {
                terms.extend(self.terms(line, &place.with(Position::new(number, 1))));
            }
        }
        terms
    }

    fn is_name(&self, text: &str) -> bool {
        let graph = &self.inventory.shared.graph;
        graph.host_id(text).is_some() || graph.group_id(text).is_some()
    }

    fn select(&mut self, terms: &[Term]) -> BTreeSet<HostId> {
        let hosts = self.inventory.shared.graph.hosts().len();
        let every = (0..hosts)
            .map(HostId)
            .filter(|id| self.inventory.is_selected(*id));
        let mut terms = terms.to_vec();
        terms.sort_by_key(|term| term.kind);
        let has_union = terms.iter().any(|term| term.kind == Kind::Union);
        let mut selected: BTreeSet<HostId> = if has_union || terms.is_empty() {
            BTreeSet::new()
        } else {
            every.clone().collect()
        };
        for term in &terms {
            let Some(matched) = self.matches(term) else {
                continue;
            };
            match term.kind {
                Kind::Union => selected.extend(matched),
                Kind::And => selected.retain(|id| matched.contains(id)),
                Kind::Not => selected.retain(|id| !matched.contains(id)),
            }
        }
        selected.retain(|id| self.inventory.is_selected(*id));
        selected
    }

    /// Returns the hosts of one pattern; one that names nothing is an error.
    fn matches(&mut self, term: &Term) -> Option<BTreeSet<HostId>> {
        let found = self.whole(&term.pattern).and_then(|found| match found {
            Some(found) => Ok(Some(found)),
            None => self.part(&term.pattern),
        });
        let problem = match found {
            Ok(Some(found)) => return Some(found),
            Ok(None) => {
                let pattern = term.pattern.clone();
                Problem::NoMatch {
                    similar: self.similar(&pattern),
                    pattern,
                }
            }
            Err(why) => Problem::BadPattern {
                pattern: term.pattern.clone(),
                why,
            },
        };
        self.errors
            .push(InventoryError::new(term.place.clone(), problem));
        None
    }

    /// Matches a pattern against all names. A group's name means its hosts; hosts are looked at
    /// too if no group matches or the pattern can match several names.
    fn whole(&self, pattern: &str) -> Result<Option<BTreeSet<HostId>>, String> {
        let graph = &self.inventory.shared.graph;
        let several = pattern.starts_with('~') || pattern.contains(['.', '?', '*', '[']);
        let mut found = None;
        if !pattern.starts_with('~') && !pattern.contains(['?', '*', '[']) {
            if let Some(id) = graph.group_id(pattern) {
                found = Some(graph.members(id));
            }
            if (found.is_none() || several)
                && let Some(id) = graph.host_id(pattern)
            {
                found.get_or_insert_default().insert(id);
            }
            return Ok(found);
        }
        let regex = regex(pattern)?;
        for group in graph
            .groups()
            .iter()
            .filter(|group| regex.is_match(&group.name))
        {
            if let Some(id) = graph.group_id(&group.name) {
                found.get_or_insert_default().extend(graph.members(id));
            }
        }
        for (index, host) in graph.hosts().iter().enumerate() {
            if regex.is_match(&host.name) {
                found.get_or_insert_default().insert(HostId(index));
            }
        }
        Ok(found)
    }

    /// Matches `web[0]`, `web[-1]`, `web[2:5]`, `web[3:]` against the hosts of `web`, and, where
    /// no `web` is known, a range of names as inventories write them.
    fn part(&self, pattern: &str) -> Result<Option<BTreeSet<HostId>>, String> {
        if pattern.starts_with('~') {
            return Ok(None);
        }
        if let Some((base, inner)) = subscript(pattern)
            && let Some(found) = self.whole(base)?
        {
            let hosts: Vec<HostId> = found.into_iter().collect();
            let picked = pick(&hosts, inner).filter(|picked| !picked.is_empty());
            let count = hosts.len();
            let why = || format!("`{base}` has {count} hosts, counted from 0");
            return picked.map(Some).ok_or_else(why);
        }
        let hosts = self.inventory.shared.graph.hosts().len();
        let Ok(expansion) = range::expand(pattern, hosts.max(1)) else {
            return Ok(None);
        };
        if !pattern.contains('[') {
            return Ok(None);
        }
        let graph = &self.inventory.shared.graph;
        let found: BTreeSet<HostId> = expansion
            .names
            .iter()
            .filter_map(|name| graph.host_id(name))
            .collect();
        Ok((!found.is_empty()).then_some(found))
    }

    /// Returns a name that differs from a pattern in case only.
    fn similar(&self, pattern: &str) -> Option<String> {
        let graph = &self.inventory.shared.graph;
        let lower = pattern.to_lowercase();
        let hosts = graph.hosts().iter().map(|host| &host.name);
        let mut names = graph.groups().iter().map(|group| &group.name).chain(hosts);
        names.find(|name| name.to_lowercase() == lower).cloned()
    }
}

/// Splits at `,` and `:` that stand in no brackets. A piece that is a name as it is or an IPv6
/// address, and a regular expression, which may hold colons, are not split at them.
fn split(expression: &str, is_name: impl Fn(&str) -> bool) -> Vec<String> {
    let mut parts = Vec::new();
    for piece in cut(expression, ',') {
        let bare = piece.trim_start_matches(['&', '!']);
        if is_name(bare) || bare.contains("::") || bare.starts_with(['~', '@']) {
            parts.push(piece);
        } else {
            parts.extend(cut(&piece, ':'));
        }
    }
    parts
}

fn cut(text: &str, separator: char) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(index) = range::outside_brackets(rest, separator) {
        let (head, tail) = rest.split_at_checked(index).unwrap_or((rest, ""));
        parts.push(head);
        rest = tail.get(separator.len_utf8()..).unwrap_or_default();
    }
    parts.push(rest);
    parts
        .into_iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

/// Splits `web[0:4]` into `web` and `0:4` if it is a subscript.
fn subscript(pattern: &str) -> Option<(&str, &str)> {
    let (base, inner) = pattern.strip_suffix(']')?.rsplit_once('[')?;
    let is_subscript = !inner.is_empty()
        && inner
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ':' | '-'));
    (!base.is_empty() && is_subscript).then_some((base, inner))
}

/// Picks one host (`-1` is the last) or a stretch of them, both ends with it as in Ansible.
fn pick(hosts: &[HostId], inner: &str) -> Option<BTreeSet<HostId>> {
    if let Ok(index) = inner.parse::<isize>() {
        let index = match index {
            0.. => usize::try_from(index).ok()?,
            _ => hosts.len().checked_sub(index.unsigned_abs())?,
        };
        return Some(hosts.get(index).copied().into_iter().collect());
    }
    let (begin, end) = inner.split_once([':', '-'])?;
    let begin: usize = begin.parse().ok()?;
    let end = if end.is_empty() {
        hosts.len()
    } else {
        end.parse::<usize>().ok()?.saturating_add(1)
    };
    Some(hosts.iter().copied().take(end).skip(begin).collect())
}

/// Turns a glob or `~regex` into a regular expression; a glob must match a whole name, a
/// regular expression only its beginning, as in Ansible.
fn regex(pattern: &str) -> Result<Regex, String> {
    let source = match pattern.strip_prefix('~') {
        Some(regex) => format!("^(?:{regex})"),
        None => glob(pattern),
    };
    let build = regex::RegexBuilder::new(&source)
        .size_limit(1 << 20)
        .build();
    build.map_err(|_| "it is not a regular expression".to_owned())
}

fn glob(pattern: &str) -> String {
    let mut source = String::from("^(?s:");
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '*' => source.push_str(".*"),
            '?' => source.push('.'),
            '[' => match class(rest.as_str()) {
                Some((class, tail)) => {
                    source.push_str(&class);
                    rest = tail.chars();
                }
                None => source.push_str("\\["),
            },
            other => source.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    source.push_str(")$");
    source
}

/// Reads the rest of `[abc]` or `[!a-f]`; a bracket without its partner is itself.
fn class(text: &str) -> Option<(String, &str)> {
    let (inner, tail) = text
        .split_once(']')
        .filter(|(inner, _)| !inner.is_empty())?;
    let (negated, members) = match inner.strip_prefix('!') {
        Some(members) => ("^", members),
        None => ("", inner),
    };
    let members = members
        .replace('\\', "\\\\")
        .replace('[', "\\[")
        .replace('^', "\\^");
    let members = members.replace('&', "\\&").replace('~', "\\~");
    (!members.is_empty()).then(|| (format!("[{negated}{members}]"), tail))
}
