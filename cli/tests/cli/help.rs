//! What the binary says about itself.

use crate::support::fleetmend;

#[test]
fn the_first_help_shows_commands_examples_and_exit_codes() {
    let out = fleetmend(["--help"]);
    insta::assert_snapshot!(out.text(), @"
    exit 0
    --- stdout
    Repair the lost domain trust of many Windows PCs at once

    Usage: fleetmend [OPTIONS] <COMMAND>

    Commands:
      run         Diagnose PCs, repair those that are broken, verify the repair
      check       Diagnose PCs and say what would be repaired; change nothing
      resume      Go on with a run that was cut: its process was killed, or its disk was full
      exec        Run one command on PCs; show output, errors and exit code of each
      demo        Repair simulated PCs over real sockets, to see what it looks like
      lab         Simulate PCs and a domain on this machine
      inventory   Show what was understood of an inventory, or make one of the directory
      directory   Ask the directory about a computer, its LAPS password or an account
      playbook    Show, check and export playbooks
      doctor      Look before a run at what would go wrong; changes nothing and logs on to no PC
      vault       Keep passwords in one encrypted file, which the `age` program opens too
      runs        List past runs, the newest first
      show        Show a past run again
      audit       Show who ran what on which PCs with which credential; verify that nothing was changed
      handoff     Write pages and a USB script for the PCs of a run that nobody reaches; take results in
      completion  Print the completion script of a shell

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

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
      fleetmend demo
      fleetmend check trust-repair -i pcs.yaml --user fleetadmin
      fleetmend run trust-repair -i pcs.yaml --user fleetadmin --limit 'pc-[001:020]*'
      fleetmend exec -i pcs.yaml --user fleetadmin -- nltest /sc_query:example.jp

    Exit codes:
      0    every PC ended healthy or repaired (check: every PC is healthy)
      1    at least one PC did not
      2    usage, inventory, playbook or credential error; nothing was touched
      3    stopped by a safety budget
      130  interrupted
    ");
}

#[test]
fn run_has_its_options_under_headings() {
    let out = fleetmend(["run", "--help"]);
    insta::assert_snapshot!(out.text(), @r#"
    exit 0
    --- stdout
    Diagnose PCs, repair those that are broken, verify the repair

    Usage: fleetmend run [OPTIONS] --inventory <FILE> <PLAYBOOK>

    Arguments:
      <PLAYBOOK>
              Name of a shipped playbook, or a playbook file

    Options:
      -h, --help
              Print help (see a summary with '-h')

    PCs:
      -i, --inventory <FILE>
              Read PCs from this YAML or CSV file; may be given several times

      -l, --limit <PATTERN>
              Take only these: names, globs, groups, joined by ',' ':&' ':!', or @FILE

          --allow-plaintext-passwords
              Accept passwords that stand in the inventory in plain text

          --vault-password-file <FILE>
              Open what ansible-vault encrypted with the password in FILE; a program prints it
              
              [env: ANSIBLE_VAULT_PASSWORD_FILE]

          --vault-id <LABEL@FILE>
              The same for one label; `LABEL@prompt` asks

    Logon:
      -u, --user <USER>
              Log on as this local administrator where the inventory names none
              
              [env: FLEETMEND_USER=]

          --password-file <FILE>
              Read that account's password from FILE instead of asking
              
              [env: FLEETMEND_PASSWORD_FILE]

          --accept-new-host-keys
              Learn unknown SSH host keys; changed ones are refused all the same

          --connect-timeout <TIME>
              Give up connecting to a PC after this long
              
              [default: 10s]

          --max-concurrency <N>
              Work on this many PCs at once
              
              [default: 256]
              [alias: --forks]

    Credentials:
          --credentials <FILE>
              Read from FILE where secrets are kept [default: credentials.yaml in your config folder, if
              it is there]
              
              [env: FLEETMEND_CREDENTIALS=]

          --try-again <ACCOUNT>
              Try ACCOUNT once more although it was refused not long ago; repeatable

    Playbook:
          --set <NAME=VALUE>
              Set a parameter of the playbook

          --kb <KB>
              Name an update for the playbook: its parameter kb; repeatable

          --credential <NAME=USER>
              Give the playbook this account for its parameter NAME, as rescue_admin; repeatable

          --credential-password-file <NAME=FILE>
              Read the password of the account for NAME from FILE instead of asking; repeatable

          --domain-user <USER>
              Give the playbook this domain account, its parameter domain_credential, for rungs that
              need one
              
              [env: FLEETMEND_DOMAIN_USER=]

          --domain-password-file <FILE>
              Read the domain account's password from FILE instead of asking
              
              [env: FLEETMEND_DOMAIN_PASSWORD_FILE]

          --allow-credential-on-pcs
              Allow passwords of such accounts to reach PCs, on rungs that cannot do without

          --language <LANGUAGE>
              Tell the playbook's reasons and advice in this language

              Possible values:
              - en: English
              - ja: 日本語
              
              [env: FLEETMEND_LANGUAGE=]
              [default: en]

      -y, --yes
              Go ahead without asking

          --check
              Diagnose only; change nothing

    Directory:
          --directory <DOMAIN>
              Ask this Active Directory domain from here, over LDAPS; playbooks may change it, too
              
              [env: FLEETMEND_DIRECTORY=]

          --directory-server <HOST[:PORT]>
              Ask this domain controller instead of those that DNS names; may be given several times
              
              [env: FLEETMEND_DIRECTORY_SERVER=]

          --directory-user <USER>
              Ask as this domain account; it needs few rights and must be no domain administrator
              
              [env: FLEETMEND_DIRECTORY_USER=]

          --directory-password-file <FILE>
              Read that account's password from FILE instead of asking
              
              [env: FLEETMEND_DIRECTORY_PASSWORD_FILE]

          --directory-ca <FILE>
              Trust only domain controllers that a CA in this PEM file vouches for
              
              [env: FLEETMEND_DIRECTORY_CA=]

          --directory-pin <sha256:HEX>
              Trust only the certificate with this SHA-256 fingerprint; may be given several times
              
              [env: FLEETMEND_DIRECTORY_PIN=]

          --directory-starttls
              Begin TLS with StartTLS at port 389 instead of LDAPS at port 636

    Restarts:
          --max-reboots <N>
              Restart a PC up to N times in this run, on rungs that cannot do without; 0: never
              
              [env: FLEETMEND_MAX_REBOOTS=]
              [default: 0]

          --no-reboot
              Restart no PC, whatever else is said

          --reboot-window <HH:MM-HH:MM>
              Begin no restart outside these hours of this computer's clock
              
              [env: FLEETMEND_REBOOT_WINDOW=]

          --max-rebooting <N>
              Have at most N PCs of one site, or of one domain controller, restarting at once
              
              [default: 10]

          --even-if-logged-on[=<MINUTES>]
              Restart PCs on which somebody is logged on, who is told and given MINUTES [default: 5]

    Pace:
          --batches <SIZES>
              Work in batches of so many PCs, one after the other, as 1,5,10%,rest; the last size
              repeats
              
              [env: FLEETMEND_BATCHES=]

          --max-errors <N|N%>
              Stop when more PCs than this fail in one way: N of the run or N% of a batch, for each
              class but unreachable, or as CLASS=N,CLASS=N%
              
              [env: FLEETMEND_MAX_ERRORS=]

          --expect <KIND>
              Do not stop for this kind of failure when it is new in the first batch: CLASS,
              CLASS(DETAIL) or any; repeatable

          --max-per-site <N>
              Work on at most N PCs of one site at once; counts only those with a variable site

          --max-per-dc <N>
              Repair at most N PCs of one domain controller at once

          --ramp <N/s>
              Begin at most so many PCs in a time, evenly: N/s or N/m

    Output:
      -o, --output <FORM>
              Write the result to standard output in this form

              Possible values:
              - text:  Tables for people
              - json:  One document at the end
              - jsonl: One line for each event, while it happens
              
              [default: text]

          --data-dir <DIR>
              Keep the journal in DIR instead of your data folder
              
              [env: FLEETMEND_DATA_DIR=]

          --notify-webhook <URL>
              Post the summary as JSON to URL when the run stops or ends

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
      fleetmend run trust-repair -i pcs.yaml --user fleetadmin
      fleetmend run trust-repair -i pcs.yaml --limit '経理部:!pc-007' --check
      fleetmend run trust-repair -i pcs.yaml --user fleetadmin --password-file admin.pw \
          --domain-user 'CORP\joiner' --domain-password-file joiner.pw \
          --allow-credential-on-pcs --yes --output json > result.json

    Press Ctrl-C once to start nothing new, twice to cut what runs.
    "#);
}

#[test]
fn exec_takes_its_command_after_dashes() {
    let out = fleetmend(["exec", "--help"]);
    insta::assert_snapshot!(out.text(), @"
    exit 0
    --- stdout
    Run one command on PCs; show output, errors and exit code of each

    Usage: fleetmend exec [OPTIONS] --inventory <FILE> -- <COMMAND>...

    Options:
      -h, --help
              Print help (see a summary with '-h')

    PCs:
      -i, --inventory <FILE>
              Read PCs from this YAML or CSV file; may be given several times

      -l, --limit <PATTERN>
              Take only these: names, globs, groups, joined by ',' ':&' ':!', or @FILE

          --allow-plaintext-passwords
              Accept passwords that stand in the inventory in plain text

          --vault-password-file <FILE>
              Open what ansible-vault encrypted with the password in FILE; a program prints it
              
              [env: ANSIBLE_VAULT_PASSWORD_FILE]

          --vault-id <LABEL@FILE>
              The same for one label; `LABEL@prompt` asks

    Logon:
      -u, --user <USER>
              Log on as this local administrator where the inventory names none
              
              [env: FLEETMEND_USER=]

          --password-file <FILE>
              Read that account's password from FILE instead of asking
              
              [env: FLEETMEND_PASSWORD_FILE]

          --accept-new-host-keys
              Learn unknown SSH host keys; changed ones are refused all the same

          --connect-timeout <TIME>
              Give up connecting to a PC after this long
              
              [default: 10s]

          --max-concurrency <N>
              Work on this many PCs at once
              
              [default: 256]
              [alias: --forks]

    Credentials:
          --credentials <FILE>
              Read from FILE where secrets are kept [default: credentials.yaml in your config folder, if
              it is there]
              
              [env: FLEETMEND_CREDENTIALS=]

          --try-again <ACCOUNT>
              Try ACCOUNT once more although it was refused not long ago; repeatable

    Command:
          --powershell
              Take the words for PowerShell instead of a program and its arguments

          --timeout <TIME>
              End the command on a PC after this long
              
              [default: 5m]

      <COMMAND>...
              Program and arguments, or PowerShell; after `--`

    Directory:
          --directory <DOMAIN>
              Ask this Active Directory domain from here, over LDAPS; playbooks may change it, too
              
              [env: FLEETMEND_DIRECTORY=]

          --directory-server <HOST[:PORT]>
              Ask this domain controller instead of those that DNS names; may be given several times
              
              [env: FLEETMEND_DIRECTORY_SERVER=]

          --directory-user <USER>
              Ask as this domain account; it needs few rights and must be no domain administrator
              
              [env: FLEETMEND_DIRECTORY_USER=]

          --directory-password-file <FILE>
              Read that account's password from FILE instead of asking
              
              [env: FLEETMEND_DIRECTORY_PASSWORD_FILE]

          --directory-ca <FILE>
              Trust only domain controllers that a CA in this PEM file vouches for
              
              [env: FLEETMEND_DIRECTORY_CA=]

          --directory-pin <sha256:HEX>
              Trust only the certificate with this SHA-256 fingerprint; may be given several times
              
              [env: FLEETMEND_DIRECTORY_PIN=]

          --directory-starttls
              Begin TLS with StartTLS at port 389 instead of LDAPS at port 636

    Pace:
          --batches <SIZES>
              Work in batches of so many PCs, one after the other, as 1,5,10%,rest; the last size
              repeats
              
              [env: FLEETMEND_BATCHES=]

          --max-errors <N|N%>
              Stop when more PCs than this fail in one way: N of the run or N% of a batch, for each
              class but unreachable, or as CLASS=N,CLASS=N%
              
              [env: FLEETMEND_MAX_ERRORS=]

          --expect <KIND>
              Do not stop for this kind of failure when it is new in the first batch: CLASS,
              CLASS(DETAIL) or any; repeatable

          --max-per-site <N>
              Work on at most N PCs of one site at once; counts only those with a variable site

          --max-per-dc <N>
              Repair at most N PCs of one domain controller at once

          --ramp <N/s>
              Begin at most so many PCs in a time, evenly: N/s or N/m

    Output:
      -o, --output <FORM>
              Write the result to standard output in this form

              Possible values:
              - text:  Tables for people
              - json:  One document at the end
              - jsonl: One line for each event, while it happens
              
              [default: text]

          --data-dir <DIR>
              Keep the journal in DIR instead of your data folder
              
              [env: FLEETMEND_DATA_DIR=]

          --notify-webhook <URL>
              Post the summary as JSON to URL when the run stops or ends

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
      fleetmend exec -i pcs.yaml --user fleetadmin -- nltest /sc_query:example.jp
      fleetmend exec -i pcs.yaml --user fleetadmin --powershell -- 'Get-Service Netlogon | Select
      Status'

    PCs that print the same stand together. The exit code is 0 if it was 0 on every PC. The command
    is kept in the journal and may be seen on the PC: put no password into it.
    ");
}

#[test]
fn completion_is_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let out = fleetmend(["completion", shell]);
        assert_eq!(out.code, 0);
        assert!(out.stdout.contains("max-concurrency"), "{shell}");
    }
}

#[test]
fn the_version_is_one_line() {
    let out = fleetmend(["--version"]);
    assert_eq!(out.stdout.lines().count(), 1);
    assert!(out.stdout.starts_with("fleetmend "));
}

#[test]
fn a_command_without_dashes_is_helped() {
    let out = fleetmend(["exec", "-i", "pcs.yaml", "hostname"]);
    assert_eq!(out.code, 2);
    let last = out.stderr.lines().last();
    let hint = "hint: the command stands after `--`: fleetmend exec -i pcs.yaml -- COMMAND";
    assert_eq!(last, Some(hint), "{}", out.stderr);
    let out = fleetmend(["exec", "--help"]);
    assert!(
        out.code == 0 && !out.stderr.contains("hint"),
        "{}",
        out.text()
    );
}
