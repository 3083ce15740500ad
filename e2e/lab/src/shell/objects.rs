//! The objects that cmdlets write, and their error records.
//!
//! Answers for type names and properties as far as they are documented; properties that are general knowledge
//! only are marked. Error texts of Lync's cmdlets are not documented: ids and sentences here are the lab's own.

use crate::world::World;
use crate::world::instance::Side;
use pchat_psrp::{Content, ErrorCategory, ErrorRecord, ListKind, Object, Value};

/// A list of texts as a collection property arrives.
pub fn list(items: &[String]) -> Value {
    let names = ["System.Collections.Generic.List`1[[System.String]]", "System.Object"];
    Value::Object(Box::new(Object {
        type_names: names.map(str::to_owned).to_vec(),
        content: Content::List(ListKind::List, items.iter().map(|i| Value::String(i.clone())).collect()),
        ..Object::default()
    }))
}

/// An object of a .NET type.
pub fn object<const N: usize>(type_name: &str, text: &str, properties: [(&str, Value); N]) -> Value {
    Value::Object(Box::new(Object::net(&[type_name, "System.Object"], text, properties)))
}

/// Text.
pub fn text(t: impl Into<String>) -> Value {
    Value::String(t.into())
}

/// Microsoft.Rtc.Management.WritableConfig.Settings.PersistentChat.PersistentChatState.
pub fn pool_state(w: &World, settings: &crate::world::store::Settings) -> Value {
    let identity = format!("Service:PersistentChatServer:{}", w.scenario.pool);
    let kind = "Microsoft.Rtc.Management.WritableConfig.Settings.PersistentChat.PersistentChatState";
    let state = Value::enumeration(
        "Microsoft.Rtc.Management.WritableConfig.Settings.PersistentChat.PoolState",
        settings.state.name(),
        settings.state as i32,
    );
    object(kind, &identity, [("Identity", text(&identity)), ("PoolState", state)])
}

/// Microsoft.Rtc.Management.Xds.DisplayPersistentChatServer (properties: third-party source).
pub fn chat_service(w: &World) -> Value {
    let s = &w.scenario;
    let active = &w.store.settings.active;
    let inactive: Vec<String> = w.store.members.iter().filter(|m| !active.contains(m)).cloned().collect();
    let store = |side: Side, mirror: bool| {
        let site = s.site(side);
        let host = if mirror { &site.mirror } else { &site.database };
        if host.is_empty() { Value::Null } else { text(format!("PersistentChatStore:{host}")) }
    };
    let identity = format!("PersistentChatServer:{}", s.pool);
    object(
        "Microsoft.Rtc.Management.Xds.DisplayPersistentChatServer",
        &identity,
        [
            ("Identity", text(&identity)),
            ("PoolFqdn", text(&s.pool)),
            ("DisplayName", text("Persistent Chat")),
            ("Registrar", text(format!("Registrar:{}", s.shell.host))),
            ("FileStore", text(format!("FileStore:{}", s.log_shipping.share_host))),
            ("MtlsPort", Value::I32(5041)),
            ("ActiveServers", list(active)),
            ("InactiveServers", list(&inactive)),
            ("PersistentChatDatabase", store(Side::Primary, false)),
            ("MirrorPersistentChatDatabase", store(Side::Primary, true)),
            ("BackupPersistentChatDatabase", store(Side::Backup, false)),
            ("BackupMirrorPersistentChatDatabase", store(Side::Backup, true)),
            ("PersistentChatComplianceDatabase", Value::Null),
            ("DependentServiceList", list(&[])),
            ("ServiceId", text("1-PersistentChatServer-1")),
            ("SiteId", text(format!("Site:{}", s.primary.name))),
            ("Version", Value::I32(6)),
            ("Role", text("PersistentChatServer")),
        ],
    )
}

/// An error record of a cmdlet.
pub fn error(
    cmdlet: &str,
    id: &str,
    category: ErrorCategory,
    message: impl Into<String>,
    target: &str,
) -> ErrorRecord {
    let class: String = cmdlet.chars().filter(|c| *c != '-').collect();
    ErrorRecord {
        id: format!("{id},Microsoft.Rtc.Management.{class}Cmdlet"),
        message: message.into(),
        exception_type: "System.Management.Automation.RuntimeException".into(),
        category,
        activity: cmdlet.to_owned(),
        reason: id.to_owned(),
        target_name: target.to_owned(),
        target_type: "System.String".into(),
        target: text(target),
        ..ErrorRecord::default()
    }
}
