//! Where the management shell is, and how to get in.

use pchat_crds::{Authentication, ManagementShell, Manifest, Secrets};
use pchat_psrp::{Auth, Security};

use super::Found;
use super::installation::admit;
use crate::powershell::Shell;

pub(super) fn target(declared: &ManagementShell, found: &mut Found<'_>) -> Option<Shell> {
    let Found { manifest: Manifest { secrets, .. }, here, .. } = *found;
    const FIELD: &str = "spec.managementShell";
    let place = place(declared.uri.as_str());
    if place.is_none() {
        found.say(
            &format!("{FIELD}.uri"),
            "expected an address such as https://fe-ks1.contoso.com/OcsPowerShell with a port of at most 65535",
        );
    }
    let auth = auth(declared, secrets, found);
    let credentials = declared.credentials.as_ref().map(|credentials| &credentials.secret_ref.name);
    let authority = secrets.authority(declared.ca.as_ref(), credentials);
    let authority = found.take(&format!("{FIELD}.ca"), authority)?;
    let authority = found.authorities(&format!("{FIELD}.ca"), authority);
    let Place { tls, host, port, path } = place?;
    let admitted = match credentials {
        Some(secret) => admit(found, &format!("{FIELD}.uri"), secret, &host),
        None => Some(()),
    };
    let (auth, authority, ()) = (auth?, authority?, admitted?);
    let place = format!("shell {host} {port}");
    let brake = match &auth {
        Auth::Negotiate { user, password } | Auth::Basic { user, password } => {
            here.brakes.of(&place, user, password.as_bytes())
        }
        Auth::Certificate { certificate, .. } => here.brakes.of(&place, "", certificate),
        other => here.brakes.of(&place, other.user(), &[]),
    };
    let shown = match (&auth, credentials) {
        (Auth::Negotiate { user, .. } | Auth::Basic { user, .. }, Some(secret)) => here.shown(user, secret),
        (_, Some(secret)) => format!("the credentials of Secret {secret}"),
        (other, None) => other.user().to_owned(),
    };
    Some(Shell {
        address: here.hosts.address(&host),
        host,
        port,
        path,
        configuration: declared.configuration_name.to_string(),
        security: if tls { Security::Https { ca: authority } } else { Security::Http },
        auth,
        shown,
        brake,
    })
}

fn auth(declared: &ManagementShell, secrets: &Secrets, found: &mut Found<'_>) -> Option<Auth> {
    const FIELD: &str = "spec.managementShell.credentials";
    if declared.authentication == Authentication::Kerberos {
        return kerberos(declared, secrets, found);
    }
    let Some(name) = declared.credentials.as_ref().map(|credentials| &credentials.secret_ref.name) else {
        found.say(FIELD, "expected credentials with the Secret for this authentication");
        return None;
    };
    match declared.authentication {
        Authentication::Certificate => {
            let pair = found.take(FIELD, secrets.client_certificate(name))?;
            // The library's own words may quote the key; what matters is that the two do not fit.
            if native_tls::Identity::from_pkcs8(&pair.certificate, &pair.key).is_err() {
                found.say(
                    FIELD,
                    "expected a certificate in tls.crt and its private key in tls.key, both in PEM, the key in \
                     PKCS #8 without a password; found a pair that can't be used",
                );
                return None;
            }
            Some(Auth::Certificate { certificate: pair.certificate, key: pair.key })
        }
        Authentication::Basic => {
            let login = found.take(FIELD, secrets.login(name))?;
            Some(Auth::Basic { user: login.username, password: login.password })
        }
        Authentication::Negotiate | Authentication::Kerberos => {
            let login = found.take(FIELD, secrets.login(name))?;
            Some(Auth::Negotiate { user: login.username, password: login.password })
        }
    }
}

#[cfg(feature = "kerberos")]
fn kerberos(declared: &ManagementShell, secrets: &Secrets, found: &mut Found<'_>) -> Option<Auth> {
    let principal = match &declared.credentials {
        None => None,
        Some(credentials) => {
            let name = &credentials.secret_ref.name;
            Some(found.take("spec.managementShell.credentials", secrets.keytab(name))?.username)
        }
    };
    Some(Auth::Kerberos { principal })
}

#[cfg(not(feature = "kerberos"))]
fn kerberos(_: &ManagementShell, _: &Secrets, found: &mut Found<'_>) -> Option<Auth> {
    found.say(
        "spec.managementShell.authentication",
        "Kerberos is not part of this build: build it with --features kerberos, or use Negotiate",
    );
    None
}

struct Place {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// Takes a URI apart whose shape the schema has checked.
fn place(uri: &str) -> Option<Place> {
    let (scheme, rest) = uri.split_once("://")?;
    let tls = scheme.eq_ignore_ascii_case("https");
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/wsman".to_owned()),
    };
    let path = if path == "/" { "/wsman".to_owned() } else { path };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        // A web site's port serves /OcsPowerShell; WinRM's own listener has a port of its own.
        None => match (path.eq_ignore_ascii_case("/wsman"), tls) {
            (true, true) => (authority, 5986),
            (true, false) => (authority, 5985),
            (false, true) => (authority, 443),
            (false, false) => (authority, 80),
        },
    };
    Some(Place { tls, host: host.to_owned(), port, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_without_a_port_means_the_port_of_what_listens_there() {
        for (uri, expected) in [
            ("https://fe/OcsPowerShell", Some((true, "fe", 443, "/OcsPowerShell"))),
            (
                "https://fe.contoso.com:8443/OcsPowerShell",
                Some((true, "fe.contoso.com", 8443, "/OcsPowerShell")),
            ),
            ("http://admin/wsman", Some((false, "admin", 5985, "/wsman"))),
            ("HTTPS://admin/", Some((true, "admin", 5986, "/wsman"))),
            ("https://admin", Some((true, "admin", 5986, "/wsman"))),
            ("https://admin:70000/wsman", None),
            ("https://admin:0/wsman", None),
        ] {
            let place = place(uri);
            let found = place.as_ref().map(|p| (p.tls, p.host.as_str(), p.port, p.path.as_str()));
            assert_eq!(found, expected, "{uri}");
        }
    }
}
