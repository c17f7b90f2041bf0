//! Shell scripts read their parameters with awk: any text must arrive as it was sent, in every
//! shell and with every awk that is at hand, for passwords are among them.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const READER: &str = "library/trust-repair-linux/include/json.sh";

/// A shell, and the awk that it finds first.
const PAIRS: [(&[&str], &str); 6] = [
    (&["sh"], "awk"),
    (&["dash"], "mawk"),
    (&["bash", "--posix"], "gawk"),
    (&["busybox", "sh"], "busybox"),
    (&["dash"], "busybox"),
    (&["bash"], "original-awk"),
];

fn found(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .map(|file| file.to_string_lossy().into_owned())
}

/// Reads values out of parameters: every path on a line of its own would not do for values with
/// line ends, so each is asked for alone.
fn read(shell: &[&str], folder: &Path, params: &str, path: &str) -> String {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join(READER);
    let reader = fs::read_to_string(reader).unwrap();
    // A mark at the end, for $(...) drops line ends.
    let script = format!("{reader}\nparam \"$1\"\nprintf '|'\n");
    let (program, arguments) = shell.split_first().unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        .args(["-c", &script, "sh", path])
        .env(
            "PATH",
            format!(
                "{}:{}",
                folder.display(),
                std::env::var("PATH").unwrap_or_default()
            ),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(params.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{shell:?}: {:?}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_suffix('|').unwrap().to_owned()
}

/// Writes all beyond ASCII as `\uXXXX`, as other writers of JSON do.
fn escaped(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[test]
fn any_text_arrives_as_it_was_sent() {
    let texts = [
        "plain",
        " p\"w\\%$ #;=1A '`id`$(id)\\n ",
        "tab\tand\u{1}control\r",
        "パスワード é 😀",
        "{\"a\":[1,2]}",
        "\\u0041\\",
        "-n",
        "null",
    ];
    let mut tried = 0;
    for (shell, awk) in PAIRS {
        let (Some(_), Some(awk_file)) = (found(shell.first().unwrap()), found(awk)) else {
            println!("SKIPPED: {shell:?} with {awk}, because one of them is missing");
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(awk_file, folder.path().join("awk")).unwrap();
        for text in texts {
            let params = json!({
                "before": {"user": "x", "password": "other"},
                "credential": {"user": "EXAMPLE\\admin", "password": text},
                "list": [{}, [], {"name": text}],
            });
            for sent in [
                params.to_string(),
                escaped(&params),
                format!("{params:#}\n"),
            ] {
                let value = read(shell, folder.path(), &sent, ".credential.password");
                assert_eq!(value, text, "{shell:?} with {awk}");
            }
            let sent = params.to_string();
            let value = read(shell, folder.path(), &sent, ".list.2.name");
            assert_eq!(value, text, "{shell:?} with {awk}");
            tried += 1;
        }
        let params = json!({"n": -12, "yes": true, "no": false, "none": null, "empty": ""});
        for (path, value) in [
            (".n", "-12"),
            (".yes", "true"),
            (".no", "false"),
            (".none", ""),
            (".empty", ""),
            (".missing", ""),
            (".n.deeper", ""),
        ] {
            let is = read(shell, folder.path(), &params.to_string(), path);
            assert_eq!(is, value, "{path} in {shell:?} with {awk}");
        }
    }
    assert!(tried > 0, "there is no shell");
}
