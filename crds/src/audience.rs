//! The hosts that a Secret is for.
//!
//! Who may edit a pool may point it at any host, and the operator logs in there. A Secret that says where it is for is not
//! used anywhere else: that is written by whoever may write the Secret.

/// The annotation of a Secret that names its hosts: names, or `*.domain` for all names below a domain, separated by commas or
/// blanks.
pub const HOSTS: &str = "persistentchat.io/hosts";

/// What the annotation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(Vec<String>);

impl Audience {
    /// Reads the annotation's text.
    ///
    /// # Errors
    /// What was expected, and what stands there instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for word in text.split([',', ' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()) {
            let pattern = plain(word);
            let name = pattern.strip_prefix("*.").unwrap_or(&pattern);
            let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
            if name.is_empty() || !name.chars().all(good) {
                return Err(format!(
                    "expected names of hosts, or *.domain for all names below a domain, found {word:?}"
                ));
            }
            patterns.push(pattern);
        }
        if patterns.is_empty() {
            return Err("expected at least one name of a host, found none".to_owned());
        }
        Ok(Self(patterns))
    }

    /// Whether the Secret is for this host.
    pub fn includes(&self, host: &str) -> bool {
        let host = plain(host);
        self.0.iter().any(|pattern| match pattern.strip_prefix('*') {
            // What is left begins with a dot, so that evilcontoso.com is not below contoso.com.
            Some(domain) => host.len() > domain.len() && host.ends_with(domain),
            None => host == *pattern,
        })
    }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_for_the_hosts_that_it_names_and_no_other() {
        let audience = Audience::parse("*.ks.contoso.com, SQL-TP1.contoso.com.\n10.1.1.11").expect("good");
        for host in ["sql-ks1.ks.contoso.com", "A.B.KS.contoso.com.", "sql-tp1.contoso.com", "10.1.1.11"] {
            assert!(audience.includes(host), "{host}");
        }
        for host in [
            "sql-tp2.contoso.com",
            "ks.contoso.com",
            "evilks.contoso.com",
            "sql-ks1.ks.contoso.com.evil.example",
            "sql-tp1",
            "",
        ] {
            assert!(!audience.includes(host), "{host}");
        }
    }

    #[test]
    fn what_names_no_host_is_no_permission() {
        for text in ["", " , ", "*", "*.", "sql*.contoso.com", "**.contoso.com", "https://sql-ks1", "a b/c"] {
            assert!(Audience::parse(text).is_err(), "{text:?}");
        }
    }
}
