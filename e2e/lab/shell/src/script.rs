//! Plain command lines: `Name -Parameter value | Name; Name "a","b"`, the way a person types the runbook.
//!
//! Literals only. Whatever would compute (variables, expressions, script blocks, redirection) is refused: the
//! lab runs nothing, and says so, rather than to do half of it.

use std::iter::Peekable;
use std::str::Chars;

use pchat_psrp::codec::command::WireCommand;
use pchat_psrp::{ErrorCategory, ErrorRecord, Value};

/// The commands of a script: statements, each a chain.
pub(crate) fn parse(text: &str) -> Result<Vec<Vec<WireCommand>>, Box<ErrorRecord>> {
    let mut parser = Parser { rest: text.chars().peekable(), text };
    let mut statements = Vec::new();
    let mut chain: Vec<WireCommand> = Vec::new();
    loop {
        parser.blanks();
        match parser.rest.peek() {
            None | Some('\n' | ';') => {
                if !chain.is_empty() {
                    statements.push(std::mem::take(&mut chain));
                }
                if parser.rest.next().is_none() {
                    return Ok(statements);
                }
            }
            _ => {
                chain.push(parser.command()?);
                parser.blanks();
                match parser.rest.peek() {
                    Some('|') => {
                        parser.rest.next();
                        parser.lines();
                        if parser.rest.peek().is_none() {
                            return Err(not_understood("An empty pipe element is not allowed."));
                        }
                    }
                    None | Some('\n' | ';') => {}
                    Some(_) => return Err(parser.refuse()),
                }
            }
        }
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    text: &'a str,
}

impl Parser<'_> {
    fn refuse(&mut self) -> Box<ErrorRecord> {
        let at: String = self.rest.clone().take(20).collect();
        let text: String = self.text.chars().take(200).collect();
        not_understood(&format!("at {at:?} in {text:?}"))
    }

    /// Skips blanks, comments and continued lines.
    fn blanks(&mut self) {
        loop {
            match self.rest.peek() {
                Some(' ' | '\t' | '\r') => drop(self.rest.next()),
                Some('#') => while self.rest.next_if(|c| *c != '\n').is_some() {},
                Some('`') => {
                    let mut ahead = self.rest.clone();
                    ahead.next();
                    ahead.next_if_eq(&'\r');
                    if ahead.next() != Some('\n') {
                        return;
                    }
                    self.rest = ahead;
                }
                _ => return,
            }
        }
    }

    fn lines(&mut self) {
        self.blanks();
        while self.rest.next_if_eq(&'\n').is_some() {
            self.blanks();
        }
    }

    fn command(&mut self) -> Result<WireCommand, Box<ErrorRecord>> {
        let name = self.word();
        if name.is_empty() || !name.starts_with(|c: char| c.is_alphabetic()) {
            return Err(self.refuse());
        }
        let mut command = WireCommand { name, ..WireCommand::default() };
        loop {
            self.blanks();
            match self.rest.peek().copied() {
                None | Some('\n' | ';' | '|') => return Ok(command),
                Some('-') if self.is_parameter() => {
                    let name = self.word();
                    match name.split_once(':') {
                        None => command.arguments.push((Some(name), Value::Null)),
                        Some((name, "")) => {
                            self.blanks();
                            let value = self.values()?;
                            command.arguments.push((Some(name.trim_start_matches('-').to_owned()), value));
                        }
                        Some((name, value)) => {
                            let name = name.trim_start_matches('-').to_owned();
                            let value = parse_literal(value).ok_or_else(|| self.refuse())?;
                            command.arguments.push((Some(name), value));
                        }
                    }
                }
                Some(_) => {
                    let value = self.values()?;
                    command.arguments.push((None, value));
                }
            }
        }
    }

    fn is_parameter(&self) -> bool {
        let mut ahead = self.rest.clone();
        ahead.next();
        ahead.next().is_some_and(char::is_alphabetic)
    }

    /// One value, or several with commas between them.
    fn values(&mut self) -> Result<Value, Box<ErrorRecord>> {
        let mut items = vec![self.value()?];
        loop {
            self.blanks();
            if self.rest.next_if_eq(&',').is_none() {
                break;
            }
            self.lines();
            items.push(self.value()?);
        }
        Ok(match items.len() {
            1 => items.remove(0),
            _ => Value::array(items),
        })
    }

    fn value(&mut self) -> Result<Value, Box<ErrorRecord>> {
        match self.rest.peek() {
            Some('\'') => self.single_quoted().map(Value::String),
            Some('"') => self.double_quoted().map(Value::String),
            Some('@') => {
                self.rest.next();
                match self.rest.next() {
                    Some('(') => self.array(),
                    Some('{') => self.table(),
                    _ => Err(self.refuse()),
                }
            }
            _ => {
                let word = self.word();
                parse_literal(&word).ok_or_else(|| self.refuse())
            }
        }
    }

    fn array(&mut self) -> Result<Value, Box<ErrorRecord>> {
        self.lines();
        if self.rest.next_if_eq(&')').is_some() {
            return Ok(Value::array(Vec::new()));
        }
        let value = self.values()?;
        self.lines();
        self.expect(')')?;
        Ok(if value.items().is_some() { value } else { Value::array(vec![value]) })
    }

    fn table(&mut self) -> Result<Value, Box<ErrorRecord>> {
        let mut entries = Vec::new();
        loop {
            self.lines();
            while self.rest.next_if_eq(&';').is_some() {
                self.lines();
            }
            if self.rest.next_if_eq(&'}').is_some() {
                return Ok(Value::hashtable(entries));
            }
            let key = match self.rest.peek() {
                Some('\'' | '"') => self.value()?,
                _ => Value::String(self.word()),
            };
            self.blanks();
            self.expect('=')?;
            self.lines();
            entries.push((key, self.values()?));
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), Box<ErrorRecord>> {
        match self.rest.next_if_eq(&wanted) {
            Some(_) => Ok(()),
            None => Err(self.refuse()),
        }
    }

    /// Characters up to one that means something.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| {
            !c.is_whitespace()
                && !matches!(
                    c,
                    '\'' | '"' | '`' | ',' | ';' | '|' | '(' | ')' | '{' | '}' | '&' | '<' | '>' | '=' | '@'
                )
        }) {
            word.push(c);
        }
        word
    }

    fn single_quoted(&mut self) -> Result<String, Box<ErrorRecord>> {
        self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next() {
                // Two of them are one.
                Some('\'') if self.rest.next_if_eq(&'\'').is_some() => text.push('\''),
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(not_understood("The string is missing the terminator: '.")),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, Box<ErrorRecord>> {
        self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('"') if self.rest.next_if_eq(&'"').is_some() => text.push('"'),
                Some('"') => return Ok(text),
                Some('`') => match self.rest.next() {
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some(c) => text.push(c),
                    None => return Err(not_understood("The string is missing the terminator: \".")),
                },
                Some('$') => {
                    return Err(not_understood("a variable inside a string; write `$ for the character"));
                }
                Some(c) => text.push(c),
                None => return Err(not_understood("The string is missing the terminator: \".")),
            }
        }
    }
}

