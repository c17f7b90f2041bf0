//! No text makes an inventory panic or hang.

use fleetmend_inventory::{Options, load_text};
use proptest::prelude::*;

/// Lines and pieces of inventories, so that random texts reach past the YAML.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "all:\n",
        "  hosts:\n",
        "  children:\n",
        "  vars:\n",
        "    pc-[1:3]:\n",
        "    a:\n",
        "    web:\n",
        "      hosts: {b: {port: 5}}\n",
        "      children: {all: , web: , a: }\n",
        "    tls: {verify: none}\n",
        "    winrm: {}\n",
        "    ssh: 5\n",
        "    address: '{{ a }}'\n",
        "    ansible_password: x\n",
        "    ansible_winrm_transport: [a]\n",
        "    'x[':\n",
        "    ':5':\n",
        "    '[::1]:5':\n",
        "    '': \n",
        "web:\n",
        "  hosts: x\n",
        "    <<: {a: 1}\n",
        "plugin: x\n",
        "[web]\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn inventories(pieces in prop::collection::vec(piece(), 0..14), limit in "[a-z*:,&!~\\[\\]0-9@-]{0,12}") {
        if let Ok(inventory) = load_text("inv.yaml", &pieces.concat(), &Options::default()) {
            let _ = (inventory.list_json(), inventory.list_text(), inventory.graph_text());
            prop_assert!(inventory.limit("all").is_ok() || inventory.hosts.is_empty());
            if let Ok(limited) = inventory.limit(&limit) {
                prop_assert!(limited.hosts.len() <= inventory.hosts.len());
            }
        }
    }

    #[test]
    fn any_text(text in any::<String>()) {
        let _ = load_text("inv.yaml", &text, &Options::default());
    }
}
