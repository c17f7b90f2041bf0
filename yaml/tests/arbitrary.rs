//! No text makes the parser panic, hang or lose its place.

use fleetmend_yaml::{Document, Limits};
use proptest::prelude::*;

/// Pieces that YAML gives a meaning to, so that random texts reach deep into the parser.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "a",
            "b: ",
            "- ",
            "\n",
            "\n  ",
            "\n    ",
            "\t",
            "[",
            "]",
            "{",
            "}",
            ", ",
            ": ",
            "? ",
            "&x ",
            "*x",
            "<<: ",
            "!!int ",
            "!vault ",
            "| ",
            ">-\n",
            "'",
            "\"",
            "\\u3042",
            "#",
            "---\n",
            "...\n",
            "%YAML 1.1\n",
            "%TAG ! x\n",
            "日本",
            "0x1F",
            "1:30",
            "2024-01-02",
            "~",
            "\r\n",
            "\u{feff}",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ]
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap_or(u32::MAX);
    match Document::parse(text, &Limits::default()) {
        Ok(document) => {
            let _ = document.root.to_json();
            prop_assert!(document.root.at.line >= 1 && document.root.at.column >= 1);
        }
        Err(errors) => {
            for error in errors.iter() {
                prop_assert!(
                    error.at.line >= 1 && error.at.line <= lines + 1,
                    "{error:?}"
                );
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn texts_like_yaml(pieces in prop::collection::vec(piece(), 0..40)) {
        holds(&pieces.concat())?;
    }

    #[test]
    fn any_text(text in any::<String>()) {
        holds(&text)?;
    }
}
