//! Text from outside: made visible where it enters, and once more where it leaves to people.
//!
//! A server, a file name, a manifest or an error can hold characters that a terminal obeys or does not show: control
//! characters, C1, characters that turn the direction of writing, characters without width. Nobody who is asked for an
//! approval may read something else than what is there.
//!
//! There is one door for each kind of far end, and it lets nothing in unseen: [`crate::sql::rows::Record::text`] and the error
//! messages of [`crate::sql::connection`] for SQL Server, [`crate::powershell::run`] for the management shell,
//! [`crate::validate::validate`] for manifests, which refuses such a text. What is made visible is compared and sent back
//! in that form, and then equals nothing: a name that can't be shown is a name that can't be used. The only texts taken
//! verbatim are the names of a listing, which the server compares with its own, and which [`file_name`] keeps from ever
//! being opened.
//!
//! The second net hangs at the exits, [`terminal`], [`document`] and [`Log`]: for words of libraries and of the operating system, and
//! for a door that somebody forgets. A line end is safe only at the doors; behind them it may be one of ours.

use std::fmt::Write as _;
use std::io;

use pchat_psrp::{Outcome, Value};
use tracing_subscriber::fmt::MakeWriter;

/// Longest value that is told, in characters. Names have 128, paths 520.
const VALUE: usize = 1_024;

/// Longest sentence that is taken over. SQL Server's end at 2,047 and are mostly below 300; a path in them may have 520.
const WORDS: usize = 1_200;

/// Longest name of a file on any file system that SQL Server reads.
const FILE_NAME: usize = 255;

/// Whether a character is obeyed by a terminal or leaves no mark of its own: general categories Cc, Cf, Zl and Zp of Unicode,
/// noncharacters, and the fillers and selectors that are drawn as nothing.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}'
            | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// A value as people may see it, and as it is compared and sent back: hidden characters as `\u{1b}`, clipped.
pub fn value(text: &str) -> String {
    clip(text.chars(), VALUE)
}

/// Somebody else's words in a sentence of ours: as [`value`], on one line.
pub fn words(text: &str) -> String {
    let mut blank = false;
    let joined = text.trim().chars().filter_map(move |c| {
        let white = matches!(c, ' ' | '\t' | '\r' | '\n');
        let again = white && blank;
        blank = white;
        (!again).then_some(if white { ' ' } else { c })
    });
    clip(joined, WORDS)
}

fn clip(chars: impl Iterator<Item = char>, most: usize) -> String {
    let mut out = String::new();
    let mut count = 0usize;
    for c in chars {
        count += 1;
        if count <= most {
            push(&mut out, c);
        }
    }
    if count > most {
        let _ = write!(out, "… ({} more characters)", count - most);
    }
    out
}

fn push(out: &mut String, c: char) {
    if is_hidden(c) {
        out.extend(c.escape_unicode());
    } else {
        out.push(c);
    }
}

/// Whether this is a name that may be put behind a path.
///
/// # Errors
/// Why it is not, to be told of the file.
pub fn file_name(name: &str) -> Result<(), String> {
    let why = if let Some(c) = name.chars().find(|c| is_hidden(*c)) {
        format!("its name holds the character {}, which can't be seen", c.escape_unicode())
    } else if let Some(c) =
        name.chars().find(|c| matches!(c, '\\' | '/' | ':' | '|' | '*' | '?' | '"' | '<' | '>'))
    {
        format!("its name holds {c}")
    } else if matches!(name, "." | "..") {
        "its name is that of a folder".into()
    } else if name.trim().is_empty() {
        "it has no name".into()
    } else if name.encode_utf16().count() > FILE_NAME {
        format!("its name is longer than {FILE_NAME} characters")
    } else {
        return Ok(());
    };
    Err(format!("{why}; it is never opened. Rename it if it is a backup, or remove it."))
}

/// The text of a JSON document with everything in it that is hidden made visible, escaped or not, so that what is read from it
/// holds nothing hidden.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            shown_in_json(&mut out, c);
            continue;
        }
        let (decoded, raw) = escape(&mut rest);
        match decoded.filter(|c| is_hidden(*c)) {
            Some(c) => shown_in_json(&mut out, c),
            None => out.push_str(&raw),
        }
    }
    out
}

