//! The Lync Server Management Shell of the lab: its cmdlets over the world.
//!
//! Answers for what each cmdlet changes and returns, in its service time, and for the store that it writes to.
//! Binding of parameters and the wire are `pchat_lab_shell`'s. A cmdlet or a switch that is not simulated is an
//! error record that says so, never an empty result.

mod catalog;
mod mirror;
mod objects;
mod pool;

use crate::net::Network;
use crate::world::gate::Passage;
use crate::world::instance::FaultKind;
use crate::world::taint::{ERRORS, tainted};
use crate::world::timeline::Operation;
use crate::world::{Shared, World};
use objects::error;
use pchat_lab_shell::{CmdletInfo, Cmdlets, Invocation, Response};
use pchat_psrp::{ErrorCategory, ErrorRecord, Value};
use std::sync::Arc;
use std::time::Duration;

pub use catalog::find as knows;

/// Within this a caller has asked for what its cmdlet wrote.
const AWAITED: Duration = Duration::from_secs(10);

/// What becomes of the reply to a change.
enum After {
    Answer,
    LoseReply,
    HoldReply,
}

/// The cmdlets of one lab.
#[derive(Debug, Clone)]
pub struct LabCmdlets {
    world: Shared,
    net: Arc<Network>,
}

impl LabCmdlets {
    /// The cmdlets over a world; commanded faults cut connections of `net`.
    pub fn new(world: &Shared, net: &Arc<Network>) -> LabCmdlets {
        LabCmdlets { world: world.clone(), net: net.clone() }
    }

    async fn run(&self, call: &Invocation) -> Response {
        let changes = is_change(&call.cmdlet) && !call.flag("WhatIf");
        let mut after = After::Answer;
        if changes {
            match self.effect(call).await {
                Ok(then) => after = then,
                Err(record) => return Response::terminate(*record),
            }
        }
        let operation = match (call.cmdlet.as_str(), changes) {
            ("Install-CsMirrorDatabase", true) => Operation::MirrorSeeding,
            (_, true) => Operation::SetCmdlet,
            (_, false) => Operation::ReadCmdlet,
        };
        let (time, shell) = {
            let w = self.world.lock();
            (w.service_time(operation), w.scenario.shell.host.clone())
        };
        let begin = tokio::time::Instant::now();
        let hang = {
            let w = self.world.lock();
            let this = |name: &str| name.is_empty() || name.eq_ignore_ascii_case(&call.cmdlet);
            w.hanging_cmdlets.iter().find(|(name, _)| this(name)).map(|(_, hang)| *hang)
        };
        crate::host::sleep_until(begin + time + hang.unwrap_or_default()).await;
        let response = {
            let mut w = self.world.lock();
            let mut response = answer(&mut w, call);
            crate::control::nulls::strike(&mut w.store_nulls, &call.cmdlet, &mut response.output);
            taint(&mut response, &w.tainted(None));
            w.note(operation, shell, call.cmdlet.clone(), begin.elapsed(), true);
            response
        };
        match after {
            After::Answer => {}
            After::LoseReply => {
                // A caller that does not wait for the reply yet would ask for it on another connection, and get it.
                let _ = tokio::time::timeout(AWAITED, call.awaited.cancelled()).await;
                self.cut_clients();
            }
            After::HoldReply => {
                self.wait_at_gate(call).await;
            }
        }
        response
    }

    async fn wait_at_gate(&self, call: &Invocation) -> Passage {
        let gate = self.world.lock().gate.clone();
        gate.wait(&call.cmdlet).await
    }

