-- @ temp-table
CREATE TABLE #t (id int IDENTITY(1,1) PRIMARY KEY, n nvarchar(20) NOT NULL, f bit NOT NULL DEFAULT 0)
INSERT #t (n) VALUES (N'a'), (N'b'); INSERT INTO #t (n, f) SELECT name, 1 FROM sys.databases WHERE database_id = 5
UPDATE #t SET n = n + N'!', f = 1 WHERE id = 2; DELETE FROM #t WHERE id = 1; SELECT * FROM #t ORDER BY id; SELECT @@ROWCOUNT; DROP TABLE #t
--> row 2|b!|1
--> row 3|mgc|1
--> row 2
GO
-- @ dropped-is-gone
CREATE TABLE #t (a int) DROP TABLE #t DROP TABLE #t
--> error 3701 11 5 line 1: Cannot drop the table '#t'
GO
-- @ created-twice
CREATE TABLE #t (a int); EXEC(N'CREATE TABLE #t (a int)')
--> error 2714
GO
-- @ object-id
IF OBJECT_ID('tempdb..#t') IS NULL PRINT 'no' CREATE TABLE #t (a int) IF OBJECT_ID('tempdb..#t') IS NOT NULL PRINT 'yes' IF OBJECT_ID('msdb.dbo.sysjobs') IS NOT NULL AND OBJECT_ID('nosuch') IS NULL PRINT 'right'
--> info 0: no
--> info 0: yes
--> info 0: right
GO
-- @ an-inner-temp-table-dies-with-its-batch
EXEC(N'CREATE TABLE #t (a int)') SELECT * FROM #t
--> error 208
GO
-- @ insert-exec
CREATE TABLE #t (n nvarchar(512) NOT NULL, depth int NOT NULL, f int NOT NULL);
INSERT INTO #t (n, depth, f) EXEC master.sys.xp_dirtree N'D:\LS', 1, 1
SELECT n FROM #t AS t WHERE f = 1 AND n LIKE N'%.trn' AND CHARINDEX(N'|' + t.n + N'|', N'|mgc_1.trn|') = 0
--> row mgc_2.trn
--> did xp_dirtree @path=D:\LS @depth=1 @file=1
GO
-- @ insert-exec-of-the-wrong-width
CREATE TABLE #t (a nvarchar(10)); INSERT INTO #t EXEC xp_dirtree N'D:\LS', 1, 1
--> error 213 16 7
--> did xp_dirtree
GO
-- @ insert-exec-text
CREATE TABLE #h (a nvarchar(128), b numeric(25,0)) INSERT INTO #h EXEC(N'SELECT name, 41000000023400001 FROM sys.databases WHERE database_id > 5') SELECT * FROM #h
--> row o'b]r én|41000000023400001
GO
-- @ table-variable
DECLARE @s TABLE (spid int NOT NULL PRIMARY KEY); INSERT INTO @s (spid) SELECT DISTINCT p.spid FROM sys.sysprocesses AS p JOIN sys.dm_exec_sessions AS s ON s.session_id = p.spid AND s.is_user_process = 1 WHERE p.spid <> @@SPID
SELECT COUNT(*), MIN(x.spid) FROM @s AS x; INSERT @s VALUES (51)
--> row 2|51
--> error 2627
GO
-- @ table-variable-column-is-checked-at-once
DECLARE @s TABLE (spid int) KILL 53 SELECT nosuch FROM @s
--> error 207
GO
-- @ table-variable-missing
SELECT * FROM @t
--> error 1087
GO
-- @ temp-table-column-is-checked-when-reached
CREATE TABLE #t (a int) KILL 53 SELECT nosuch FROM #t
--> error 207
--> did kill 53
GO
-- @ select-into
SELECT d.name, d.state INTO #d FROM sys.databases d WHERE d.database_id > 4; UPDATE #d SET state = 9 WHERE name = N'mgc'; SELECT * FROM #d ORDER BY state DESC
--> row mgc|9
--> row o'b]r én|0
GO
-- @ select-into-without-a-name
SELECT COUNT(*) INTO #d FROM sys.databases
--> error 1038
GO
-- @ null-where-none-may-be
CREATE TABLE #t (a int NOT NULL) INSERT #t VALUES (NULL) SELECT COUNT(*) FROM #t
--> error 515 16 2 line 1: Cannot insert the value NULL into column 'a', table 'tempdb.dbo.#t'; column does not allow nulls. INSERT fails.
--> row 0
GO
-- @ text-too-long
CREATE TABLE #t (a nvarchar(2)) INSERT #t VALUES (N'abc') INSERT #t VALUES (N'ab  ') SELECT '[' + a + ']' FROM #t
--> error 8152
--> row [ab]
GO
-- @ wrong-number-of-values
DECLARE @t TABLE (a int, b int) INSERT @t VALUES (1)
--> error 213
GO
-- @ wrong-number-of-selected
DECLARE @t TABLE (a int, b int) INSERT @t (a, b) SELECT 1
--> error 120
GO
-- @ catalogs-are-not-written
UPDATE sys.databases SET state = 0
--> error 259
GO
-- @ ordinary-table
INSERT INTO chat.dbo.message (id, body, at) VALUES (1, N'hällo', '2026-11-22T23:41:07.123'), (2, N'b', NULL)
UPDATE chat.dbo.message SET body += N'!' WHERE id = 2; DELETE FROM chat.dbo.message WHERE id = 1; SELECT COUNT(*) AS n, MAX(body) AS b FROM chat.dbo.message
--> row 1|b!
GO
-- @ ordinary-table-wrong-column
INSERT INTO chat.dbo.message (id, nosuch) VALUES (1, 2)
--> error 207
GO
-- @ ordinary-table-null
INSERT INTO chat.dbo.message (id) VALUES (NULL)
--> error 515
GO
-- @ rollback-of-rows-is-refused-loudly
BEGIN TRAN INSERT INTO chat.dbo.message (id) VALUES (1) ROLLBACK
--> error 50000
GO
-- @ rollback-of-temp-rows-is-refused-loudly
CREATE TABLE #t (a int) BEGIN TRAN INSERT #t VALUES (1) ROLLBACK SELECT @@TRANCOUNT
--> error 50000
--> row 1
GO
-- @ rollback-of-nothing
DECLARE @t TABLE (a int) BEGIN TRAN INSERT @t VALUES (1) EXEC sp_getapplock 'x', 'Exclusive' ROLLBACK SELECT @@TRANCOUNT, (SELECT COUNT(*) FROM @t)
--> row 0|1
--> did sp_getapplock
GO
-- @ xact-abort-cannot-undo
SET XACT_ABORT ON BEGIN TRAN EXEC sys.sp_addextendedproperty @name = N'x', @value = N'y' SELECT 1/0
--> error 8134
--> error 50000
--> did sp_addextendedproperty
GO
