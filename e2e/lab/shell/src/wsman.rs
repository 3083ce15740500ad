//! The operations of remote shells: Create, Command, Send, Receive, Signal, Delete (MS-WSMV 3.1.4).

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pchat_psrp::codec::soap::{
    COMMAND_DONE, COMMAND_RUNNING, CONFIGURATION_PREFIX, Envelope, POWERSHELL, SHELL, SIGNAL_STOP,
    SIGNAL_TERMINATE, TRANSFER, WSMAN, write_answer,
};
use pchat_psrp::codec::xml::{Element, escape};
use tokio::time::Instant;
use uuid::Uuid;

use crate::Options;
use crate::cmdlets::Cmdlets;
use crate::fault::{self, Refused};
use crate::pool::{Asked, Shell};
use crate::run::Run;

/// Action of a fault.
const FAULT_ACTION: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault";
/// Envelopes are at most this large unless the client wants them smaller (WinRM's MaxEnvelopeSizekb).
const MAX_ENVELOPE: usize = 512_000;
/// After this long without a request a shell goes, if no pipeline runs in it.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// Every shell of a server.
pub(crate) struct Shells {
    pub options: Options,
    pub cmdlets: Arc<dyn Cmdlets>,
    /// Credentials that were turned down.
    pub refused: AtomicU64,
    shells: Mutex<HashMap<String, Arc<Shell>>>,
}

/// What is needed of a request.
struct Request {
    envelope: Envelope,
    user: String,
    resource: String,
    /// Bytes of PSRP that fit one answer.
    budget: usize,
    hold: Duration,
}

