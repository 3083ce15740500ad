//! What a person is told to type, and where.

use serde::Serialize;

/// What is advised. Each kind is typed by a scenario, in the state in which it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum AdviceKind {
    /// Make a login a member of sysadmin.
    GrantSysadmin,
    /// Take away a journal that can't be understood.
    RemoveJournal,
    /// Save the end of a damaged database's log; it is fenced by that.
    SaveTail,
    /// Let the other side's mirror take over within its own site.
    FailOverWithinSite,
    /// Take an old primary that came back out of service.
    FenceOldPrimary,
    /// Bring the copy ONLINE again that somebody took OFFLINE.
    SetOnline,
    /// Take a STANDBY copy out of STANDBY without a log backup: then the server tells where it stands.
    LeaveStandby,
    /// End the mirroring session in which the copy waits.
    RemoveMirroring,
    /// Let a suspended mirroring session go on.
    ResumeMirroring,
    /// Move the Central Management Store.
    MoveManagementStore,
    /// Tell the pool by hand which database to use.
    SetPoolState,
    /// See how far the Central Management Store is replicated.
    ShowReplication,
    /// End a job of log shipping that hangs.
    StopJob,
    /// Enable a job of log shipping.
    EnableJob,
    /// Take away what stands where the mirror is to be.
    DropLeftover,
    /// Create the endpoint through which databases are mirrored.
    CreateEndpoint,
    /// Start it.
    StartEndpoint,
    /// Let it take the part of a partner.
    OpenEndpointToPartners,
    /// Make a server known to itself by its present name.
    RegisterServerName,
}

impl AdviceKind {
    /// Every kind, in the order of the declaration.
    pub const ALL: [AdviceKind; 19] = [
        AdviceKind::GrantSysadmin,
        AdviceKind::RemoveJournal,
        AdviceKind::SaveTail,
        AdviceKind::FailOverWithinSite,
        AdviceKind::FenceOldPrimary,
        AdviceKind::SetOnline,
        AdviceKind::LeaveStandby,
        AdviceKind::RemoveMirroring,
        AdviceKind::ResumeMirroring,
        AdviceKind::MoveManagementStore,
        AdviceKind::SetPoolState,
        AdviceKind::ShowReplication,
        AdviceKind::StopJob,
        AdviceKind::EnableJob,
        AdviceKind::DropLeftover,
        AdviceKind::CreateEndpoint,
        AdviceKind::StartEndpoint,
        AdviceKind::OpenEndpointToPartners,
        AdviceKind::RegisterServerName,
    ];
}

/// Where it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Tool {
    /// A query window on a SQL Server, as a member of sysadmin.
    QueryWindow,
    /// The Lync Server Management Shell on a Front End.
    ManagementShell,
}

/// Lines to be typed one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// What it does.
    pub kind: AdviceKind,
    /// Where it is typed.
    pub tool: Tool,
    /// host\instance, or a Front End in words.
    pub host: String,
    /// Statements or cmdlets, each a line.
    pub lines: Vec<String>,
}

/// What stands in a cmdlet for a name that only the topology knows.
pub const STORE_BACKUP: &str = "STORE-BACKUP";