/// A bare word as the value it stands for: a constant, a number, or itself.
fn parse_literal(word: &str) -> Option<Value> {
    if let Some(name) = word.strip_prefix('$') {
        return match name.to_ascii_lowercase().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        };
    }
    if word.is_empty() || word.contains('$') {
        return None;
    }
    Some(word.parse().map_or_else(|_| Value::String(word.to_owned()), Value::I32))
}

/// The refusal of a configuration without a language (about_Language_Modes).
pub(crate) fn not_allowed(text: &str) -> Box<ErrorRecord> {
    Box::new(ErrorRecord {
        id: "ScriptsNotAllowed".into(),
        message: "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode."
            .into(),
        exception_type: "System.Management.Automation.ParseException".into(),
        category: ErrorCategory::PARSER_ERROR,
        reason: "ParseException".into(),
        target: text.into(),
        ..ErrorRecord::default()
    })
}

/// The refusal of what goes beyond plain command lines.
pub(crate) fn not_understood(what: &str) -> Box<ErrorRecord> {
    Box::new(ErrorRecord {
        id: "LabRunsCommandLinesOnly".into(),
        message: format!(
            "This lab runs plain command lines (names, parameters, literal values, pipes) and nothing that computes. It \
             cannot run: {what}"
        ),
        exception_type: "System.Management.Automation.ParseException".into(),
        category: ErrorCategory::PARSER_ERROR,
        reason: "ParseException".into(),
        ..ErrorRecord::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> (Option<String>, Value) {
        (Some(name.into()), Value::Null)
    }

    fn strings(items: &[&str]) -> Value {
        Value::array(items.iter().map(|s| Value::from(*s)).collect())
    }

    #[test]
    fn a_runbook_line_becomes_commands_with_literal_values() {
        let text = "Set-CsPersistentChatActiveServer -Identity \"service:pool.contoso.com\" `\n -ActiveServers 'a','b''c' -Force:$true\n\
                    Get-CsPersistentChatState | Select-Object -First 1; # done\n";
        let statements = parse(text).unwrap();
        assert_eq!(statements.len(), 2);
        assert_eq!(
            statements[0][0].arguments,
            [
                named("-Identity"),
                (None, "service:pool.contoso.com".into()),
                named("-ActiveServers"),
                (None, strings(&["a", "b'c"])),
                (Some("Force".into()), Value::Bool(true)),
            ]
        );
        assert_eq!(statements[1][1].name, "Select-Object");
        assert_eq!(statements[1][1].arguments, [named("-First"), (None, Value::I32(1))]);
    }

    #[test]
    fn lists_and_tables_are_literals_too() {
        let text = "Set-X -A @{Add=\"a\",\"b\"; Remove = 'c'} -B @('x') -C @() -D $null -E sql\\inst";
        let arguments = &parse(text).unwrap()[0][0].arguments;
        let table =
            Value::hashtable(vec![("Add".into(), strings(&["a", "b"])), ("Remove".into(), "c".into())]);
        let values: Vec<_> = arguments.iter().filter(|(n, _)| n.is_none()).map(|(_, v)| v.clone()).collect();
        assert_eq!(values, [table, strings(&["x"]), strings(&[]), Value::Null, "sql\\inst".into()]);
    }

    #[test]
    fn what_computes_is_refused_and_nothing_of_it_is_run() {
        for text in [
            "Get-X; $x = 1",
            "Get-X $(1)",
            "Get-X \"$env:x\"",
            "& calc",
            "Get-X > f",
            "Get-X {1}",
            "Get-X (Get-Y)",
            "1 + 1",
            "Get-X 'open",
            "Get-X |",
            "Get-X @{a}",
            "Get-X $y",
        ] {
            let record = parse(text).unwrap_err();
            assert_eq!(record.id, "LabRunsCommandLinesOnly", "{text}");
        }
    }
}
