//! From the parser's events to the tree, with every limit enforced on the way.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag as RawTag};

use crate::error::{Problem, YamlError, YamlErrors};
use crate::{Entry, Key, Limits, Map, Node, Position, Tag, Value, scalar};

/// Errors of keys and tags gathered before reading stops; more only repeat the lesson.
const MAX_GATHERED: usize = 50;

type Events<'text> = Parser<'text, StrInput<'text>>;

/// Builds the tree of a text.
pub(crate) fn build(text: &str, limits: &Limits) -> Result<Node, YamlErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_text(text, limits)?;
    let mut builder = Builder::new(text, limits);
    match builder.document() {
        Ok(root) => match YamlErrors::from_vec(builder.gathered) {
            None => Ok(root),
            Some(errors) => Err(errors),
        },
        Err(fatal) => {
            builder.gathered.push(fatal.clone());
            Err(YamlErrors::from_vec(builder.gathered).unwrap_or_else(|| fatal.into()))
        }
    }
}

/// Refuses what is too large or holds characters that no YAML text may hold.
fn check_text(text: &str, limits: &Limits) -> Result<(), YamlError> {
    if text.len() > limits.max_bytes {
        let problem = Problem::TooLarge {
            bytes: text.len(),
            max: limits.max_bytes,
        };
        return Err(YamlError {
            at: Position::START,
            problem,
        });
    }
    let mut at = Position::START;
    for character in text.chars() {
        if !is_printable(character) {
            return Err(YamlError {
                at,
                problem: Problem::BadCharacter(character),
            });
        }
        if character == '\n' {
            at = Position::new(at.line.saturating_add(1), 1);
        } else {
            at.column = at.column.saturating_add(1);
        }
    }
    Ok(())
}

/// The printable characters of YAML 1.1 (5.1), as PyYAML checks them.
fn is_printable(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | '\u{85}' | ' '..='~' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

struct Builder<'text> {
    text: &'text str,
    events: Events<'text>,
    limits: &'text Limits,
    anchors: HashMap<usize, Anchor>,
    gathered: Vec<YamlError>,
    depth: usize,
    nodes: usize,
    alias_nodes: usize,
}

enum Anchor {
    /// Its value is still being read.
    Open,
    /// Its value and how many nodes it has.
    Done(Node, usize),
}

impl<'text> Builder<'text> {
    fn new(text: &'text str, limits: &'text Limits) -> Self {
        Self {
            text,
            events: Parser::new_from_str(text),
            limits,
            anchors: HashMap::new(),
            gathered: Vec::new(),
            depth: 0,
            nodes: 0,
            alias_nodes: 0,
        }
    }