fn shown_in_json(out: &mut String, c: char) {
    if is_hidden(c) {
        out.push('\\');
    }
    push(out, c);
}

/// What stands behind a backslash of JSON: the character, if it is a whole one, and the text.
fn escape(rest: &mut std::str::Chars<'_>) -> (Option<char>, String) {
    let Some(kind) = rest.next() else { return (None, "\\".into()) };
    let raw = |tail: &str| format!("\\{kind}{tail}");
    match kind {
        'b' => (Some('\u{8}'), raw("")),
        'f' => (Some('\u{c}'), raw("")),
        'n' => (Some('\n'), raw("")),
        'r' => (Some('\r'), raw("")),
        't' => (Some('\t'), raw("")),
        'u' => {
            let digits: String = rest.clone().take(4).collect();
            let Some(unit) = unit(&digits) else { return (None, raw("")) };
            rest.nth(3);
            let low = rest.as_str().strip_prefix("\\u").and_then(|low| low.get(..4));
            match low
                .filter(|_| (0xd800..0xdc00).contains(&unit))
                .and_then(|low| Some((low, self::unit(low)?)))
            {
                Some((low, second)) => {
                    let whole = char::decode_utf16([unit, second]).next().and_then(Result::ok);
                    let text = raw(&format!("{digits}\\u{low}"));
                    if whole.is_some() {
                        rest.nth(5);
                        return (whole, text);
                    }
                    (None, raw(&digits))
                }
                None => (char::from_u32(unit.into()), raw(&digits)),
            }
        }
        _ => (None, raw("")),
    }
}

fn unit(digits: &str) -> Option<u16> {
    (digits.len() == 4).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// Everything that a command wrote.
pub fn outcome(mut outcome: Outcome) -> Outcome {
    let show = &mut |text: &mut String| *text = value(text);
    outcome.output.iter_mut().for_each(|value: &mut Value| value.each_text(show));
    for record in outcome.errors.iter_mut().chain(&mut outcome.terminating) {
        record.id = value(&record.id);
        record.message = words(&record.message);
    }
    outcome.warnings.iter_mut().for_each(|warning| *warning = words(warning));
    outcome
}

/// A text of ours on its way to a terminal or a pipe: line ends and, with `colours`, what [`crate::report::Paint`] writes stay.
pub fn terminal(text: &str, colours: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(paint) = crate::report::words::PAINTS.iter().find(|p| colours && rest.starts_with(**p)) {
            out.push_str(paint);
            rest = &rest[paint.len()..];
            continue;
        }
        if c == '\n' {
            out.push(c)
        } else {
            push(&mut out, c)
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// A JSON or YAML document on its way out. In JSON only a string can hold what is hidden, and it means the same escaped; so it
/// does between the quotes of YAML, and without quotes the escape is there to be seen.
pub fn document(text: &str, json: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_hidden(c) {
            out.push(c);
        } else if json || u32::from(c) <= 0xffff {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        }
    }
    out
}

/// Standard error for the log: an event is one line, whatever it tells.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// An event is a JSON object.
    pub json: bool,
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        *self
    }
}

