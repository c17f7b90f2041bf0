//! SSH's details, under our names and Ansible's.

use fleetmend_model::SshSettings;
use fleetmend_yaml::Value;

use super::reader::Reader;

const KNOWN: &[&str] = &[
    "key_file",
    "known_hosts",
    "accept_new_host_keys",
    "use_agent",
];
const KEY_FILES: [&str; 2] = ["ansible_ssh_private_key_file", "ansible_private_key_file"];
const KEY_CHECKING: [&str; 2] = ["ansible_ssh_host_key_checking", "ansible_host_key_checking"];

/// Reads everything about SSH.
pub(super) fn read(reader: &mut Reader<'_>) -> SshSettings {
    let mut ssh = SshSettings::default();
    own(reader, &mut ssh);
    if let Some(file) = reader.text(&KEY_FILES) {
        ssh.key_file = Some(reader.path(&file.value, None));
    }
    if let Some(checking) = reader.flag(&KEY_CHECKING)
        && !checking.value
    {
        ssh.accept_new_host_keys = true;
        let text = format!(
            "`{}: false` lets new host keys in, but a changed key is refused all the same",
            checking.name
        );
        reader.warn(&checking.place, text);
    }
    ssh
}

fn own(reader: &mut Reader<'_>, ssh: &mut SshSettings) {
    let Some((name, var)) = reader.pick(&["ssh"]) else {
        return;
    };
    let Value::Map(map) = &var.node.value else {
        return reader.bad(&name, &var.node, &var.place(), "a mapping");
    };
    let inner = reader.within("ssh", map, &var.place(), KNOWN);
    reader.over(&inner, |reader| {
        for (name, slot) in [
            ("ssh.key_file", &mut ssh.key_file),
            ("ssh.known_hosts", &mut ssh.known_hosts),
        ] {
            let file = reader.text(&[name]);
            *slot = file.map(|file| reader.path(&file.value, Some(&file.place)));
        }
        let accept = reader.flag(&["ssh.accept_new_host_keys"]);
        ssh.accept_new_host_keys = accept.is_some_and(|setting| setting.value);
        ssh.use_agent = reader
            .flag(&["ssh.use_agent"])
            .is_some_and(|setting| setting.value);
    });
}
