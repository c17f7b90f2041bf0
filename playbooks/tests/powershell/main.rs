//! Every shipped script is Windows PowerShell 5.1 that decides on numbers and keeps secrets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod checker;
mod rules;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use checker::{Role, check};
use fleetmend_playbooks::{Builtin, library_scripts};
use tree::Tree;

/// What travels: every shipped script with what it includes, by its name.
fn scripts() -> Vec<(String, String)> {
    library_scripts()
        .unwrap()
        .iter()
        .filter(|script| script.name.ends_with(".ps1"))
        .map(|script| (script.name.clone(), script.text.clone()))
        .collect()
}

/// What the engine itself runs.
fn builtins() -> Vec<(String, String)> {
    let files = Builtin::ALL
        .into_iter()
        .filter(|builtin| builtin.is_script())
        .map(|builtin| builtin.file().unwrap());
    files
        .map(|script| (script.name.clone(), script.text.clone()))
        .collect()
}

/// What a rule forbids and is done all the same, once each, with the operator's consent: script,
/// rule, statement.
const ALLOWED: &[(&str, &str, &str)] = &[
    // ksetup takes the password in no other way; the rung is run only if the parameter says so.
    (
        "trust-repair/ksetup-machine-password.ps1",
        "hands a secret out",
        "$start.Arguments = '/setcomputerpassword ' + $Params.machine_password",
    ),
    // Names of products are their makers', in every language of Windows; the patterns are data.
    (
        "disk-restore-guard/diagnose.ps1",
        "decides on text",
        "$_ -like $name",
    ),
    (
        "trust-repair/rejoin-safety.ps1",
        "decides on text",
        "$_ -like $name",
    ),
    (
        "update-rollback/safety.ps1",
        "decides on text",
        "$_ -like $name",
    ),
];

/// Parts of scripts that hold C#, each with what it may call of Windows.
const COMPILED: &[(&str, &str)] = &[
    ("include/local-account.ps1", "advapi32.dll"),
    ("include/local-account.ps1", "kernel32.dll"),
    ("include/local-account.ps1", "netapi32.dll"),
    ("include/machine-secret.ps1", "advapi32.dll"),
    ("include/netlogon.ps1", "netapi32.dll"),
    ("include/restart-safety.ps1", "kernel32.dll"),
    ("include/restart-safety.ps1", "user32.dll"),
    ("include/restart-safety.ps1", "wtsapi32.dll"),
    // What a rule of the firewall is worth; it calls nothing.
    ("trust-repair/include/firewall.ps1", ""),
    ("trust-repair/include/membership.ps1", "advapi32.dll"),
    ("trust-repair/include/membership.ps1", "netapi32.dll"),
    ("trust-repair/include/provision.ps1", "advapi32.dll"),
    ("trust-repair/include/provision.ps1", "kernel32.dll"),
    ("trust-repair/include/provision.ps1", "netapi32.dll"),
];

fn findings(text: &str) -> Vec<String> {
    check(text, Role::Step)
        .iter()
        .map(|finding| finding.rule.to_owned())
        .collect()
}

