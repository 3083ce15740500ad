//! YAML documents with the place of every field.
//!
//! serde_yaml says what a document means; it cannot say where. So the events of the same text are walked once to note
//! the line of every path, and to see what a reader of values cannot: duplicate fields, merge keys, odd keys. Nothing
//! here knows what a manifest is. Hostile input costs bounded memory: size and depth are limited, aliases are expanded
//! by serde_yaml only, which limits them.

use super::problem::{Complaint, Place, Problem};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// No manifest is nested deeper.
const DEPTH_LIMIT: usize = 48;

/// A document: what it says, and where.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) marks: Marks,
}

/// The place of every field of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Marks {
    file: String,
    root: (usize, usize),
    fields: BTreeMap<String, (usize, usize)>,
}

impl Marks {
    /// The place of a field, or of the nearest field above it that stands in the file.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut rest = path;
        let (line, column) = loop {
            if let Some(mark) = self.fields.get(rest) {
                break *mark;
            }
            match rest.rfind(['.', '[']) {
                Some(end) => rest = &rest[..end],
                None => break self.root,
            }
        };
        Place { file: self.file.clone(), line, column }
    }

    /// A problem at a field.
    pub(super) fn problem(&self, path: &str, complaint: Complaint) -> Problem {
        Problem { place: self.place(path), path: path.to_owned(), complaint }
    }
}

/// The path of a field below another.
pub(super) fn below(parent: &str, field: &str) -> String {
    if parent.is_empty() { field.to_owned() } else { format!("{parent}.{field}") }
}

/// What a text holds: the documents that can be read, and whether there are others that cannot.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) documents: Vec<Document>,
    pub(super) incomplete: bool,
}

/// Reads all documents of a text. A broken document is a problem and does not hide the ones behind it.
pub(super) fn read(file: &str, text: &str, problems: &mut Vec<Problem>) -> Reading {
    let mut reading = Reading::default();
    let mut parser = Parser::new_from_str(text);
    let mut walk: Option<Walk> = None;
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::DocumentStart(explicit, _), span)) => {
                walk = Some(Walk::new(file, text, explicit, &span))
            }
            Ok((Event::DocumentEnd, span)) => {
                if let Some(walk) = walk.take() {
                    walk.end(text, &span, problems, &mut reading);
                }
            }
            Ok((event, span)) => {
                if let Some(walk) = walk.as_mut() {
                    walk.event(&event, &span);
                }
            }
            Err(error) => {
                let marker = error.marker();
                let (line, complaint) =
                    syntax(text, marker.line().max(1), error.kind().to_string(), is_tab(error.kind()));
                let place = Place { file: file.to_owned(), line, column: marker.col() + 1 };
                problems.extend(walk.take().into_iter().flat_map(|walk| walk.problems));
                problems.push(Problem { place, path: String::new(), complaint });
                reading.incomplete = true;
                if !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    reading
}

const fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar
    )
}

/// The complaint about a broken text, and its line. A tab is told as one, at the line that it indents: parsers only
/// see that something ends too early there.
fn syntax(text: &str, line: usize, message: String, tab: bool) -> (usize, Complaint) {
    let indented_by_tab =
        |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|character| character == '\t');
    let look_at = if tab { usize::MAX } else { 1 };
    match text.lines().skip(line - 1).take(look_at).position(indented_by_tab) {
        Some(behind) => (line + behind, Complaint::Tab),
        None if tab => (line, Complaint::Tab),
        None => (line, Complaint::Syntax(message)),
    }
}

enum Level {
    Map { path: String, value: Option<String>, seen: HashMap<String, usize> },
    List { path: String, next: usize },
}

/// The walk over the events of one document.
struct Walk {
    marks: Marks,
    levels: Vec<Level>,
    /// Byte and line at which the document's text begins.
    begin: (usize, usize),
    problems: Vec<Problem>,
    /// The events can no longer be told apart into keys and values.
    lost: bool,
    unreadable: bool,
    empty: bool,
}

impl Walk {
    fn new(file: &str, text: &str, explicit: bool, span: &Span) -> Self {
        let mark = if explicit { &span.end } else { &span.start };
        let mut byte = mark.byte_offset().unwrap_or(0).min(text.len());
        if !explicit {
            // From the beginning of the line, so that indentation stays what it is.
            byte = text.get(..byte).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        }
        let line = mark.line().max(1);
        Self {
            marks: Marks { file: file.to_owned(), root: (line, 1), fields: BTreeMap::new() },
            levels: Vec::new(),
            begin: (byte, line),
            problems: Vec::new(),
            lost: false,
            unreadable: false,
            empty: true,
        }
    }

