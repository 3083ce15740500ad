-- @ wrong-alias
SELECT x.name FROM sys.databases d
--> error 4104 16 1 line 1: The multi-part identifier "x.name" could not be bound.
GO
-- @ ambiguous
SELECT database_id FROM sys.databases d JOIN sys.database_mirroring m ON m.database_id = d.database_id
--> error 209
GO
-- @ wrong-column-in-on
SELECT d.name FROM sys.databases d JOIN sys.database_mirroring m ON m.db_id = d.database_id
--> error 207
GO
-- @ alias-in-where
SELECT name AS n FROM sys.databases WHERE n = N'mgc'
--> error 207
GO
-- @ guid-and-number
SELECT name FROM msdb.dbo.sysjobs WHERE job_id = 5
--> error 206 16 1 line 1: Operand type clash: uniqueidentifier is incompatible with int
GO
-- @ guid-and-nonsense
SELECT name FROM msdb.dbo.sysjobs WHERE job_id = N'LSRestore_x'
--> error 8169
GO
-- @ number-and-text
SELECT name FROM sys.databases WHERE database_id = N'mgc'
--> error 245
GO
-- @ date-and-nonsense
SELECT name FROM sys.databases WHERE create_date > N'yesterday'
--> error 241
GO
-- @ variant-needs-convert
DECLARE @v nvarchar(64) SELECT @v = e.value FROM sys.extended_properties AS e
--> error 257
GO
-- @ ungrouped-column
SELECT d.database_id, d.name, COUNT(*) FROM sys.databases AS d GROUP BY d.database_id
--> error 8120 16 1 line 1: Column 'd.name' is invalid in the select list
GO
-- @ ungrouped-in-having
SELECT type FROM sys.master_files GROUP BY type HAVING size > 1
--> error 8121
GO
-- @ aggregate-in-where
SELECT name FROM sys.databases WHERE COUNT(*) > 1
--> error 147
GO
-- @ aggregate-in-aggregate
SELECT MAX(COUNT(*)) FROM sys.databases
--> error 130
GO
-- @ sum-of-text
SELECT SUM(name) FROM sys.databases
--> error 8117
GO
-- @ union-of-unlike-widths
SELECT name FROM sys.databases UNION ALL SELECT name, enabled FROM msdb.dbo.sysjobs
--> error 205
GO
-- @ order-of-an-inner-query
SELECT * FROM (SELECT name FROM sys.databases ORDER BY name) AS t
--> error 1033
GO
-- @ derived-column-without-name
SELECT * FROM (SELECT COUNT(*) FROM sys.databases) AS t
--> error 8155
GO
-- @ same-alias-twice
SELECT 1 FROM sys.databases a JOIN sys.database_mirroring a ON 1 = 1
--> error 1011
GO
-- @ too-many-rows
SELECT (SELECT name FROM sys.databases) AS n
--> error 512
GO
-- @ two-columns-in-a-subquery
SELECT name FROM sys.databases WHERE database_id IN (SELECT database_id, state FROM sys.databases)
--> error 116
GO
-- @ assigning-and-returning
DECLARE @n sysname SELECT @n = name, state FROM sys.databases
--> error 141
GO
-- @ words-of-other-dialects
SELECT name FROM sys.databases LIMIT 1
--> error 102
GO
-- @ pipes
SELECT name || 'x' FROM sys.databases
--> error 102
GO
-- @ true-is-a-column
SELECT name FROM sys.databases WHERE is_in_standby = true
--> error 207
GO
-- @ schema-without-object
SELECT * FROM sys. AS x
--> error 156
GO
-- @ msdb-must-be-named
SELECT * FROM dbo.log_shipping_secondary
--> error 208
GO
-- @ msdb-without-schema
SELECT name, enabled FROM msdb..sysjobs ORDER BY name DESC
--> row LSRestore_x|0
--> row LSCopy_x|1
GO
-- @ four-parts
SELECT * FROM other.master.sys.databases
--> error 7202
GO
-- @ case-and-blanks-do-not-count
SELECT name FROM SYS.Databases WHERE NAME = N'MGC  '
--> cols name nvarchar(128)
--> row mgc
GO
-- @ padded-columns
SELECT '[' + loginame + ']', RTRIM(loginame) + '.', LEN(loginame) FROM sysprocesses WHERE loginame = 'sa' AND spid = 51
--> row [sa                                                                                                                              ]|sa.|2
GO
-- @ padding-and-like
SELECT COUNT(*) FROM sys.sysprocesses WHERE loginame LIKE N'sa' OR cmd LIKE N'AWAIT%COMMAND%'
--> row 2
GO
-- @ lsn-keeps-its-digits
SELECT MIN(redo_start_lsn) AS lo, CONVERT(nvarchar(40), MAX(redo_start_lsn)) AS t, COUNT(DISTINCT redo_start_fork_guid) AS forks, MIN(CONVERT(binary(16), redo_start_fork_guid)) AS f FROM sys.master_files WHERE database_id = DB_ID(N'mgc') AND type = 0 AND state IN (1, 3)
--> cols lo numeric(25,0), t nvarchar(40), forks int, f binary(16)
--> row 41000000023400001|41000000023400001|1|0x11111111111111111111111111111109
GO
-- @ lsn-arithmetic
SELECT CAST(N'9999999999999999999999999' AS numeric(25,0)) - 1 AS a, CAST(41000000023400001 AS numeric(25,0)) % 100000 AS b, CASE WHEN 36000000011100001 < CAST('36000000011100002' AS numeric(25,0)) THEN 'less' END AS c
--> row 9999999999999999999999998|1|less
GO
-- @ left-join-with-a-condition
SELECT d.name, ISNULL(CONVERT(nvarchar(36), m.mirroring_guid), N'none') AS g FROM sys.databases AS d LEFT JOIN sys.database_mirroring AS m ON d.database_id = m.database_id AND m.mirroring_guid IS NOT NULL WHERE d.database_id > 4 ORDER BY d.database_id DESC
--> row o'b]r én|none
--> row mgc|11111111-1111-1111-1111-111111111107
GO
-- @ right-and-full-join
SELECT a.x, b.x FROM (VALUES (1), (2)) AS a(x) FULL JOIN (VALUES (2), (3)) AS b(x) ON a.x = b.x ORDER BY a.x, b.x
--> row NULL|3
--> row 1|NULL
--> row 2|2
GO
-- @ nested-joins
SELECT a.x, b.x, c.x FROM (VALUES (1), (2)) a(x) LEFT JOIN (VALUES (1)) b(x) JOIN (VALUES (1)) c(x) ON c.x = b.x ON b.x = a.x ORDER BY 1
--> row 1|1|1
--> row 2|NULL|NULL
GO
-- @ cross-join-and-commas
SELECT COUNT(*) FROM sys.databases d CROSS JOIN sys.databases e, sys.master_files f WHERE d.database_id = e.database_id
--> row 12
GO
-- @ nulls-do-not-join
SELECT COUNT(*) FROM (VALUES (NULL), (1)) a(x) JOIN (VALUES (NULL), (1)) b(x) ON a.x = b.x
--> row 1
GO
-- @ cross-apply
SELECT d.name, f.n FROM sys.databases d CROSS APPLY (SELECT COUNT(*) AS n FROM sys.master_files x WHERE x.database_id = d.database_id) AS f WHERE f.n > 0
--> row mgc|2
GO
-- @ outer-apply
SELECT d.name, f.size FROM sys.databases d OUTER APPLY (SELECT TOP 1 x.size FROM sys.master_files x WHERE x.database_id = d.database_id) AS f WHERE d.database_id IN (4, 5) ORDER BY d.name
--> row mgc|1024
--> row msdb|NULL
GO
-- @ correlated
SELECT d.name, (SELECT SUM(CAST(f.size AS bigint)) * 8 FROM sys.master_files f WHERE f.database_id = d.database_id) AS kb FROM sys.databases d WHERE EXISTS (SELECT * FROM sys.master_files x WHERE x.database_id = d.database_id AND x.type = 1)
--> row mgc|16384
GO
-- @ not-in-with-null
SELECT COUNT(*) FROM sys.databases WHERE database_id NOT IN (SELECT NULL)
--> row 0
GO
-- @ groups
SELECT state, COUNT(*) AS n, MIN(name) AS a FROM sys.databases GROUP BY state HAVING COUNT(*) > 0 ORDER BY n DESC, state
--> cols state tinyint, n int, a nvarchar(128)
--> row 0|5|master
--> row 1|1|mgc
GO
-- @ group-by-expression
SELECT LEN(name) % 2 AS odd, COUNT(*) FROM sys.databases GROUP BY LEN(name) % 2 ORDER BY LEN(name) % 2
--> row 0|4
--> row 1|2
GO
-- @ no-rows-are-one-group
SELECT COUNT(*), MAX(name), SUM(database_id) FROM sys.databases WHERE 1 = 0
--> row 0|NULL|NULL
GO
-- @ grouped-and-correlated
SELECT f.database_id, (SELECT d.name FROM sys.databases d WHERE d.database_id = f.database_id) AS n, SUM(f.size) AS s FROM sys.master_files f GROUP BY f.database_id
--> row 5|mgc|2048
GO
-- @ distinct-and-order
SELECT DISTINCT state_desc FROM sys.databases ORDER BY state_desc DESC
--> row RESTORING
--> row ONLINE
GO
-- @ distinct-and-foreign-order
SELECT DISTINCT state_desc FROM sys.databases ORDER BY name
--> error 145
GO
-- @ top-ties-percent
SELECT TOP (1) WITH TIES state FROM sys.databases ORDER BY state DESC; SELECT TOP 50 PERCENT name FROM sys.databases WHERE database_id < 5 ORDER BY database_id
--> row 1
--> row master
--> row tempdb
GO
-- @ top-by-variable
DECLARE @n int SET @n = 2 SELECT TOP (@n) name FROM sys.databases ORDER BY name DESC
--> row tempdb
--> row o'b]r én
GO
-- @ offset
SELECT name FROM sys.databases ORDER BY name OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY
--> row mgc
--> row model
GO
-- @ union-order
SELECT name, 'db' AS kind FROM sys.databases WHERE database_id > 5 UNION ALL SELECT name, 'job' FROM msdb.dbo.sysjobs WHERE enabled = 1 ORDER BY 2 DESC, 1
--> row LSCopy_x|job
--> row o'b]r én|db
GO
-- @ union-except-intersect
SELECT 1 AS x UNION SELECT 1 UNION SELECT 2 EXCEPT SELECT 2; SELECT 1 INTERSECT SELECT 1
--> row 1
--> row 1
GO
-- @ union-types
SELECT 1 AS x UNION ALL SELECT 2.5 UNION ALL SELECT NULL ORDER BY x
--> cols x numeric(11,1)
--> row NULL
--> row 1.0
--> row 2.5
GO
-- @ cte
WITH h AS (SELECT destination_database_name AS db, MAX(restore_history_id) AS id FROM msdb.dbo.restorehistory GROUP BY destination_database_name), k (a, b) AS (SELECT db, id FROM h) SELECT k.a, b.last_lsn FROM k JOIN msdb.dbo.restorehistory r ON r.restore_history_id = k.b JOIN msdb.dbo.backupset b ON b.backup_set_id = r.backup_set_id
--> row mgc|41000000000000003
GO
-- @ last-restored
DECLARE @lo numeric(25,0), @f uniqueidentifier SELECT TOP (1) @lo = b.last_lsn, @f = b.last_recovery_fork_guid FROM msdb.dbo.restorehistory AS h JOIN msdb.dbo.backupset AS b ON b.backup_set_id = h.backup_set_id WHERE h.destination_database_name = N'mgc' AND h.restore_type IN ('L', 'D') ORDER BY h.restore_history_id DESC SELECT @lo, @f
--> row 41000000000000003|NULL
GO
-- @ row-number
SELECT name, rn, n FROM (SELECT d.name, ROW_NUMBER() OVER (PARTITION BY d.state ORDER BY d.name DESC) AS rn, COUNT(*) OVER (PARTITION BY d.state) AS n FROM sys.databases d) x WHERE rn = 1 ORDER BY n
--> row mgc|1|1
--> row tempdb|1|5
GO
-- @ window-in-where
SELECT name FROM sys.databases WHERE ROW_NUMBER() OVER (ORDER BY name) = 1
--> error 4108
GO
-- @ nothing-to-star
SELECT *
--> error 263
GO
-- @ star
SELECT m.*, j.name FROM msdb.dbo.log_shipping_secondary_databases m JOIN msdb.dbo.log_shipping_secondary s ON s.secondary_id = m.secondary_id JOIN msdb.dbo.sysjobs j ON j.job_id IN (s.copy_job_id, s.restore_job_id) WHERE j.enabled = 1
--> row mgc|11111111-1111-1111-1111-111111111101|
GO
-- @ hints
SELECT name COLLATE DATABASE_DEFAULT AS n FROM sys.databases AS d WITH (NOLOCK) WHERE d.name = 'mgc' OPTION (RECOMPILE)
--> row mgc
GO
-- @ wrong-hint
SELECT name FROM sys.databases WITH (NOSUCH)
--> error 321
GO
-- @ aliases
SELECT n = d.name, [a b] = d.state, d.database_id 'c d', state_desc "e f" FROM sys.databases d WHERE d.name = 'mgc'
--> cols n nvarchar(128), a b tinyint, c d int, e f nvarchar(60)
--> row mgc|1|5|RESTORING
GO
-- @ case-forms
SELECT CASE d.state WHEN 0 THEN 'up' WHEN 1 THEN N'restoring' END, CASE WHEN d.state > 5 THEN 1 END, CASE WHEN 1 = 1 THEN 1 ELSE 2.5 END FROM sys.databases d WHERE database_id = 5
--> row restoring|NULL|1.0
GO
-- @ case-without-a-value
SELECT CASE WHEN 1 = 1 THEN NULL END
--> error 8133
GO
-- @ null-functions
SELECT ISNULL(NULL, 5), COALESCE(NULL, N'a', 'b'), NULLIF(1, 1), ISNULL(CAST(NULL AS char(3)), 'abcdef'), COALESCE(NULL, 1.5, 2)
--> row 5|a|NULL|abc|1.5
GO
-- @ text-and-number
SELECT N'x' + 53
--> error 245
GO
-- @ texts
SELECT UPPER(N'é'), LEN('ab  '), DATALENGTH(N'ab'), SUBSTRING('abcdef', 2, 3), LEFT('abc', 2), RIGHT('abc', 2), REPLACE('aXbx', 'x', '-'), CHARINDEX('C', 'abc'), CHARINDEX('c', 'abcabc', 4), STUFF('abcdef', 2, 3, 'X'), LTRIM('  a') + '|', REVERSE('abc'), REPLICATE('ab', 3), PATINDEX('%b_d%', 'abcd')
--> row É|2|4|bcd|ab|bc|a-b-|3|6|aXef|a||cba|ababab|2
GO
-- @ quotename
SELECT QUOTENAME(N'a]b'), QUOTENAME('O''Brien', ''''), QUOTENAME(REPLICATE('x', 129)), QUOTENAME('a', '?'), PARSENAME('a.b.c', 3), PARSENAME('[x.y].c', 2)
--> row [a]]b]|'O''Brien'|NULL|NULL|a|x.y
GO
-- @ like-forms
SELECT name FROM msdb.dbo.sysjobs WHERE name LIKE N'LSRestore[_]%' AND name NOT LIKE '%[0-9]' AND name LIKE 'LSRestore!_%' ESCAPE '!'
--> row LSRestore_x
GO
-- @ between
SELECT name FROM sys.databases WHERE create_date BETWEEN '20260101' AND '2026-01-03T00:00:00' AND database_id BETWEEN 5 AND 5
--> row mgc
GO
-- @ dates
SELECT CONVERT(varchar(23), create_date, 121), CONVERT(char(8), create_date, 112), CONVERT(nvarchar(30), SYSUTCDATETIME(), 126), CONVERT(nvarchar(30), SYSUTCDATETIME(), 127), CONVERT(nvarchar(19), GETUTCDATE(), 120) FROM sys.databases WHERE database_id = 5
--> row 2026-01-02 03:04:05.677|20260102|2026-11-22T23:41:07.1234567|2026-11-22T23:41:07.1234567|2026-11-22 23:41:07
GO
-- @ date-arithmetic
SELECT DATEADD(minute, -45, GETUTCDATE()), DATEADD(MONTH, 1, CAST('20260131' AS datetime)), DATEDIFF(minute, '2026-11-22T23:00:59', GETUTCDATE()), DATEPART(hh, GETUTCDATE()), DATENAME(month, GETUTCDATE()), YEAR('20260102'), DATEDIFF(SECOND, '20260101', '20260102')
--> row 2026-11-22 22:56:07.1233333|2026-02-28 00:00:00.0000000|41|23|November|2026|86400
GO
-- @ date-plus-number
SELECT CAST('20260101' AS datetime) + 1, CONVERT(date, GETUTCDATE())
--> row 2026-01-02 00:00:00.0000000|2026-11-22
GO
-- @ datetime2-plus-number
SELECT SYSUTCDATETIME() + 1
--> error 206
GO
-- @ unknown-unit
SELECT DATEADD(fortnight, 1, GETDATE())
--> error 155 15 1 line 1: 'fortnight' is not a recognized dateadd option.
GO
-- @ unit-as-text
SELECT DATEADD('day', 1, GETDATE())
--> error 1023
GO
-- @ agent-dates
SELECT CONVERT(datetime, STUFF(STUFF('20261122 234107', 12, 0, ':'), 15, 0, ':')), CAST(20261122 AS char(8)), RIGHT('000000' + CAST(4107 AS varchar(6)), 6)
--> row 2026-11-22 23:41:07.0000000|20261122|004107
GO
-- @ bad-style
SELECT CONVERT(nvarchar(30), GETDATE(), 999)
--> error 281
GO
-- @ cast-without-length-is-30
SELECT LEN(CAST(REPLICATE('x', 50) AS varchar)), LEN(CONVERT(nvarchar, REPLICATE(N'x', 50)))
--> row 30|30
GO
-- @ declare-without-length-is-1
DECLARE @x nvarchar SET @x = N'abc' SELECT @x
--> row a
GO
-- @ overflow
SELECT CAST(70000 AS smallint)
--> error 220
GO
-- @ overflow-of-int
SELECT 2147483647 + 1
--> error 8115
GO
-- @ guid-and-int-cast
SELECT CAST(NEWID() AS int)
--> error 529
GO
-- @ guid-as-binary-and-back
DECLARE @g uniqueidentifier SET @g = '6F9619FF-8B86-D011-B42D-00C04FC964FF' SELECT CONVERT(binary(16), @g), CAST(CONVERT(binary(16), @g) AS uniqueidentifier), CASE WHEN @g = '6f9619ff-8b86-d011-b42d-00c04fc964ff' THEN 'same' END
--> row 0xFF19966F868B11D0B42D00C04FC964FF|6F9619FF-8B86-D011-B42D-00C04FC964FF|same
GO
-- @ arithmetic
SELECT 7 / 2, 7 % 2, -7 / 2, 7 / 2.0, 5 & 3, 5 | 3, 5 ^ 3, ~5, -(-3), 1.5 * 2, 10 - 2 - 3, 2 + 3 * 4
--> row 3|1|-3|3.500000|1|7|6|-6|3|3.0|5|14
GO
-- @ server-properties
SELECT CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')) AS v, CAST(SERVERPROPERTY('EngineEdition') AS int) AS e, SERVERPROPERTY('nosuch') AS n, DATABASEPROPERTYEX(N'mgc', 'Status') AS s, HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') AS p
--> cols v nvarchar(128), e int, n sql_variant, s sql_variant, p int
--> row 10.50.6000.34|3|NULL|ONLINE|1
GO
-- @ unknown-function
SELECT NOW()
--> error 195
GO
-- @ wrong-number-of-arguments
SELECT LEN('a', 'b')
--> error 174
GO
-- @ wrong-number-of-arguments-of-a-range
SELECT CHARINDEX('a')
--> error 189
GO
-- @ user-function
SELECT dbo.f(1)
--> error 4121
GO
-- @ xml-path
SELECT STUFF((SELECT ',' + name FROM sys.databases WHERE database_id < 4 ORDER BY name FOR XML PATH('')), 1, 1, '') AS n
--> row master,model,tempdb
GO
-- @ xml-path-value
SELECT (SELECT '<' + name + '&' FROM sys.databases WHERE database_id = 1 FOR XML PATH(''), TYPE).value('.', 'nvarchar(max)') AS n, (SELECT name AS [@n], state AS s FROM sys.databases WHERE database_id = 1 FOR XML PATH('d')) AS x
--> row <master&|<d n="master"><s>0</s></d>
GO
-- @ sum-of-selected
DECLARE @s nvarchar(max) SET @s = N'' SELECT @s = @s + N'|' + name FROM sys.databases WHERE database_id < 4 ORDER BY name SELECT @s + N'|', CHARINDEX(N'|MODEL|', @s + N'|')
--> row |master|model|tempdb||8
GO
