//! The words of the pages that are not steps, in both languages.

/// One language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lang {
    En,
    Ja,
}

impl Lang {
    /// Chooses the text of this language.
    pub(super) fn of(self, en: &'static str, ja: &'static str) -> &'static str {
        match self {
            Self::En => en,
            Self::Ja => ja,
        }
    }

    /// Returns the code for the attribute `lang`.
    pub(super) fn code(self) -> &'static str {
        self.of("en", "ja")
    }
}

/// Facts that a person at the PC may need: pointer, English, Japanese.
pub(super) const FACTS: [(&str, &str, &str); 11] = [
    ("/computer/name", "Computer name", "コンピューター名"),
    (
        "/computer/domain",
        "Domain or workgroup",
        "ドメイン/ワークグループ",
    ),
    ("/computer/model", "Model", "機種"),
    ("/os/build", "Windows build", "Windows ビルド"),
    ("/dc/name", "Domain controller", "ドメイン コントローラー"),
    ("/dc/located", "Controller found", "コントローラー検出"),
    (
        "/channel/verify/connection_status",
        "sc_verify, connection",
        "sc_verify 接続",
    ),
    (
        "/channel/verify/trust_status",
        "sc_verify, trust",
        "sc_verify 信頼",
    ),
    ("/channel/query/connection_status", "sc_query", "sc_query"),
    (
        "/clock/offset_seconds",
        "Clock off by (s)",
        "時刻のずれ (秒)",
    ),
    (
        "/machine_secret/last_set",
        "PC's password since",
        "PC のパスワード設定",
    ),
];
