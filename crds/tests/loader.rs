//! What a person reads when a manifest is wrong: all of it, with file, line, field, what was expected and found.

mod support;

use pchat_crds::manifest::{Source, load};
use support::{edit, example, lines, load_pool, load_texts};

#[test]
fn all_that_is_wrong_is_said_at_once_and_in_order() {
    let text = example("pool.yaml")
        .replace("activeDatabase: primary ", "activeDatabase: bakcup ")
        .replace("  mode: Plan                         # Observe looks, Plan says what it would do, Enforce does it\n", "")
        .replace("host: sql-tp2.contoso.com", "hots: sql-tp2.contoso.com")
        .replace("chatServers: [pc-ks1.contoso.com, pc-ks2.contoso.com]", "chatServers: []")
        .replace("instance: PCHAT}\n    mirror:      {host: sql-ks2", "port: 99999}\n    mirror:      {host: sql-ks2")
        .replace("encryption: Required ", "encryption: required ")
        .replace("    uri: https://fe-ks1.contoso.com/OcsPowerShell", "    uri: 17");
    let expected = [
        "1.yaml:9: spec.mode: this field is missing; expected Observe, Plan or Enforce: how far the operator goes",
        "1.yaml:10: spec.activeDatabase: expected primary or backup (did you mean backup?), found 'bakcup'",
        "1.yaml:15: spec.primary.mirror.hots: there is no such field; did you mean host?",
        "1.yaml:19: spec.backup.database.port: expected a whole number from 1 to 65535, found 99999",
        "1.yaml:21: spec.backup.chatServers: expected a list of 1 to 16 entries, found 0",
        "1.yaml:26: spec.sqlServer.encryption: expected Required, LoginOnly or Plaintext (did you mean Required?), found 'required'",
        "1.yaml:28: spec.managementShell.uri: expected a text (write it in quotes), found 17",
    ];
    assert_eq!(lines(load_pool(&text)), expected);
}

#[test]
fn a_broken_rule_names_the_line_and_what_stands_there() {
    let text =
        edit(&example("pool.yaml"), r"seedShare: \\files-ks.contoso.com\pchat-seed", r"seedShare: E:\seed");
    assert_eq!(
        lines(load_pool(&text)),
        [concat!(
            r"1.yaml:24: spec.mirroring.seedShare: expected an absolute UNC path such as \\files.contoso.com\pchat-logs ",
            r"(in YAML without quotes, or in single ones: double quotes eat backslashes); found 'E:\seed'"
        )]
    );
}

#[test]
fn a_name_that_could_leave_its_folder_is_refused() {
    let text = edit(&example("pool.yaml"), "name: chat\n", "name: ../Chat\n");
    assert_eq!(
        lines(load_pool(&text)),
        [
            "1.yaml:7: metadata.name: expected lower-case letters, digits, - and . as the name of an object; found '../Chat'"
        ]
    );
}

#[test]
fn a_field_that_resembles_nothing_gets_the_list_of_what_is_known() {
    let text = edit(
        &example("pool.yaml"),
        "pool: {fqdn: chat.contoso.com}",
        "pool: {fqdn: chat.contoso.com, zzz: 1}",
    );
    assert_eq!(
        lines(load_pool(&text)),
        ["1.yaml:12: spec.pool.zzz: there is no such field; known here are fqdn"]
    );
}

