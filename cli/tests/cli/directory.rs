//! The directory from the command line: what is refused before anything is asked, and what is
//! said when nobody sensible answers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use crate::support::{Out, command, fleetmend, no_run_was_begun, run};

/// A folder with a sound inventory, password files, and no journal.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(
            "pcs.yaml",
            "all:\n  hosts:\n    pc-[001:003].corp.example.jp:\n",
        );
        folder.write(
            "ad.yaml",
            "directory:\n  domain: corp.example.jp\n  ou: OU=端末,DC=corp,DC=example,DC=jp\n  \
             group: kiosks\nall:\n  hosts:\n    pc-1:\n",
        );
        for name in ["admin.pw", "ad.pw"] {
            folder.write(name, "canary-passwort-7\n");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(folder.path(name), mode).unwrap();
            }
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Out {
        let out = run(command()
            .args(args)
            .current_dir(self.0.path())
            .env("FLEETMEND_DATA_DIR", self.path("data")));
        assert!(!out.stdout.contains("canary") && !out.stderr.contains("canary"));
        no_run_was_begun(&self.path("data"));
        out
    }

    fn masked(&self, args: &[&str]) -> String {
        self.run(args).masked(self.0.path())
    }
}

/// A run that wants the directory at this server.
fn wanting(server: &str) -> Vec<&str> {
    vec![
        "run",
        "trust-repair",
        "-i",
        "pcs.yaml",
        "--user",
        "fleetadmin",
        "--password-file",
        "admin.pw",
        "--yes",
        "--directory",
        "corp.example.jp",
        "--directory-server",
        server,
        "--directory-user",
        "svc-fleetmend",
        "--directory-password-file",
        "ad.pw",
    ]
}

