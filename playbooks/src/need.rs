//! What a rung cannot do without, and how its lack is told.
//!
//! Advice names options of the `fleetmend` command: a PC that ends here waits for somebody to type
//! one. They are words only; whoever embeds the crate otherwise has the guard's name.

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
    match need {
        Need::CredentialOnPc(name) if !situation.credentials.contains(name) => Some((
            "needs-credential",
            name,
            [
                "{rung} needs the credential {name}, which is not set",
                "{rung} には資格情報 {name} が必要ですが、指定されていません",
            ],
            [
                "run again with --domain-user USER --allow-credential-on-pcs",
                "--domain-user USER --allow-credential-on-pcs を付けて、もう一度実行してください",
            ],
        )),
        Need::CredentialOnPc(name) if !situation.credentials_for_pcs.contains(name) => Some((
            "needs-credential-on-pc",
            name,
            [
                "{rung} would send the credential {name} to the PC, which is not allowed",
                "{rung} は資格情報 {name} を PC に送りますが、許可されていません",
            ],
            [
                "run again with --allow-credential-on-pcs, or repair by hand",
                "--allow-credential-on-pcs を付けてもう一度実行するか、手動で修復してください",
            ],
        )),
        Need::Parameter(name) if situation.params.get(name).is_none_or(Value::is_null) => Some((
            "needs-parameter",
            name,
            [
                "{rung} needs the parameter {name}, which is not set",
                "{rung} にはパラメーター {name} が必要ですが、指定されていません",
            ],
            [
                "run again with --set {name}=VALUE",
                "--set {name}=VALUE を付けて、もう一度実行してください",
            ],
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
                "run again with --directory DOMAIN --directory-user USER",
                "--directory DOMAIN --directory-user USER を付けて、もう一度実行してください",
            ],
        )),
        Need::OfflineJoin if !situation.offline_join => Some((
            "needs-offline-join",
            "",
            [
                "{rung} needs an offline join blob, which the controller cannot make",
                "{rung} にはオフライン参加の BLOB が必要ですが、コントローラーで作成できません",
            ],
            [
                "give the controller the directory and Samba's program net, then run again",
                "ディレクトリへの接続と Samba の net コマンドを用意して、もう一度実行してください",
            ],
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn advice_names_the_option_to_type() {
        let name = || "domain_credential".to_owned();
        let none = Situation::default();
        let kept = Situation {
            credentials: [name()].into(),
            ..Situation::default()
        };
        let given = Situation {
            credentials_for_pcs: [name()].into(),
            params: [("controller".to_owned(), json!("dc01"))]
                .into_iter()
                .collect(),
            ..kept.clone()
        };
        let need = Need::CredentialOnPc(name());
        for language in [Language::En, Language::Ja] {
            let next = |need: &Need, situation: &Situation| {
                let situation = Situation {
                    language,
                    ..situation.clone()
                };
                missing(need, "rung", &situation).map(|missing| missing.next)
            };
            let advice = next(&need, &none).unwrap();
            assert!(advice.contains("--domain-user USER --allow-credential-on-pcs"));
            let advice = next(&need, &kept).unwrap();
            assert!(advice.contains("--allow-credential-on-pcs"));
            assert!(!advice.contains("--domain-user"));
            assert_eq!(next(&need, &given), None);
            let parameter = Need::Parameter("controller".to_owned());
            let advice = next(&parameter, &none).unwrap();
            assert!(advice.contains("--set controller=VALUE"));
            assert_eq!(next(&parameter, &given), None);
        }
    }
}