#[test]
fn yaml_mistakes_are_told_by_line() {
    for (text, expected) in [
        ("", "1.yaml:1: expected one PersistentChatPool, found none"),
        ("# nothing\n---\n# here\n", "1.yaml:3: expected one PersistentChatPool, found none"),
        ("a: 1\n\tb: 2\n", "1.yaml:2: found a tab; YAML is indented with blanks only"),
        ("kind: [\n", "1.yaml:1: this is not YAML: unclosed bracket"),
        (
            "kind: A\nkind: B\napiVersion: v1\n",
            "1.yaml:2: kind: this field stands twice, first on line 1; leave one of them out",
        ),
        ("? [a]\n: b\n", "1.yaml:1: expected a field name, found a list or a group of fields in its place"),
        (
            "a: &x {b: 1}\nc:\n  <<: *x\n",
            "1.yaml:3: c.<<: YAML merge keys (<<) are not read; write the fields out",
        ),
        ("- 1\n", "1.yaml:1: expected a manifest with apiVersion and kind, found a list"),
        (
            "kind: PersistentChatPool\n",
            "1.yaml:1: expected a manifest with apiVersion and kind, found no apiVersion",
        ),
        (
            "\n---\napiVersion: persistentchat.io/v1beta1\nkind: PersistentChatPool\n",
            "1.yaml:3: apiVersion: expected apiVersion persistentchat.io/v1alpha1, found persistentchat.io/v1beta1",
        ),
        (
            "apiVersion: persistentchat.io/v1alpha1\nkind: PersistantChatPool\n",
            "1.yaml:2: kind: there is no kind PersistantChatPool; did you mean PersistentChatPool?",
        ),
    ] {
        let lines = lines(load_texts(&[text]));
        assert!(
            lines.len() == 1 && lines[0].starts_with(expected),
            "{text:?}\nwanted {expected}\nfound {lines:#?}"
        );
    }
}

#[test]
fn a_broken_document_does_not_hide_what_is_wrong_in_the_next_one() {
    let pool = edit(&example("pool.yaml"), "mode: Plan ", "mode: Dream ");
    let text = format!("a: [1\n---\n{pool}");
    let lines = lines(load_texts(&[&text]));
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("this is not YAML"), "{lines:#?}");
    // Of the Secrets nothing is said: they may stand in the part that cannot be read.
    assert_eq!(lines[1], "1.yaml:13: spec.mode: expected Observe, Plan or Enforce, found 'Dream'");
}

#[test]
fn nesting_and_aliases_without_end_are_refused() {
    let deep = "[".repeat(100_000);
    assert!(lines(load_texts(&[&deep])).iter().all(|line| line.starts_with("1.yaml:1: ")));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", alias.trim_end_matches(", ")));
    }
    let lines = lines(load_texts(&[&bomb]));
    assert!(lines.len() == 1 && lines[0].contains("repetition limit"), "{lines:?}");
}

#[test]
fn two_pools_and_two_secrets_of_a_name_are_refused() {
    let pool = example("pool.yaml");
    let secrets = example("pool-secrets.yaml");
    let lines = lines(load_texts(&[&pool, &pool, &secrets, &secrets]));
    assert_eq!(
        lines,
        [
            "2.yaml:5: kind: expected one PersistentChatPool, found another one (1.yaml:5 is the first); give one pool at a time",
            "4.yaml:7: metadata.name: this Secret stands twice, first at 3.yaml:7; leave one of them out",
            "4.yaml:20: metadata.name: this Secret stands twice, first at 3.yaml:20; leave one of them out",
        ]
    );
}

#[test]
fn a_secret_that_cannot_serve_is_told_where_it_is_named() {
    let pool = example("pool.yaml");
    assert_eq!(
        lines(load_texts(&[&pool])),
        [
            "1.yaml:26: spec.sqlServer.credentials.secretRef.name: there is no Secret pchat-sql: add its manifest to the files that are read",
            "1.yaml:31: spec.managementShell.credentials.secretRef.name: there is no Secret pchat-shell: add its manifest to the files that are read",
        ]
    );
    let secrets = example("pool-secrets.yaml")
        .replace("  password: change-me\n", "  pasword: hunter2\n")
        .replace("name: pchat-shell\n  namespace: lync", "name: pchat-shell\n  namespace: other");
    assert_eq!(
        lines(load_texts(&[&pool, &secrets])),
        [
            "1.yaml:26: spec.sqlServer.credentials.secretRef.name: Secret pchat-sql has no key password: add it",
            "1.yaml:31: spec.managementShell.credentials.secretRef.name: Secret pchat-shell is in namespace other, the pool in lync; they must be in the same",
        ]
    );
}

