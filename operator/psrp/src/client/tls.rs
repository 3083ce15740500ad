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