#[test]
fn every_shipped_script_passes() {
    let mut scripts = scripts();
    scripts.extend(builtins());
    assert!(
        scripts.len() >= 9,
        "the library has lost its scripts: {scripts:?}"
    );
    let mut bad = Vec::new();
    let mut allowed = ALLOWED.to_vec();
    allowed.retain(|(script, ..)| scripts.iter().any(|(name, _)| name == script));
    for (name, text) in scripts {
        for finding in check(&text, Role::Step) {
            let is = |(script, rule, text): &(&str, &str, &str)| {
                (*script, *rule, *text) == (name.as_str(), finding.rule, finding.text.as_str())
            };
            match allowed.iter().position(is) {
                Some(at) => drop(allowed.remove(at)),
                None => bad.push(format!("{name}:{finding}")),
            }
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
    assert!(allowed.is_empty(), "nobody does this any more: {allowed:?}");
}

/// The scripts that the page on writing playbooks shows hold to what it says.
#[test]
fn the_scripts_of_the_page_pass() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/playbooks/writing.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<_> = page.split("```powershell\n").skip(1).collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        let script = block.split("```").next().unwrap();
        let found = check(script, Role::Step);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

/// What a script answers is what its schema says, field by field, and it ends with that.
#[test]
fn the_scripts_of_the_engine_answer_as_their_schemas_say() {
    let used_name = regex::Regex::new(r"\$Params\.([a-z_]+)").unwrap();
    let mut seen = 0;
    for builtin in Builtin::ALL {
        let file = builtin.file().unwrap();
        assert_eq!(builtin.is_script(), !file.text.is_empty(), "{builtin}");
        if !builtin.is_script() {
            continue;
        }
        seen += 1;
        let (_, answer) = file
            .text
            .rsplit_once("\n[PSCustomObject][ordered]@{\n")
            .unwrap();
        let lines: Vec<_> = answer.lines().collect();
        let (last, fields) = lines.split_last().unwrap();
        assert_eq!(*last, "}", "{builtin}");
        let given: BTreeSet<_> = fields
            .iter()
            .map(|line| line.trim().split(" = ").next().unwrap())
            .collect();
        let told = file.gives["properties"].as_object().unwrap();
        let told: BTreeSet<_> = told.keys().map(String::as_str).collect();
        assert_eq!(given, told, "{builtin}");
        // Each parameter is used, and no other.
        let used: BTreeSet<_> = used_name
            .captures_iter(&file.text)
            .map(|found| found.get(1).unwrap().as_str())
            .collect();
        let takes = file.takes["properties"].as_object().unwrap();
        let takes: BTreeSet<_> = takes.keys().map(String::as_str).collect();
        assert_eq!(used, takes, "{builtin}");
    }
    assert_eq!(seen, 4);
}

/// The message of a restart is the one text that gets into a command line.
#[test]
fn nothing_of_a_message_ends_its_argument() {
    let (_, text) = builtins()
        .into_iter()
        .find(|(name, _)| name == "engine/restart.ps1")
        .unwrap();
    let quoted = text.find("[char]34").unwrap();
    let control = text.find("IsControl").unwrap();
    let trimmed = text.find(r"TrimEnd('\', ' ')").unwrap();
    let used = text.find("ConvertTo-Argument $Message").unwrap();
    assert!(control < quoted && quoted < trimmed && trimmed < used);
    assert_eq!(text.matches("$Params.message").count(), 1);
    assert_eq!(text.matches("$Message").count(), 3);
    assert!(text.contains("Start-Restart([int]$Seconds, "));
    assert!(text.contains("/r /t ' + $Seconds + '"));
}

/// C# stands in few places, and calls of Windows what they are for.
#[test]
fn compiled_code_is_where_it_is_looked_for() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
    let import = regex::Regex::new(r#"DllImport\("([^"]+)""#).unwrap();
    let mut found = BTreeSet::new();
    for (name, text) in files(&library) {
        if !text.contains("-TypeDefinition") && !import.is_match(&text) {
            continue;
        }
        for call in import.captures_iter(&text) {
            let library = call.get(1).unwrap().as_str().to_ascii_lowercase();
            let may = COMPILED.contains(&(name.as_str(), library.as_str()));
            assert!(may, "{name} calls {library}");
        }
        found.insert(name);
    }
    let expected = COMPILED.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(found, expected.collect());
}

/// The PowerShell of all playbooks as it stands on disk, by `PLAYBOOK/…`.
fn files(library: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![library.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap() {
            let path = path.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "ps1") {
                let name = path.strip_prefix(library).unwrap().to_string_lossy();
                let text = fs::read_to_string(&path).unwrap();
                files.push((name.replace('\\', "/"), text));
            }
        }
    }
    files
}

/// What starts the steps alone may make code out of text.
#[test]
fn the_scripts_of_the_channel_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../transport/src/powershell");
    let mut seen = 0;
    let mut bad = Vec::new();
    for path in fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if path.extension().is_none_or(|ending| ending != "ps1") {
            continue;
        }
        seen += 1;
        let text = fs::read_to_string(&path).unwrap();
        for finding in check(&text, Role::Channel) {
            bad.push(format!("{}:{finding}", path.display()));
        }
    }
    assert!(seen >= 1, "the bootstrap is gone");
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

/// A block is run inside `Invoke-Probe` and sees its parameters before the script's own variables:
/// with a parameter `$Name` a block that names an account would name the probe.
#[test]
fn a_probe_hides_no_variable_of_its_block() {
    for (script, text) in scripts() {
        let head = "function Invoke-Probe([string]$ProbeName, [scriptblock]$ProbeBody) {";
        let (before, rest) = text.split_once(head).unwrap();
        let (probe, after) = rest.split_once("\n}\n").unwrap();
        assert!(probe.contains("& $ProbeBody") && probe.contains("probe = $ProbeName"));
        for part in [before, after].map(str::to_lowercase) {
            let hidden = ["$probename", "$probebody"];
            let used = hidden.iter().find(|name| part.contains(*name));
            assert_eq!(used, None, "{script}");
        }
    }
}

