//! Commands that only read: inventories and playbooks.

use crate::support::{Out, command, run};
use serde_json::Value;

const INVENTORY: &str = "\
all:
  vars:
    ansible_user: fleetadmin
    ansible_connection: winrm
  children:
    経理部:
      hosts:
        keiri-[01:02].corp.example.jp:
          ansible_port: 5986
    営業部:
      hosts:
        eigyo-1.corp.example.jp:
          ansible_connection: ssh
          frobnicate: 3
";

fn inventory(args: &[&str]) -> Out {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pcs.yaml"), INVENTORY).unwrap();
    run(command()
        .arg("inventory")
        .args(args)
        .current_dir(folder.path()))
}

#[test]
fn list_shows_how_each_pc_will_be_reached() {
    insta::assert_snapshot!(inventory(&["list", "-i", "pcs.yaml"]).text(), @"
    exit 0
    --- stdout
    HOST                      ADDRESS                        OVER           USER        GROUPS
    keiri-01.corp.example.jp  keiri-01.corp.example.jp:5986  winrm (https)  fleetadmin  経理部
    keiri-02.corp.example.jp  keiri-02.corp.example.jp:5986  winrm (https)  fleetadmin  経理部
    eigyo-1.corp.example.jp   eigyo-1.corp.example.jp        ssh            fleetadmin  営業部
    ");
}

#[test]
fn graph_takes_a_limit() {
    let out = inventory(&["graph", "-i", "pcs.yaml", "--limit", "経理部:!*-02*"]);
    insta::assert_snapshot!(out.text(), @"
    exit 0
    --- stdout
    @all:
      |--@ungrouped:
      |--@経理部:
      |  |--keiri-01.corp.example.jp
      |--@営業部:
    ");
}

#[test]
fn check_counts() {
    insta::assert_snapshot!(inventory(&["check", "-i", "pcs.yaml"]).text(), @"
    exit 0
    --- stdout
    3 PCs in 4 groups; everything was understood
    ");
}

#[test]
fn json_is_json() {
    for view in ["list", "graph", "check"] {
        let out = inventory(&[view, "-i", "pcs.yaml", "--json"]);
        let value: Value = serde_json::from_str(&out.stdout).unwrap();
        assert!(value.is_object() || value.is_array(), "{view}");
    }
}

#[test]
fn playbooks_are_listed_in_both_languages() {
    let out = run(command().args(["playbook", "list"]));
    insta::assert_snapshot!(out.text(), @"
    exit 0
    --- stdout
    disk-restore-guard    Find what undoes changes at every start, and keep it from breaking the trust with the domain
                          再起動のたびに変更を元に戻す製品を見つけ、ドメインとの信頼関係が壊れ続けるのを防ぐ
    local-admin-access    Make sure that a local administrator can log on to the PC over the network, before the next disaster
                          障害に備え、ローカル管理者がネットワーク経由でログオンできる状態にする
    logon-black-screen    Mend a screen that stays black after the logon, or name the update that is suspected
                          ログオン後に画面が黒いままになる障害を直す。直せない場合は疑わしい更新プログラムを示す
    machine-password-age  Report and set how often PCs change their machine passwords
                          PC がマシン パスワードを変更する間隔を確認し、設定する
    network-power-saving  Keep Windows from turning off network adapters to save power, without cutting the connection
                          節電のためにネットワーク アダプターの電源が切られないようにする (接続は切らない)
    time-sync             Set right a clock that is further off than Kerberos allows
                          Kerberos の許容値を超えてずれた時計を合わせる
    trust-repair          Repair the broken trust between a PC and its domain, without a restart where that can be
                          PC とドメインの信頼関係を、できるかぎり再起動せずに修復する
    trust-repair-linux    Repair the broken trust between a Linux host and its domain, without a reboot
                          Linux ホストとドメインの信頼関係を、再起動せずに修復する
    update-health         Mend the component store and the parts that Windows updates itself with
                          コンポーネント ストアと Windows Update の構成要素を修復する
    update-rollback       Remove a named update that does harm, and pause its return
                          問題のある更新プログラムを指定して削除し、再適用を一時停止する
    ");
}

#[test]
fn a_playbook_is_shown_with_its_ladder() {
    let out = run(command().args(["playbook", "show", "trust-repair", "--json"]));
    let value: Value = serde_json::from_str(&out.stdout).unwrap();
    let rungs: Vec<_> = value["rungs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rung| rung["rung"].as_str())
        .collect();
    assert_eq!(rungs.last().unwrap().unwrap(), "join");
    let text = run(command().args(["playbook", "show", "trust-repair"])).stdout;
    for rung in rungs {
        assert!(text.contains(rung.unwrap()));
    }
}

#[test]
fn an_exported_playbook_checks_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let export = || {
        run(command()
            .args(["playbook", "export", "trust-repair", "--to", "mine"])
            .current_dir(folder.path()))
    };
    assert_eq!(export().code, 0);
    let check = |name: &str| {
        run(command()
            .args(["playbook", "check", name])
            .current_dir(folder.path()))
    };
    let out = check("mine/trust-repair.yaml");
    assert_eq!(out.code, 0, "{}", out.text());
    assert!(
        out.stdout.contains("scripts say is read only on the PC"),
        "{}",
        out.stdout
    );
    let again = export();
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("hint: nothing is overwritten"),
        "{}",
        again.stderr
    );
    // A fault is told with its place.
    let path = folder.path().join("mine/trust-repair.yaml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replacen("kind: fault", "kind: falt", 1);
    std::fs::write(&path, text).unwrap();
    let out = check("mine/trust-repair.yaml");
    assert_eq!(out.code, 2);
    let place = out.stderr.split("trust-repair.yaml:").nth(1).unwrap();
    assert!(
        place.starts_with(|c: char| c.is_ascii_digit()),
        "{}",
        out.stderr
    );
    assert!(
        out.stderr.contains("did you mean `fault`"),
        "{}",
        out.stderr
    );
}

#[test]
fn colour_is_for_terminals_and_on_demand() {
    let plain = run(command().args(["playbook", "show", "nothing"]));
    assert!(!plain.stderr.contains('\u{1b}'));
    let colored = run(command().args(["playbook", "show", "nothing", "--color", "always"]));
    assert!(colored.stderr.contains('\u{1b}'));
    let refused = run(command()
        .args(["playbook", "show", "nothing", "--color", "auto"])
        .env("NO_COLOR", "1")
        .env("CLICOLOR_FORCE", "0"));
    assert!(!refused.stderr.contains('\u{1b}'));
}
