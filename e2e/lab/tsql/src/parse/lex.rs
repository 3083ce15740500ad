//! Tokens of T-SQL: bracketed and quoted names, `N'..'`, nested comments, `@variables`.
//!
//! Own rather than borrowed: general SQL tokenizers accept what SQL Server refuses, and the text of the
//! offending token is part of error 102.

use super::keywords::is_reserved;
use crate::convert::parse_hex;
use crate::error::SqlError;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tok {
    /// A word without quotes; may be a keyword.
    Word(String),
    /// `[name]` or `"name"`.
    Quoted(String),
    /// `@x` or `@@x`.
    Var(String),
    /// Digits, maybe with a point and an exponent.
    Number(String),
    /// `'..'` (false) or `N'..'` (true).
    Text(String, bool),
    /// `0x..`.
    Hex(Vec<u8>),
    /// An operator or punctuation mark.
    Op(&'static str),
    /// The end of the text.
    End,
}

/// A token and its line, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub tok: Tok,
    pub line: u32,
}

impl Tok {
    /// The error for a token that may not stand here: 156 for a keyword, 102 otherwise.
    pub fn unexpected(&self) -> SqlError {
        match self {
            Tok::Word(w) if is_reserved(w) => SqlError::new(156, &[w]),
            Tok::Word(w) | Tok::Quoted(w) | Tok::Var(w) | Tok::Number(w) | Tok::Text(w, _) => {
                SqlError::near(w)
            }
            Tok::Hex(_) => SqlError::near("0x"),
            Tok::Op(o) => SqlError::near(o),
            Tok::End => SqlError::near("end of the statement"),
        }
    }
}

const OPERATORS: [&str; 38] = [
    "<=", ">=", "<>", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "::", "||", "+", "-",
    "*", "/", "%", "=", "<", ">", "(", ")", ",", ".", ";", "&", "|", "^", "~", ":", "{", "}", "?", "!",
];

fn word_start(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '#')
}

fn word_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '#' | '@' | '$')
}

/// Cuts a text into tokens, the last being [`Tok::End`]. Errors: 105 and 113 for quotes and comments that
/// do not end, 102 for a character that begins nothing, 103 for a name over 128 characters.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, SqlError> {
    let mut lexer = Lexer { rest: text, line: 1 };
    let mut out = Vec::with_capacity(text.len() / 5);
    loop {
        lexer.blanks()?;
        let line = lexer.line;
        let tok = lexer.token().map_err(|e| e.at(line))?;
        let end = tok == Tok::End;
        out.push(Token { tok, line });
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Lexer<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (head, rest) = self.rest.split_at(bytes);
        self.line += head.bytes().filter(|b| *b == b'\n').count() as u32;
        self.rest = rest;
        head
    }

    fn take_while(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !test(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn blanks(&mut self) -> Result<(), SqlError> {
        loop {
            self.take_while(|c| c.is_whitespace() || c == '\u{feff}');
            if self.rest.starts_with("--") {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                self.comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn comment(&mut self) -> Result<(), SqlError> {
        let line = self.line;
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
                if depth == 0 {
                    return Ok(());
                }
            } else {
                match self.rest.chars().next() {
                    Some(c) => self.take(c.len_utf8()),
                    None => return Err(SqlError::new(113, &[]).at(line)),
                };
            }
        }
    }

    /// Content up to the closing mark, a doubled mark being the mark itself.
    fn delimited(&mut self, close: char) -> Result<String, SqlError> {
        let mut out = String::new();
        loop {
            let Some(at) = self.rest.find(close) else {
                out.push_str(self.rest);
                return Err(SqlError::new(105, &[&out]));
            };
            out.push_str(self.take(at));
            self.take(close.len_utf8());
            if !self.rest.starts_with(close) {
                return Ok(out);
            }
            out.push(close);
            self.take(close.len_utf8());
        }
    }

    fn name(text: String) -> Result<Tok, SqlError> {
        if text.encode_utf16().count() > 128 {
            let shown: String = text.chars().take(128).collect();
            return Err(SqlError::new(103, &[&"identifier", &shown, &128]));
        }
        if text.is_empty() {
            return Err(SqlError::new(1038, &[]));
        }
        Ok(Tok::Quoted(text))
    }

    fn token(&mut self) -> Result<Tok, SqlError> {
        let mut chars = self.rest.chars();
        let Some(c) = chars.next() else { return Ok(Tok::End) };
        let second = chars.next();
        match c {
            '\'' => {
                self.take(1);
                self.delimited('\'').map(|t| Tok::Text(t, false))
            }
            'N' | 'n' if second == Some('\'') => {
                self.take(2);
                self.delimited('\'').map(|t| Tok::Text(t, true))
            }
            '[' => {
                self.take(1);
                self.delimited(']').and_then(Self::name)
            }
            '"' => {
                self.take(1);
                self.delimited('"').and_then(Self::name)
            }
            '0' if matches!(second, Some('x' | 'X')) => {
                self.take(2);
                let digits = self.take_while(|c| c.is_ascii_hexdigit());
                let even = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
                Ok(Tok::Hex(parse_hex(&even).unwrap_or_default()))
            }
            '@' => Ok(Tok::Var(self.take_while(word_part).to_owned())),
            c if c.is_ascii_digit() => Ok(Tok::Number(self.number())),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => Ok(Tok::Number(self.number())),
            c if word_start(c) => {
                let word = self.take_while(word_part).to_owned();
                if word.encode_utf16().count() > 128 {
                    return Self::name(word);
                }
                Ok(Tok::Word(word))
            }
            c => match OPERATORS.iter().find(|o| self.rest.starts_with(**o)) {
                Some(operator) => {
                    self.take(operator.len());
                    Ok(Tok::Op(operator))
                }
                None => Err(SqlError::near(c)),
            },
        }
    }

    fn number(&mut self) -> String {
        let mut out = self.take_while(|c| c.is_ascii_digit()).to_owned();
        if self.rest.starts_with('.') {
            out.push_str(self.take(1));
            out.push_str(self.take_while(|c| c.is_ascii_digit()));
        }
        let mut ahead = self.rest.chars();
        if matches!(ahead.next(), Some('e' | 'E')) {
            let sign = usize::from(matches!(ahead.clone().next(), Some('+' | '-')));
            if self.rest[1 + sign..].starts_with(|c: char| c.is_ascii_digit()) {
                out.push_str(self.take(1 + sign));
                out.push_str(self.take_while(|c| c.is_ascii_digit()));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toks(text: &str) -> Vec<Tok> {
        tokens(text).unwrap().into_iter().map(|t| t.tok).collect()
    }

    #[test]
    fn hostile_names_and_texts_come_out_as_written() {
        assert_eq!(toks("[a]]b'c \"]")[0], Tok::Quoted("a]b'c \"".into()));
        assert_eq!(toks("N'O''Brien]'")[0], Tok::Text("O'Brien]".into(), true));
        assert_eq!(toks("/* a /* b */ c */ x -- y\n@z")[..2], [Tok::Word("x".into()), Tok::Var("@z".into())]);
    }

    #[test]
    fn what_does_not_end_is_named() {
        assert_eq!(tokens("SELECT 'abc").unwrap_err().number, 105);
        assert_eq!(tokens("SELECT 1\n/* abc").unwrap_err().line, 2);
        assert_eq!(tokens(&format!("[{}]", "x".repeat(129))).unwrap_err().number, 103);
    }
}
