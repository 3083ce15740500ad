//! What an older version wrote at the far end is read, and written back as it was.

use pchat_planner::journal::{Owner, Phase, Silence, Transition};
use pchat_planner::pool::Side;

/// As 0.1 wrote them: the texts are kept as they stood, and must never be made anew.
const OWNER: &str = r#"{"epoch":"9c0f6f1e-6a57-4a71-8a0e-2f0f6f6b7a11","executor":"jump01 (4711)","mark":"2026-10-03T01:12:44.317Z"}"#;

const OPEN: &str = concat!(
    r#"{"id":"5b0c2d3e-7b5e-4f64-9d57-0d8a3f5f2c10","rev":3,"intent":"backup","phase":"Open","opened":"2026-10-03T01:12:40.101Z","#,
    r#""evidence":{"share":"\\\\sql-tp1.contoso.com\\logship","folder":"D:\\copy","secondaryId":"0d6a9a8b-2f39-4e0c-8a39-3a3f1c9f7d21","#,
    r#""primaryServer":"SQL-TP1\\PCHAT","copyJob":"11111111-2222-4333-8444-555555555555","restoreJob":"66666666-7777-4888-8999-aaaaaaaaaaaa","#,
    r#""lastCopied":"D:\\copy\\mgc_20261003010000.trn","lastRestored":"D:\\copy\\mgc_20261003004500.trn","redo":"41000000024700001","#,
    r#""fork":"7f9d3c5e-0d0f-4a52-9c61-0f5e7a2b1c3d"},"approval":"d284-4a34","accepted":{"at":{"lsn":"41000000024700001","#,
    r#""fork":"7f9d3c5e-0d0f-4a52-9c61-0f5e7a2b1c3d"},"hazards":[["primary-may-be-alive:primary.database","41000000024700001"],["gap",null]]}}"#,
);

const RECOVERED: &str = concat!(
    r#"{"id":"5b0c2d3e-7b5e-4f64-9d57-0d8a3f5f2c10","rev":5,"intent":"backup","phase":"Closed","opened":"2026-10-03T01:12:40.101Z","#,
    r#""recovery":{"lsn":"41000000025300001","fork":"7f9d3c5e-0d0f-4a52-9c61-0f5e7a2b1c3d","lastFile":"mgc_20261003010000.trn","#,
    r#""safeUntil":"2026-10-03T01:00:00Z","atMostUntil":"2026-10-03T01:11:30Z","silentSince":"2026-10-03T01:07:12.5Z"}}"#,
);

#[test]
fn what_an_older_version_wrote_is_read_and_written_back_unchanged() {
    let owner: Owner = serde_json::from_str(OWNER).unwrap();
    assert!(!owner.ended, "an older run never says that it ended: its mark must lapse");
    assert_eq!(serde_json::to_string(&owner).unwrap(), OWNER);

    let open: Transition = serde_json::from_str(OPEN).unwrap();
    assert_eq!((open.phase, open.intent, open.rev, open.back), (Phase::Open, Side::Backup, 3, false));
    assert_eq!(serde_json::to_string(&open).unwrap(), OPEN);

    let recovered: Transition = serde_json::from_str(RECOVERED).unwrap();
    assert!(recovered.recovery.as_ref().is_some_and(|recovery| recovery.unread.is_empty()));
    assert_eq!(serde_json::to_string(&recovered).unwrap(), RECOVERED);
}

/// What is dropped on reading would be lost on writing back.
#[test]
fn what_a_newer_version_wrote_beside_what_is_known_is_refused() {
    for (text, known) in [(OPEN, r#","approval":"#), (RECOVERED, r#","lastFile":"#), (OPEN, r#","hazards":"#)]
    {
        let newer = text.replace(known, &format!(r#","newer":1{known}"#));
        let refused = serde_json::from_str::<Transition>(&newer).unwrap_err().to_string();
        assert!(refused.contains("`newer`"), "{refused}");
    }
    assert!(serde_json::from_str::<Owner>(&OWNER.replace('}', r#","newer":1}"#)).is_err());
    let silence = r#"{"rev":1,"since":"2026-10-03T01:00:00Z","until":"2026-10-03T01:00:00Z","newer":1}"#;
    assert!(serde_json::from_str::<Silence>(silence).is_err());
}
