//! The cmdlets, as commands. Sources: the cmdlets' pages in MicrosoftDocs/office-docs-powershell.

use pchat_planner::facts::PoolState;
use pchat_psrp::{Command, Value};

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// The word of a state.
pub fn state_word(state: PoolState) -> &'static str {
    match state {
        PoolState::Normal => "Normal",
        PoolState::FailedOver => "FailedOver",
    }
}

/// Every pool's state.
pub fn get_state() -> Command {
    Command::new("Get-CsPersistentChatState")
}

/// Sets the pool's state.
pub fn set_state(identity: &str, state: PoolState) -> Command {
    Command::new("Set-CsPersistentChatState")
        .with("Identity", text(identity))
        .with("PoolState", text(state_word(state)))
        .with("Confirm", Value::Bool(false))
}

/// Goes through setting the state it has, without writing: fails where the store can't be reached to be
/// written.
pub fn try_state(identity: &str, state: PoolState) -> Command {
    Command::new("Set-CsPersistentChatState")
        .with("Identity", text(identity))
        .with("PoolState", text(state_word(state)))
        .with("WhatIf", Value::Bool(true))
}

/// The pool's entry in the topology.
pub fn get_service(fqdn: &str) -> Command {
    Command::new("Get-CsService").with("PersistentChatServer", Value::Bool(true)).with("PoolFqdn", text(fqdn))
}

/// Sets the full list of active servers: `Replace`, not a delta, never `-Swap`.
pub fn set_active(identity: &str, servers: &[String]) -> Command {
    let list = if servers.is_empty() {
        Value::Null
    } else {
        let servers = Value::array(servers.iter().map(|s| text(s)).collect());
        Value::hashtable(vec![(text("Replace"), servers)])
    };
    Command::new("Set-CsPersistentChatActiveServer")
        .with("Identity", text(identity))
        .with("ActiveServers", list)
        .with("Confirm", Value::Bool(false))
}

/// Goes through setting the servers that are active already, without writing.
pub fn try_active(identity: &str, servers: &[String]) -> Command {
    set_active(identity, servers).with("WhatIf", Value::Bool(true))
}

/// Lists those of these commands that the session offers. Which are not there is told by what is missing in the list.
pub fn find(names: &[&str]) -> Command {
    Command::new("Get-Command")
        .with("Name", Value::array(names.iter().map(|name| text(name)).collect()))
        .with("ErrorAction", text("SilentlyContinue"))
}

/// Whether every replica, or that of one server, is up to date.
pub fn replication(server: Option<&str>) -> Command {
    let command = Command::new("Get-CsManagementStoreReplicationStatus");
    match server {
        Some(server) => command.with("ReplicaFqdn", text(server)),
        None => command,
    }
}

/// The state of the Central Management Store itself.
pub fn store_status() -> Command {
    Command::new("Get-CsManagementStoreReplicationStatus")
        .with("CentralManagementStoreStatus", Value::Bool(true))
}

/// How the shell is connected to the Central Management Store.
pub fn store_connection() -> Command {
    Command::new("Get-CsManagementConnection")
}

/// Mirrors the chat database alone: the default would mirror every Lync database of that server.
pub fn install_mirror(host: &str, instance: Option<&str>, share: &str) -> Command {
    let mut command = Command::new("Install-CsMirrorDatabase")
        .with("DatabaseType", text("PersistentChat"))
        .with("FileShare", text(share))
        .with("SqlServerFqdn", text(host));
    if let Some(instance) = instance {
        command = command.with("SqlInstanceName", text(instance));
    }
    command.with("Confirm", Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_one_value() {
        let identity = "PersistentChatServer:x'; Remove-Item * -Recurse #";
        let command = set_state(identity, PoolState::FailedOver);
        assert_eq!(command.name, "Set-CsPersistentChatState");
        assert_eq!(command.parameters[0], ("Identity".to_owned(), Value::String(identity.to_owned())));
    }

    #[test]
    fn active_servers_are_set_whole_and_never_swapped() {
        let command = set_active("PersistentChatServer:chat.contoso.com", &["pc-ks1.contoso.com".into()]);
        assert!(command.parameters.iter().all(|(name, _)| name != "Swap"));
        let (_, list) = command.parameters.iter().find(|(name, _)| name == "ActiveServers").unwrap();
        assert_eq!(list.entries().unwrap()[0].0.as_str(), Some("Replace"));
        let clear = set_active("x", &[]);
        assert!(clear.parameters.contains(&("ActiveServers".to_owned(), Value::Null)));
    }
}
