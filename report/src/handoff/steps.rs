//! What to do at the PC: the steps of the documents that the project grew from, in order of harm:
//! first what changes nothing, last what costs most.

use super::words::Lang;
use super::{Pages, Pc};

/// A part of the instructions: its title and its steps. A step is text with `code` between
/// backquotes; both are escaped later.
pub(super) struct Part {
    pub(super) title: String,
    pub(super) steps: Vec<String>,
}

fn part(title: &str, steps: Vec<String>) -> Part {
    Part {
        title: title.to_owned(),
        steps,
    }
}

/// Returns the parts for a PC.
pub(super) fn parts(pages: &Pages<'_>, pc: &Pc<'_>, lang: Lang) -> Vec<Part> {
    if pc.posix {
        return vec![posix(lang)];
    }
    let names = Names::of(pages, pc, lang);
    let mut parts = vec![
        begin(pc, &names, lang),
        look(&names, lang),
        quick(pages, &names, lang),
        rejoin(&names, lang),
        last(lang),
    ];
    if pc.is_locked() {
        parts.insert(1, locked(lang));
    }
    parts.push(nobody(&names, lang));
    parts
}

struct Names {
    computer: String,
    domain: String,
    /// The domain, or a blank to write it on.
    known: bool,
    account: String,
}

impl Names {
    fn of(pages: &Pages<'_>, pc: &Pc<'_>, lang: Lang) -> Self {
        let domain = pc.story.domain().or_else(|| pages.domain.clone());
        let account = pc.account.as_deref().unwrap_or("Administrator");
        // A local account, whatever stands before it.
        let account = account.rsplit('\\').next().unwrap_or(account).to_owned();
        Self {
            computer: pc.computer(),
            known: domain.is_some(),
            domain: domain.unwrap_or_else(|| lang.of("DOMAIN", "ドメイン名").to_owned()),
            account,
        }
    }
}

fn begin(pc: &Pc<'_>, names: &Names, lang: Lang) -> Part {
    let Names {
        computer,
        domain,
        account,
        known,
        ..
    } = names;
    let mut steps = Vec::new();
    if pc.is_silent() {
        steps.push(
            lang.of(
                "Nobody could reach it: is it on, is the LAN cable in (or Wi-Fi joined), does `ipconfig` show an address of the office? Is the clock right?",
                "ネットワークから接続できませんでした。電源、LAN ケーブル (または Wi-Fi)、`ipconfig` の IP アドレス、時刻を確認します。",
            )
            .to_owned(),
        );
    }
    let also = if account == "Administrator" {
        String::new()
    } else {
        let or = lang.of(" or ", " または ");
        format!("{or}`{computer}\\{account}`")
    };
    steps.push(match lang {
        Lang::En => format!(
            "Log on as a LOCAL administrator: `{computer}\\Administrator`{also}. No password? See the last part."
        ),
        Lang::Ja => format!(
            "ローカルの管理者でログオンします: `{computer}\\Administrator`{also} (コンピューター名\\ユーザー名)。パスワードが不明な場合は最後の項目へ。"
        ),
    });
    steps.push(match (lang, known) {
        (Lang::En, true) => format!(
            "Write down the domain (`sysdm.cpl`, Computer Name); it should be `{domain}`. It is needed to join again."
        ),
        (Lang::En, false) => {
            "Write down the domain (`sysdm.cpl`, Computer Name). It is needed to join again.".to_owned()
        }
        (Lang::Ja, true) => format!(
            "ドメイン名を控えます (`sysdm.cpl` の「コンピューター名」)。`{domain}` のはずです。再参加に必要です。"
        ),
        (Lang::Ja, false) => {
            "ドメイン名を控えます (`sysdm.cpl` の「コンピューター名」)。再参加に必要です。".to_owned()
        }
    });
    part(lang.of("1. Log on locally", "1. ローカルでログオン"), steps)
}

fn locked(lang: Lang) -> Part {
    part(
        lang.of("Why it refused", "接続が拒否された場合"),
        vec![lang.of(
            "It answered, but refused our local account: check its password, that it is enabled, and (for accounts other than the built-in Administrator) `LocalAccountTokenFilterPolicy` = 1.",
            "応答はありましたが、ローカル アカウントが拒否されました。パスワード、アカウントの有効化、(ビルトイン Administrator 以外は) `LocalAccountTokenFilterPolicy` = 1 を確認します。",
        )
        .to_owned()],
    )
}