#[test]
fn its_commands_are_told() {
    insta::assert_snapshot!(fleetmend(["directory", "--help"]).text(), @"
    exit 0
    --- stdout
    Ask the directory about a computer, its LAPS password or an account

    Usage: fleetmend directory [OPTIONS] <COMMAND>

    Commands:
      show   Show a computer's account as every domain controller has it
      laps   Show what LAPS keeps of a computer's local administrator
      probe  Log on once with the directory account, or with another account

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Global options:
      -v, --verbose...
              Say more on standard error; twice for debugging

      -q, --quiet
              Say nothing but data and errors

          --color <WHEN>
              Colour the output; NO_COLOR is obeyed

              Possible values:
              - auto:   On a terminal, unless NO_COLOR is set
              - always: Always
              - never:  Never
              
              [default: auto]

    Examples:
      fleetmend directory probe --directory corp.example.jp --directory-user svc-fleetmend
      fleetmend directory show PC-007 --directory corp.example.jp --directory-user svc-fleetmend
      fleetmend directory laps PC-007 --directory corp.example.jp --directory-user svc-laps --reveal

    Nothing is changed. Exit codes: 0 found, readable or accepted; 1 not; 2 the directory could not be
    asked; 3 an account was refused or is spared.
    ");
}

#[test]
fn the_import_says_what_it_takes() {
    let out = fleetmend(["inventory", "import", "-h"]).text();
    let own = out.split("\nDirectory:").next().unwrap();
    insta::assert_snapshot!(own, @"
    exit 0
    --- stdout
    Write the directory's computers as a YAML inventory

    Usage: fleetmend inventory import [OPTIONS]

    Options:
          --ldap <DOMAIN|URL>  Ask this domain, or this controller: ldaps://HOST, or ldap://HOST for
                               StartTLS
          --ou <DN>            Take the computers below this organizational unit, as
                               OU=PCs,DC=corp,DC=example,DC=jp
          --filter <FILTER>    Take only those that pass this LDAP filter, as (operatingSystem=Windows*)
          --output <FILE>      Write to this new file instead of standard output; one that is there is
                               left alone
          --overwrite          Replace the file if it is there
      -h, --help               Print help (see more with '--help')
    ");
}

#[test]
fn arguments_without_a_directory_are_a_mistake() {
    let folder = Folder::new();
    let args = [
        "run",
        "trust-repair",
        "-i",
        "pcs.yaml",
        "--user",
        "x",
        "--yes",
        "--directory-user",
        "svc",
    ];
    insta::assert_snapshot!(folder.masked(&args), @"
    exit 2
    --- stderr
    error: --directory-user is given, but no directory
    hint: name the domain: --directory DOMAIN
    ");
    insta::assert_snapshot!(folder.masked(&["directory", "probe"]), @"
    exit 2
    --- stderr
    error: no directory is given
    hint: name the domain: --directory DOMAIN
    ");
    let args = [
        "check",
        "trust-repair",
        "-i",
        "pcs.yaml",
        "--user",
        "x",
        "--password-file",
        "admin.pw",
        "--yes",
        "--directory",
        "corp.example.jp",
    ];
    insta::assert_snapshot!(folder.masked(&args), @"
    exit 2
    --- stderr
    error: no account is given to ask the directory corp.example.jp
    hint: name one: --directory-user USER, or `directory` in credentials.yaml; which rights it needs: docs/guide/domain-rights.md
    ");
}

#[test]
fn nobody_is_asked_for_a_password_where_nobody_could_agree() {
    let folder = Folder::new();
    let args: Vec<&str> = wanting("127.0.0.1:1")
        .into_iter()
        .filter(|arg| *arg != "--yes")
        .collect();
    let out = folder.run(&args);
    assert_eq!(out.code, 2);
    assert!(out.stderr.contains("nobody can be asked"), "{}", out.stderr);
}

#[test]
fn pins_and_servers_are_checked() {
    let folder = Folder::new();
    let pin = [&wanting("dc1")[..], &["--directory-pin", "sha256:12"]].concat();
    insta::assert_snapshot!(folder.masked(&pin), @r#"
    exit 2
    --- stderr
    error: --directory-pin is no fingerprint: "sha256:12" is not sha256: and 64 hex digits
    "#);
    let out = folder.run(&wanting("ldaps://dc1"));
    assert_eq!(out.code, 2);
    assert!(
        out.stderr.contains("is not HOST or HOST:PORT"),
        "{}",
        out.stderr
    );
    let both = [
        &wanting("dc1")[..],
        &["--directory-pin", "sha256:12", "--directory-ca", "x"],
    ]
    .concat();
    assert!(folder.run(&both).stderr.contains("cannot be used with"));
    let missing = [
        &wanting("127.0.0.1:1")[..],
        &["--directory-ca", "no-ca.pem"],
    ]
    .concat();
    let out = folder.run(&missing);
    assert_eq!(out.code, 2);
    assert!(out.stderr.contains("no-ca.pem"), "{}", out.stderr);
}

/// A port on which nobody listens.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_closed_port_ends_the_run_before_anything_is_touched() {
    let folder = Folder::new();
    let server = closed();
    let out = folder.run(&wanting(&server));
    assert_eq!(out.code, 2, "{}", out.text());
    let text = out.text().replace(&server, "[server]");
    assert!(text.contains("hint: is TCP port 636 open?"), "{text}");
    let starttls = [&wanting(&server)[..], &["--directory-starttls"]].concat();
    let out = folder.run(&starttls);
    assert_eq!(out.code, 2);
    assert!(
        out.stderr.contains("is TCP port 389 open?"),
        "{}",
        out.stderr
    );
}

/// Answers every connection with bytes that are neither TLS nor LDAP, and returns what it heard.
fn babbler() -> (String, std::sync::mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut bytes = vec![0; 4096];
            let count = stream.read(&mut bytes).unwrap_or(0);
            bytes.truncate(count);
            let _ = sender.send(bytes);
            let _ = stream.write_all(b"220 mail.example.jp ESMTP\r\n");
        }
    });
    (address, heard)
}

#[test]
fn who_speaks_no_tls_hears_no_password() {
    let folder = Folder::new();
    for extra in [&[][..], &["--directory-starttls"]] {
        let (server, heard) = babbler();
        let out = folder.run(&[&wanting(&server)[..], extra].concat());
        assert_eq!(out.code, 2, "{}", out.text());
        let first = heard
            .recv_timeout(std::time::Duration::from_secs(5))
            .unwrap();
        let said: Vec<u8> = std::iter::once(first)
            .chain(heard.try_iter())
            .flatten()
            .collect();
        let said = String::from_utf8_lossy(&said);
        assert!(
            !said.contains("canary") && !said.contains("svc-fleetmend"),
            "{said}"
        );
    }
}

#[test]
fn a_directory_in_an_inventory_is_shown_and_not_asked() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.masked(&["inventory", "list", "-i", "ad.yaml"]), @"
    exit 0
    --- stdout
    HOST  ADDRESS  OVER  USER  GROUPS
    pc-1  pc-1     auto  -     ungrouped
    --- stderr
    ad.yaml:2:3: the computers of corp.example.jp below OU=端末,DC=corp,DC=example,DC=jp in the group kiosks; not asked (--directory-user)
    ");
    let out = folder.run(&["inventory", "check", "-i", "ad.yaml", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["directories"][0]["domain"], "corp.example.jp");
    assert_eq!(document["pcs"], 1);
}

#[test]
fn a_run_must_ask_it() {
    let folder = Folder::new();
    let args = [
        "check",
        "trust-repair",
        "-i",
        "ad.yaml",
        "--user",
        "x",
        "--yes",
    ];
    insta::assert_snapshot!(folder.masked(&args), @"
    exit 2
    --- stderr
    error: no account is given to ask the directory corp.example.jp
    hint: name one: --directory-user USER, or `directory` in credentials.yaml; which rights it needs: docs/guide/domain-rights.md
    ");
    let two = [
        "check",
        "trust-repair",
        "-i",
        "ad.yaml",
        "--user",
        "x",
        "--yes",
        "--directory",
        "other.example.jp",
        "--directory-user",
        "svc",
    ];
    insta::assert_snapshot!(folder.masked(&two), @"
    exit 2
    --- stderr
    error: several domains are named: corp.example.jp, other.example.jp; one account is asked for, and it goes to one domain
    hint: write the others' computers to files: fleetmend inventory import
    ");
}

#[test]
fn an_import_overwrites_nothing_and_takes_no_nonsense() {
    let folder = Folder::new();
    let import = |more: &[&str]| {
        let args = [&["inventory", "import", "--directory-user", "svc"], more].concat();
        folder.masked(&args)
    };
    insta::assert_snapshot!(import(&["--ldap", "corp.example.jp", "--output", "pcs.yaml"]), @"
    exit 2
    --- stderr
    error: pcs.yaml is there already
    hint: name another file, or replace it: --overwrite
    ");
    insta::assert_snapshot!(import(&["--ldap", "ldaps://10.0.0.1"]), @"
    exit 2
    --- stderr
    error: --ldap does not say which domain that is
    hint: name it: --directory DOMAIN
    ");
    insta::assert_snapshot!(import(&["--ldap", "corp.example.jp", "--filter", "operatingSystem=x"]), @"
    exit 2
    --- stderr
    error: `directory.filter` must be an LDAP filter in parentheses, as (operatingSystem=Windows*), found `operatingSystem=x`
    ");
}

#[test]
fn a_credential_of_the_directorys_name_reaches_no_pc() {
    let folder = Folder::new();
    folder.write(
        "bad.yaml",
        "all:\n  vars: {credential: Directory}\n  hosts:\n    pc-1:\n",
    );
    let args = [
        "check",
        "trust-repair",
        "-i",
        "bad.yaml",
        "--user",
        "x",
        "--yes",
    ];
    insta::assert_snapshot!(folder.masked(&args), @"
    exit 2
    --- stderr
    error: pc-1: the credential name Directory means the directory account, which logs on to no PC
    hint: give the credential another name
    ");
}
