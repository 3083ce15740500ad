-- @ driver-options
SET quoted_identifier ON SET ANSI_WARNINGS, ansi_padding ON SET TEXTSIZE 2147483647; SET LANGUAGE us_english SET DATEFORMAT mdy SET DATEFIRST 7
SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SET LOCK_TIMEOUT 5000 SET ROWCOUNT 0 SET DEADLOCK_PRIORITY LOW SET STATISTICS IO OFF
GO
-- @ unknown-option
SET NO_SUCH_OPTION ON
--> error 195 15 1 line 1: 'NO_SUCH_OPTION' is not a recognized SET option.
GO
-- @ facts
SELECT @@SPID AS a, DB_NAME() AS b, @@TRANCOUNT AS c, SUSER_SNAME() AS d, @@SERVERNAME AS e, IS_SRVROLEMEMBER('sysadmin') AS f, IS_SRVROLEMEMBER('nosuch') AS g
--> cols a smallint, b nvarchar(128), c int, d nvarchar(128), e nvarchar(128), f int, g int
--> row 60|master|0|sa|SQL-KS1\PCHAT|1|NULL
--> done 1
GO
-- @ declared-for-the-batch
IF 1 = 2 BEGIN DECLARE @a int END; SET @a = 5; SELECT @a
--> row 5
GO
-- @ used-before-declared
SELECT @a; DECLARE @a int
--> error 137 15 2 line 1: Must declare the scalar variable "@a".
GO
-- @ declared-twice
DECLARE @a int; DECLARE @A int
--> error 134
GO
-- @ nothing-runs-when-the-last-column-is-wrong
KILL 53
SELECT naem FROM sys.databases
--> error 207 16 1 line 2: Invalid column name 'naem'.
GO
-- @ a-missing-table-is-found-when-it-is-reached
KILL 53
SELECT * FROM nosuch
KILL 54
--> error 208 16 1 line 2: Invalid object name 'nosuch'.
--> did kill 53
GO
-- @ a-restoring-database-fails-the-whole-batch
KILL 53 SELECT * FROM mgc.dbo.tbl
--> error 927
GO
-- @ raiserror-does-not-end-the-batch
RAISERROR(N'PCHAT|STATE|%s: state %d', 16, 15, N'mgc', 3) SELECT @@ERROR AS e
--> error 50000 16 15 line 1: PCHAT|STATE|mgc: state 3
--> row 50000
GO
-- @ percent-in-a-name-is-data
DECLARE @n nvarchar(40) SET @n = N'100%s' RAISERROR(N'PCHAT|NODB|%s|%%', 16, 11, @n)
--> error 50000 16 11 line 1: PCHAT|NODB|100%s|%
GO
-- @ raiserror-null-and-widths
DECLARE @n int RAISERROR(N'<%d><%5d><%-5s><%05d><%.2s>', 10, 1, @n, 42, N'ab', 42, N'abcdef')
--> info 50000: <(null)><   42><ab   ><00042><ab>
GO
-- @ raiserror-wrong-type
RAISERROR(N'%d', 16, 1, N'x')
--> error 2786
GO
-- @ raiserror-takes-no-functions
RAISERROR(N'%s', 16, 1, DB_NAME())
--> error 102
GO
-- @ return-ends-the-batch
IF 1 = 1 RETURN
SELECT 1
--> ...
GO
-- @ return-takes-no-value-in-a-batch
RETURN 1
--> error 178
GO
-- @ a-failed-restore-goes-on
RESTORE LOG mgc FROM DISK = N'D:\late.trn' WITH NORECOVERY
SELECT @@ERROR AS e
--> error 4305
--> error 3013
--> row 3013
--> did RestoreLog mgc D:\late.trn NORECOVERY
GO
-- @ catch-sees-only-3013
BEGIN TRY RESTORE LOG mgc FROM DISK = N'D:\late.trn' WITH NORECOVERY; SELECT 'not reached' END TRY
BEGIN CATCH SELECT ERROR_NUMBER() AS n, ERROR_SEVERITY() AS s, ERROR_LINE() AS l, @@ERROR AS e END CATCH
--> row 3013|16|1|3013
--> did RestoreLog mgc D:\late.trn NORECOVERY
GO
-- @ catch-of-the-same-batch-misses-compile-errors
BEGIN TRY SELECT * FROM nosuch END TRY BEGIN CATCH SELECT 1 END CATCH
--> error 208
GO
-- @ catch-sees-compile-errors-of-an-inner-batch
BEGIN TRY EXEC(N'SELECT * FROM nosuch') END TRY BEGIN CATCH SELECT ERROR_NUMBER() AS n END CATCH
--> row 208
GO
-- @ an-inner-compile-error-ends-only-the-inner-batch
EXEC(N'SELECT naem FROM sys.databases') SELECT @@ERROR AS e
--> error 207
--> row 207
GO
-- @ a-conversion-error-ends-the-batch
DECLARE @n int SET @n = N'mgc' SELECT 'not reached'
--> error 245 16 1 line 1: Conversion failed when converting the nvarchar value 'mgc' to data type int.
GO
-- @ throw
BEGIN TRY RAISERROR(N'x', 16, 7) END TRY BEGIN CATCH THROW END CATCH SELECT 'not reached'
--> error 50000 16 7 line 1: x
GO
-- @ throw-is-no-word-of-2008 2008
DECLARE @x int; SET @x = 1; THROW 50001, N'x', 1
--> error 102
GO
-- @ functions-of-2012-are-unknown-in-2008 2008
SELECT CONCAT('a', 'b')
--> error 195 15 10 line 1: 'concat' is not a recognized built-in function name.
GO
-- @ iif-in-2008 2008
SELECT IIF(1 = 1, 1, 2)
--> error 102
GO
-- @ try-convert-in-2008 2008
SELECT TRY_CONVERT(int, '1')
--> error
GO
-- @ drop-if-exists-in-2014 2014
DROP TABLE IF EXISTS #t
--> error 156
GO
-- @ offset-fetch-in-2008 2008
SELECT name FROM sys.databases ORDER BY name OFFSET 1 ROWS
--> error 102
GO
-- @ string-agg-in-2016 2016
SELECT STRING_AGG(name, ',') FROM sys.databases
--> error 195
GO
-- @ string-agg
SELECT STRING_AGG(name, ',') WITHIN GROUP (ORDER BY name DESC) FROM sys.databases WHERE database_id < 4
--> row tempdb,model,master
GO
-- @ session-database-in-2008 2008
SELECT database_id FROM sys.dm_exec_sessions
--> error 207
GO
-- @ min-of-guid-in-2008 2008
SELECT MIN(mirroring_guid) FROM sys.database_mirroring
--> error 8117 16 1 line 1: Operand data type uniqueidentifier is invalid for min operator.
GO
-- @ version-2012 2012
SELECT IIF(1 = 2, 1, 2) AS a, CONCAT(N'a', NULL, 3) AS b, TRY_CONVERT(int, 'x') AS c, (SELECT MIN(mirroring_guid) FROM sys.database_mirroring) AS d
--> row 2|a3|NULL|11111111-1111-1111-1111-111111111107
GO
-- @ exec-takes-no-functions
DECLARE @s int SET @s = 53 EXEC(N'KILL ' + CAST(@s AS nvarchar(10)))
--> error 102
GO
-- @ kill-takes-no-variable
DECLARE @s int SET @s = 53 KILL @s
--> error 102
GO
-- @ alter-database-takes-no-variable
DECLARE @d sysname ALTER DATABASE @d SET OFFLINE
--> error 102
GO
-- @ killx-is-no-statement
SELECT 1 KILLX 53
--> error 102
GO
-- @ kill-loop
DECLARE @s int, @sql nvarchar(100), @e int
SELECT @s = MIN(spid) FROM master..sysprocesses WHERE dbid = DB_ID(N'mgc') AND spid <> @@SPID
WHILE @s IS NOT NULL
BEGIN
  SET @sql = N'KILL ' + CONVERT(nvarchar(11), @s)
  BEGIN TRY EXEC (@sql) END TRY
  BEGIN CATCH SET @e = ERROR_NUMBER(); IF @e NOT IN (6101, 6106) RAISERROR(N'failed %d', 16, 1, @e) END CATCH
  SELECT @s = MIN(spid) FROM sys.sysprocesses WHERE spid > @s
