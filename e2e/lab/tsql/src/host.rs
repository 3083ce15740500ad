//! What the language needs from the simulated server: its catalog, its session facts, its effects.
//!
//! The front end owns the language (parsing, binding, variables, temp tables, flow, @@ERROR); the host owns
//! the state. The host never sees statement text, only names and values, and must say [`None`] or an error
//! for what it does not have: an empty answer means "there is, and it is empty".

use crate::error::{Failure, SqlError};
use crate::time::Ticks;
use crate::types::{Column, Row, Rowset, Ty, Value};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A future that can be kept in a trait object.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Version of the simulated server; decides which functions, statements and columns exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// SQL Server 2008 R2 (10.50).
    V2008R2,
    /// SQL Server 2012 (11).
    V2012,
    /// SQL Server 2014 (12).
    V2014,
    /// SQL Server 2016 (13).
    V2016,
    /// SQL Server 2017 (14).
    V2017,
    /// SQL Server 2019 (15).
    V2019,
}

impl Version {
    /// Year as the reference tables' `since` has it.
    pub fn year(self) -> u16 {
        match self {
            Version::V2008R2 => 2008,
            Version::V2012 => 2012,
            Version::V2014 => 2014,
            Version::V2016 => 2016,
            Version::V2017 => 2017,
            Version::V2019 => 2019,
        }
    }

    /// Major and minor number of the product version.
    pub fn number(self) -> (u8, u8) {
        match self {
            Version::V2008R2 => (10, 50),
            Version::V2012 => (11, 0),
            Version::V2014 => (12, 0),
            Version::V2016 => (13, 0),
            Version::V2017 => (14, 0),
            Version::V2019 => (15, 0),
        }
    }
}

/// An object's name, resolved as far as the language resolves it: the database is the current one where
/// none was written, the schema `dbo` where none was written, and `sysprocesses` under any of its names is
/// `sys.sysprocesses`. Spelling is the statement's; hosts compare without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectName {
    /// Database.
    pub database: String,
    /// Schema.
    pub schema: String,
    /// Object.
    pub name: String,
    /// Was the schema left out? Procedures `sp_...` are then looked for in `sys` and `master` too.
    pub implied_schema: bool,
}

impl ObjectName {
    /// Is it `schema.name`, in whatever database?
    pub fn is(&self, schema: &str, name: &str) -> bool {
        self.schema.eq_ignore_ascii_case(schema) && self.name.eq_ignore_ascii_case(name)
    }
}

/// Facts of the session that expressions ask for.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// `@@SPID`.
    pub spid: i16,
    /// `SUSER_SNAME()`, `ORIGINAL_LOGIN()`.
    pub login: String,
    /// `HOST_NAME()`.
    pub host_name: String,
    /// `APP_NAME()`.
    pub program: String,
    /// Name of the current database, as `sys.databases` spells it.
    pub database: String,
    /// `@@SERVERNAME`; NULL where no local server is registered.
    pub server: Option<String>,
    /// `@@SERVICENAME`.
    pub service: String,
    /// `@@VERSION`.
    pub version_text: String,
}

/// A parameter of a stored procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name with `@`.
    pub name: String,
    /// Type; arguments are converted to it.
    pub ty: Ty,
    /// Must it be given (201 otherwise)?
    pub required: bool,
    /// May it be given with OUTPUT?
    pub output: bool,
}

/// What is known about a procedure before it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Name for messages.
    pub name: String,
    /// Parameters in order. Extended procedures take theirs by position: their names are not checked.
    pub parameters: Vec<Parameter>,
    /// An extended procedure (`xp_...`): arguments by position only.
    pub extended: bool,
}

/// A call, its arguments checked against the [`Signature`] and converted to the parameters' types.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The procedure.
    pub name: ObjectName,
    /// One entry a parameter of the signature, in its order: the value given, or `None` for the default.
    pub arguments: Vec<(String, Option<Value>)>,
    /// Is the session inside a transaction?
    pub in_transaction: bool,
}

impl Call {
    /// The argument of a parameter (name with `@`), NULL where not given.
    pub fn get(&self, parameter: &str) -> Value {
        self.given(parameter).cloned().unwrap_or(Value::Null)
    }

