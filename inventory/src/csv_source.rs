//! One CSV file, as Excel saves it, into the graph.

use std::collections::HashMap;
use std::sync::Arc;

use fleetmend_yaml::{Node, Position, Value};

use crate::error::Problem;
use crate::graph::{ALL, Graph, start};
use crate::vars::{Var, Vars};
use crate::vaults::FileText;
use crate::yaml_source::add_hosts;
use crate::{Options, Place};

/// Names of the column that holds the hosts, the surest first.
const HOST_COLUMNS: [&str; 16] = [
    "inventory_hostname",
    "host",
    "hostname",
    "host_name",
    "computername",
    "computer_name",
    "computer",
    "pc",
    "pc名",
    "ホスト名",
    "ホスト",
    "コンピューター名",
    "コンピュータ名",
    "端末名",
    "機器名",
    "name",
];
/// Names of the column that holds groups, several in a cell apart by `;`, `,` or `|`.
const GROUP_COLUMNS: [&str; 4] = ["group", "groups", "グループ", "グループ名"];
/// Column names that mean one of our own.
const SYNONYMS: [(&str, &str); 11] = [
    ("ip", "address"),
    ("ip_address", "address"),
    ("ipaddress", "address"),
    ("ipアドレス", "address"),
    ("アドレス", "address"),
    ("ポート", "port"),
    ("ポート番号", "port"),
    ("ユーザー", "user"),
    ("ユーザー名", "user"),
    ("ユーザ名", "user"),
    ("パスワード", "password"),
];

/// What a column is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Host,
    Groups,
    Variable(Arc<str>),
}

/// Reads a CSV inventory into the graph.
pub(crate) fn read(text: &FileText, file: &Place, options: &Options, graph: &mut Graph) {
    let vaulted = text.vaulted;
    let text = text.reveal();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sheet = Sheet {
        text,
        vaulted,
        file,
        options,
        delimiter: b',',
        columns: Vec::new(),
    };
    let skipped = sheet.separator_line();
    sheet.delimiter = sheet.delimiter(skipped);
    sheet.rows(skipped, graph);
}

struct Sheet<'a> {
    text: &'a str,
    vaulted: bool,
    file: &'a Place,
    options: &'a Options,
    delimiter: u8,
    columns: Vec<Column>,
}