impl Shells {
    pub(crate) fn new(options: Options, cmdlets: Arc<dyn Cmdlets>) -> Self {
        Self { options, cmdlets, refused: AtomicU64::new(0), shells: Mutex::new(HashMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Shell>>> {
        self.shells.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Ends every shell, as a restart of the service would.
    pub(crate) fn close_all(&self) {
        for (_, shell) in self.lock().drain() {
            shell.close();
        }
    }

    /// Answers a message: HTTP status and envelope.
    pub(crate) async fn answer(&self, body: &[u8], user: &str) -> (u16, String) {
        let envelope = match Envelope::read(body) {
            Ok(envelope) => envelope,
            Err(e) => return refusal("", &fault::malformed(e.to_string())),
        };
        let id = envelope.header_text(pchat_psrp::codec::soap::ADDRESSING, "MessageID").to_owned();
        let action = envelope.header_text(pchat_psrp::codec::soap::ADDRESSING, "Action").to_owned();
        match self.operation(&action, envelope, user).await {
            Ok(body) => (200, write_answer(&format!("{action}Response"), &id, &body)),
            Err(refused) => refusal(&id, &refused),
        }
    }

    async fn operation(&self, action: &str, envelope: Envelope, user: &str) -> Result<String, Refused> {
        let resource = envelope.header_text(WSMAN, "ResourceURI").to_owned();
        let max = envelope.header_text(WSMAN, "MaxEnvelopeSize").parse().unwrap_or(MAX_ENVELOPE);
        let request = Request {
            user: user.to_owned(),
            resource,
            budget: (max.min(MAX_ENVELOPE).saturating_sub(4096) / 4 * 3).max(1024),
            hold: seconds(envelope.header_text(WSMAN, "OperationTimeout"))
                .unwrap_or(self.options.hold)
                .min(self.options.hold),
            envelope,
        };
        match (action.strip_prefix(TRANSFER), action.strip_prefix(SHELL)) {
            (Some("/Create"), _) => self.create(&request),
            (Some("/Delete"), _) => self.delete(&request),
            (_, Some("/Command")) => self.command(&request),
            (_, Some("/Send")) => self.send(&request),
            (_, Some("/Receive")) => self.receive(&request).await,
            (_, Some("/Signal")) => self.signal(&request),
            _ => Err(fault::unknown_action(action)),
        }
    }

    fn create(&self, request: &Request) -> Result<String, Refused> {
        let name = strip_prefix_ignoring_case(&request.resource, CONFIGURATION_PREFIX)
            .ok_or_else(|| fault::no_configuration(&request.resource))?;
        let configuration = self
            .options
            .configurations
            .iter()
            .find(|c| c.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| fault::no_configuration(name))?;
        let shell = request.envelope.body.child_ns(SHELL, "Shell");
        let shell = shell.ok_or_else(|| fault::malformed("There is no rsp:Shell."))?;
        let creation = shell.child_ns(POWERSHELL, "creationXml");
        let creation = creation.ok_or_else(|| fault::malformed("There is no creationXml."))?;
        let given = shell.attribute("ShellId").and_then(|id| id.parse::<Uuid>().ok());
        let id = given.unwrap_or_else(Uuid::new_v4).to_string().to_ascii_uppercase();
        let (owner, resource) = (request.user.clone(), request.resource.clone());
        let new = Shell::new(id.clone(), owner, resource, configuration.name.clone(), request.budget);
        new.feed(None, &decode(creation)?)?;
        let mut shells = self.lock();
        shells.retain(|_, shell| {
            let keep = !shell.is_abandoned(IDLE);
            if !keep {
                shell.close();
            }
            keep
        });
        if shells.contains_key(&id) {
            return Err(fault::malformed(format!("The ShellId {id} is in use.")));
        }
        shells.insert(id.clone(), new);
        let (resource, owner) = (escape(&request.resource), escape(&request.user));
        Ok(format!(
            "<x:ResourceCreated><a:Address>{}</a:Address><a:ReferenceParameters><w:ResourceURI>{resource}</w:ResourceURI>\
             <w:SelectorSet><w:Selector Name=\"ShellId\">{id}</w:Selector></w:SelectorSet></a:ReferenceParameters>\
             </x:ResourceCreated><rsp:Shell><rsp:ShellId>{id}</rsp:ShellId><rsp:ResourceUri>{resource}</rsp:ResourceUri>\
             <rsp:Owner>{owner}</rsp:Owner><rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout\
             </rsp:OutputStreams><rsp:State>Connected</rsp:State></rsp:Shell>",
            pchat_psrp::codec::soap::ANONYMOUS
        ))
    }

    fn shell(&self, request: &Request) -> Result<Arc<Shell>, Refused> {
        let id = request.envelope.named("SelectorSet", "Selector", "ShellId").unwrap_or_default();
        let shell = self.lock().get(&id.to_ascii_uppercase()).cloned();
        shell
            .filter(|s| s.owner == request.user && s.resource.eq_ignore_ascii_case(&request.resource))
            .ok_or_else(|| fault::no_shell(id))
    }

    fn command(&self, request: &Request) -> Result<String, Refused> {
        let shell = self.shell(request)?;
        let line = request.envelope.body.child_ns(SHELL, "CommandLine");
        let line = line.ok_or_else(|| fault::malformed("There is no rsp:CommandLine."))?;
        let id = match line.attribute("CommandId") {
            Some(id) => id.parse().map_err(|_| fault::malformed("The CommandId is no GUID."))?,
            None => Uuid::new_v4(),
        };
        let mut data = Vec::new();
        for part in line.children.iter().filter(|c| c.name == "Arguments") {
            data.extend(decode(part)?);
        }
        shell.add_command(id, self.options.max_commands)?;
        match shell.feed(Some(id), &data) {
            Ok(asked) => self.start(&shell, asked),
            Err(refused) => {
                shell.forget(id)?;
                return Err(refused);
            }
        }
        let id = id.to_string().to_ascii_uppercase();
        Ok(format!("<rsp:CommandResponse><rsp:CommandId>{id}</rsp:CommandId></rsp:CommandResponse>"))
    }

    fn start(&self, shell: &Arc<Shell>, asked: Vec<Asked>) {
        for Asked::Run { id, pipeline, stop, awaited } in asked {
            let here = |c: &&crate::Configuration| c.name == shell.configuration;
            let language = self.options.configurations.iter().find(here).is_some_and(|c| c.language);
            let (cmdlets, shell) = (self.cmdlets.clone(), shell.clone());
            // On its own, so that it lives on when the connection of its caller does not.
            tokio::spawn(Run { cmdlets, shell, id, stop, awaited, language }.run(pipeline));
        }
    }

    fn send(&self, request: &Request) -> Result<String, Refused> {
        let shell = self.shell(request)?;
        let send = request.envelope.body.child_ns(SHELL, "Send");
        let send = send.ok_or_else(|| fault::malformed("There is no rsp:Send."))?;
        for stream in send.children.iter().filter(|c| c.name == "Stream") {
            let asked = shell.feed(command_id(stream)?, &decode(stream)?)?;
            self.start(&shell, asked);
        }
        Ok("<rsp:SendResponse/>".to_owned())
    }

    async fn receive(&self, request: &Request) -> Result<String, Refused> {
        let shell = self.shell(request)?;
        let desired = request.envelope.body.path(&[(SHELL, "Receive"), (SHELL, "DesiredStream")]);
        let command = command_id(desired.ok_or_else(|| fault::malformed("There is no rsp:DesiredStream."))?)?;
        let (chunks, done) = shell.receive(command, request.budget, Instant::now() + request.hold).await?;
        let attribute = command.map(|id| format!(" CommandId=\"{}\"", id.to_string().to_ascii_uppercase()));
        let attribute = attribute.unwrap_or_default();
        let mut body = String::from("<rsp:ReceiveResponse>");
        for chunk in chunks {
            let data = STANDARD.encode(chunk);
            body.push_str(&format!("<rsp:Stream Name=\"stdout\"{attribute}>{data}</rsp:Stream>"));
        }
        if command.is_some() {
            let state = if done { COMMAND_DONE } else { COMMAND_RUNNING };
            body.push_str(&format!("<rsp:CommandState{attribute} State=\"{state}\"/>"));
        }
        body.push_str("</rsp:ReceiveResponse>");
        Ok(body)
    }

    fn signal(&self, request: &Request) -> Result<String, Refused> {
        let shell = self.shell(request)?;
        let signal = request.envelope.body.child_ns(SHELL, "Signal");
        let signal = signal.ok_or_else(|| fault::malformed("There is no rsp:Signal."))?;
        let code = signal.child_ns(SHELL, "Code").map(|c| c.text.trim()).unwrap_or_default();
        if let Some(id) = command_id(signal)? {
            match code {
                SIGNAL_TERMINATE => shell.forget(id)?,
                // PowerShell's own spelling, and the one that others use.
                SIGNAL_STOP => shell.stop(id)?,
                other if other.ends_with("/signal/ctrl_c") => shell.stop(id)?,
                other => return Err(fault::malformed(format!("The signal {other} is not known."))),
            }
        }
        Ok("<rsp:SignalResponse/>".to_owned())
    }

    fn delete(&self, request: &Request) -> Result<String, Refused> {
        let shell = self.shell(request)?;
        shell.close();
        self.lock().remove(&shell.id);
        Ok(String::new())
    }
}

fn refusal(relates_to: &str, refused: &Refused) -> (u16, String) {
    (500, write_answer(FAULT_ACTION, relates_to, &refused.fault.write(refused.sender)))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn command_id(element: &Element) -> Result<Option<Uuid>, Refused> {
    let Some(id) = element.attribute("CommandId") else { return Ok(None) };
    id.parse().map(Some).map_err(|_| fault::no_command(id))
}

fn decode(element: &Element) -> Result<Vec<u8>, Refused> {
    let compact: String = element.text.split_ascii_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| fault::malformed(format!("{} is no base64.", element.name)))
}

/// An XML Schema duration of hours, minutes and seconds, as clients write OperationTimeout.
fn seconds(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix("PT").or_else(|| text.strip_prefix("P0DT"))?;
    let mut total = 0.0;
    while let Some(at) = rest.find(['H', 'M', 'S']) {
        let number: f64 = rest[..at].parse().ok()?;
        total += number
            * match &rest[at..=at] {
                "H" => 3600.0,
                "M" => 60.0,
                _ => 1.0,
            };
        rest = &rest[at + 1..];
    }
    Duration::try_from_secs_f64(total).ok().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_timeouts_are_read_in_every_form_and_nonsense_is_none() {
        assert_eq!(seconds("PT20S"), Some(Duration::from_secs(20)));
        assert_eq!(seconds("PT1H2M3.500S"), Some(Duration::from_millis(3_723_500)));
        for text in ["", "20", "PT", "PTxS", "PT-5S", "PT5S6"] {
            assert!(seconds(text).is_none_or(|d| d.is_zero()), "{text}");
        }
    }
}
