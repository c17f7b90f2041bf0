//! What a rung cannot do without, and how its lack is told.

use serde_json::Value;

use crate::{Language, Need, Situation};

/// What is missing: the word in `blocked(…)`, why, and what to do, in the situation's language.
pub(crate) struct Missing {
    pub(crate) guard: &'static str,
    pub(crate) reason: String,
    pub(crate) next: String,
}

/// English and Japanese; `{rung}` and `{name}` are filled in.
type Text = [&'static str; 2];

/// Returns what is missing of a need, or nothing.
pub(crate) fn missing(need: &Need, rung: &str, situation: &Situation) -> Option<Missing> {
    let (guard, name, reason, next) = texts(need, situation)?;
    let fill = |text: Text| {
        let [en, ja] = text;
        let text = if situation.language == Language::Ja {
            ja
        } else {
            en
        };
        text.replace("{rung}", rung).replace("{name}", name)
    };
    Some(Missing {
        guard,
        reason: fill(reason),
        next: fill(next),
    })
}

fn texts<'a>(need: &'a Need, situation: &Situation) -> Option<(&'static str, &'a str, Text, Text)> {
    let set = [
        "set {name} and run again",
        "{name} を指定して、もう一度実行してください",
    ];
    match need {
        Need::CredentialOnPc(name) if !situation.credentials.contains(name) => Some((
            "needs-credential",
            name,
            [
                "{rung} needs the credential {name}, which is not set",
                "{rung} には資格情報 {name} が必要ですが、指定されていません",
            ],
            set,
        )),
        Need::CredentialOnPc(name) if !situation.credentials_for_pcs.contains(name) => Some((
            "needs-credential-on-pc",
            name,
            [
                "{rung} would send the credential {name} to the PC, which is not allowed",
                "{rung} は資格情報 {name} を PC に送りますが、許可されていません",
            ],
            [
                "allow {name} on PCs and run again, or repair by hand",
                "{name} を PC に送ることを許可するか、手動で修復してください",
            ],
        )),
        Need::Parameter(name) if situation.params.get(name).is_none_or(Value::is_null) => Some((
            "needs-parameter",
            name,
            [
                "{rung} needs the parameter {name}, which is not set",
                "{rung} にはパラメーター {name} が必要ですが、指定されていません",
            ],
            set,
        )),
        Need::Reboot if !situation.may_reboot => Some((
            "needs-reboot",
            "",
            [
                "{rung} reboots the PC, which is not allowed",
                "{rung} は PC を再起動しますが、許可されていません",
            ],
            [
                "allow reboots and run again",
                "再起動を許可して、もう一度実行してください",
            ],
        )),
        Need::Directory if !situation.directory => Some((
            "needs-directory",
            "",
            [
                "{rung} needs the directory over LDAPS, which the controller does not reach",
                "{rung} にはディレクトリへの接続 (LDAPS) が必要です",
            ],
            [
                "give the controller access to the directory and run again",
                "ディレクトリへの接続を設定して、もう一度実行してください",
            ],
        )),
        _ => None,
    }
}