#[test]
fn base64_is_read_and_what_is_not_base64_is_told_without_showing_it() {
    let pool = example("pool.yaml");
    let secrets = example("pool-secrets.yaml");
    let packed = secrets
        .replace("stringData:\n  username: pchat-operator", "data:\n  username: cGNoYXQtb3BlcmF0b3I=")
        .replace("password: change-me\n", "password: aHVudGVyMg==\n");
    let manifest = load_texts(&[&pool, &packed]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest.secrets.login(&"pchat-sql".into()).unwrap().password, "hunter2");
    assert!(!format!("{manifest:?}").contains("hunter2"));

    let unpacked = packed.replace("aHVudGVyMg==", "hunter two");
    assert_eq!(
        lines(load_texts(&[&pool, &unpacked])),
        [
            "2.yaml:14: data.password: expected base64, found something else; plain text belongs under stringData"
        ]
    );
    let newline = packed.replace("aHVudGVyMg==", "aHVudGVyMgo=");
    assert_eq!(
        lines(load_texts(&[&pool, &newline])),
        [
            "1.yaml:26: spec.sqlServer.credentials.secretRef.name: key password of Secret pchat-sql is not usable: it holds a line break; encode it without one (printf, or echo -n)"
        ]
    );
}

#[test]
fn a_password_in_the_wrong_place_is_not_repeated() {
    for (from, to) in [
        ("credentials: {secretRef: {name: pchat-sql}}", "credentials: hunter2"),
        ("credentials: {secretRef: {name: pchat-sql}}", "credentials: {secretRef: hunter2}"),
        (
            "credentials: {secretRef: {name: pchat-sql}}",
            "credentials: {secretRef: {name: 'Hunter2!hunter2'}}",
        ),
        ("credentials: {secretRef: {name: pchat-sql}}", "credentials: {username: sa, password: hunter2}"),
        ("credentials: {secretRef: {name: pchat-sql}}", "password: hunter2"),
    ] {
        let text = edit(&example("pool.yaml"), from, to);
        let lines = lines(load_pool(&text));
        assert!(!lines.is_empty() && !lines.iter().any(|line| line.contains("unter2")), "{to}: {lines:#?}");
    }
    let secrets = edit(&example("pool-secrets.yaml"), "password: change-me\n", "password: [hunter2]\n");
    let lines = lines(load_texts(&[&example("pool.yaml"), &secrets]));
    assert_eq!(lines, ["2.yaml:14: stringData.password: expected a text, found a list"]);
}

#[test]
fn a_folder_is_read_and_what_is_not_ours_is_passed_over() {
    let folder = std::env::temp_dir().join(format!("pchat-crds-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("a-namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: lync}\n");
    write("kustomization.yaml", "resources: [pool.yaml]\n");
    write("notes.txt", "\tnot yaml");
    write("pool.yaml", &example("pool.yaml"));
    write("secrets.yml", &example("pool-secrets.yaml"));
    let source = Source::Path(folder.clone());
    let good = load(std::slice::from_ref(&source));
    write("secrets.yml", "\u{0}");
    std::fs::write(folder.join("broken.yaml"), b"a: 1\nb: \xff\n").unwrap();
    let bad = load(&[source, Source::from("/nonexistent/pool.yaml")]);
    std::fs::remove_dir_all(&folder).unwrap();

    assert_eq!(good.unwrap_or_else(|error| panic!("{error}")).place.line, 5);
    let lines = lines(bad);
    assert!(lines.iter().any(|line| line.contains("broken.yaml:2: expected text in UTF-8")), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.starts_with("/nonexistent/pool.yaml:1: the file cannot be read")),
        "{lines:#?}"
    );
    assert!(!lines.iter().any(|line| line.contains("there is no Secret")), "{lines:#?}");
}