END
--> did kill 51
--> did kill 53
GO
-- @ killed-already
BEGIN TRY EXEC(N'KILL 99') END TRY BEGIN CATCH SELECT ERROR_NUMBER() END CATCH
--> row 6106
GO
-- @ kill-cursor
DECLARE @s smallint, @sql nvarchar(100)
DECLARE c CURSOR LOCAL FAST_FORWARD FOR SELECT spid FROM master.dbo.sysprocesses WHERE dbid = DB_ID(N'mgc') ORDER BY spid DESC
OPEN c FETCH NEXT FROM c INTO @s
WHILE @@FETCH_STATUS = 0
BEGIN SET @sql = N'KILL ' + CAST(@s AS nvarchar(10)) EXEC(@sql) FETCH NEXT FROM c INTO @s END
CLOSE c DEALLOCATE c
--> did kill 53
--> did kill 51
GO
-- @ kill-string
DECLARE @k varchar(8000) = ''; SELECT @k = @k + 'KILL ' + CONVERT(varchar(5), spid) + ';' FROM sysprocesses WHERE dbid = DB_ID('mgc'); EXEC(@k)
--> did kill 51
--> did kill 53
GO
-- @ goto
DECLARE @r int = 1; IF @r = 1 GOTO done; SELECT 'skipped' AS x; done: SELECT 'end' AS x
--> row end
GO
-- @ goto-nowhere
GOTO nowhere
--> error 133
GO
-- @ loop
DECLARE @i int = 0 WHILE @i < 9 BEGIN SET @i += 1 IF @i = 2 CONTINUE IF @i > 3 BREAK PRINT N'i=' + CONVERT(nvarchar(10), @i) END; SELECT @i
--> info 0: i=1
--> info 0: i=3
--> row 4
GO
-- @ break-outside-a-loop
BREAK
--> error 135
GO
-- @ rowcount-and-error
SELECT name FROM sys.databases WHERE database_id < 3; IF @@ROWCOUNT <> 2 SELECT 'wrong' ELSE SELECT @@ROWCOUNT, @@ERROR
--> row master
--> row tempdb
--> row 0|0
GO
-- @ nocount
SET NOCOUNT ON; SELECT 1 AS a; SET NOCOUNT OFF; SELECT 2 AS a
--> cols a int
--> row 1
--> done
--> cols a int
--> row 2
--> done 1
GO
-- @ xact-abort-ends-the-batch
SET XACT_ABORT ON; SELECT 1/0; SELECT 'not reached'
--> error 8134
GO
-- @ division-by-zero-goes-on
SELECT 1/0; SELECT 'reached'
--> error 8134
--> row reached
GO
-- @ transactions
BEGIN TRAN SELECT @@TRANCOUNT RESTORE DATABASE mgc WITH RECOVERY KILL 53 ALTER DATABASE mgc SET PARTNER OFF COMMIT SELECT @@TRANCOUNT COMMIT
--> row 1
--> error 3021
--> error 3013
--> error 6115
--> error 226
--> row 0
--> error 3902
GO
-- @ implicit-transactions
SET IMPLICIT_TRANSACTIONS ON SELECT @@TRANCOUNT SELECT COUNT(*) FROM sys.databases SELECT @@TRANCOUNT
--> row 0
--> row 6
--> row 1
GO
-- @ use
USE msdb; SELECT DB_NAME(), (SELECT COUNT(*) FROM dbo.sysjobs)
--> database msdb
--> info 5701
--> row msdb|2
GO
-- @ use-is-known-only-when-it-ran
EXEC(N'USE msdb; SELECT COUNT(*) FROM sysjobs') SELECT DB_NAME()
--> database msdb
--> info 5701
--> row 2
--> database master
--> row master
GO
-- @ use-missing
USE nosuch SELECT 1
--> error 911
GO
-- @ waitfor
WAITFOR DELAY '00:00:00.500'; DECLARE @d char(8) SET @d = '00:01:00' WAITFOR DELAY @d
--> did wait 500 ms
--> did wait 60000 ms
GO
-- @ waitfor-nonsense
WAITFOR DELAY 'soon'
--> error 148
GO
-- @ nested-comments-and-empty-statements
/* a /* b */ c */ SELECT /* d */ 1 -- e
;; SELECT 2
--> row 1
--> row 2
GO
-- @ if-else-with-semicolons
IF DB_ID(N'nosuch') IS NULL PRINT 'none'; ELSE PRINT 'there'; IF 1 = 2 PRINT 'a' ELSE IF 2 = 2 BEGIN PRINT 'b' END ELSE PRINT 'c'
--> info 0: none
--> info 0: b
GO
-- @ unclosed
SELECT 'abc
--> error 105
GO
-- @ create-procedure-is-not-played
CREATE PROCEDURE p AS SELECT 1
--> error 156 15 1 line 1: Incorrect syntax near the keyword 'PROCEDURE'.
GO
-- @ the-lock-of-the-guard
SET NOCOUNT ON; SET XACT_ABORT OFF; SET IMPLICIT_TRANSACTIONS OFF;
DECLARE @db sysname, @epoch nvarchar(64), @lock nvarchar(255), @rc int; SELECT @db = N'MGC', @epoch = N'7';
IF DB_NAME() <> N'master' OR @@TRANCOUNT <> 0 BEGIN RAISERROR(N'context', 16, 10); RETURN; END;
SELECT @lock = N'persistentchat.io/' + d.name FROM sys.databases AS d WHERE d.name = @db;
EXEC @rc = sys.sp_getapplock @Resource = @lock, @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'public';
IF @rc < 0 OR @rc IS NULL BEGIN RAISERROR(N'locked %d', 16, 12, @rc); RETURN; END;
IF SYSUTCDATETIME() > CAST('2026-11-22T23:41:08' AS datetime2(3)) BEGIN RAISERROR(N'expired', 16, 13); RETURN; END;
IF NOT EXISTS (SELECT 1 FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @lock + N'/epoch' AND CONVERT(nvarchar(64), e.value) = @epoch)
BEGIN RAISERROR(N'fenced', 16, 14); RETURN; END;
SELECT @lock AS lock, APPLOCK_MODE(N'public', @lock, N'Session') AS mode, APPLOCK_TEST(N'public', N'busy', N'Exclusive', N'Session') AS busy,
       APPLOCK_TEST(N'public', @lock, N'Exclusive', N'Session') AS mine;