    fn document(&mut self) -> Result<Node, YamlError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            let at = position(span.start);
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(YamlError {
                        at,
                        problem: Problem::SecondDocument,
                    });
                }
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                event => root = Some(self.node(event, at)?),
            }
        }
        Ok(root.unwrap_or_else(|| Node::new(Position::START, Value::Null)))
    }

    fn next(&mut self) -> Result<(Event<'text>, Span), YamlError> {
        match self.events.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::empty(Marker::new(0, 1, 0)))),
        }
    }

    fn node(&mut self, event: Event<'text>, at: Position) -> Result<Node, YamlError> {
        let (anchor, before) = (anchor_of(&event), self.nodes);
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Anchor::Open);
        }
        self.count(1, at)?;
        let node = match event {
            Event::Alias(id) => self.alias(id, at)?,
            Event::Scalar(text, style, _, tag) => self.scalar(&text, style, tag.as_deref(), at),
            Event::SequenceStart(_, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", at);
                self.enter(at)?;
                let items = self.sequence()?;
                self.depth -= 1;
                Node::new(at, Value::Seq(items))
            }
            Event::MappingStart(_, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", at);
                self.enter(at)?;
                let map = self.mapping()?;
                self.depth -= 1;
                Node::new(at, Value::Map(map))
            }
            _ => Node::new(at, Value::Null),
        };
        if let Some(anchor) = anchor {
            self.anchors
                .insert(anchor, Anchor::Done(node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn sequence(&mut self) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, position(span.start))?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Map, YamlError> {
        let mut own = Vec::new();
        let mut seen: HashMap<String, Position> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => break,
                found => found,
            };
            let merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, position(span.start))?;
            let (event, span) = self.next()?;
            let value = self.node(event, position(span.start))?;
            if merge {
                self.merge(value, &mut merged)?;
            } else if let Some(key) = self.key(key)
                && self.is_new(&key, &mut seen)
            {
                own.push(Entry { key, value });
            }
        }
        let mut map = Map::default();
        for entry in merged.into_iter().chain(own) {
            map.set(entry);
        }
        Ok(map)
    }

    fn is_new(&mut self, key: &Key, seen: &mut HashMap<String, Position>) -> bool {
        if let Some(first) = seen.get(&key.text).copied() {
            self.gather(
                key.at,
                Problem::DuplicateKey {
                    key: key.text.clone(),
                    first,
                },
            );
            return false;
        }
        seen.insert(key.text.clone(), key.at);
        true
    }

    /// Adds what `<<` brings: of several mappings the first wins, so it comes last.
    fn merge(&mut self, value: Node, merged: &mut Vec<Entry>) -> Result<(), YamlError> {
        let at = value.at;
        let sources = match value.value {
            Value::Map(map) => vec![map],
            Value::Seq(items) => {
                let maps: Vec<Map> = items
                    .into_iter()
                    .filter_map(|item| match item.value {
                        Value::Map(map) => Some(map),
                        _ => {
                            self.gather(item.at, Problem::BadMerge);
                            None
                        }
                    })
                    .collect();
                maps.into_iter().rev().collect()
            }
            _ => {
                self.gather(at, Problem::BadMerge);
                return Ok(());
            }
        };
        for map in sources {
            self.count(map.len(), at)?;
            merged.extend(map.iter().cloned());
        }
        Ok(())
    }

    fn key(&mut self, node: Node) -> Option<Key> {
        let text = match &node.value {
            Value::String(text) => text.clone(),
            Value::Seq(_) | Value::Map(_) => {
                self.gather(node.at, Problem::ComplexKey);
                return None;
            }
            _ => node.to_json().to_string(),
        };
        Some(Key {
            at: node.at,
            text,
            is_text: matches!(node.value, Value::String(_)),
        })
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<Node, YamlError> {
        let (mut node, size) = match self.anchors.get(&id) {
            Some(Anchor::Done(node, size))
                if self.alias_nodes + size <= self.limits.max_alias_nodes =>
            {
                (node.clone(), *size)
            }
            Some(Anchor::Done(..)) => {
                let problem = Problem::AliasBomb {
                    max: self.limits.max_alias_nodes,
                };
                return Err(YamlError { at, problem });
            }
            _ => {
                return Err(YamlError {
                    at,
                    problem: Problem::RecursiveAlias,
                });
            }
        };
        self.alias_nodes += size;
        self.count(size, at)?;
        node.at = at;
        Ok(node)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&RawTag>,
        at: Position,
    ) -> Node {
        let string = || Value::String(text.to_owned());
        let Some(tag) = tag else {
            let plain = style == ScalarStyle::Plain;
            return Node::new(
                at,
                if plain {
                    scalar::resolve(text)
                } else {
                    string()
                },
            );
        };
        let suffix = tag.suffix.as_str();
        if tag.is_yaml_core_schema() {
            let value = match suffix {
                "str" => Some(string()),
                "null" => Some(Value::Null),
                "bool" => scalar::boolean(text).map(Value::Bool),
                "int" => scalar::integer(text).map(Value::Int),
                "float" => scalar::float(text)
                    .or_else(|| text.parse().ok())
                    .map(Value::Float),
                "timestamp" => Some(scalar::resolve(text)),
                _ => {
                    self.gather(
                        at,
                        Problem::UnknownTag {
                            tag: format!("!!{suffix}"),
                        },
                    );
                    return Node::new(at, string());
                }
            };
            let value = value.unwrap_or_else(|| {
                let (tag, text) = (format!("!!{suffix}"), text.to_owned());
                self.gather(at, Problem::TagMismatch { tag, text });
                Value::Null
            });
            return Node::new(at, value);
        }
        let known = match (tag.handle.as_str(), suffix) {
            ("!", "vault" | "vault-encrypted") => Some(Tag::Vault),
            ("!", "unsafe") => Some(Tag::Unsafe),
            ("" | "!", "" | "!") => None,
            _ => {
                self.gather(
                    at,
                    Problem::UnknownTag {
                        tag: tag.to_string(),
                    },
                );
                None
            }
        };
        Node {
            at,
            value: string(),
            tag: known,
        }
    }

    fn check_collection_tag(&mut self, tag: Option<&RawTag>, expected: &str, at: Position) {
        let Some(tag) = tag else { return };
        let standard = tag.is_yaml_core_schema() && tag.suffix == expected;
        let ansible = tag.handle == "!" && tag.suffix == "unsafe";
        if !standard && !ansible {
            let core = tag.is_yaml_core_schema();
            let tag = if core {
                format!("!!{}", tag.suffix)
            } else {
                tag.to_string()
            };
            self.gather(at, Problem::UnknownTag { tag });
        }
    }

    fn enter(&mut self, at: Position) -> Result<(), YamlError> {
        self.depth += 1;
        if self.depth > self.limits.max_depth {
            let problem = Problem::TooDeep {
                max: self.limits.max_depth,
            };
            return Err(YamlError { at, problem });
        }
        Ok(())
    }

    fn count(&mut self, more: usize, at: Position) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > self.limits.max_nodes {
            let problem = Problem::TooManyNodes {
                max: self.limits.max_nodes,
            };
            return Err(YamlError { at, problem });
        }
        Ok(())
    }

    fn gather(&mut self, at: Position, problem: Problem) {
        if self.gathered.len() < MAX_GATHERED {
            self.gathered.push(YamlError { at, problem });
        }
    }

    /// Words a scanner error; one about a tab in the indentation says so.
    fn syntax(&self, error: &ScanError) -> YamlError {
        let at = position(*error.marker());
        if let Some(at) = self.tab_near(at.line) {
            return YamlError {
                at,
                problem: Problem::Tab,
            };
        }
        let problem = if error.info().contains("recursion limit") {
            Problem::TooDeep {
                max: self.limits.max_depth,
            }
        } else {
            Problem::Syntax {
                detail: error.info().to_owned(),
            }
        };
        YamlError { at, problem }
    }

    /// Finds a tab in the indentation at the line of an error or beside it, for the scanner may
    /// stop a line early or late.
    fn tab_near(&self, line: u32) -> Option<Position> {
        let near = [line, line.saturating_add(1), line.saturating_sub(1)];
        near.into_iter().find_map(|number| {
            let index = usize::try_from(number).ok()?.checked_sub(1)?;
            let text = self.text.lines().nth(index)?;
            let indentation = text.len() - text.trim_start_matches([' ', '\t']).len();
            let column = text.get(..indentation)?.find('\t')?;
            Some(Position::new(
                number,
                u32::try_from(column).ok()?.saturating_add(1),
            ))
        })
    }
}

/// Returns the anchor that an event defines; the parser counts them from 1.
fn anchor_of(event: &Event<'_>) -> Option<usize> {
    let id = match event {
        Event::Scalar(_, _, id, _) | Event::SequenceStart(id, _) | Event::MappingStart(id, _) => {
            *id
        }
        _ => 0,
    };
    (id != 0).then_some(id)
}

fn position(marker: Marker) -> Position {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position::new(
        number(marker.line()).max(1),
        number(marker.col()).saturating_add(1),
    )
}