    /// The argument of a parameter, or `None` where it was not given.
    pub fn given(&self, parameter: &str) -> Option<&Value> {
        self.arguments.iter().find(|a| a.0.eq_ignore_ascii_case(parameter)).and_then(|a| a.1.as_ref())
    }
}

/// What a procedure leaves behind. Its result sets and information went to the [`Sink`] while it ran.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Returned {
    /// Return code.
    pub code: i32,
    /// Values of output parameters, by name with `@`.
    pub outputs: Vec<(String, Value)>,
    /// Errors it raised, in order; the batch goes on after them, as after any statement's.
    pub errors: Vec<SqlError>,
}

/// Which BACKUP or RESTORE statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// `BACKUP DATABASE`.
    BackupDatabase,
    /// `BACKUP LOG`.
    BackupLog,
    /// `RESTORE DATABASE`.
    RestoreDatabase,
    /// `RESTORE LOG`.
    RestoreLog,
    /// `RESTORE HEADERONLY`.
    HeaderOnly,
    /// `RESTORE FILELISTONLY`.
    FileListOnly,
    /// `RESTORE LABELONLY`.
    LabelOnly,
    /// `RESTORE VERIFYONLY`.
    VerifyOnly,
}

/// A backup device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// `DISK = 'path'`.
    Disk(String),
    /// A logical device's name.
    Logical(String),
}

/// A BACKUP or RESTORE statement with its variables replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Which statement.
    pub kind: MediaKind,
    /// Database, where the statement names one.
    pub database: Option<String>,
    /// Devices; empty for `RESTORE DATABASE x WITH RECOVERY`.
    pub devices: Vec<Device>,
    /// Options of WITH in upper case, each with its values (two for MOVE). Options that contradict one
    /// another never arrive here.
    pub options: Vec<(String, Vec<Value>)>,
}

impl Media {
    /// Is the option there?
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o.0 == option)
    }

    /// First value of an option.
    pub fn value(&self, option: &str) -> Option<&Value> {
        self.options.iter().find(|o| o.0 == option).and_then(|o| o.1.first())
    }

    /// `MOVE 'logical' TO 'path'` pairs.
    pub fn moves(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().filter(|o| o.0 == "MOVE").filter_map(|o| match &o.1[..] {
            [Value::Text(from), Value::Text(to)] => Some((from.as_str(), to.as_str())),
            _ => None,
        })
    }
}

/// What `ALTER DATABASE` changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterAction {
    /// `SET PARTNER = 'TCP://host:port'`.
    Partner(String),
    /// `SET PARTNER OFF`.
    PartnerOff,
    /// `SET PARTNER FAILOVER`.
    PartnerFailover,
    /// `SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS`.
    PartnerForceService,
    /// `SET PARTNER RESUME`.
    PartnerResume,
    /// `SET PARTNER SUSPEND`.
    PartnerSuspend,
    /// `SET PARTNER SAFETY FULL` (true) or `OFF`.
    PartnerSafety(bool),
    /// `SET PARTNER TIMEOUT n`, seconds.
    PartnerTimeout(i32),
    /// `SET WITNESS = 'TCP://host:port'`.
    Witness(String),
    /// `SET WITNESS OFF`.
    WitnessOff,
    /// Any other SET option in upper case with its word, e.g. (`RECOVERY`, `FULL`), (`OFFLINE`, none).
    Option(String, Option<String>),
    /// `MODIFY NAME = x`.
    Rename(String),
}

/// The WITH clause of `ALTER DATABASE ... SET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    /// None written: wait for other sessions.
    Wait,
    /// `WITH NO_WAIT`: fail at once.
    NoWait,
    /// `WITH ROLLBACK IMMEDIATE`, or `ROLLBACK AFTER n` seconds.
    Rollback(Duration),
}

/// A change of rows of an ordinary table. Rows are matched by value, so that a change that another session
/// made in between is never overwritten by position.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// New rows: the named columns (indexes into the described ones) and their values; the host supplies
    /// the rest (default, identity, NULL).
    Insert(Vec<usize>, Vec<Row>),
    /// Whole rows, old and new.
    Update(Vec<(Row, Row)>),
    /// Whole rows.
    Delete(Vec<Row>),
}

