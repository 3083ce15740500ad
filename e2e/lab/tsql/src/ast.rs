//! The statements of a batch as parsed: names unresolved, types known where written.

use crate::host::{MediaKind, Version};
use crate::types::{Ty, Value};

/// A name of one to four parts; an omitted part (`master..x`) is empty.
pub(crate) type Name = Vec<String>;

/// A parsed batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub nodes: Vec<Node>,
    pub version: Version,
}

/// A statement and its line.
#[derive(Debug)]
pub(crate) struct Node {
    pub line: u32,
    pub stmt: Stmt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
}

impl Arith {
    /// Name of the operation in error texts (402, 8117).
    pub fn title(self) -> &'static str {
        match self {
            Arith::Add => "add",
            Arith::Sub => "subtract",
            Arith::Mul => "multiply",
            Arith::Div => "divide",
            Arith::Mod => "modulo",
            Arith::And => "'&'",
            Arith::Or => "'|'",
            Arith::Xor => "'^'",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Lit(Value, Ty),
    Null,
    Default,
    Var(String),
    Name(Name),
    Neg(Box<Expr>),
    BitNot(Box<Expr>),
    Arith(Arith, Box<Expr>, Box<Expr>),
    Case {
        operand: Option<Box<Expr>>,
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        value: Box<Expr>,
        ty: Ty,
        style: Option<Box<Expr>>,
        lenient: bool,
    },
    Call(Box<Call>),
    Scalar(Box<Query>),
    /// `.value('.', 'type')` of a FOR XML subquery.
    XmlValue(Box<Query>, Ty),
    // Conditions.
    Compare(Cmp, Box<Expr>, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>, bool),
    Like {
        value: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    Between {
        value: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    InList {
        value: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InQuery {
        value: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    Exists(Box<Query>),
}

impl Expr {
    pub fn is_condition(&self) -> bool {
        matches!(
            self,
            Expr::Compare(..)
                | Expr::And(_)
                | Expr::Or(_)
                | Expr::Not(_)
                | Expr::IsNull(..)
                | Expr::Like { .. }
                | Expr::Between { .. }
                | Expr::InList { .. }
                | Expr::InQuery { .. }
                | Expr::Exists(_)
        )
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Upper case.
    pub name: String,
    pub args: Vec<Expr>,
    pub star: bool,
    pub distinct: bool,
    pub over: Option<(Vec<Expr>, Vec<OrderItem>)>,
    /// WITHIN GROUP (ORDER BY ..) of STRING_AGG.
    pub within: Vec<OrderItem>,
}

#[derive(Debug, Clone)]
pub(crate) struct OrderItem {
    pub expr: Expr,
    pub descending: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub ctes: Vec<Cte>,
    pub body: Body,
    pub order: Vec<OrderItem>,
    pub offset: Option<(Expr, Option<Expr>)>,
    pub xml: Option<ForXml>,
}

#[derive(Debug, Clone)]
pub(crate) struct Cte {
    pub name: String,
    pub columns: Vec<String>,
    pub query: Query,
}

/// `FOR XML PATH('element'), TYPE`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ForXml {
    pub element: String,
    pub root: Option<String>,
    pub typed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOp {
    Union,
    UnionAll,
    Except,
    Intersect,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Select(Box<Select>),
    Set(SetOp, Box<Body>, Box<Body>),
    Nested(Box<Query>),
}

#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub distinct: bool,
    pub top: Option<Top>,
    pub items: Vec<Item>,
    pub into: Option<Name>,
    pub from: Vec<Source>,
    pub filter: Option<Expr>,
    pub group: Vec<Expr>,
    pub having: Option<Expr>,
}

#[derive(Debug, Clone)]
pub(crate) struct Top {
    pub count: Expr,
    pub percent: bool,
    pub ties: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Item {
    Star(Option<Name>),
    Expr(Expr, Option<String>),
    Assign(String, Option<Arith>, Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    Table { name: Name, alias: Option<String> },
    Derived { query: Box<Query>, alias: String, columns: Vec<String> },
    Values { rows: Vec<Vec<Expr>>, alias: String, columns: Vec<String> },
    Join { kind: JoinKind, left: Box<Source>, right: Box<Source>, on: Option<Expr> },
    Apply { outer: bool, left: Box<Source>, right: Box<Source> },
}

/// What EXEC, RAISERROR, RESTORE and their kin take: a constant, a variable or a bare word.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Lit(Value, Ty),
    Var(String),
    Word(String),
    Default,
}

#[derive(Debug, Clone)]
pub(crate) struct ProcArg {
    pub name: Option<String>,
    pub value: Arg,
    pub output: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Proc(Name),
    Var(String),
    Text(Vec<Arg>),
}

#[derive(Debug, Clone)]
pub(crate) struct Exec {
    pub returns: Option<String>,
    pub target: Target,
    pub args: Vec<ProcArg>,
}

#[derive(Debug, Clone)]
pub(crate) struct ColumnDef {
    pub name: String,
    pub ty: Ty,
    pub nullable: bool,
    pub identity: Option<(i64, i64)>,
    pub default: Option<Expr>,
    pub unique: bool,
}

#[derive(Debug)]
pub(crate) enum InsertSource {
    Query(Query),
    Values(Vec<Vec<Expr>>),
    Exec(Exec),
    Defaults,
}

#[derive(Debug)]
pub(crate) struct MediaStmt {
    pub kind: MediaKind,
    pub database: Option<Arg>,
    pub devices: Vec<DeviceArg>,
    pub options: Vec<(String, Vec<Arg>)>,
}

#[derive(Debug)]
pub(crate) enum DeviceArg {
    Disk(Arg),
    Logical(Arg),
}

#[derive(Debug)]
pub(crate) enum CursorOp {
    Declare(Query),
    Open,
    Fetch(Vec<String>),
    Close,
    Deallocate,
}

#[derive(Debug)]
pub(crate) enum SetOption {
    Flag(Vec<String>, bool),
    Other,
}

#[derive(Debug)]
pub(crate) enum Stmt {
    Block(Vec<Node>),
    If(Expr, Box<Node>, Option<Box<Node>>),
    While(Expr, Box<Node>),
    Try(Vec<Node>, Vec<Node>),
    Break,
    Continue,
    Return,
    Goto(String),
    Label(String),
    Declare(Vec<(String, Ty, Option<Expr>)>),
    DeclareTable(String, Vec<ColumnDef>),
    SetVar(String, Option<Arith>, Expr),
    SetOption(SetOption),
    Query(Query),
    Insert { table: Name, columns: Vec<String>, source: InsertSource },
    Update { table: Name, sets: Vec<(String, Option<Arith>, Expr)>, filter: Option<Expr> },
    Delete { table: Name, filter: Option<Expr> },
    CreateTable(Name, Vec<ColumnDef>),
    DropTable(Vec<Name>, bool),
    DropDatabase(Vec<String>),
    Exec(Exec),
    Raiserror { args: Vec<Arg>, nowait: bool, seterror: bool, log: bool },
    Throw(Vec<Arg>),
    Print(Expr),
    Waitfor(Arg),
    Use(String),
    Kill(i32, bool),
    Media(MediaStmt),
    Alter(String, crate::host::AlterAction, crate::host::Termination),
    Endpoint(crate::host::EndpointChange),
    Cursor(String, CursorOp),
    BeginTran,
    Commit,
    Rollback,
    Checkpoint,
}