/// Names are the same in any case, so a block of work may be lost to a value.
#[test]
fn no_block_is_overwritten() {
    let block = regex::Regex::new(r"(?m)^\$(\w+) = \{$").unwrap();
    for (script, text) in scripts() {
        for found in block.captures_iter(&text) {
            let name = found.get(1).unwrap().as_str();
            let again = regex::Regex::new(&format!(r"(?mi)^\s*\${name} = ")).unwrap();
            assert_eq!(again.find_iter(&text).count(), 1, "${name} in {script}");
        }
    }
}

#[test]
fn no_script_defines_a_function_twice() {
    for (script, text) in scripts() {
        let tree = Tree::parse(&text);
        let mut known = BTreeSet::new();
        for function in tree.all("function_statement") {
            let name = tree.child(function, "function_name").unwrap();
            assert!(
                known.insert(tree.text(name).to_owned()),
                "{} in {script}",
                tree.text(name)
            );
        }
        assert!(
            known.contains("Invoke-Probe"),
            "{script} lost what it includes"
        );
        assert!(!text.contains("#include"), "{script}");
    }
}

#[test]
fn each_bad_snippet_is_caught() {
    let snippets = [
        ("$x = $a ?? 1", "not valid"),
        ("$a ??= 1", "not valid"),
        ("$x = $a?.b", "not valid"),
        ("$x = ${a}?[0]", "not valid"),
        ("$x = $a ? 1 : 2", "not valid"),
        ("if ($a { 1 }", "not valid"),
        ("function f { process { 1 } clean { 2 } }", "not valid"),
        ("Get-Date && Get-Date", "newer than 5.1"),
        ("Get-Date || Get-Date", "newer than 5.1"),
        ("1..3 | ForEach-Object -Parallel { $_ }", "newer than 5.1"),
        ("1..3 | % -par { $_ }", "newer than 5.1"),
        ("$x = $t | ConvertFrom-Json -AsHashtable", "newer than 5.1"),
        ("ConvertTo-Json $x -AsArray", "newer than 5.1"),
        ("Test-Connection -TargetName $x", "newer than 5.1"),
        ("Get-Content $x -AsByteStream", "newer than 5.1"),
        ("Get-Error", "newer than 5.1"),
        ("Get-Uptime", "newer than 5.1"),
        ("$x = $PSStyle.Reset", "newer than 5.1"),
        ("if ($IsWindows) { 1 }", "newer than 5.1"),
        ("$x = [System.Text.StringBuilder]::new()", "newer than 3.0"),
        ("class A { [int]$b }", "newer than 3.0"),
        ("Invoke-Expression $x", "string-built command"),
        ("iex $x", "string-built command"),
        ("& ([scriptblock]::Create($x))", "string-built command"),
        ("$s = [ScriptBlock]::Create($x)", "string-built command"),
        ("[void]$shell.AddScript($x)", "string-built command"),
        (
            "$ExecutionContext.InvokeCommand.InvokeScript($x)",
            "string-built command",
        ),
        (
            "$ExecutionContext.InvokeCommand.ExpandString($x)",
            "string-built command",
        ),
        ("& \"$folder\\a.exe\" 1", "string-built command"),
        ("& ('Get-' + $x)", "string-built command"),
        ("cmd /c \"dir $x\"", "string-built command"),
        ("Add-Type -TypeDefinition $code", "string-built command"),
        ("Add-Type $code", "string-built command"),
        (
            "Add-Type -TypeDefinition \"public class A { $code }\"",
            "string-built command",
        ),
        (
            "Add-Type -TypeDefinition @\"\npublic class A { $code }\n\"@",
            "string-built command",
        ),
        ("Add-Type -Path 'C:\\a.dll'", "string-built command"),
        (
            "Add-Type -Name A -MemberDefinition @'\npublic int B;\n'@",
            "string-built command",
        ),
        ("powershell.exe -Command $x", "string-built command"),
        (
            "if ($_.Exception.Message -match 'Status') { 1 }",
            "decides on text",
        ),
        ("if ($e.Message -eq 'x') { 1 }", "decides on text"),
        ("if ('x' -like $e.Message) { 1 }", "decides on text"),
        ("if ($e.Message.Contains('x')) { 1 }", "decides on text"),
        ("switch ($e.Message) { 'a' { 1 } }", "decides on text"),
        (
            "$x | Where-Object { $_.DisplayName -eq 'Netlogon' }",
            "decides on text",
        ),
        ("$x | Where-Object Message -eq 'x'", "decides on text"),
        (
            "if ($line -match 'The command completed') { 1 }",
            "decides on text",
        ),
        ("if ($line -like '*failed*') { 1 }", "decides on text"),
        ("if ($line -match $pattern) { 1 }", "decides on text"),
        (
            "if ([regex]::IsMatch($line, 'Trusted DC Name')) { 1 }",
            "decides on text",
        ),
        ("$output | Select-String 'success'", "decides on text"),
        ("if ($line -eq 'Access is denied') { 1 }", "decides on text"),
        (
            "if ($line.StartsWith('Trusted DC')) { 1 }",
            "decides on text",
        ),
        (
            "& $nltest $Params.domain_credential.password",
            "hands a secret out",
        ),
        (
            "$p = $Params.domain_credential.password; & $nltest /pw $p",
            "hands a secret out",
        ),
        ("net.exe use x $Params.password", "hands a secret out"),
        ("$password = 'x'; net use $password", "hands a secret out"),
        (
            "Set-Content x $Params.admin_credential.password",
            "hands a secret out",
        ),
        (
            "$s = ConvertTo-SecureString -String $Params.credential.password -AsPlainText -Force",
            "hands a secret out",
        ),
        (
            "$s = New-Object Thing $Params.credential.password",
            "hands a secret out",
        ),
        (
            "$env:PW = $Params.domain_credential.password",
            "hands a secret out",
        ),
        (
            "$start.Arguments = $Params.domain_credential.password",
            "hands a secret out",
        ),
        (
            "$t = \"/p:$($Params.domain_credential.password)\"",
            "hands a secret out",
        ),
        (
            "$t = '/p:{0}' -f $Params.domain_credential.password",
            "hands a secret out",
        ),
        (
            "[PSCustomObject]@{ a = $Params.domain_credential.user }",
            "hands a secret out",
        ),
        (
            "[Console]::Error.WriteLine($Params.machine_password)",
            "hands a secret out",
        ),
        (
            "$p = $Params.credential.password; $x = $client.Send($p)",
            "hands a secret out",
        ),
        ("$x = '\u{6210}\u{529f}'", "not ASCII"),
        ("Invoke-Probe 'os' { 1 }", "leaves output"),
        ("$x = Read-Host", "asks a person"),
        ("$x = Get-Credential", "asks a person"),
    ];
    for (snippet, rule) in snippets {
        let text = format!("param($Params)\n{snippet}\n");
        let found = findings(&text);
        assert!(
            found.iter().any(|found| found == rule),
            "{snippet}: {found:?}, not {rule}"
        );
    }
    assert_eq!(findings("Get-Date"), ["no param($Params)"]);
}

