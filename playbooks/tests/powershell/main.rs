//! Every shipped script is Windows PowerShell 5.1 that decides on numbers and keeps secrets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod checker;
mod rules;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use checker::{Role, check};
use fleetmend_playbooks::library_scripts;
use tree::Tree;

/// What travels: every shipped script with what it includes, by its name.
fn scripts() -> Vec<(String, String)> {
    library_scripts()
        .unwrap()
        .iter()
        .map(|script| (script.name.clone(), script.text.clone()))
        .collect()
}

fn findings(text: &str) -> Vec<String> {
    check(text, Role::Step)
        .iter()
        .map(|finding| finding.rule.to_owned())
        .collect()
}

#[test]
fn every_shipped_script_passes() {
    let scripts = scripts();
    assert!(
        scripts.len() >= 5,
        "the library has lost its scripts: {scripts:?}"
    );
    let mut bad = Vec::new();
    for (name, text) in scripts {
        for finding in check(&text, Role::Step) {
            bad.push(format!("{name}:{finding}"));
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
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
            known.contains("Invoke-Netlogon"),
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
        "& $Body",
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
        let searched = text.find("'locate' { Find-").unwrap();
        assert!(
            listed < stopped && stopped < started && started < searched,
            "{script}"
        );
    }
    assert_eq!(stops, 1);
}