fn look(names: &Names, lang: Lang) -> Part {
    let Names { domain, .. } = names;
    let check = match lang {
        Lang::En => format!(
            "Command prompt as administrator: `nltest /sc_query:{domain}`, then `nltest /sc_verify:{domain}`. 0x0 NERR_Success: the trust is whole, stop here. 0x5 ERROR_ACCESS_DENIED: it is broken. Write the number down."
        ),
        Lang::Ja => format!(
            "管理者のコマンド プロンプトで `nltest /sc_query:{domain}`、続けて `nltest /sc_verify:{domain}`。0x0 NERR_Success なら正常 (ここで終了)、0x5 ERROR_ACCESS_DENIED なら破損。値を控えます。"
        ),
    };
    part(lang.of("2. Look", "2. 確認"), vec![check])
}

fn quick(pages: &Pages<'_>, names: &Names, lang: Lang) -> Part {
    let Names { domain, .. } = names;
    let mut steps = Vec::new();
    if let Some(stick) = &pages.stick {
        let file = &stick.file;
        let signed = match (stick.signed, lang) {
            (false, _) => "",
            (true, Lang::En) => " The script is signed.",
            (true, Lang::Ja) => " スクリプトは署名済みです。",
        };
        steps.push(match lang {
            Lang::En => format!(
                "USB stick (D: here), PowerShell as administrator: `Get-FileHash D:\\{file}` must show the number below; then `powershell.exe -NoProfile -ExecutionPolicy Bypass -File D:\\{file}`. It asks before it changes anything, and writes its result to the stick. Bring the stick back.{signed}"
            ),
            Lang::Ja => format!(
                "USB メモリ (D: の場合)。管理者の PowerShell で `Get-FileHash D:\\{file}` の値が下の値と一致することを確認し、`powershell.exe -NoProfile -ExecutionPolicy Bypass -File D:\\{file}` を実行します。変更前に確認があり、結果は USB に保存されます。USB は必ず持ち帰ります。{signed}"
            ),
        });
    }
    steps.push(match lang {
        Lang::En => format!(
            "Without the stick, PowerShell as administrator: `Test-ComputerSecureChannel -Repair -Credential {domain}\\ADMIN`; then `nltest /sc_verify:{domain}` must say 0x0 twice."
        ),
        Lang::Ja => format!(
            "USB が使えない場合は、管理者の PowerShell で `Test-ComputerSecureChannel -Repair -Credential {domain}\\管理者`。その後 `nltest /sc_verify:{domain}` が 2 か所とも 0x0 であることを確認します。"
        ),
    });
    part(
        lang.of("3. Repair without a restart", "3. 再起動なしの修復"),
        steps,
    )
}

fn rejoin(names: &Names, lang: Lang) -> Part {
    let Names {
        computer, domain, ..
    } = names;
    let steps = match lang {
        Lang::En => vec![
            format!(
                "First prove that `{computer}\\Administrator` is enabled and its password works: without it NOBODY can log on afterwards. BitLocker: suspend it, or have the recovery key at hand."
            ),
            "`sysdm.cpl`, Change, Workgroup: `WORKGROUP`, OK (a domain account if asked). Restart.".to_owned(),
            format!(
                "Log on as `{computer}\\Administrator`. `sysdm.cpl`, Change, Domain: `{domain}`, OK, a domain account that may join PCs; \"Welcome to the domain\". Restart."
            ),
            "Before the last logon: is the LAN cable in again? Then log on with a domain user.".to_owned(),
        ],
        Lang::Ja => vec![
            format!(
                "先に `{computer}\\Administrator` が有効で、パスワードでログオンできることを必ず確認します (できないと、以後だれもログオンできません)。BitLocker は中断するか、回復キーを用意します。"
            ),
            "`sysdm.cpl`、「変更」、「ワークグループ」に `WORKGROUP`、OK (求められたらドメイン アカウントを入力)。再起動。".to_owned(),
            format!(
                "`{computer}\\Administrator` でログオン。`sysdm.cpl`、「変更」、「ドメイン」に `{domain}`、OK、ドメイン参加の権限を持つアカウントを入力し、「{domain} ドメインへようこそ」を確認。再起動。"
            ),
            "最後のログオンの前に、LAN ケーブルを抜いていた場合は接続します。ドメイン ユーザーでログオンできれば完了です。".to_owned(),
        ],
    };
    part(
        lang.of(
            "4. Only if that did not help: leave and join again (two restarts)",
            "4. 直らない場合のみ: ドメインから離脱し再参加 (再起動 2 回)",
        ),
        steps,
    )
}