#[test]
fn each_good_snippet_passes() {
    let snippets = [
        "$x = if ($a) { 1 } else { 2 }",
        "if ($line -match 'Status = (\\d+) 0x') { [long]$Matches[1] }",
        "if ($line -match '\\\\\\\\([A-Za-z0-9][A-Za-z0-9._-]*)') { $Matches[1] }",
        "if ($line -match 'I_NetLogonControl') { 1 }",
        "foreach ($c in $Params.domain_credential.password.ToCharArray()) { $s.AppendChar($c) }",
        "$c = New-Object System.Management.Automation.PSCredential $Params.credential.user, $s",
        "$service = Get-Service -Name Netlogon; $service.Start()",
        "$text.Append($Params.machine_password[$i])",
        "& $Body",
        "Add-Type -AssemblyName System.ServiceProcess",
        "Add-Type -TypeDefinition @'\npublic class A { }\n'@",
        "$m = $_.Exception.Message; Write-Warning $m",
        "1..3 | ForEach-Object { $_ }",
        "$x = '??', '&&', 'iex'",
        "if ($id -eq 'NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand') { 1 }",
    ];
    for snippet in snippets {
        let text = format!("param($Params)\n{snippet}\n");
        let found = check(&text, Role::Step);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{snippet}: {found:?}");
    }
}

/// An exception that leaves a thread ends powershell.exe, and with it all steps of the PC.
#[test]
fn what_a_thread_throws_stays_in_it() {
    let mut threads = 0;
    for (script, text) in scripts() {
        for start in text.split("new Thread(").skip(1) {
            let body = start.split("thread.Start();").next().unwrap();
            assert!(
                body.contains("catch (Exception error) { failure = error; }"),
                "{script}: {body}"
            );
            threads += 1;
        }
    }
    assert!(threads >= 5, "{threads}");
}

/// Stopping a service stops those that need it, and Windows starts none of them again.
#[test]
fn who_stops_netlogon_starts_what_needed_it() {
    let mut stops = 0;
    for (script, text) in scripts()
        .iter()
        .filter(|(_, text)| text.contains(".Stop()"))
    {
        stops += 1;
        let listed = text.find(".DependentServices").unwrap();
        let stopped = text.find("$service.Stop()").unwrap();
        let started = text.find("$dependents[$i].Start()").unwrap();
        assert!(listed < stopped && stopped < started, "{script}");
    }
    assert!(stops >= 1);
}
