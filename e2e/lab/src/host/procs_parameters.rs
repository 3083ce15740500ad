//! Which parameters of a system procedure the lab takes: one that would be taken and do nothing is an error instead.

use crate::world::error::{Failure, unsupported};
use pchat_tsql::Value;
use pchat_tsql::host::Call;

/// What each procedure looks at, without the `@`.
const TAKEN: &[(&str, &str)] = &[
    ("sp_start_job", "job_name job_id output_flag"),
    ("sp_stop_job", "job_name job_id"),
    ("sp_update_job", "job_name job_id new_name enabled description"),
    ("sp_delete_job", "job_name job_id"),
    ("sp_help_job", "job_name job_id job_aspect"),
    (
        "sp_add_log_shipping_primary_database",
        "database backup_directory backup_share backup_job_name backup_retention_period monitor_server backup_threshold \
         threshold_alert threshold_alert_enabled history_retention_period backup_job_id primary_id overwrite \
         backup_compression",
    ),
    (
        "sp_add_log_shipping_primary_secondary",
        "primary_database secondary_server secondary_database overwrite",
    ),
    (
        "sp_add_log_shipping_secondary_primary",
        "primary_server primary_database backup_source_directory backup_destination_directory copy_job_name \
         restore_job_name file_retention_period monitor_server copy_job_id restore_job_id secondary_id",
    ),
    (
        "sp_add_log_shipping_secondary_database",
        "secondary_database primary_server primary_database restore_delay restore_all restore_mode disconnect_users \
         block_size buffer_count max_transfer_size restore_threshold threshold_alert threshold_alert_enabled \
         history_retention_period overwrite",
    ),
    (
        "sp_change_log_shipping_primary_database",
        "database backup_directory backup_share backup_retention_period backup_threshold threshold_alert \
         threshold_alert_enabled history_retention_period backup_compression",
    ),
    (
        "sp_change_log_shipping_secondary_database",
        "secondary_database restore_delay restore_all restore_mode disconnect_users block_size buffer_count \
         max_transfer_size restore_threshold threshold_alert threshold_alert_enabled history_retention_period",
    ),
    (
        "sp_change_log_shipping_secondary_primary",
        "primary_server primary_database backup_source_directory backup_destination_directory file_retention_period",
    ),
    ("sp_delete_log_shipping_secondary_database", "secondary_database ignoreremotemonitor"),
    ("sp_delete_log_shipping_secondary_primary", "primary_server primary_database"),
    ("sp_delete_log_shipping_primary_secondary", "primary_database secondary_server secondary_database"),
    ("sp_delete_log_shipping_primary_database", "database ignoreremotemonitor"),
    ("sp_help_log_shipping_secondary_database", "secondary_database secondary_id"),
    ("sp_help_log_shipping_secondary_primary", "primary_server primary_database"),
    ("sp_help_log_shipping_primary_database", "database primary_id"),
    ("sp_help_log_shipping_monitor_secondary", "secondary_database secondary_id"),
    ("sp_help_log_shipping_monitor_primary", "primary_server primary_database"),
];

/// Refuses a call that gives what the lab would not look at. NULL is what is not given.
pub fn check(call: &Call, name: &str) -> Result<(), Failure> {
    let Some((_, taken)) = TAKEN.iter().find(|(known, _)| *known == name) else { return Ok(()) };
    for (parameter, value) in &call.arguments {
        let Some(value) = value.as_ref().filter(|value| **value != Value::Null) else { continue };
        let bare = parameter.trim_start_matches('@').to_ascii_lowercase();
        // Windows authentication is how the lab's servers reach each other; it is the documented default.
        let windows = bare == "monitor_server_security_mode" && value.as_int() == Some(1);
        if !windows && !taken.split_whitespace().any(|one| one == bare) {
            return Err(vec![unsupported(&format!("{parameter} of {name}"))]);
        }
    }
    Ok(())
}