impl Sheet<'_> {
    /// Excel's own first line `sep=;` is no header; returns how many bytes it takes.
    fn separator_line(&self) -> usize {
        let line = self.text.lines().next().unwrap_or_default();
        let is_separator = line.len() == 5 && line.to_ascii_lowercase().starts_with("sep=");
        if is_separator {
            self.text
                .find('\n')
                .map_or(self.text.len(), |index| index + 1)
        } else {
            0
        }
    }

    /// The delimiter that the header row uses most.
    fn delimiter(&self, skipped: usize) -> u8 {
        let body = self.text.get(skipped..).unwrap_or_default();
        let is_content = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        let header = body.lines().find(is_content).unwrap_or_default();
        let count = |delimiter: u8| header.bytes().filter(|byte| *byte == delimiter).count();
        [b'\t', b';', b',']
            .into_iter()
            .max_by_key(|delimiter| count(*delimiter))
            .unwrap_or(b',')
    }

    fn rows(&mut self, skipped: usize, graph: &mut Graph) {
        let body = self.text.get(skipped..).unwrap_or_default();
        let first_line = if skipped > 0 { 1 } else { 0 };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .from_reader(body.as_bytes());
        let mut seen: HashMap<String, Place> = HashMap::new();
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let problem = Problem::Csv {
                        detail: error.to_string(),
                    };
                    return graph.error(start(self.file), problem);
                }
            };
            if record.iter().all(str::is_empty) {
                continue;
            }
            let cells = self.cells(&record, body, first_line);
            if self.columns.is_empty() {
                if !self.header(&cells, graph) {
                    return;
                }
            } else {
                self.row(&cells, &mut seen, graph);
            }
        }
        if self.columns.is_empty() {
            graph.error(start(self.file), Problem::Empty);
        }
    }

    /// Returns each cell with its place.
    fn cells<'r>(
        &self,
        record: &'r csv::StringRecord,
        body: &str,
        first_line: u64,
    ) -> Vec<(&'r str, Place)> {
        let (line, byte) = record
            .position()
            .map_or((1, 0), |at| (at.line(), at.byte()));
        let line = u32::try_from(line + first_line).unwrap_or(u32::MAX);
        let row = body
            .get(usize::try_from(byte).unwrap_or(usize::MAX)..)
            .unwrap_or_default();
        let (blank_lines, row) = skip_to_content(row);
        let mut at = Position::new(line.saturating_add(blank_lines), 1);
        let mut rest = row.chars();
        let mut cells = Vec::with_capacity(record.len());
        for cell in record {
            cells.push((cell, self.file.with(at)));
            self.to_next_cell(&mut rest, &mut at);
        }
        cells
    }

    /// Moves past the next delimiter that stands in no quotes.
    fn to_next_cell(&self, rest: &mut std::str::Chars<'_>, at: &mut Position) {
        let mut quoted = false;
        for character in rest.by_ref() {
            if character == '\n' {
                *at = Position::new(at.line.saturating_add(1), 1);
            } else {
                at.column = at.column.saturating_add(1);
            }
            match character {
                '"' => quoted = !quoted,
                _ if !quoted && character == char::from(self.delimiter) => return,
                _ => {}
            }
        }
    }

    /// Reads the header row; false if it names no hosts.
    fn header(&mut self, cells: &[(&str, Place)], graph: &mut Graph) -> bool {
        let folded: Vec<String> = cells.iter().map(|(name, _)| fold(name)).collect();
        let host = HOST_COLUMNS
            .iter()
            .find_map(|wanted| folded.iter().position(|name| name == wanted));
        let Some(host) = host else {
            let columns = cells.iter().map(|(name, _)| format!("`{name}`"));
            let columns = columns.collect::<Vec<_>>().join(", ");
            graph.error(start(self.file), Problem::NoHostColumn { columns });
            return false;
        };
        for (index, (folded, (name, place))) in folded.iter().zip(cells).enumerate() {
            let column = match folded.as_str() {
                _ if index == host => Column::Host,
                folded if GROUP_COLUMNS.contains(&folded) => Column::Groups,
                folded => Column::Variable(meaning(folded).unwrap_or(name).into()),
            };
            if self.columns.contains(&column) && !name.is_empty() {
                let name = (*name).to_owned();
                graph.error(place.clone(), Problem::DuplicateColumn { name });
            }
            self.columns.push(column);
        }
        true
    }

    fn row(&self, cells: &[(&str, Place)], seen: &mut HashMap<String, Place>, graph: &mut Graph) {
        let Some((_, first)) = cells.first() else {
            return;
        };
        let extra = cells
            .iter()
            .skip(self.columns.len())
            .any(|(cell, _)| !cell.is_empty());
        if extra || cells.len() < self.columns.len() {
            let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
            let (found, expected) = (count(cells.len()), count(self.columns.len()));
            return graph.error(first.clone(), Problem::RowLength { found, expected });
        }
        let mut host = None;
        let mut groups = Vec::new();
        let mut vars = Vars::new();
        for (column, (cell, place)) in self.columns.iter().zip(cells) {
            match column {
                Column::Host => host = Some((*cell, place)),
                Column::Groups => groups.extend(
                    cell.split([';', ',', '|'])
                        .map(str::trim)
                        .filter(|name| !name.is_empty()),
                ),
                Column::Variable(name) if !cell.is_empty() && !name.is_empty() => {
                    let at = place.at.unwrap_or(Position::START);
                    let node = Node::new(at, Value::String((*cell).to_owned()));
                    let var = Var {
                        key_at: place.clone(),
                        node,
                        vaulted: self.vaulted,
                    };
                    vars.insert(Arc::clone(name), Arc::new(var));
                }
                Column::Variable(_) => {}
            }
        }
        let Some((pattern, place)) = host else { return };
        if let Some(first_place) = seen.insert(pattern.to_owned(), place.clone()) {
            let host = pattern.to_owned();
            return graph.error(place.clone(), Problem::TwoRows { host, first_place });
        }
        let all = graph.add_group(ALL, place);
        let hosts = add_hosts(graph, self.options, all, pattern, place, vars);
        for name in groups {
            let group = graph.add_group(name, place);
            for id in &hosts {
                if let Some(host) = graph.host(*id).map(|host| host.name.clone()) {
                    graph.add_host(&host, group, place);
                }
            }
        }
    }
}

/// The reader reports where it began to look; blank lines and comments may come first.
fn skip_to_content(mut row: &str) -> (u32, &str) {
    let mut lines = 0;
    loop {
        let line = row.split_inclusive('\n').next().unwrap_or_default();
        if !line.ends_with('\n') || !(line.trim().is_empty() || line.starts_with('#')) {
            return (lines, row);
        }
        row = row.get(line.len()..).unwrap_or_default();
        lines += 1;
    }
}

/// Folds a column name for comparing: case, blanks and full-width letters do not count.
fn fold(name: &str) -> String {
    let half = |c: char| match u32::from(c) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(c),
        _ => c,
    };
    let folded: String = name.trim().chars().map(half).collect();
    folded.to_lowercase().replace([' ', '-', '\u{3000}'], "_")
}

/// Returns which of our own names a column means.
fn meaning(folded: &str) -> Option<&'static str> {
    SYNONYMS
        .iter()
        .find(|(synonym, _)| *synonym == folded)
        .map(|(_, meaning)| *meaning)
}