/// What kind of statement is about to run, for hosts that count or disturb them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// SELECT that returns or assigns.
    Select,
    /// INSERT, UPDATE, DELETE, SELECT INTO, CREATE or DROP of a temp table or table variable.
    Scratch,
    /// INSERT, UPDATE, DELETE, CREATE, DROP of lasting rows or objects.
    Modify,
    /// A procedure of the host.
    Procedure,
    /// BACKUP, and RESTORE of a database or log.
    Media,
    /// RESTORE HEADERONLY and its kin.
    MediaInfo,
    /// ALTER DATABASE.
    Alter,
    /// KILL.
    Kill,
    /// Everything else: SET, flow, PRINT, WAITFOR.
    Other,
}

/// One message on the way to the client, in the order of the tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A result set begins.
    Columns(Vec<Column>),
    /// A row of the open result set.
    Row(Row),
    /// A statement ended: its row count where it has one to tell, and whether it failed.
    Done {
        /// Rows returned or changed; none under SET NOCOUNT ON and for statements without a count.
        rows: Option<u64>,
        /// Did it raise an error?
        error: bool,
        /// Inside a procedure, `EXEC('..')` or sp_executesql: DONEINPROC on the wire.
        in_procedure: bool,
    },
    /// An ERROR (class above 10) or INFO token.
    Message(SqlError),
    /// The current database changed.
    Database(String),
    /// Return status of an RPC.
    ReturnStatus(i32),
    /// Output parameter of an RPC.
    Output {
        /// Name with `@`.
        name: String,
        /// Type.
        ty: Ty,
        /// Value.
        value: Value,
    },
}

/// What a CREATE ENDPOINT or ALTER ENDPOINT names; the rest stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointChange {
    /// CREATE rather than ALTER.
    pub create: bool,
    /// The endpoint.
    pub name: String,
    /// STATE.
    pub state: Option<EndpointState>,
    /// LISTENER_PORT.
    pub port: Option<u16>,
    /// ROLE.
    pub role: Option<EndpointRole>,
}

/// Whether an endpoint listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It does.
    Started,
    /// It does not.
    Stopped,
    /// It does, and answers with errors.
    Disabled,
}

/// The parts in a mirroring session that an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointRole {
    /// A partner's.
    Partner,
    /// A witness's.
    Witness,
    /// Both.
    All,
}

/// Where the answers go.
pub trait Sink: Send {
    /// Takes the next event.
    fn send(&mut self, event: Event);

    /// Sends what is buffered to the client while the statement goes on (RAISERROR WITH NOWAIT, WAITFOR).
    fn flush(&mut self) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Sink for Vec<Event> {
    fn send(&mut self, event: Event) {
        self.push(event);
    }
}

/// The simulated server behind one session.
pub trait Host: Send + Sync {
    /// The server's version.
    fn version(&self) -> Version;

    /// Facts of this session.
    fn session(&self) -> SessionFacts;

    /// The server's clock, UTC.
    fn now(&self) -> Ticks;

    /// Minutes that local time is ahead of UTC.
    fn utc_offset_minutes(&self) -> i32 {
        0
    }

    /// Columns of a table or view. `Ok(None)`: no such object (208, raised when the statement is reached).
    /// An error is one of compiling (927, 916, 942, ...): nothing of the batch runs.
    fn columns(&self, name: &ObjectName) -> Result<Option<Vec<Column>>, SqlError>;

    /// The rows at this moment, as `columns` described them.
    fn rows(&self, name: &ObjectName) -> Result<Vec<Row>, SqlError>;

    /// May rows of the table be changed? False for catalog views: 259.
    fn is_user_table(&self, name: &ObjectName) -> bool;

    /// Changes rows; returns how many.
    fn change<'a>(&'a mut self, table: &'a ObjectName, change: Change) -> Boxed<'a, Result<u64, Failure>>;

    /// Creates an ordinary table.
    fn create_table(&mut self, name: &ObjectName, columns: Vec<Column>) -> Result<(), Failure> {
        let _ = columns;
        Err(SqlError::new(262, &[&"CREATE TABLE", &name.database]).into())
    }

    /// Drops an ordinary table.
    fn drop_table(&mut self, name: &ObjectName) -> Result<(), Failure> {
        Err(SqlError::new(3701, &[&"drop", &"table", &name.name]).into())
    }

