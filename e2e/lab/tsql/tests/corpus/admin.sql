-- @ restore-forms
DECLARE @db sysname, @f nvarchar(260), @p int SELECT @db = N'mgc', @f = N'D:\a.trn', @p = 2
RESTORE LOG @db FROM DISK = @f WITH FILE = @p, NORECOVERY, STATS = 10
RESTORE DATABASE [mgc] FROM DISK = 'a.bak', DISK = 'b.bak' WITH MOVE N'mgc' TO N'E:\mgc.mdf', MOVE 'mgc_log' TO @f, REPLACE, STANDBY = N'E:\undo'
restore database mgc with recovery
RESTORE VERIFYONLY FROM DISK = @f
--> info 3014
--> info 3014
--> info 3014
--> info 3014
--> did RestoreLog mgc D:\a.trn FILE,NORECOVERY,STATS
--> did RestoreDatabase mgc a.bak,b.bak MOVE,MOVE,REPLACE,STANDBY
--> did RestoreDatabase mgc  RECOVERY
--> did VerifyOnly  D:\a.trn 
GO
-- @ restore-contradicting
RESTORE LOG mgc FROM DISK = 'x' WITH RECOVERY, NORECOVERY
--> error 3031
GO
-- @ restore-unknown-option
RESTORE LOG mgc FROM DISK = 'x' WITH NOSUCH
--> error 102
GO
-- @ restore-takes-no-expression
RESTORE LOG mgc FROM DISK = 'x' + 'y'
--> error 102
GO
-- @ headers-with-markers
SET NOCOUNT ON; DECLARE @a nvarchar(520), @b nvarchar(520) SELECT @a = N'late.trn', @b = N'b.trn'
SELECT 1 AS marker; RESTORE HEADERONLY FROM DISK = @a; SELECT 1 AS marker, @@ERROR AS err;
SELECT 2 AS marker; RESTORE HEADERONLY FROM DISK = @b; SELECT 2 AS marker, @@ERROR AS err;
--> row 1
--> error 4305
--> error 3013
--> row 1|3013
--> row 2
--> row mgc|
--> row 2|0
--> did HeaderOnly  late.trn 
--> did HeaderOnly  b.trn 
GO
-- @ backup-forms
DECLARE @db sysname, @f nvarchar(260), @n nvarchar(128) SELECT @db = N'o''b]r én', @f = N'D:\t.trn', @n = N'tail'
BACKUP LOG @db TO DISK = @f WITH NORECOVERY, FORMAT, CHECKSUM, NAME = @n
BACKUP LOG [o'b]]r én] TO DISK = @f WITH NO_TRUNCATE, NORECOVERY, INIT
BACKUP DATABASE mgc TO DISK = N'D:\m.bak' WITH COPY_ONLY, COMPRESSION
--> info 3014
--> info 3014
--> info 3014
--> did BackupLog o'b]r én D:\t.trn CHECKSUM,FORMAT,NAME,NORECOVERY
--> did BackupLog o'b]r én D:\t.trn INIT,NORECOVERY,NO_TRUNCATE
--> did BackupDatabase mgc D:\m.bak COMPRESSION,COPY_ONLY
GO
-- @ backup-needs-a-device
BACKUP LOG mgc WITH NORECOVERY
--> error 156
GO
-- @ alter-forms
ALTER DATABASE mgc SET PARTNER OFF ALTER DATABASE [mgc] SET PARTNER = N'TCP://h:5022'; ALTER DATABASE mgc SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS
ALTER DATABASE mgc SET PARTNER SAFETY FULL; ALTER DATABASE mgc SET PARTNER TIMEOUT 10 ALTER DATABASE mgc SET WITNESS OFF
ALTER DATABASE [o'b]]r én] SET OFFLINE WITH ROLLBACK IMMEDIATE; ALTER DATABASE mgc SET MULTI_USER WITH NO_WAIT ALTER DATABASE mgc SET RECOVERY FULL
--> did alter mgc PartnerOff Wait
--> did alter mgc Partner("TCP://h:5022") Wait
--> did alter mgc PartnerForceService Wait
--> did alter mgc PartnerSafety(true) Wait
--> did alter mgc PartnerTimeout(10) Wait
--> did alter mgc WitnessOff Wait
--> did alter o'b]r én Option("OFFLINE", None) Rollback(0ns)
--> did alter mgc Option("MULTI_USER", None) NoWait
--> did alter mgc Option("RECOVERY", Some("FULL")) Wait
GO
-- @ alter-missing
ALTER DATABASE nosuch SET PARTNER OFF SELECT @@ERROR
--> error 5011
--> error 5069
--> row 5069
GO
-- @ alter-unknown
ALTER DATABASE mgc SET NOSUCH ON
--> error 102
GO
-- @ alter-by-quoted-name
DECLARE @sql nvarchar(400), @db sysname SET @db = N'o''b]r én' SET @sql = N'ALTER DATABASE ' + QUOTENAME(@db) + N' SET PARTNER OFF' EXEC (@sql)
--> did alter o'b]r én PartnerOff Wait
GO
-- @ recover-in-one-batch
SET NOCOUNT ON; DECLARE @standby bit, @lo numeric(25,0), @hi numeric(25,0), @redo numeric(25,0), @m nvarchar(400), @f binary(16), @forks int, @prop sysname
SELECT @redo = 41000000023400001, @prop = N'persistentchat.io/mgc/transition'
CREATE TABLE #files (n nvarchar(512) NOT NULL, depth int NOT NULL, f int NOT NULL)
INSERT INTO #files (n, depth, f) EXEC master.sys.xp_dirtree N'\\files\log', 1, 1
SELECT TOP (1) @m = x.n FROM #files AS x WHERE x.f = 1 AND CHARINDEX(N'|' + x.n + N'|', N'|mgc_1.trn|mgc_2.trn|') = 0
IF @m IS NOT NULL BEGIN RAISERROR(N'new file %s', 16, 25, @m) RETURN END
SELECT @standby = d.is_in_standby FROM sys.databases AS d WHERE d.name = N'mgc' AND (d.state = 1 OR (d.state = 0 AND d.is_in_standby = 1))
IF @standby IS NULL BEGIN RAISERROR(N'state', 16, 15) RETURN END
IF EXISTS (SELECT 1 FROM sys.dm_tran_locks AS l JOIN sys.dm_exec_requests AS r ON r.session_id = l.request_session_id WHERE l.resource_type = N'DATABASE' AND l.resource_database_id = DB_ID(N'mgc') AND r.session_id <> @@SPID AND r.command LIKE N'RESTORE%') BEGIN RAISERROR(N'busy', 16, 17) RETURN END
IF @standby = 0
  SELECT @lo = MIN(x.redo_start_lsn), @hi = MAX(x.redo_start_lsn), @forks = COUNT(DISTINCT x.redo_start_fork_guid), @f = MIN(CONVERT(binary(16), x.redo_start_fork_guid)) FROM sys.master_files AS x WHERE x.database_id = DB_ID(N'mgc') AND x.type = 0 AND x.state IN (1, 3)
ELSE
  SELECT TOP (1) @lo = b.last_lsn FROM msdb.dbo.restorehistory AS h JOIN msdb.dbo.backupset AS b ON b.backup_set_id = h.backup_set_id ORDER BY h.restore_history_id DESC
IF @lo IS NULL OR @lo <> @hi OR @lo <> @redo OR @forks <> 1 BEGIN RAISERROR(N'elsewhere', 16, 25) RETURN END
EXEC master.sys.sp_updateextendedproperty @name = @prop, @value = N'{"step":"RecoverDatabase"}'
IF @@ERROR <> 0 RETURN
RESTORE DATABASE [mgc] WITH RECOVERY
IF @@ERROR <> 0 RETURN
SELECT d.state_desc, d.is_in_standby, d.is_read_only, d.user_access_desc, d.recovery_model_desc FROM sys.databases AS d WHERE d.name = N'mgc'
--> info 3014
--> row RESTORING|0|NULL|NULL|NULL
--> did xp_dirtree @path=\\files\log @depth=1 @file=1
--> did sp_updateextendedproperty @name=persistentchat.io/mgc/transition @value={"step":"RecoverDatabase"}
--> did RestoreDatabase mgc  RECOVERY
GO
-- @ quiesce
DECLARE @copy uniqueidentifier, @restore uniqueidentifier
SELECT @copy = s.copy_job_id, @restore = s.restore_job_id FROM msdb.dbo.log_shipping_secondary AS s JOIN msdb.dbo.log_shipping_secondary_databases AS d ON d.secondary_id = s.secondary_id WHERE d.secondary_database = N'mgc'
IF @@ROWCOUNT <> 1 BEGIN RAISERROR(N'changed', 16, 20) RETURN END
IF EXISTS (SELECT 1 FROM msdb.dbo.sysjobs AS j WHERE j.job_id = @copy AND j.enabled = 1) EXEC msdb.dbo.sp_update_job @job_id = @copy, @enabled = 0
IF EXISTS (SELECT 1 FROM msdb.dbo.sysjobs AS j WHERE j.job_id = @restore AND j.enabled = 1) EXEC msdb.dbo.sp_update_job @job_id = @restore, @enabled = 0
SELECT j.name, CASE WHEN a.start_execution_date IS NOT NULL AND a.stop_execution_date IS NULL THEN 1 ELSE 0 END AS running FROM msdb.dbo.sysjobs AS j LEFT JOIN msdb.dbo.sysjobactivity AS a ON a.job_id = j.job_id AND a.session_id = (SELECT MAX(x.session_id) FROM msdb.dbo.syssessions AS x) WHERE j.job_id IN (@copy, @restore)
--> row LSCopy_x|0
--> row LSRestore_x|0
--> did sp_update_job @job_id=11111111-1111-1111-1111-111111111102 @enabled=0
GO
