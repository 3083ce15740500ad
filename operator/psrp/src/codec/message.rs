//! PSRP messages: the header that says what a CLIXML document is and for whom (MS-PSRP 2.2.1).

use uuid::Uuid;

use super::clixml::{self, ClixmlError};
use super::value::Value;

/// Bytes of a message before its CLIXML.
pub const HEADER: usize = 40;

/// Who a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The end that asked for the pool.
    Client,
    /// The end that runs it.
    Server,
}

macro_rules! message_types {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal,)*) => {
        /// What a message is (MS-PSRP 2.2.1, field MessageType).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum MessageType {
            $($(#[doc = $doc])* $name,)*
            /// A number that MS-PSRP does not list.
            Other(u32),
        }

        impl MessageType {
            /// The number on the wire.
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* Self::Other(n) => n }
            }

            /// The type of a number on the wire.
            pub fn from_number(number: u32) -> Self {
                match number { $($number => Self::$name,)* n => Self::Other(n) }
            }
        }
    };
}

message_types! {
    /// Versions that an end speaks.
    SessionCapability = 0x0001_0002,
    /// Opens a runspace pool.
    InitRunspacePool = 0x0001_0004,
    /// The client's key for secure strings.
    PublicKey = 0x0001_0005,
    /// The session key, encrypted.
    EncryptedSessionKey = 0x0001_0006,
    /// Asks for the client's key.
    PublicKeyRequest = 0x0001_0007,
    /// Takes over a disconnected pool.
    ConnectRunspacePool = 0x0001_0008,
    /// Sets the largest number of runspaces.
    SetMaxRunspaces = 0x0002_1002,
    /// Sets the smallest number of runspaces.
    SetMinRunspaces = 0x0002_1003,
    /// Answers the two above and the question for what is free.
    RunspaceAvailability = 0x0002_1004,
    /// The state of the pool.
    RunspacePoolState = 0x0002_1005,
    /// A pipeline to run.
    CreatePipeline = 0x0002_1006,
    /// Asks how many runspaces are free.
    GetAvailableRunspaces = 0x0002_1007,
    /// An event of the far end.
    UserEvent = 0x0002_1008,
    /// What the far end tells about itself.
    ApplicationPrivateData = 0x0002_1009,
    /// Asks what commands there are.
    GetCommandMetadata = 0x0002_100A,
    /// State of a pool that was taken over.
    RunspacePoolInitData = 0x0002_100B,
    /// Clears the variables of the runspace.
    ResetRunspaceState = 0x0002_100C,
    /// The pool asks something of the person at the client.
    RunspacePoolHostCall = 0x0002_1100,
    /// The answer to that.
    RunspacePoolHostResponse = 0x0002_1101,
    /// An input object.
    PipelineInput = 0x0004_1002,
    /// There is no more input.
    EndOfPipelineInput = 0x0004_1003,
    /// An output object.
    PipelineOutput = 0x0004_1004,
    /// An error that did not end the pipeline.
    ErrorRecord = 0x0004_1005,
    /// The state of the pipeline, with the error that ended it.
    PipelineState = 0x0004_1006,
    /// A debug message.
    DebugRecord = 0x0004_1007,
    /// A verbose message.
    VerboseRecord = 0x0004_1008,
    /// A warning.
    WarningRecord = 0x0004_1009,
    /// Progress.
    ProgressRecord = 0x0004_1010,
    /// An information record.
    InformationRecord = 0x0004_1011,
    /// The pipeline asks something of the person at the client.
    PipelineHostCall = 0x0004_1100,
    /// The answer to that.
    PipelineHostResponse = 0x0004_1101,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Shorter than a header.
    #[error("a PSRP message of {0} bytes is shorter than its header")]
    TooShort(usize),
    /// Its destination is neither client nor server.
    #[error("a PSRP message is for destination {0}, which does not exist")]
    Destination(u32),
    /// Its text is not UTF-8.
    #[error("the text of a PSRP message is not UTF-8")]
    NotUtf8,
    /// Its text is not one CLIXML value.
    #[error("a PSRP message of type {kind:?} carries no readable value: {source}")]
    Value {
        /// The type of the message.
        kind: MessageType,
        /// What is wrong with it.
        source: ClixmlError,
    },
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// For whom it is.
    pub destination: Destination,
    /// What it is.
    pub kind: MessageType,
    /// The runspace pool it belongs to.
    pub pool: Uuid,
    /// The pipeline it belongs to, nil for the pool itself.
    pub pipeline: Uuid,
    /// Its CLIXML.
    pub data: String,
}