    /// A procedure's signature, or `None` for 2812.
    fn procedure(&self, name: &ObjectName) -> Option<Signature>;

    /// Calls a procedure. Result sets go to `out` as `Columns`, `Row`s and `Done`; `Err` is a failure
    /// before it could run.
    fn call<'a>(&'a mut self, call: Call, out: &'a mut dyn Sink) -> Boxed<'a, Result<Returned, Failure>>;

    /// Runs a BACKUP or RESTORE. The answer is the result set of the informational forms. Progress and
    /// success messages (3014, 4035, 3211) go to `out`.
    fn media<'a>(
        &'a mut self,
        media: Media,
        out: &'a mut dyn Sink,
    ) -> Boxed<'a, Result<Option<Rowset>, Failure>>;

    /// Runs an ALTER DATABASE.
    fn alter_database<'a>(
        &'a mut self,
        database: &'a str,
        action: AlterAction,
        termination: Termination,
        out: &'a mut dyn Sink,
    ) -> Boxed<'a, Result<(), Failure>>;

    /// DROP DATABASE.
    fn drop_database<'a>(&'a mut self, database: &'a str) -> Boxed<'a, Result<(), Failure>> {
        Box::pin(async move { Err(SqlError::new(3701, &[&"drop", &"database", &database]).into()) })
    }

    /// CREATE ENDPOINT or ALTER ENDPOINT.
    fn endpoint(&mut self, change: EndpointChange) -> Boxed<'_, Result<(), Failure>> {
        Box::pin(async move { Err(SqlError::new(15151, &[&"alter", &"endpoint", &change.name]).into()) })
    }

    /// KILL; `status_only` for WITH STATUSONLY.
    fn kill<'a>(&'a mut self, spid: i32, status_only: bool) -> Boxed<'a, Result<(), Failure>>;

    /// USE: enters a database and returns its name as the catalog spells it.
    fn use_database(&mut self, database: &str) -> Result<String, SqlError>;

    /// WAITFOR DELAY.
    fn wait(&mut self, delay: Duration) -> Boxed<'_, Result<(), Failure>>;

    /// `DB_ID(name)`.
    fn database_id(&self, name: &str) -> Option<i16>;

    /// `DB_NAME(id)`.
    fn database_name(&self, id: i32) -> Option<String>;

    /// `SERVERPROPERTY(name)`; NULL for a name that does not exist.
    fn server_property(&self, property: &str) -> Value;

    /// `DATABASEPROPERTYEX(database, property)`.
    fn database_property(&self, database: &str, property: &str) -> Value;

    /// `IS_SRVROLEMEMBER(role, login)`: `None` for NULL (no such role).
    fn is_server_role_member(&self, role: &str, login: Option<&str>) -> Option<bool>;

    /// `HAS_PERMS_BY_NAME(securable, class, permission)`: `None` for NULL (no such thing).
    fn has_permission(&self, securable: Option<&str>, class: Option<&str>, permission: &str) -> Option<bool>;

    /// `HAS_DBACCESS(database)`.
    fn has_database_access(&self, database: &str) -> Option<bool>;

    /// `APPLOCK_MODE(principal, resource, owner)` of this session.
    fn applock_mode(&self, principal: &str, resource: &str, owner: &str) -> String;

    /// `APPLOCK_TEST(principal, resource, mode, owner)`: whether this session could be granted that lock now.
    ///
    /// # Errors
    /// For an argument that it does not take, and a caller who is no member of the principal.
    fn applock_test(
        &self,
        principal: &str,
        resource: &str,
        mode: &str,
        owner: &str,
    ) -> Result<bool, SqlError>;

    /// `NEWID()`.
    fn new_guid(&self) -> [u8; 16];

    /// Is any function or return code told as NULL? Asked once a statement.
    fn withholds(&self) -> bool {
        false
    }

    /// Is this function (upper case), or the return code of this procedure, told as NULL?
    fn withheld(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Told before each statement runs; an error is raised in its place.
    fn statement(&mut self, kind: StatementKind) -> Boxed<'_, Result<(), Failure>> {
        let _ = kind;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Told whenever `@@TRANCOUNT` changes.
    fn transaction(&mut self, count: i32) {
        let _ = count;
    }
}