    fn event(&mut self, event: &Event<'_>, span: &Span) {
        if self.lost {
            return;
        }
        let mark = (span.start.line().max(1), span.start.col() + 1);
        match event {
            Event::Scalar(text, style, ..) => {
                if matches!(self.levels.last(), Some(Level::Map { value: None, .. })) {
                    self.key(text, *style, mark);
                } else {
                    // An empty document is a plain scalar without text; the parser may write it as a tilde.
                    let nothing = matches!(text.as_ref(), "" | "~") && *style == ScalarStyle::Plain;
                    self.empty &= self.levels.is_empty() && nothing;
                    self.node(mark);
                }
            }
            Event::Alias(_) => {
                if matches!(self.levels.last(), Some(Level::Map { value: None, .. })) {
                    self.lose(mark, Complaint::ComplexKey);
                } else {
                    self.empty = false;
                    self.node(mark);
                }
            }
            Event::SequenceStart(..) => self.open(mark, |path| Level::List { path, next: 0 }),
            Event::MappingStart(..) => {
                self.open(mark, |path| Level::Map { path, value: None, seen: HashMap::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.levels.pop();
            }
            _ => {}
        }
    }

    fn key(&mut self, text: &str, style: ScalarStyle, mark: (usize, usize)) {
        let Some(Level::Map { path, value, seen }) = self.levels.last_mut() else { return };
        let field = below(path, text);
        *value = Some(field.clone());
        if text == "<<" && style == ScalarStyle::Plain {
            self.unreadable = true;
            self.complain(&field, mark, Complaint::MergeKey);
        } else if let Some(&first_line) = seen.get(text) {
            self.complain(&field, mark, Complaint::DuplicateField { first_line });
        } else {
            seen.insert(text.to_owned(), mark.0);
            self.marks.fields.insert(field, mark);
        }
    }

    /// A value begins: notes where it stands and gives its path.
    fn node(&mut self, mark: (usize, usize)) -> String {
        match self.levels.last_mut() {
            None => {
                self.marks.root = mark;
                String::new()
            }
            Some(Level::Map { value, .. }) => value.take().unwrap_or_default(),
            Some(Level::List { path, next }) => {
                let item = format!("{path}[{next}]");
                *next += 1;
                self.marks.fields.insert(item.clone(), mark);
                item
            }
        }
    }

    fn open(&mut self, mark: (usize, usize), level: impl FnOnce(String) -> Level) {
        self.empty = false;
        if matches!(self.levels.last(), Some(Level::Map { value: None, .. })) {
            return self.lose(mark, Complaint::ComplexKey);
        }
        if self.levels.len() == DEPTH_LIMIT {
            return self.lose(mark, Complaint::TooDeep { limit: DEPTH_LIMIT });
        }
        let path = self.node(mark);
        self.levels.push(level(path));
    }

    fn lose(&mut self, mark: (usize, usize), complaint: Complaint) {
        self.lost = true;
        self.unreadable = true;
        let path = match self.levels.last() {
            Some(Level::Map { path, .. } | Level::List { path, .. }) => path.clone(),
            None => String::new(),
        };
        self.complain(&path, mark, complaint);
    }

    fn complain(&mut self, path: &str, (line, column): (usize, usize), complaint: Complaint) {
        let place = Place { file: self.marks.file.clone(), line, column };
        self.problems.push(Problem { place, path: path.to_owned(), complaint });
    }

    fn end(mut self, text: &str, span: &Span, problems: &mut Vec<Problem>, reading: &mut Reading) {
        let (begin, first_line) = self.begin;
        let end = span.start.byte_offset().unwrap_or(text.len());
        if !self.unreadable && !self.empty {
            match serde_yaml::from_str::<Value>(text.get(begin..end).unwrap_or_default()) {
                Ok(value) => reading.documents.push(Document { value, marks: self.marks.clone() }),
                Err(error) => {
                    self.unreadable = true;
                    let (line, column) =
                        error.location().map_or((1, 1), |place| (place.line().max(1), place.column().max(1)));
                    let line = first_line + line - 1;
                    // serde_yaml ends its messages with a place that counts from the document's beginning.
                    let message = error.to_string();
                    let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
                    let (line, complaint) = syntax(text, line, message, false);
                    self.complain("", (line, column), complaint);
                }
            }
        }
        reading.incomplete |= self.unreadable || !self.problems.is_empty();
        problems.append(&mut self.problems);
    }
}
