//! What a batch costs. Run with `--ignored --nocapture` in an optimised build.

mod support;

use pchat_tsql::{Event, Session, Version};
use std::time::Instant;
use support::{Mini, block_on};

const MONITORING: &str = "SET NOCOUNT ON; DECLARE @db sysname; SET @db = N'mgc';
SELECT d.name, d.state, d.is_in_standby, d.recovery_model_desc FROM sys.databases AS d WHERE d.name = @db;
SELECT m.mirroring_guid, m.mirroring_role, m.mirroring_state FROM sys.database_mirroring AS m WHERE m.database_id = DB_ID(@db);
SELECT MIN(f.redo_start_lsn) AS lo, MAX(f.redo_start_lsn) AS hi FROM sys.master_files AS f WHERE f.database_id = DB_ID(@db) AND f.type = 0;
SELECT s.primary_server, d.last_restored_file, j.name, j.enabled FROM msdb.dbo.log_shipping_secondary AS s
  JOIN msdb.dbo.log_shipping_secondary_databases AS d ON d.secondary_id = s.secondary_id
  LEFT JOIN msdb.dbo.sysjobs AS j ON j.job_id = s.copy_job_id WHERE d.secondary_database = @db;
SELECT TOP (1) b.last_lsn FROM msdb.dbo.restorehistory AS h JOIN msdb.dbo.backupset AS b ON b.backup_set_id = h.backup_set_id
 WHERE h.destination_database_name = @db ORDER BY h.restore_history_id DESC;";

#[test]
#[ignore = "a measurement, for an optimised build"]
fn a_monitoring_batch_costs_well_under_a_millisecond() {
    let mut session = Session::new(Mini::new(Version::V2019));
    let rounds = 500;
    let start = Instant::now();
    for _ in 0..rounds {
        let mut events: Vec<Event> = Vec::new();
        block_on(session.batch(MONITORING, &mut events));
        assert!(events.len() > 10);
    }
    let each = start.elapsed() / rounds;
    println!("a monitoring batch: {each:?}");
    assert!(cfg!(debug_assertions) || each.as_micros() < 1000, "{each:?}");
}
