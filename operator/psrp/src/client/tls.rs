//! TLS for the client, with the certificate checks always on.

use native_tls::{Certificate, Identity, Protocol, TlsConnector};

use super::{Auth, Endpoint, Error, Security};

/// The connector for an endpoint; `None` when it is to be used without TLS.
pub(super) fn connector(endpoint: &Endpoint) -> Result<Option<TlsConnector>, Error> {
    let Security::Https { ca } = &endpoint.security else { return Ok(None) };
    let unusable = |what: &'static str| {
        let host = endpoint.host.clone();
        move |e: native_tls::Error| Error::Certificate { host, what, cause: e.to_string() }
    };
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if let Some(pem) = ca {
        let authorities = Certificate::stack_from_pem(pem).map_err(unusable("certificate authority"))?;
        if authorities.is_empty() {
            return Err(Error::Certificate {
                host: endpoint.host.clone(),
                what: "certificate authority",
                cause: "there is no PEM certificate in it".into(),
            });
        }
        builder.disable_built_in_roots(true);
        for authority in authorities {
            builder.add_root_certificate(authority);
        }
    }
    if let Auth::Certificate { certificate, key } = &endpoint.auth {
        builder.identity(Identity::from_pkcs8(certificate, key).map_err(unusable("client certificate"))?);
    }
    builder.build().map(Some).map_err(unusable("TLS configuration"))
}

/// What TLS said, without OpenSSL's codes and source lines: `certificate verify failed: unable to get local issuer
/// certificate`. A text of another form comes back unchanged.
pub fn tls_words(cause: &str) -> String {
    // "error:<code>:<library>:<function>:<reason>:<file>:<line>:<data>", then the verdict on the certificate in brackets.
    let fields: Vec<&str> = match cause.split_once("error:") {
        Some((_, queue)) => queue.split(':').collect(),
        None => return cause.to_owned(),
    };
    let [_, _, _, reason, _, _, ..] = fields[..] else { return cause.to_owned() };
    let verdict = cause.strip_suffix(')').and_then(|text| text.rsplit_once('('));
    match verdict {
        Some((_, verdict)) => format!("{reason}: {verdict}"),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::tls_words;

    #[test]
    fn a_person_reads_the_reason_and_not_where_openssl_found_it() {
        let cause = "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:\
                     ../ssl/statem/statem_clnt.c:1889: (unable to get local issuer certificate)";
        assert_eq!(tls_words(cause), "certificate verify failed: unable to get local issuer certificate");
        let cause =
            "error:0A00010B:SSL routines:ssl3_get_record:wrong version number:ssl/record/ssl3_record.c:354:";
        assert_eq!(tls_words(cause), "wrong version number");
        for other in ["the connection was closed", "error:1", ""] {
            assert_eq!(tls_words(other), other);
        }
    }
}
