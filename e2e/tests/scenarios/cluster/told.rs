//! What a user reads who has only `kubectl`.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use super::approvals::digest;
use super::{Site, condition, is};

/// Long enough to look at it, and a restore that tells how far it is.
const SLOW: &str = "serviceTimes: {restoreLogMs: 300, recoveryMs: 2000, setCmdletMs: 1000, mirrorSeedingMs: 2000, jobStartMs: 500}";

/// The page of the documentation that PCHAT_DESCRIBED asks for.
const HEAD: &str = "# A failover, as kubectl tells it

What was printed in a run of the operator on a real API server, with simulated data centres at its far ends: Taipei dies,
`activeDatabase` is changed from `primary` to `backup`, and one log backup is missing. `kubectl describe` orders events that came
in the same second by chance. The words are explained in [reasons.md](reasons.md).
";

const PAGE: [(&str, &str); 5] = [
    (
        "A calm week",
        "`kubectl describe pchat chat -n lync`, before anything has happened. `FailoverReady` is the condition to look at.",
    ),
    ("The failover at a glance", "`kubectl get pchat chat -n lync -w`, from before the change to the end."),
    (
        "Blocked",
        "`kubectl describe`, when the missing backup was met. `ApprovalRequired` tells what would be lost, and the command.",
    ),
    ("Under way", "`kubectl describe`, after the approval, while the database is recovered."),
    (
        "Afterwards",
        "`kubectl describe`, when the pool serves from Kaohsiung. `History` keeps when it was moved, and what was lost.",
    ),
];

/// `kubectl get -w` shows each step as it goes; `kubectl describe` tells what is, before, while it is blocked, during and after.
/// With PCHAT_DESCRIBED=FILE the page of these texts is written there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn kubectl_tells_the_story_of_a_failover() {
    let (site, replica) = Site::calm(SLOW).await;
    let describe = || site.kubectl(&["describe", "pchat", "chat"]);
    let before = describe();
    for words in ["FailoverReady", "would move the pool to", "Active Database:", "primary"] {
        assert!(before.contains(words), "{words} is missing in\n{before}");
    }

    let list = site.trial.stage.operator.folder.join("watched");
    let mut watch = site.plane.command("kubectl");
    watch.args(["-n", &site.namespace, "get", "pchat", "chat", "-w"]);
    watch.stdin(Stdio::null()).stdout(File::create(&list).unwrap()).stderr(Stdio::null());
    let mut watch = watch.spawn().unwrap();

    site.trial.order("remove last-2").await;
    site.trial.order("kill site primary").await;
    site.turn("backup");
    let asked = site.until("ApprovalRequired", |pool| is(pool, "ApprovalRequired", "True")).await;
    let blocked = describe();
    let approve = format!("persistentchat.io/approve={}", digest(&asked));
    for words in ["LogChainGap", "kubectl annotate pchat chat", &approve] {
        assert!(blocked.contains(words), "{words} is missing in\n{blocked}");
    }

    site.kubectl(&["annotate", "pchat", "chat", &approve]);
    site.until("RecoverDatabase", |pool| {
        pool["status"]["step"].as_str().is_some_and(|step| step.contains("RecoverDatabase"))
    })
    .await;
    let during = describe();
    let ready = condition(&site.pool(), "Ready");
    assert_eq!(ready["status"], "False", "{ready:#}");
    for words in ["RecoverDatabase", "Reconciling"] {
        assert!(during.contains(words), "{words} is missing in\n{during}");
    }
    site.until("Ready", |pool| is(pool, "Ready", "True")).await;
    let after = describe();
    for words in ["Active Database:", "backup", "History:", "Loss:"] {
        assert!(after.contains(words), "{words} is missing in\n{after}");
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
    let watched = std::fs::read_to_string(&list).unwrap();
    for step in
        ["RecoverDatabase", "SetPoolState", "SetActiveServers", "EstablishMirror", "RemoveLogShipping"]
    {
        assert!(watched.contains(step), "{step} was not shown:\n{watched}");
    }
    if let Some(file) = std::env::var_os("PCHAT_DESCRIBED") {
        let texts = [&before, &watched, &blocked, &during, &after];
        let page = PAGE.iter().zip(texts).fold(String::from(HEAD), |page, ((title, lead), text)| {
            format!("{page}\n## {title}\n\n{lead}\n\n```\n{}\n```\n", text.trim_end())
        });
        std::fs::write(Path::new(&file), page.replace(&site.namespace, "lync")).unwrap();
    }
    assert_eq!(replica.stop().await, 0);
}