impl Message {
    /// A message that carries one value.
    pub fn new(
        destination: Destination,
        kind: MessageType,
        pool: Uuid,
        pipeline: Uuid,
        value: &Value,
    ) -> Self {
        Self { destination, kind, pool, pipeline, data: clixml::write(value) }
    }

    /// The bytes of the message.
    pub fn encode(&self) -> Vec<u8> {
        let destination: u32 = match self.destination {
            Destination::Client => 1,
            Destination::Server => 2,
        };
        let mut out = Vec::with_capacity(HEADER + self.data.len());
        out.extend(destination.to_le_bytes());
        out.extend(self.kind.number().to_le_bytes());
        out.extend(self.pool.to_bytes_le());
        out.extend(self.pipeline.to_bytes_le());
        out.extend(self.data.as_bytes());
        out
    }

    /// Reads a message. Its CLIXML is read later, by [`Message::value`].
    ///
    /// # Errors
    /// [`MessageError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let header = bytes.first_chunk::<HEADER>().ok_or(MessageError::TooShort(bytes.len()))?;
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let guid = |at: usize| {
            let mut raw = [0; 16];
            raw.copy_from_slice(&header[at..at + 16]);
            Uuid::from_bytes_le(raw)
        };
        let destination = match word(0) {
            1 => Destination::Client,
            2 => Destination::Server,
            other => return Err(MessageError::Destination(other)),
        };
        let text = std::str::from_utf8(&bytes[HEADER..]).map_err(|_| MessageError::NotUtf8)?;
        Ok(Self {
            destination,
            kind: MessageType::from_number(word(4)),
            pool: guid(8),
            pipeline: guid(24),
            // Windows puts a byte order mark before the CLIXML (MS-PSRP 2.2.1).
            data: text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        })
    }

    /// The value it carries; `Null` when it carries none.
    ///
    /// # Errors
    /// [`MessageError::Value`]
    pub fn value(&self) -> Result<Value, MessageError> {
        self.value_within(clixml::MAX_WEIGHT).map(|(value, _)| value)
    }

    /// The value it carries, of at most about `limit` bytes of memory, and how many it took.
    ///
    /// # Errors
    /// [`MessageError::Value`]
    pub fn value_within(&self, limit: usize) -> Result<(Value, usize), MessageError> {
        if self.data.trim().is_empty() {
            return Ok((Value::Null, 0));
        }
        let (values, weight) = clixml::read_within(&self.data, limit)
            .map_err(|source| MessageError::Value { kind: self.kind, source })?;
        Ok((values.into_iter().next().unwrap_or_default(), weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_both_ways_with_and_without_a_byte_order_mark() {
        let (pool, pipeline) = (Uuid::new_v4(), Uuid::new_v4());
        let message =
            Message::new(Destination::Server, MessageType::PipelineInput, pool, pipeline, &Value::I32(7));
        let mut bytes = message.encode();
        assert_eq!(Message::decode(&bytes), Ok(message.clone()));
        bytes.splice(HEADER..HEADER, *b"\xef\xbb\xbf");
        assert_eq!(Message::decode(&bytes), Ok(message.clone()));
        assert_eq!(message.value(), Ok(Value::I32(7)));
    }

    #[test]
    fn the_header_is_laid_out_as_windows_does() {
        let pool = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        let bytes =
            Message::new(Destination::Client, MessageType::PipelineState, pool, Uuid::nil(), &Value::Null)
                .encode();
        let expected =
            [1, 0, 0, 0, 0x06, 0x10, 0x04, 0, 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88];
        assert_eq!(bytes[..17], expected);
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        assert_eq!(Message::decode(&[0; 39]), Err(MessageError::TooShort(39)));
        assert_eq!(Message::decode(&[9; 40]), Err(MessageError::Destination(0x0909_0909)));
        let mut bytes =
            Message::new(Destination::Client, MessageType::Other(5), Uuid::nil(), Uuid::nil(), &Value::Null)
                .encode();
        bytes.push(0xff);
        assert_eq!(Message::decode(&bytes), Err(MessageError::NotUtf8));
    }
}
