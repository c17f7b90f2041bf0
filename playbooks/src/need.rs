//! What a rung cannot do without, and how its lack is told.
//!
//! Advice names options of the `fleetmend` command: a PC that ends here waits for somebody to type
//! one. They are words only; whoever embeds the crate otherwise has the guard's name.

use serde_json::Value;

use crate::{Language, Need, Rung, SecretFrom, Situation, StepKind};

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
    Some(filled(guard, [reason, next], rung, name, situation))
}

/// Returns what is missing of credentials that a rung does without where they are not set, but
/// would send to the PC where they are.
pub(crate) fn optional_missing(rung: &Rung, situation: &Situation) -> Option<Missing> {
    let steps = rung.preflight_steps().chain(&rung.steps);
    steps
        .filter(|step| !matches!(step.kind, StepKind::Elsewhere(_)))
        .flat_map(|step| &step.secrets)
        .filter_map(|(_, from)| match from {
            SecretFrom::Credential(name) => Some(Need::CredentialOnPc(name.clone())),
            SecretFrom::Made(_) => None,
        })
        .filter(|need| matches!(need, Need::CredentialOnPc(name) if situation.credentials.contains(name)))
        .find_map(|need| missing(&need, &rung.id, situation))
}

/// Returns what is missing for the restarts of a rung, or nothing.
pub(crate) fn reboots_missing(rung: &Rung, situation: &Situation) -> Option<Missing> {
    let reboots = rung.reboots();
    if reboots == 0 {
        return None;
    }
    let wanted = situation.reboots.saturating_add(reboots);
    if wanted > situation.max_reboots {
        let texts = [
            [
                "{rung} restarts the PC, which takes {name} restarts in this run; that is not allowed",
                "{rung} は PC を再起動します (この実行で合計 {name} 回) が、許可されていません",
            ],
            [
                "run again with --max-reboots {name}",
                "--max-reboots {name} を付けて、もう一度実行してください",
            ],
        ];
        let name = wanted.to_string();
        return Some(filled("needs-reboot", texts, &rung.id, &name, situation));
    }
    let window = situation.reboot_window.as_ref()?;
    if window.open_for.is_some_and(|left| left >= rung.cost) {
        return None;
    }
    let texts = [
        [
            "{rung} restarts the PC, and cannot end inside the hours for restarts, {name}",
            "{rung} は PC を再起動しますが、再起動の時間帯 {name} のうちに終わりません",
        ],
        [
            "run again at the beginning of {name}",
            "{name} の開始時にもう一度実行してください",
        ],
    ];
    let text = window.text.as_str();
    Some(filled("reboot-window", texts, &rung.id, text, situation))
}

fn filled(
    guard: &'static str,
    texts: [Text; 2],
    rung: &str,
    name: &str,
    situation: &Situation,
) -> Missing {
    let [reason, next] = texts.map(|[en, ja]| {
        let text = match situation.language {
            Language::En => en,
            Language::Ja => ja,
        };
        text.replace("{rung}", rung).replace("{name}", name)
    });
    Missing {
        guard,
        reason,
        next,
    }
}

/// The parameter for which the command has an option of its own.
const DOMAIN: &str = "domain_credential";

/// Returns the option that sets a credential, as advice in both languages.
fn give(name: &str, on_pc: bool) -> Text {
    match (name == DOMAIN, on_pc) {
        (true, true) => [
            "run again with --domain-user USER --allow-credential-on-pcs",
            "--domain-user USER --allow-credential-on-pcs を付けて、もう一度実行してください",
        ],
        (true, false) => [
            "run again with --domain-user USER",
            "--domain-user USER を付けて、もう一度実行してください",
        ],
        (false, true) => [
            "run again with --credential {name}=USER --allow-credential-on-pcs",
            "--credential {name}=USER --allow-credential-on-pcs を付けて、もう一度実行してください",
        ],
        (false, false) => [
            "run again with --credential {name}=USER",
            "--credential {name}=USER を付けて、もう一度実行してください",
        ],
    }
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
            give(name, true),
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
        Need::Credential(name) if !situation.credentials.contains(name) => Some((
            "needs-credential",
            name,
            [
                "{rung} needs the credential {name}, which is not set",
                "{rung} には資格情報 {name} が必要ですが、指定されていません",
            ],
            give(name, false),
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
            // Each other account has an option that names its parameter.
            let rescue = Need::CredentialOnPc("rescue_admin".to_owned());
            let advice = next(&rescue, &none).unwrap();
            assert!(advice.contains("--credential rescue_admin=USER --allow-credential-on-pcs"));
            let elsewhere = Need::Credential("rescue_admin".to_owned());
            let advice = next(&elsewhere, &none).unwrap();
            assert!(advice.contains("--credential rescue_admin=USER"));
            assert!(!advice.contains("--allow"));
            let domain = Need::Credential(name());
            let advice = next(&domain, &none).unwrap();
            assert!(advice.contains("--domain-user USER") && !advice.contains("--allow"));
            assert_eq!(next(&domain, &kept), None);
            let parameter = Need::Parameter("controller".to_owned());
            let advice = next(&parameter, &none).unwrap();
            assert!(advice.contains("--set controller=VALUE"));
            assert_eq!(next(&parameter, &given), None);
        }
    }
}