--> row persistentchat.io/mgc|Exclusive|0|1
--> did sp_getapplock @Resource=persistentchat.io/mgc @LockMode=Exclusive @LockOwner=Session @LockTimeout=0 @DbPrincipal=public
GO
-- @ busy
DECLARE @rc int EXEC @rc = sp_getapplock 'busy', 'Exclusive', 'Session', 0 IF @rc < 0 BEGIN RAISERROR('busy %d', 16, 1, @rc) RETURN END SELECT 'not reached'
--> error 50000 16 1 line 1: busy -1
--> did sp_getapplock
GO
-- @ procedure-missing
EXEC dbo.no_such_proc 1 SELECT 'goes on'
--> error 2812 16 62 line 1: Could not find stored procedure 'dbo.no_such_proc'.
--> row goes on
GO
-- @ parameter-unknown
EXEC msdb.dbo.sp_start_job @jobname = N'x'
--> error 8145 16 1 line 1: @jobname is not a parameter for procedure sp_start_job.
GO
-- @ parameter-missing
EXEC sp_getapplock @LockMode = 'Exclusive'
--> error 201
GO
-- @ parameters-too-many
EXEC sp_getapplock 1, 2, 3, 4, 5, 6
--> error 8144
GO
-- @ parameter-after-named
EXEC sp_getapplock @Resource = 'x', 'Exclusive'
--> error 119
GO
-- @ parameter-of-the-wrong-type
EXEC sp_getapplock @Resource = 'x', @LockMode = 'Exclusive', @LockTimeout = 'soon'
--> error 8114
GO
-- @ output-parameter
DECLARE @j uniqueidentifier EXEC msdb.dbo.sp_add_job @job_name = N'x', @job_id = @j OUTPUT SELECT @j
--> row 11111111-1111-1111-1111-11111111112A
--> did sp_add_job @job_name=x @job_id=NULL
GO
-- @ a-procedure-that-fails-gives-its-code
DECLARE @rc int EXEC @rc = msdb.dbo.sp_start_job N'x' SELECT @rc, @@ERROR
--> error 14262
--> row 1|14262
--> did sp_start_job @job_name=x
GO
-- @ the-first-statement-needs-no-exec
sp_who2 'active'
--> did sp_who2 @loginame=active
GO
-- @ the-printed-runbook
exec sp_delete_log_shipping_secondary_database mgc
--> did sp_delete_log_shipping_secondary_database @secondary_database=mgc
GO
-- @ sp-executesql
DECLARE @n int EXEC sp_executesql N'SELECT @x = COUNT(*) FROM sys.databases WHERE state = @s', N'@x int OUTPUT, @s tinyint', @x = @n OUTPUT, @s = 0 SELECT @n
--> row 5
GO
-- @ sp-executesql-wants-unicode
EXEC sp_executesql 'SELECT 1'
--> error 214
GO
-- @ sp-executesql-without-a-value
EXEC sp_executesql N'SELECT @x', N'@x int'
--> error 8178
GO
-- @ nesting
DECLARE @s nvarchar(400) SET @s = N'EXEC(N''SELECT @@NESTLEVEL'')' EXEC(@s)
--> row 2
GO
-- @ statements-without-semicolons
SELECT name FROM sys.databases WHERE state = 1
SELECT COUNT(*) FROM sys.database_mirroring KILL 53
--> row mgc
--> row 6
--> did kill 53
GO
-- @ condition-where-a-value-belongs
SELECT name FROM sys.databases WHERE is_in_standby
--> error 4145
GO
-- @ value-where-a-condition-belongs
SELECT 1 > 2
--> error 102
GO