impl io::Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        // The subscriber hands over whole events.
        io::stderr().lock().write_all(self.line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl Log {
    fn line(self, event: &str) -> String {
        let event = event.strip_suffix('\n').unwrap_or(event);
        let mut line = if self.json {
            document(event, true)
        } else {
            event.chars().fold(String::with_capacity(event.len() + 1), |mut out, c| {
                push(&mut out, c);
                out
            })
        };
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind.
    const HOSTILE: &str =
        "a\u{1b}[2J\u{9b}1A\r\n\u{7f}\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\u{2028}\u{e0041}\u{fffe}z";

    fn hidden(text: &str) -> Vec<char> {
        text.chars().filter(|c| is_hidden(*c)).collect()
    }

    #[test]
    fn every_hidden_character_is_seen_and_no_other_is_changed() {
        assert_eq!(
            value(HOSTILE),
            "a\\u{1b}[2J\\u{9b}1A\\u{d}\\u{a}\\u{7f}\\u{202e}\\u{2066}\\u{200b}\\u{feff}\\u{ad}\\u{2028}\\u{e0041}\\u{fffe}z"
        );
        assert_eq!(words(HOSTILE).matches("\\u{").count(), 11, "line ends are blanks: {}", words(HOSTILE));
        for text in ["mgc_20261122234107.trn", "für 名] ☃ 😀 e\u{301} עברית", r"\\files\pchat-logs\a b.trn"]
        {
            assert_eq!((value(text), words(text)), (text.to_owned(), text.to_owned()));
        }
        assert!(('\0'..=char::MAX).filter(|c| c.is_control()).all(is_hidden));
    }

    #[test]
    fn words_are_one_line_and_tell_how_much_was_cut_off() {
        assert_eq!(words("  Cannot open\r\n\tit.\n"), "Cannot open it.");
        let long = words(&"x".repeat(WORDS + 34));
        assert!(long.ends_with("x… (34 more characters)") && long.chars().count() < WORDS + 30, "{long}");
    }

    #[test]
    fn a_name_with_a_separator_a_step_up_or_something_hidden_is_no_name_of_a_file() {
        for name in ["mgc_20261122234107.trn", "TAIL.BAK", "a b.log", "ü.trn", "noextension", "a..b"] {
            assert_eq!(file_name(name), Ok(()), "{name}");
        }
        for name in [
            r"..\a.trn",
            r"a\b.trn",
            "a/b.trn",
            "a|b.trn",
            "a.trn:s",
            "..",
            "a\u{9b}.trn",
            "a\u{202e}nrt",
            "",
            " ",
        ] {
            let why = file_name(name).unwrap_err();
            assert!(why.contains("never opened") && hidden(&why).is_empty(), "{why}");
        }
        assert!(file_name(&"x".repeat(300)).is_err());
    }

    #[test]
    fn what_is_read_from_json_holds_nothing_hidden_however_it_was_written() {
        let raw = "{\"a\":\"\u{202e}\\u202e\\u001b\\n\\udb40\\udc41\\ud83d\\ude00\\\\u202e\\\"\",\"n\":12345678901234567890123}";
        let shown = json(raw);
        let read: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&shown).unwrap();
        assert_eq!(read["a"], "\\u{202e}\\u{202e}\\u{1b}\\u{a}\\u{e0041}😀\\u202e\"");
        assert!(shown.contains("12345678901234567890123"));
        for plain in [r#"{"executor":"a\"b\\c","x":1}"#, r#"{"broken":"\u12"#, "\\", "\\ud800"] {
            assert_eq!(json(plain), plain);
        }
    }

    #[test]
    fn a_terminal_gets_our_colours_and_nobody_elses() {
        let ours = crate::report::Paint(true).bad("stop");
        assert_eq!(terminal(&ours, true), ours);
        assert!(hidden(&terminal(&ours, false)).is_empty());
        let text = format!("{ours}\n\u{1b}[8m{HOSTILE}");
        let kept = terminal(&text, true);
        assert_eq!(hidden(&kept), ['\u{1b}', '\u{1b}', '\n', '\n']);
        assert!(kept.contains("\\u{1b}[8m"));
    }

    #[test]
    fn a_document_means_the_same_and_hides_nothing() {
        let text = serde_json::to_string_pretty(&serde_json::json!({"a": HOSTILE})).unwrap();
        let out = document(&text, true);
        assert_eq!(hidden(&out), ['\n', '\n']);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["a"], HOSTILE);
        let yaml = document(&serde_yaml::to_string(&serde_json::json!({"a": HOSTILE})).unwrap(), false);
        assert!(hidden(&yaml).iter().all(|c| *c == '\n'), "{yaml:?}");
    }

    #[test]
    fn an_event_of_the_log_is_one_line() {
        let line = Log { json: false }.line(&format!("WARN {HOSTILE}\n"));
        assert_eq!(hidden(&line), ['\n']);
        assert!(line.ends_with("z\n"));
        let object = serde_json::json!({"message": HOSTILE});
        let line = Log { json: true }.line(&format!("{object}\n"));
        assert_eq!(hidden(&line), ['\n']);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), object);
    }
}
