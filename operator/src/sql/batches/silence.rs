//! The third property: what was seen of a side that does not answer.
//!
//! Nobody owns it, for a run that only waits owns nothing. Each writing names the text that it is written over.

use pchat_planner::journal::{Note, Silence};

use super::Batch;
use super::guard::{UNLOCK, Warrant};

const OVER_WHAT_WAS_SEEN: &str = r"
DECLARE @silence nvarchar(255), @seen nvarchar(3700);
SET @silence = @lock + N'/silence';
SELECT @seen = CONVERT(nvarchar(3700), e.value) FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @silence;
IF CASE WHEN @before = N'' AND @seen IS NULL THEN 1 WHEN @before <> N'' AND LEFT(@seen, LEN(@before)) = @before THEN 1 ELSE 0 END = 0
BEGIN RAISERROR(N'PCHAT|STATE|what was seen of the other side of %s was written meanwhile', 16, 15, @db); RETURN; END;
";

const KEEP: &str = r"
IF @seen IS NULL EXEC master.sys.sp_addextendedproperty @name = @silence, @value = @text;
ELSE EXEC master.sys.sp_updateextendedproperty @name = @silence, @value = @text;
IF @@ERROR <> 0 RETURN;
";

const FORGET: &str = r"
EXEC master.sys.sp_dropextendedproperty @name = @silence;
IF @@ERROR <> 0 RETURN;
";

/// Writes a note, over what it was planned from.
///
/// # Errors
/// When it can't be put into words.
pub fn note(warrant: &Warrant, note: &Note) -> Result<Batch, String> {
    let batch = |name, over: Option<&Silence>, text: &str, then: &str| {
        let before = over.map(head);
        let with = |b: Batch| {
            let before = before.as_deref().unwrap_or_default();
            b.with("before", "nvarchar(100)", before).with("text", "nvarchar(3700)", text)
        };
        warrant
            .unowned(name, with)
            .then(OVER_WHAT_WAS_SEEN)
            .then(then)
            .then("SELECT @now AS now_utc;")
            .then(UNLOCK)
    };
    match note {
        Note::Keep { over, silence } => {
            let text = serde_json::to_string(silence).map_err(|e| format!("it can't be written ({e})"))?;
            Ok(batch("NoteSilence", over.as_ref(), &text, KEEP))
        }
        Note::Forget(over) => Ok(batch("ForgetSilence", Some(over), "", FORGET)),
    }
}

/// Drops it together with the transition that went on without that side.
pub(super) const DROP: &str = r"
DECLARE @silence nvarchar(255);
SET @silence = @lock + N'/silence';
IF EXISTS (SELECT 1 FROM master.sys.extended_properties AS e WHERE e.class = 0 AND e.name = @silence)
EXEC master.sys.sp_dropextendedproperty @name = @silence;
IF @@ERROR <> 0 RETURN;
";

/// How its text begins.
fn head(silence: &Silence) -> String {
    format!(r#"{{"rev":{},"since":"{}","#, silence.rev, silence.since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_begins_with_what_it_is_known_by() {
        let at = jiff::Timestamp::from_second(1_795_000_000).unwrap();
        let silence = Silence { rev: 7, since: at, until: at, found: Vec::new(), signs: Vec::new() };
        let text = serde_json::to_string(&silence).unwrap();
        assert!(text.starts_with(&head(&silence)), "{text}");
    }

    #[test]
    fn the_name_of_the_property_fits_into_sysname_for_the_longest_database() {
        assert!(format!("persistentchat.io/{}/silence", "n".repeat(100)).len() <= 128);
    }
}
