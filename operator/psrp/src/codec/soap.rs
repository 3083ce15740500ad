//! SOAP envelopes of WS-Management (DSP0226, MS-WSMV): writing requests, reading answers and faults.

use uuid::Uuid;

use super::xml::{self, Element, XmlError, escape_into};

/// SOAP 1.2.
pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing.
pub const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
/// WS-Management.
pub const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
/// Microsoft's additions to WS-Management.
pub const WSMV: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
/// WS-Transfer.
pub const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
/// Remote shells.
pub const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
/// PowerShell's elements inside a shell.
pub const POWERSHELL: &str = "http://schemas.microsoft.com/powershell";
/// Details of WS-Management faults.
pub const FAULT: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault";
/// Reply to the connection the request came on.
pub const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
/// Prefix of the resource URI; the name of the session configuration follows it.
pub const CONFIGURATION_PREFIX: &str = "http://schemas.microsoft.com/powershell/";
/// CommandState of a command that has sent everything.
pub const COMMAND_DONE: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done";
/// CommandState of a command that has not.
pub const COMMAND_RUNNING: &str =
    "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Running";
/// Signal that frees a command at the far end.
pub const SIGNAL_TERMINATE: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/terminate";
/// Signal that stops a running pipeline; the spelling is the protocol's (MS-PSRP 3.1.5.3.9).
pub const SIGNAL_STOP: &str = "http://schemas.microsoft.com/powershell/signal/crtl_c";

/// What is the same in every request of a session.
#[derive(Debug, Clone)]
pub struct Target {
    /// The whole URL.
    pub url: String,
    /// Resource URI of the configuration.
    pub resource: String,
    /// Identifies the client; ties its shells together.
    pub session: Uuid,
    /// Largest answer in bytes that we read.
    pub max_envelope: usize,
}

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Action URI.
    pub action: &'a str,
    /// The shell it is for.
    pub shell: Option<&'a str>,
    /// Options: name, value, and whether the far end must comply with it or refuse.
    pub options: &'a [(&'a str, &'a str, bool)],
    /// The body as XML, with the prefixes `s`, `a`, `w`, `p`, `x` and `rsp` declared.
    pub body: &'a str,
    /// How long the far end may hold the request, in milliseconds.
    pub timeout_ms: u128,
}

/// Declarations of the prefixes that envelopes use.
pub fn prefixes() -> String {
    format!(
        "xmlns:s=\"{SOAP}\" xmlns:a=\"{ADDRESSING}\" xmlns:w=\"{WSMAN}\" xmlns:p=\"{WSMV}\" xmlns:x=\"{TRANSFER}\" \
         xmlns:rsp=\"{SHELL}\""
    )
}

impl Request<'_> {
    /// The envelope of this request, with a message id of its own.
    pub fn write(&self, target: &Target) -> String {
        let mut out = String::with_capacity(1600 + self.body.len());
        let mut put = |text: &str| out.push_str(text);
        put("<s:Envelope ");
        put(&prefixes());
        put("><s:Header><a:To>");
        put(&xml::escape(&target.url));
        put("</a:To><w:ResourceURI s:mustUnderstand=\"true\">");
        put(&xml::escape(&target.resource));
        put("</w:ResourceURI><a:ReplyTo><a:Address s:mustUnderstand=\"true\">");
        put(ANONYMOUS);
        put("</a:Address></a:ReplyTo><a:Action s:mustUnderstand=\"true\">");
        put(&xml::escape(self.action));
        put("</a:Action><w:MaxEnvelopeSize s:mustUnderstand=\"true\">");
        put(&target.max_envelope.to_string());
        put("</w:MaxEnvelopeSize><a:MessageID>");
        put(&uuid_uri(Uuid::new_v4()));
        put("</a:MessageID><w:Locale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>");
        put(
            "<p:DataLocale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/><p:SessionId s:mustUnderstand=\"false\">",
        );
        put(&uuid_uri(target.session));
        put("</p:SessionId><w:OperationTimeout>");
        put(&format!("PT{}.{:03}S", self.timeout_ms / 1000, self.timeout_ms % 1000));
        put("</w:OperationTimeout>");
        if let Some(shell) = self.shell {
            put("<w:SelectorSet><w:Selector Name=\"ShellId\">");
            put(&xml::escape(shell));
            put("</w:Selector></w:SelectorSet>");
        }
        if !self.options.is_empty() {
            put("<w:OptionSet s:mustUnderstand=\"true\">");
            for (name, value, must) in self.options {
                let must = if *must { " MustComply=\"true\"" } else { "" };
                put(&format!(
                    "<w:Option Name=\"{}\"{must}>{}</w:Option>",
                    xml::escape(name),
                    xml::escape(value)
                ));
            }
            put("</w:OptionSet>");
        }
        put("</s:Header><s:Body>");
        put(self.body);
        put("</s:Body></s:Envelope>");
        out
    }
}

