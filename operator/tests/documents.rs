//! The documentation names only what exists.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Texts between back quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_page_of_safety_rules_names_is_there() {
    let page = fs::read_to_string(root().join("docs/safety.md")).expect("docs/safety.md");
    let (mut file, mut tests) = (None::<(String, String)>, 0);
    for item in page.split("\n- ").skip(1) {
        // An item ends where the next heading or paragraph begins.
        let item = item.split("\n\n").next().unwrap_or_default();
        for word in quoted(item) {
            if word.ends_with(".rs") {
                let text = fs::read_to_string(root().join(word)).unwrap_or_else(|e| panic!("{word}: {e}"));
                file = Some((word.to_owned(), text));
                continue;
            }
            let (name, text) = file.as_ref().expect("a file comes before its tests");
            assert!(text.contains(&format!("fn {word}()")), "{name} has no test {word}");
            tests += 1;
        }
    }
    assert!(tests > 40, "only {tests} tests were found in the page");
}

#[test]
fn every_page_that_a_page_links_to_is_there() {
    let mut pages = vec![root().join("README.md")];
    for folder in [root(), root().join("docs")] {
        let entries = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    let mut links = 0;
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        for rest in text.split("](").skip(1) {
            let link = rest.split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") {
                continue;
            }
            let target = page.parent().expect("a folder").join(link);
            assert!(target.exists(), "{} links to {link}, which is not there", page.display());
            links += 1;
        }
    }
    assert!(links > 5, "only {links} links were found");
}
