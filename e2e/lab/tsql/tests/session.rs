//! What lasts from batch to batch, and remote procedure calls.

mod support;

use pchat_tsql::types::{MAX, Ty, Value};
use pchat_tsql::{Event, RpcParameter, Session, Version};
use support::{Mini, block_on, render};

fn seen(session: &mut Session<Mini>, text: &str) -> Vec<String> {
    let mut events: Vec<Event> = Vec::new();
    block_on(session.batch(text, &mut events));
    render(&events).into_iter().filter(|l| !l.starts_with("done") && !l.starts_with("cols")).collect()
}

fn call(session: &mut Session<Mini>, name: &str, parameters: Vec<RpcParameter>) -> Vec<String> {
    let mut events: Vec<Event> = Vec::new();
    block_on(session.rpc(name, parameters, &mut events));
    render(&events).into_iter().filter(|l| !l.starts_with("done") && !l.starts_with("cols")).collect()
}

fn text(value: &str) -> RpcParameter {
    RpcParameter { name: None, ty: Ty::NVarChar(MAX), value: value.into(), output: false }
}

fn named(name: &str, ty: Ty, value: Value, output: bool) -> RpcParameter {
    RpcParameter { name: Some(name.to_owned()), ty, value, output }
}

#[test]
fn temp_tables_and_options_last_until_the_session_is_reset() {
    let mut session = Session::new(Mini::new(Version::V2019));
    assert!(
        seen(&mut session, "CREATE TABLE #t (a int); SET XACT_ABORT ON; INSERT #t VALUES (1)").is_empty()
    );
    assert_eq!(seen(&mut session, "BEGIN TRAN; SELECT a, @@TRANCOUNT FROM #t"), ["row 1|1"]);
    assert_eq!(seen(&mut session, "SELECT 1/0; SELECT 2").len(), 1, "XACT_ABORT was set by an earlier batch");
    session.reset();
    assert!(seen(&mut session, "SELECT a FROM #t")[0].starts_with("error 208"));
    assert_eq!(seen(&mut session, "SELECT @@TRANCOUNT"), ["row 0"]);
}

#[test]
fn variables_do_not_last() {
    let mut session = Session::new(Mini::new(Version::V2019));
    assert!(seen(&mut session, "DECLARE @a int; SET @a = 1").is_empty());
    assert!(seen(&mut session, "SELECT @a")[0].starts_with("error 137"));
}

#[test]
fn a_remote_call_of_sp_executesql_takes_typed_values() {
    let mut session = Session::new(Mini::new(Version::V2008R2));
    let parameters = vec![
        text("SELECT d.name FROM sys.databases AS d WHERE d.name = @P1 AND d.state = @P2"),
        text("@P1 nvarchar(4000), @P2 int"),
        named("@P1", Ty::NVarChar(4000), "o'b]r én".into(), false),
        named("@P2", Ty::Int, 0.into(), false),
    ];
    assert_eq!(call(&mut session, "sp_executesql", parameters), ["row o'b]r én", "status 0"]);
}

#[test]
fn options_and_temp_tables_of_a_remote_call_end_with_it() {
    let mut session = Session::new(Mini::new(Version::V2019));
    call(&mut session, "sp_executesql", vec![text("SET NOCOUNT ON; CREATE TABLE #t (a int); USE msdb")]);
    assert_eq!(seen(&mut session, "SELECT DB_NAME()"), ["row master"]);
    assert!(seen(&mut session, "SELECT a FROM #t")[0].starts_with("error 208"));
    let mut events: Vec<Event> = Vec::new();
    block_on(session.batch("SELECT 1 AS a", &mut events));
    assert_eq!(render(&events).last().map(String::as_str), Some("done 1"));
}

#[test]
fn a_refusal_in_a_remote_batch_is_its_only_answer() {
    let mut session = Session::new(Mini::new(Version::V2019));
    let parameters = vec![
        text("IF @e <> 1 BEGIN RAISERROR(N'PCHAT|FENCED|%s', 16, 14, @db); RETURN; END; KILL 53"),
        text("@e int, @db sysname"),
        named("@e", Ty::Int, 2.into(), false),
        named("@db", Ty::NVarChar(128), "a%sb]'".into(), false),
    ];
    let out = call(&mut session, "sp_executesql", parameters);
    assert_eq!(out[0], "error 50000 16 14 line 1: PCHAT|FENCED|a%sb]'");
    assert!(session.host().did.is_empty());
}

#[test]
fn output_parameters_come_back_behind_the_status() {
    let mut session = Session::new(Mini::new(Version::V2019));
    let job = named("@job_id", Ty::Guid, Value::Null, true);
    let name = named("@job_name", Ty::NVarChar(128), "x".into(), false);
    let out = call(&mut session, "msdb.dbo.sp_add_job", vec![name, job]);
    assert_eq!(out, ["status 0", "output @job_id=11111111-1111-1111-1111-11111111112A"]);
    let out = call(&mut session, "[no such]", Vec::new());
    assert!(out[0].starts_with("error 2812 16 62"), "{out:?}");
}

#[test]
fn an_lsn_goes_in_and_comes_out_whole() {
    let mut session = Session::new(Mini::new(Version::V2019));
    let lsn = Value::lsn(9_999_999_999_999_999_999_999_999);
    let parameters = vec![
        text("SET @x = @x - 1; SELECT @x AS x"),
        text("@x numeric(25,0) OUTPUT"),
        named("@x", Ty::Numeric(25, 0), lsn, true),
    ];
    let out = call(&mut session, "sp_executesql", parameters);
    assert_eq!(out[0], "row 9999999999999999999999998");
    assert_eq!(out[2], "output @x=9999999999999999999999998");
}

#[test]
fn hostile_names_pass_as_data_and_as_quoted_names() {
    for name in ["a]b", "o'brien", "x y", "数据库", "a\"b", "]]", "'';--", "@p", "[x]"] {
        let mut session = Session::new(Mini::new(Version::V2008R2));
        let parameters = vec![
            text(
                "DECLARE @sql nvarchar(600); SET @sql = N'SELECT 1 AS ' + QUOTENAME(@n); EXEC (@sql); SELECT @n AS n",
            ),
            text("@n sysname"),
            named("@n", Ty::NVarChar(128), name.into(), false),
        ];
        let mut events: Vec<Event> = Vec::new();
        block_on(session.rpc("sp_executesql", parameters, &mut events));
        let out = render(&events);
        assert!(out.contains(&format!("cols {name} int")), "{out:?}");
        assert!(out.contains(&format!("row {name}")), "{out:?}");
    }
}

#[test]
fn an_endless_loop_lets_others_run() {
    let mut session = Session::new(Mini::new(Version::V2019));
    let mut events: Vec<Event> = Vec::new();
    let mut batch = Box::pin(session.batch("WHILE 1 = 1 PRINT 'x'", &mut events));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..3 {
        assert!(batch.as_mut().poll(&mut context).is_pending());
    }
    drop(batch);
    assert!(events.len() > 100);
    assert_eq!(seen(&mut session, "SELECT 1"), ["row 1"], "a dropped batch leaves the session usable");
}