/// A message id in the form WS-Addressing wants.
pub fn uuid_uri(id: Uuid) -> String {
    format!("uuid:{}", id.to_string().to_ascii_uppercase())
}

/// The envelope of an answer or a fault.
pub fn write_answer(action: &str, relates_to: &str, body: &str) -> String {
    let mut out = format!(
        "<s:Envelope xml:lang=\"en-US\" {}><s:Header><a:Action>{}</a:Action><a:MessageID>{}</a:MessageID>\
         <a:To>{ANONYMOUS}</a:To><a:RelatesTo>",
        prefixes(),
        xml::escape(action),
        uuid_uri(Uuid::new_v4()),
    );
    escape_into(&mut out, relates_to);
    out.push_str("</a:RelatesTo></s:Header><s:Body>");
    out.push_str(body);
    out.push_str("</s:Body></s:Envelope>");
    out
}

/// An envelope that was read.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Its header.
    pub header: Element,
    /// Its body.
    pub body: Element,
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoapError {
    /// Not UTF-8.
    #[error("the SOAP message is not UTF-8")]
    NotUtf8,
    /// Not XML we read.
    #[error("the SOAP message is unreadable: {0}")]
    Xml(#[from] XmlError),
    /// XML, but no envelope.
    #[error("the message is not a SOAP 1.2 envelope")]
    NotSoap,
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// [`SoapError`]
    pub fn read(bytes: &[u8]) -> Result<Self, SoapError> {
        let mut root = xml::parse(std::str::from_utf8(bytes).map_err(|_| SoapError::NotUtf8)?)?;
        if root.name != "Envelope" || &*root.ns != SOAP {
            return Err(SoapError::NotSoap);
        }
        let mut take = |name: &str| {
            let at = root.children.iter().position(|c| c.name == name && &*c.ns == SOAP)?;
            Some(root.children.swap_remove(at))
        };
        let (header, body) = (take("Header"), take("Body"));
        Ok(Self { header: header.ok_or(SoapError::NotSoap)?, body: body.ok_or(SoapError::NotSoap)? })
    }

    /// Text of a header, trimmed; empty when it is absent.
    pub fn header_text(&self, ns: &str, name: &str) -> &str {
        self.header.child_ns(ns, name).map(|e| e.text.trim()).unwrap_or_default()
    }

    /// A selector or an option by name.
    pub fn named(&self, set: &str, item: &str, name: &str) -> Option<&str> {
        let set = self.header.child_ns(WSMAN, set)?;
        let found = set.children.iter().find(|c| c.name == item && c.attribute("Name") == Some(name))?;
        Some(found.text.trim())
    }

    /// The fault in the body, when it is one.
    pub fn fault(&self) -> Option<Fault> {
        Fault::read(self.body.child_ns(SOAP, "Fault")?)
    }
}

/// A SOAP fault as WS-Management fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The subcode without its prefix, for instance `TimedOut`, `AccessDenied`, `InvalidSelectors`; the
    /// code when there is no subcode.
    pub subcode: String,
    /// Code of the WSManFault; 0 when there is none.
    pub code: u32,
    /// Reason in words, the longest there is.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}", self.message, self.subcode)?;
        if self.code != 0 {
            write!(f, ", WSManFault {}", self.code)?
        }
        f.write_str(")")
    }
}

/// WSManFault code of a Receive that had nothing to say in time (ERROR_WSMAN_OPERATION_TIMEDOUT).
pub const TIMED_OUT: u32 = 2_150_858_793;

impl Fault {
    /// Whether a long poll merely ended without news.
    pub fn is_timed_out(&self) -> bool {
        self.subcode == "TimedOut" || self.code == TIMED_OUT
    }