    /// Counts a change and lets a commanded fault strike; says what becomes of the reply.
    async fn effect(&self, call: &Invocation) -> Result<After, Box<ErrorRecord>> {
        let fault = {
            let mut w = self.world.lock();
            w.timeline.mutated();
            let due = w.store_faults.iter().position(|f| f.after == 0);
            let fault = due.map(|at| w.store_faults.remove(at).kind);
            w.store_faults.iter_mut().for_each(|f| f.after = f.after.saturating_sub(1));
            fault
        };
        let refused = |text: String| {
            Box::new(error(&call.cmdlet, "CommandedFault", ErrorCategory::INVALID_OPERATION, text, ""))
        };
        match fault {
            None => Ok(After::Answer),
            Some(FaultKind::LoseReply) => Ok(After::LoseReply),
            Some(FaultKind::HoldReply) => Ok(After::HoldReply),
            Some(FaultKind::Hold) => match self.wait_at_gate(call).await {
                Passage::Through => Ok(After::Answer),
                Passage::Refused => Err(refused("The client was cut off.".into())),
            },
            Some(FaultKind::Error(n)) => Err(refused(format!("Error {n} was commanded."))),
            Some(FaultKind::Delay(ms)) => {
                self.cut_clients();
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(After::Answer)
            }
            Some(FaultKind::Drop) => {
                self.cut_clients();
                Err(refused("The client was cut off.".into()))
            }
        }
    }

    fn cut_clients(&self) {
        let host = self.world.lock().scenario.shell.host.clone();
        self.net.links_to(&host).iter().for_each(crate::net::Link::cut_client);
    }
}

impl Cmdlets for LabCmdlets {
    fn find(&self, name: &str, _configuration: &str) -> Option<CmdletInfo> {
        catalog::find(name)
    }

    fn withholds(&self, name: &str, _configuration: &str) -> bool {
        self.world.lock().withheld.contains(&name.to_lowercase())
    }

    fn invoke(&self, call: Invocation) -> futures::future::BoxFuture<'_, Response> {
        Box::pin(async move { self.run(&call).await })
    }
}

/// Taints what is to be tainted.
fn taint(response: &mut Response, taints: &[String]) {
    for value in &mut response.output {
        let Value::Object(object) = value else { continue };
        for (name, value) in object.adapted.iter_mut().chain(&mut object.extended) {
            value.each_text(&mut |text| tainted(text, name, taints));
        }
    }
    for record in response.errors.iter_mut().chain(&mut response.terminating) {
        tainted(&mut record.message, ERRORS, taints);
    }
}

fn is_change(cmdlet: &str) -> bool {
    !(cmdlet.starts_with("Get-") || cmdlet.starts_with("Test-"))
}

/// Carries out a cmdlet on the world.
fn answer(w: &mut World, call: &Invocation) -> Response {
    match call.cmdlet.as_str() {
        "Get-CsPersistentChatState" => pool::get_state(w, call),
        "Set-CsPersistentChatState" => pool::set_state(w, call),
        "Set-CsPersistentChatActiveServer" => pool::set_active(w, call),
        "Get-CsService" => pool::get_service(w, call),
        "Get-CsPool" => pool::get_pool(w, call),
        "Get-CsManagementStoreReplicationStatus" => pool::replication_status(w, call),
        "Invoke-CsManagementStoreReplication" => pool::replicate(w, call),
        "Get-CsManagementConnection" => pool::connection(w),
        "Invoke-CsManagementServerFailover" => pool::management_failover(w, call),
        "Install-CsMirrorDatabase" => mirror::install(w, call),
        "Uninstall-CsMirrorDatabase" => mirror::uninstall(w, call),
        "Get-CsDatabaseMirrorState" => mirror::state(w, call),
        "Invoke-CsDatabaseFailover" => mirror::failover(w, call),
        "Test-CsDatabase" => mirror::test(w, call),
        other => not_simulated(other, "this cmdlet"),
    }
}

/// The lab's own refusal.
fn not_simulated(cmdlet: &str, what: &str) -> Response {
    let message = format!("The lab does not simulate {what} of {cmdlet}.");
    Response::terminate(error(cmdlet, "NotSimulated", ErrorCategory(14), message, what))
}
