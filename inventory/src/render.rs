//! Showing an inventory: Ansible's JSON, a table, a tree.

use serde_json::{Map, Value as Json, json};

use fleetmend_model::{Host, TransportChoice, WinrmScheme};

use crate::graph::{ALL, GroupId, HostId};
use crate::inventory::Inventory;

/// Names that Ansible keeps for itself and leaves out of its listing.
const INTERNAL: [&str; 32] = [
    "ansible_async_path",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "groups",
    "group_names",
    "hostvars",
    "playbook_dir",
    "play_hosts",
    "role_name",
    "role_names",
    "role_path",
];

impl Inventory {
    /// Returns the listing of `ansible-inventory --list`: groups with `children` and `hosts`, and
    /// the joined variables in `_meta.hostvars` under the names that the files use. Passwords in
    /// plain text are left out. Ansible can read it back as a dynamic inventory.
    pub fn list_json(&self) -> Json {
        let graph = &self.shared.graph;
        let mut listing = Map::new();
        for group in self.groups() {
            let mut shown = Map::new();
            if !group.children.is_empty() {
                shown.insert("children".to_owned(), json!(group.children));
            }
            if !group.hosts.is_empty() {
                shown.insert("hosts".to_owned(), json!(group.hosts));
            }
            if !shown.is_empty() {
                listing.insert(group.name.to_owned(), Json::Object(shown));
            }
        }
        let mut hostvars = Map::new();
        for (index, (host, vars)) in graph.hosts().iter().zip(&self.shared.variables).enumerate() {
            let shown: Map<String, Json> = vars
                .iter()
                .filter(|(name, _)| !INTERNAL.contains(&&***name) && &***name != "role_uuid")
                .map(|(name, var)| (name.to_string(), var.node.to_json()))
                .collect();
            if self.is_selected(HostId(index)) && !shown.is_empty() {
                hostvars.insert(host.name.clone(), Json::Object(shown));
            }
        }
        let meta = json!({ "hostvars": hostvars, "profile": "inventory_legacy" });
        listing.insert("_meta".to_owned(), meta);
        Json::Object(listing)
    }

    /// Returns a table of what was understood, one host a line.
    pub fn list_text(&self) -> String {
        let heading = ["HOST", "ADDRESS", "OVER", "USER", "GROUPS"].map(str::to_owned);
        let mut rows = vec![heading];
        rows.extend(self.hosts.iter().map(row));
        let mut widths = [0; 5];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(columns(cell));
            }
        }
        let mut text = String::new();
        for row in rows {
            let mut line = String::new();
            for (width, cell) in widths.iter().zip(&row) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width.saturating_sub(columns(cell)) + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Returns the groups and hosts as a tree, as `ansible-inventory --graph` draws it.
    pub fn graph_text(&self) -> String {
        let mut text = String::new();
        if let Some(all) = self.shared.graph.group_id(ALL) {
            self.draw(all, 0, &mut text);
        }
        text
    }

    fn draw(&self, id: GroupId, depth: usize, text: &mut String) {
        let Some(group) = self.shared.graph.group(id) else {
            return;
        };
        let line = |depth: usize, name: &str| match depth {
            0 => format!("{name}\n"),
            _ => format!("{}--{name}\n", "  |".repeat(depth)),
        };
        text.push_str(&line(depth, &format!("@{}:", group.name)));
        for child in &group.children {
            self.draw(*child, depth + 1, text);
        }
        for (_, host) in self.direct_hosts(id) {
            text.push_str(&line(depth + 1, &host.name));
        }
    }
}

fn row(host: &Host) -> [String; 5] {
    let address = match host.port {
        Some(port) if host.address.contains(':') => format!("[{}]:{port}", host.address),
        Some(port) => format!("{}:{port}", host.address),
        None => host.address.clone(),
    };
    let over = match (host.transport, host.winrm.scheme) {
        (TransportChoice::Ssh, _) => "ssh",
        (TransportChoice::Winrm, Some(WinrmScheme::Http)) => "winrm (http)",
        (TransportChoice::Winrm, Some(WinrmScheme::Https)) => "winrm (https)",
        (TransportChoice::Winrm, None) => "winrm",
        (TransportChoice::Auto, _) => "auto",
    };
    let own = host
        .groups
        .iter()
        .filter(|group| *group != ALL)
        .map(String::as_str);
    let groups = own.collect::<Vec<_>>().join(", ");
    let user = host.user.clone().unwrap_or_else(|| "-".to_owned());
    [host.name.0.clone(), address, over.to_owned(), user, groups]
}

/// Returns how many columns a terminal gives a text: Chinese and Japanese characters take two.
fn columns(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}'
            | '\u{ffe0}'..='\u{ffe6}' | '\u{20000}'..='\u{3fffd}')
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}
