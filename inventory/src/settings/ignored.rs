//! Names of Ansible that mean nothing here, and why.

/// Prefixes, the longer before the shorter, with the rest of a sentence on why.
const REASONS: [(&str, &str); 22] = [
    (
        "ansible_become",
        "fleetmend logs on as an administrator and changes to nobody else",
    ),
    (
        "ansible_sudo",
        "fleetmend logs on as an administrator and changes to nobody else",
    ),
    (
        "ansible_su_",
        "fleetmend logs on as an administrator and changes to nobody else",
    ),
    (
        "ansible_winrm_kerberos",
        "Kerberos is not available, NTLM is used",
    ),
    (
        "ansible_winrm_kinit",
        "Kerberos is not available, NTLM is used",
    ),
    (
        "ansible_winrm_realm",
        "Kerberos is not available, NTLM is used",
    ),
    (
        "ansible_winrm_service",
        "Kerberos is not available, NTLM is used",
    ),
    ("ansible_psrp_negotiate", "NTLM is used"),
    (
        "ansible_winrm_credssp",
        "CredSSP is not available, NTLM is used",
    ),
    (
        "ansible_psrp_credssp",
        "CredSSP is not available, NTLM is used",
    ),
    (
        "ansible_winrm_cert",
        "logging on with a certificate is not available",
    ),
    (
        "ansible_psrp_certificate",
        "logging on with a certificate is not available",
    ),
    ("ansible_winrm_message_encryption", "HTTP is always sealed"),
    ("ansible_psrp_message_encryption", "HTTP is always sealed"),
    (
        "ansible_winrm_send_cbt",
        "the channel binding is always sent",
    ),
    (
        "ansible_winrm_operation_timeout",
        "deadlines stand in the playbook and on the command line",
    ),
    (
        "ansible_winrm_read_timeout",
        "deadlines stand in the playbook and on the command line",
    ),
    (
        "ansible_winrm_connection_timeout",
        "deadlines stand in the playbook and on the command line",
    ),
    (
        "ansible_psrp_operation_timeout",
        "deadlines stand in the playbook and on the command line",
    ),
    (
        "ansible_psrp_read_timeout",
        "deadlines stand in the playbook and on the command line",
    ),
    (
        "ansible_timeout",
        "deadlines stand in the playbook and on the command line",
    ),
    ("ansible_python_interpreter", "no Python runs on the PC"),
];

/// Names that say nothing that would be missed.
const SILENT: [&str; 4] = [
    "ansible_shell_type",
    "ansible_shell_executable",
    "ansible_group_priority",
    "ansible_network_os",
];

/// Returns the warning about a variable that was not used; none if there is nothing to say.
pub(super) fn warning(name: &str) -> Option<String> {
    if !name.starts_with("ansible_") || SILENT.contains(&name) {
        return None;
    }
    if name.starts_with("ansible_ssh_") && (name.contains("args") || name.contains("executable")) {
        return Some(format!(
            "`{name}` is ignored: SSH is built in, no ssh program is called"
        ));
    }
    let reason = REASONS.iter().find(|(prefix, _)| name.starts_with(prefix));
    Some(match reason {
        Some((_, why)) => format!("`{name}` is ignored: {why}"),
        None => format!("`{name}` is not understood and is ignored"),
    })
}
