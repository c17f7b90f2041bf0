//! The pages as HTML: one file each, nothing from elsewhere, made for A4.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::story::What;
use super::words::{FACTS, Lang};
use super::{Languages, Pages, Pc, steps};
use crate::format::clean;

/// No script, no picture, no font from anywhere; the sheet's own style alone.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The most lines of a story on a sheet; the journal has all.
const LINES: usize = 7;

/// The most characters of one of its lines.
const SHOWN: usize = 260;

const STYLE: &str = "
@page { size: A4; margin: 9mm 12mm 8mm }
* { box-sizing: border-box }
body { margin: 0; font: 8.2pt/1.22 'Yu Gothic', 'Meiryo', 'Noto Sans CJK JP', 'Segoe UI', sans-serif; color: #000; background: #fff }
.sheet { max-width: 186mm; margin: 0 auto; padding: 6mm 0; break-after: page }
.sheet:last-of-type { break-after: auto }
h1 { font-size: 14pt; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 9.2pt; margin: 1.3mm 0 .4mm; border-bottom: .3mm solid #000 }
p { margin: .6mm 0 }
ol, ul { margin: 0; padding-left: 5mm }
li { margin: .2mm 0 }
code { font: 8pt Consolas, 'Noto Sans Mono CJK JP', monospace; background: #eee; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
td, th { border: .2mm solid #999; padding: .4mm 1.2mm; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #eee; font-weight: 600; width: 17% }
.end { font-weight: 700 }
.caution { border: .7mm solid #000; padding: 1.2mm 2mm; margin: 1.2mm 0; font-weight: 700 }
.facts { columns: 3; column-gap: 5mm; list-style: none; padding: 0 }
.ticks { columns: 2; column-gap: 6mm; list-style: none; padding: 0 }
.foot { margin-top: 1.5mm; border-top: .2mm solid #999; font-size: 7pt; color: #333; overflow-wrap: anywhere }
.sign { margin-top: 1.5mm }
@media screen { .sheet { border-bottom: .3mm dashed #999 } }
@media print { .sheet { padding: 0 } a { color: inherit; text-decoration: none } }
";

/// Makes text safe inside HTML, attributes included, and shows what would steer the page.
pub(super) fn escape(text: &str) -> String {
    let text: Cow<'_, str> = clean::clean(text, false);
    let mut made = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '"' => made.push_str("&quot;"),
            '\'' => made.push_str("&#39;"),
            c => made.push(c),
        }
    }
    made
}

/// Escapes a step and sets what stands between backquotes as code.
fn marked(text: &str) -> String {
    let mut made = String::new();
    for (index, piece) in text.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(made, "<code>{}</code>", escape(piece));
        } else {
            made.push_str(&escape(piece));
        }
    }
    made
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn languages(pages: &Pages<'_>) -> &'static [Lang] {
    match pages.languages {
        Languages::En => &[Lang::En],
        Languages::Ja => &[Lang::Ja],
        Languages::Both => &[Lang::Ja, Lang::En],
    }
}

fn page(lang: Lang, title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        lang.code(),
        escape(title),
    )
}

/// Returns the sheets of one PC.
pub(super) fn one(pages: &Pages<'_>, pc: &Pc<'_>) -> String {
    let all = languages(pages);
    let body: String = all.iter().map(|lang| sheet(pages, pc, *lang)).collect();
    page(first(all), &pc.host.host.0, &body)
}

/// Returns the sheets of all PCs, for printing at once.
pub(super) fn all(pages: &Pages<'_>) -> String {
    let all = languages(pages);
    let sheets = pages.pcs.iter().flat_map(|pc| {
        let sheets = all.iter().map(move |lang| sheet(pages, pc, *lang));
        sheets.collect::<Vec<_>>()
    });
    let body: String = sheets.collect();
    page(
        first(all),
        &format!("fleetmend handoff {}", pages.run),
        &body,
    )
}

fn first(all: &[Lang]) -> Lang {
    all.first().copied().unwrap_or(Lang::En)
}

/// Returns the list of the PCs.
pub(super) fn index(pages: &Pages<'_>, names: &[String]) -> String {
    let lang = first(languages(pages));
    let mut body = String::from("<section class=\"sheet\">\n");
    let _ = write!(
        body,
        "<h1>{} ({})</h1>\n<p>{} {} · {}</p>\n<p><a href=\"all.html\">{}</a></p>\n<table>\n\
         <tr><th>PC</th><th>{}</th><th>{}</th><th>{}</th></tr>\n",
        lang.of("PCs that need a person", "現地作業が必要な PC"),
        pages.pcs.len(),
        escape(&pages.subject),
        pages.run,
        time(pages.made),
        lang.of("All sheets, for printing", "全ページ (印刷用)"),
        lang.of("Address", "アドレス"),
        lang.of("Ended as", "結果"),
        lang.of("Done", "完了"),
    );
    for (pc, file) in pages.pcs.iter().zip(names) {
        let outcome = pc.host.outcome().map(ToString::to_string);
        let _ = writeln!(
            body,
            "<tr><td><a href=\"{}\">{}</a></td><td>{}</td><td>{}</td><td>□</td></tr>",
            escape(&encoded(file)),
            escape(&pc.host.host.0),
            escape(&pc.address),
            escape(&outcome.unwrap_or_default()),
        );
    }
    body.push_str("</table>\n");
    if let Some(stick) = &pages.stick {
        let _ = writeln!(
            body,
            "<p class=\"foot\">{} SHA-256: {}</p>",
            escape(&stick.file),
            escape(&stick.sha256)
        );
    }
    body.push_str("</section>\n");
    page(lang, "fleetmend handoff", &body)
}

/// A file name in a link: only letters, digits and `-._` stand in it.
fn encoded(name: &str) -> String {
    let mut made = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            made.push(char::from(byte));
        } else {
            let _ = write!(made, "%{byte:02X}");
        }
    }
    made
}

fn sheet(pages: &Pages<'_>, pc: &Pc<'_>, lang: Lang) -> String {
    let mut made = format!("<section class=\"sheet\" lang=\"{}\">\n", lang.code());
    let name = escape(&pc.host.host.0);
    let _ = writeln!(made, "<h1>{name}</h1>");
    found(&mut made, pc, lang);
    if let Some(caution) = pc.story.caution() {
        let _ = writeln!(
            made,
            "<div class=\"caution\">{}: {}</div>",
            lang.of(
                "CAUTION, a repair was cut amid its work",
                "注意: 修復が途中で中断されています"
            ),
            escape(caution)
        );
    }
    so_far(&mut made, pc, lang);
    for part in steps::parts(pages, pc, lang) {
        let _ = writeln!(made, "<h2>{}</h2>\n<ol>", escape(&part.title));
        for step in part.steps {
            let _ = writeln!(made, "<li>{}</li>", marked(&step));
        }
        made.push_str("</ol>\n");
    }
    let _ = writeln!(
        made,
        "<h2>{}</h2>\n<ul class=\"ticks\">",
        lang.of("Write down", "記録")
    );
    for tick in steps::ticks(pc, lang) {
        let _ = writeln!(made, "<li>□ {}</li>", escape(tick));
    }
    let _ = writeln!(
        made,
        "</ul>\n<p class=\"sign\">{}</p>",
        lang.of(
            "Name ______________________ Date and time ______________________",
            "作業者 ______________________ 日時 ______________________"
        )
    );
    foot(&mut made, pages, pc);
    made.push_str("</section>\n");
    made
}

fn found(made: &mut String, pc: &Pc<'_>, lang: Lang) {
    made.push_str("<table>\n");
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(made, "<tr><th>{name}</th><td>{value}</td></tr>");
        }
    };
    row(lang.of("Address", "アドレス"), &escape(&pc.address));
    if let Some(result) = &pc.host.result {
        let ended = escape(&result.outcome.to_string());
        let ended = format!("<span class=\"end\">{ended}</span>");
        row(lang.of("The run ended with", "実行結果"), &ended);
        let cause = result.cause.as_ref().map(ToString::to_string);
        row(
            lang.of("Cause", "原因"),
            &escape(&cause.unwrap_or_default()),
        );
        row(lang.of("Why", "理由"), &escape(&result.reason));
        row(lang.of("Next", "次の作業"), &escape(&result.next));
    }
    made.push_str("</table>\n");
}

fn so_far(made: &mut String, pc: &Pc<'_>, lang: Lang) {
    let facts: Vec<String> = FACTS
        .iter()
        .filter_map(|(pointer, en, ja)| {
            let value = pc.story.fact(pointer)?;
            Some(format!(
                "<li>{}: {}</li>",
                escape(lang.of(en, ja)),
                escape(&value)
            ))
        })
        .collect();
    if !facts.is_empty() {
        let _ = writeln!(
            made,
            "<h2>{}</h2>\n<ul class=\"facts\">{}</ul>",
            lang.of("What the PC told", "PC の診断結果"),
            facts.concat()
        );
    }
    let lines = &pc.story.lines;
    if lines.is_empty() {
        return;
    }
    let skipped = lines.len().saturating_sub(LINES);
    let _ = writeln!(
        made,
        "<h2>{}</h2>\n<ul class=\"story\">",
        lang.of("What was done so far (UTC)", "これまでの経過 (UTC)")
    );
    if skipped > 0 {
        let _ = writeln!(made, "<li>… ({skipped})</li>");
    }
    for line in lines.iter().skip(skipped) {
        let _ = writeln!(
            made,
            "<li>{} {}</li>",
            time(line.at),
            told(&line.what, lang)
        );
    }
    made.push_str("</ul>\n");
}

fn told(what: &What, lang: Lang) -> String {
    let (word, text) = match what {
        What::Reached(how) => (lang.of("reached", "接続"), how.clone()),
        What::NotReached { why, reason } => (
            lang.of("not reached", "接続不可"),
            format!("{why}: {reason}"),
        ),
        What::Diagnosed(cause) => (lang.of("diagnosed", "診断"), cause.clone()),
        What::Began(rung) => (lang.of("repair begun", "修復開始"), rung.clone()),
        What::Ended {
            rung,
            verified: true,
        } => (lang.of("repair proven", "修復確認"), rung.clone()),
        What::Ended { rung, .. } => (
            lang.of("repair not proven", "修復を確認できず"),
            rung.clone(),
        ),
        What::Failed { step, why } => (lang.of("failed", "失敗"), format!("{step}: {why}")),
        What::Restart => (lang.of("told to restart", "再起動を指示"), String::new()),
    };
    let cut = if text.chars().count() > SHOWN {
        "…"
    } else {
        ""
    };
    let text: String = text.chars().take(SHOWN).collect();
    format!("{word}: {}{cut}", escape(&text))
}

fn foot(made: &mut String, pages: &Pages<'_>, pc: &Pc<'_>) {
    let _ = write!(
        made,
        "<p class=\"foot\">fleetmend handoff · {} · {} · {}",
        escape(&pages.subject),
        pages.run,
        time(pages.made)
    );
    if let Some(stick) = pages.stick.as_ref().filter(|_| !pc.posix) {
        let _ = write!(
            made,
            "<br>{} SHA-256: {}",
            escape(&stick.file),
            escape(&grouped(&stick.sha256))
        );
    }
    made.push_str("</p>\n");
}

/// In groups of eight: people compare it by eye.
fn grouped(hex: &str) -> String {
    let upper: Vec<char> = hex.to_uppercase().chars().collect();
    let groups = upper
        .chunks(8)
        .map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}