fn last(lang: Lang) -> Part {
    part(
        lang.of("5. So that it does not come back", "5. 再発防止"),
        vec![
            lang.of(
                "Device Manager, network adapter, Power Management: untick \"Allow the computer to turn off this device to save power\"; or turn sleep off.",
                "デバイス マネージャー、ネットワーク アダプター、「電源の管理」の「電力の節約のために、コンピューターでこのデバイスの電源をオフにできるようにする」をオフにする。またはスリープを無効にする。",
            )
            .to_owned(),
            lang.of(
                "Is there a product that undoes changes at each restart (HD Kakumei/WinProtector, Deep Freeze, UWF)? Then repair with its protection off.",
                "再起動で環境を元に戻す製品 (HD革命/WinProtector、Deep Freeze、UWF など) がある場合は、保護を解除した状態で修復します。",
            )
            .to_owned(),
        ],
    )
}

fn nobody(names: &Names, lang: Lang) -> Part {
    let Names { computer, .. } = names;
    let steps = match lang {
        Lang::En => vec![
            format!(
                "Ask for this PC's LAPS password (`Get-LapsADPassword {computer}`, or the attribute ms-Mcs-AdmPwd)."
            ),
            "A domain user who has logged on here before and is an administrator: pull the LAN cable, log on, enable or create a local administrator (`lusrmgr.msc`), put the cable back.".to_owned(),
            "Nothing works: Windows back to its factory state (\"Reset this PC\", keep my files). Programs must be installed again.".to_owned(),
        ],
        Lang::Ja => vec![
            format!(
                "この PC の LAPS パスワードを確認します (`Get-LapsADPassword {computer}` または属性 ms-Mcs-AdmPwd)。"
            ),
            "以前ログオンしたことがあり Administrators に属するドメイン ユーザーなら、LAN ケーブルを抜いてログオンし、ローカル管理者を有効化または作成 (`lusrmgr.msc`) して、ケーブルを戻します。".to_owned(),
            "どれも不可能な場合の最後の手段: Windows を出荷状態に戻す (「この PC を初期状態に戻す」、個人用ファイルを保持)。アプリは再インストールが必要です。".to_owned(),
        ],
    };
    part(
        lang.of(
            "If no local administrator is known",
            "ローカル管理者が不明な場合",
        ),
        steps,
    )
}

fn posix(lang: Lang) -> Part {
    let steps = match lang {
        Lang::En => vec![
            "This is no Windows PC. Log on at its console as root; check power, network and clock (`chronyc tracking`).",
            "Look: `net ads testjoin`, `wbinfo -t`, or with SSSD `realm list` and `kinit -k`. sshd must run for fleetmend: `systemctl status ssh`.",
            "Once it answers again: `fleetmend run trust-repair-linux --limit` with its name.",
        ],
        Lang::Ja => vec![
            "Windows ではありません。コンソールで root としてログオンし、電源、ネットワーク、時刻 (`chronyc tracking`) を確認します。",
            "確認: `net ads testjoin`、`wbinfo -t`、SSSD では `realm list` と `kinit -k`。fleetmend には sshd が必要です (`systemctl status ssh`)。",
            "応答するようになったら、`fleetmend run trust-repair-linux --limit` にこのホスト名を指定して実行します。",
        ],
    };
    part(
        lang.of("What to do", "作業手順"),
        steps.into_iter().map(str::to_owned).collect(),
    )
}

/// Returns what is ticked or written down.
pub(super) fn ticks(pc: &Pc<'_>, lang: Lang) -> Vec<&'static str> {
    if pc.posix {
        return vec![
            lang.of("found: ________________", "原因: ________________"),
            lang.of("done: ________________", "作業: ________________"),
        ];
    }
    vec![
        lang.of(
            "logged on locally as ____________",
            "ローカル ログオン (アカウント ____________)",
        ),
        lang.of(
            "domain: ____________________",
            "ドメイン名: ____________________",
        ),
        lang.of("nltest before 0x______", "nltest 修復前 0x______"),
        lang.of("nltest after 0x______", "nltest 修復後 0x______"),
        lang.of("repaired by the stick", "USB で修復"),
        lang.of("by -Repair", "-Repair で修復"),
        lang.of("by leaving and joining", "再参加で修復"),
        lang.of("adapter stays on", "アダプターの省電力オフ"),
        lang.of(
            "LAN cable in, domain user logs on",
            "LAN 接続、ドメイン ユーザーのログオン確認",
        ),
        lang.of("not repaired: ____________", "未解決: ____________"),
    ]
}
