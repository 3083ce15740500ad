//! The client against servers that mean harm or are broken: it must come back with an error, soon, and
//! without taking memory.

use std::net::SocketAddr;
use std::time::Duration;

use pchat_psrp::{Auth, Endpoint, Error, Security, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

fn endpoint(addr: SocketAddr) -> Endpoint {
    Endpoint {
        host: "shell.contoso.com".into(),
        port: addr.port(),
        addr,
        path: "/wsman".into(),
        configuration: "Microsoft.PowerShell".into(),
        security: Security::Http,
        auth: Auth::Negotiate { user: "D\\u".into(), password: "p".into() },
    }
}

/// The error of opening a session with a server that answers every connection in this way.
async fn against<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Error
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let start = Instant::now();
    let error = Session::open(&endpoint(addr), start + Duration::from_secs(10)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}: {error}", start.elapsed());
    server.abort();
    error
}

async fn request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let error = against(|mut stream| async move {
        request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
        loop {
            stream.write_all(&chunk).await?;
        }
    })
    .await;
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let error = against(|mut stream| async move {
        request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 401 No\r\nX: ").await?;
        loop {
            stream.write_all(&[b'x'; 0x10000]).await?;
        }
    })
    .await;
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn noise_silence_and_early_ends_are_told_apart() {
    let noise =
        against(|mut stream| async move { stream.write_all(b"220 mail.contoso.com ESMTP\r\n").await }).await;
    assert!(matches!(noise, Error::Protocol { .. }), "{noise}");
    let gone = against(|stream| async move {
        drop(stream);
        Ok(())
    })
    .await;
    assert!(matches!(gone, Error::Protocol { .. }), "{gone}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let soon = Instant::now() + Duration::from_millis(300);
    let silent = Session::open(&endpoint(addr), soon).await.unwrap_err();
    assert!(matches!(silent, Error::Silent { .. }), "{silent}");
    drop(listener);
    let refused = Session::open(&endpoint(addr), Instant::now() + Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn a_server_that_takes_anything_for_ntlm_gets_no_message_from_us() {
    let error = against(|mut stream| async move {
        request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
        // Whatever followed would be a message without a security context.
        request(&mut stream).await?;
        panic!("a message was sent");
    })
    .await;
    assert!(matches!(error, Error::Authentication { .. }), "{error}");
}
