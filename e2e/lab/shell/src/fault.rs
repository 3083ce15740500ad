//! The faults that a client of remote shells meets, with the codes of WinRM.

use pchat_psrp::codec::soap::{Fault, TIMED_OUT};

/// A fault, and whose doing it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub fault: Fault,
    pub sender: bool,
}

fn refused(sender: bool, subcode: &str, code: u32, message: String) -> Refused {
    Refused { fault: Fault { subcode: subcode.to_owned(), code, message }, sender }
}

/// A Receive without news.
pub(crate) fn timed_out() -> Refused {
    let message = "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.";
    refused(false, "TimedOut", TIMED_OUT, message.to_owned())
}

/// No such shell, or not the caller's.
pub(crate) fn no_shell(id: &str) -> Refused {
    let message = format!(
        "The request for the Windows Remote Shell with ShellId {id} failed because the shell was not found on the \
         server. Possible causes are: the specified ShellId is incorrect or the shell no longer exists on the server."
    );
    refused(true, "InvalidSelectors", 2_150_858_843, message)
}

/// No such command, or it is over.
pub(crate) fn no_command(id: &str) -> Refused {
    refused(true, "InvalidSelectors", 2_150_858_843, format!("The command {id} was not found in the shell."))
}

/// No such session configuration.
pub(crate) fn no_configuration(name: &str) -> Refused {
    let message = format!(
        "The WS-Management service cannot process the request. Cannot find the {name} session configuration in the WSMan: \
         drive on this computer."
    );
    refused(true, "InvalidParameter", 2_150_859_016, message)
}

/// MaxConcurrentCommandsPerShell is used up.
pub(crate) fn too_many_commands() -> Refused {
    let message = "The WS-Management service cannot process the request. The maximum number of concurrent commands per \
        shell has been exceeded. Retry the request later or raise the Maximum Commands per Shell quota.";
    refused(false, "InternalError", 2_150_859_174, message.to_owned())
}

/// The message lacks something or holds nonsense.
pub(crate) fn malformed(what: impl Into<String>) -> Refused {
    refused(true, "SchemaValidationError", 2_150_858_817, what.into())
}

/// An action that is not part of remote shells.
pub(crate) fn unknown_action(action: &str) -> Refused {
    refused(
        true,
        "ActionNotSupported",
        2_150_858_753,
        format!("The action {action} is not supported by the service."),
    )
}

/// PSRP inside could not be understood.
pub(crate) fn bad_message(why: impl std::fmt::Display) -> Refused {
    refused(
        false,
        "InternalError",
        2_150_858_880,
        format!("The PowerShell plug-in cannot read the message: {why}"),
    )
}