    fn read(fault: &Element) -> Option<Self> {
        let code = fault.child_ns(SOAP, "Code")?;
        let value = |e: &Element| {
            let text = e.child_ns(SOAP, "Value").map(|v| v.text.trim().to_owned()).unwrap_or_default();
            text.rsplit(':').next().unwrap_or_default().to_owned()
        };
        let subcode = code.child_ns(SOAP, "Subcode").map(value).filter(|s| !s.is_empty());
        let reason =
            fault.path(&[(SOAP, "Reason"), (SOAP, "Text")]).map(|e| e.text.trim()).unwrap_or_default();
        let detail = fault.path(&[(SOAP, "Detail"), (FAULT, "WSManFault")]);
        let number =
            detail.and_then(|d| d.attribute("Code")).and_then(|c| c.trim().parse().ok()).unwrap_or(0);
        // The plug-in's own words are nested: WSManFault/Message/ProviderFault/WSManFault/Message.
        let mut message = reason.to_owned();
        let mut next = detail;
        while let Some(d) = next {
            let m = d.child("Message");
            if let Some(text) = m.map(|m| m.text.trim()).filter(|t| !t.is_empty()) {
                message = text.to_owned();
            }
            next = m.and_then(|m| m.child("ProviderFault")).and_then(|p| p.child("WSManFault"));
        }
        Some(Self { subcode: subcode.unwrap_or_else(|| value(code)), code: number, message })
    }

    /// The body of an envelope with this fault.
    pub fn write(&self, sender: bool) -> String {
        let message = xml::escape(&self.message);
        format!(
            "<s:Fault><s:Code><s:Value>s:{}</s:Value><s:Subcode><s:Value>w:{}</s:Value></s:Subcode></s:Code><s:Reason>\
             <s:Text xml:lang=\"en-US\">{message}</s:Text></s:Reason><s:Detail><f:WSManFault xmlns:f=\"{FAULT}\" \
             Code=\"{}\" Machine=\"localhost\"><f:Message>{message}</f:Message></f:WSManFault></s:Detail></s:Fault>",
            if sender { "Sender" } else { "Receiver" },
            xml::escape(&self.subcode),
            self.code,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_with_hostile_names_in_it() {
        let target = Target {
            url: "https://h:5986/a?b&c".into(),
            resource: "urn:\"<r>".into(),
            session: Uuid::new_v4(),
            max_envelope: 512_000,
        };
        let request = Request {
            action: "urn:act",
            shell: Some("A&B"),
            options: &[("o\"", "<v>", true)],
            body: "<rsp:Receive/>",
            timeout_ms: 20_050,
        };
        let read = Envelope::read(request.write(&target).as_bytes()).unwrap();
        assert_eq!(read.header_text(WSMAN, "ResourceURI"), target.resource);
        assert_eq!(read.header_text(WSMAN, "OperationTimeout"), "PT20.050S");
        assert_eq!(read.named("SelectorSet", "Selector", "ShellId"), Some("A&B"));
        assert_eq!(read.named("OptionSet", "Option", "o\""), Some("<v>"));
        assert!(read.body.child_ns(SHELL, "Receive").is_some());
    }

    #[test]
    fn a_fault_gives_its_subcode_number_and_innermost_message() {
        let fault = Fault { subcode: "AccessDenied".into(), code: 5, message: "Access is <denied>.".into() };
        let text = write_answer("urn:fault", "uuid:1", &fault.write(true));
        assert_eq!(Envelope::read(text.as_bytes()).unwrap().fault(), Some(fault));

        let nested = text.replace(
            "<f:Message>Access is &lt;denied&gt;.</f:Message>",
            "<f:Message><f:ProviderFault><f:WSManFault Code=\"7\"><f:Message>The plug-in says no.</f:Message>\
             </f:WSManFault></f:ProviderFault></f:Message>",
        );
        let fault = Envelope::read(nested.as_bytes()).unwrap().fault().unwrap();
        assert_eq!((fault.code, fault.message.as_str()), (5, "The plug-in says no."));
    }

    #[test]
    fn what_is_not_an_envelope_is_refused() {
        assert_eq!(Envelope::read(b"<html/>").unwrap_err(), SoapError::NotSoap);
        assert_eq!(Envelope::read(b"\xff").unwrap_err(), SoapError::NotUtf8);
        assert!(matches!(Envelope::read(b"<a").unwrap_err(), SoapError::Xml(_)));
    }
}
