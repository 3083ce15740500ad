//! The network, held against what clients see of real ones.

use super::*;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

const SQL: &str = "sql-tp1.contoso.com";

/// A service that tells what it was sent, and answers each piece with the same in capitals.
async fn service() -> (SocketAddr, mpsc::UnboundedReceiver<(SocketAddr, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, hears) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, peer)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                    let answer = text.to_uppercase();
                    let _closed = heard.send((peer, text));
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                }
                let _closed = heard.send((peer, "the end".into()));
            });
        }
    });
    (address, hears)
}

struct Lab {
    net: Network,
    at: SocketAddr,
    hears: mpsc::UnboundedReceiver<(SocketAddr, String)>,
}

async fn lab() -> Lab {
    let (target, hears) = service().await;
    let net = Network::new(std::process::id().into()).unwrap();
    let address = net.add_host(SQL).await.unwrap();
    let port = net.open(SQL, 0, target).await.unwrap();
    Lab { net, at: (address, port).into(), hears }
}

async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), text: &str) -> io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn is_silent(at: SocketAddr) -> bool {
    tokio::time::timeout(Duration::from_millis(150), TcpStream::connect(at)).await.is_err()
}

async fn refuses(at: SocketAddr) -> bool {
    matches!(TcpStream::connect(at).await, Err(e) if e.kind() == io::ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn a_dead_host_answers_nothing_on_any_port_and_comes_back() {
    let lab = lab().await;
    let probed = |port| SocketAddr::from((lab.at.ip(), port));
    let mut before = TcpStream::connect(lab.at).await.unwrap();
    assert_eq!(ask(&mut before, "a").await.unwrap(), "A");
    assert!(refuses(probed(1433)).await && refuses(probed(5022)).await, "a live host refuses");
    lab.net.set_presence(SQL, Presence::Dead).await.unwrap();
    let (one, two, three) = tokio::join!(is_silent(lab.at), is_silent(probed(1433)), is_silent(probed(5022)));
    assert!(one && two && three);
    let silence = tokio::time::timeout(Duration::from_millis(50), ask(&mut before, "b")).await;
    assert!(silence.is_err(), "an open connection falls silent, it is not cut");
    lab.net.set_presence(SQL, Presence::Up).await.unwrap();
    assert!(ask(&mut before, "c").await.is_err(), "the host that came back knows nothing of it");
    assert_eq!(ask(&mut TcpStream::connect(lab.at).await.unwrap(), "d").await.unwrap(), "D");
    assert!(refuses(probed(5022)).await);
}

#[tokio::test]
async fn a_stopped_service_refuses_and_resets() {
    let lab = lab().await;
    let mut before = TcpStream::connect(lab.at).await.unwrap();
    assert_eq!(ask(&mut before, "a").await.unwrap(), "A");
    lab.net.set_presence(SQL, Presence::Refusing).await.unwrap();
    assert!(refuses(lab.at).await);
    assert!(ask(&mut before, "b").await.is_err());
    lab.net.set_presence(SQL, Presence::Up).await.unwrap();
    assert_eq!(ask(&mut TcpStream::connect(lab.at).await.unwrap(), "c").await.unwrap(), "C");
}

#[tokio::test]
async fn a_cut_way_stops_what_is_under_way_and_lets_it_go_on() {
    let mut lab = lab().await;
    let mut stream = TcpStream::connect(lab.at).await.unwrap();
    assert_eq!(ask(&mut stream, "a").await.unwrap(), "A");
    lab.hears.recv().await.unwrap();
    lab.net.set_way(&Client::Outside, SQL, Way { cut: true, ..Way::default() }).await.unwrap();
    assert!(is_silent(lab.at).await);
    stream.write_all(b"b").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), lab.hears.recv()).await.is_err());
    lab.net.set_way(&Client::Outside, SQL, Way::default()).await.unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"B");
}

#[tokio::test]
async fn a_round_trip_takes_twice_the_latency_and_a_first_one_twice_that() {
    let lab = lab().await;
    let latency = Duration::from_micros(7_500);
    lab.net.set_way(&Client::Outside, SQL, Way { cut: false, latency }).await.unwrap();
    let begun = Instant::now();
    let mut stream = TcpStream::connect(lab.at).await.unwrap();
    ask(&mut stream, "a").await.unwrap();
    let first = begun.elapsed();
    assert!(first >= latency * 4, "{first:?}");
    let mut fastest = Duration::MAX;
    for _ in 0..10 {
        let begun = Instant::now();
        ask(&mut stream, "b").await.unwrap();
        fastest = fastest.min(begun.elapsed());
    }
    assert!(fastest >= latency * 2 && fastest < latency * 3, "{fastest:?}");
}

#[tokio::test]
async fn a_lost_reply_is_that_of_a_request_that_was_delivered_whole() {
    let mut lab = lab().await;
    let mut stream = TcpStream::connect(lab.at).await.unwrap();
    assert_eq!(ask(&mut stream, "a").await.unwrap(), "A");
    let (peer, _) = lab.hears.recv().await.unwrap();
    lab.net.link(peer).unwrap().arm(Fault::LoseReply);
    let text = "b".repeat(900);
    assert!(ask(&mut stream, &text).await.is_err());
    assert_eq!(lab.hears.recv().await.unwrap(), (peer, text));
}

#[tokio::test]
async fn a_delayed_request_comes_when_its_client_is_gone() {
    let mut lab = lab().await;
    let mut stream = TcpStream::connect(lab.at).await.unwrap();
    assert_eq!(ask(&mut stream, "a").await.unwrap(), "A");
    let (peer, _) = lab.hears.recv().await.unwrap();
    lab.net.link(peer).unwrap().arm(Fault::Delay(Duration::from_millis(300)));
    assert!(ask(&mut stream, "b").await.is_err());
    assert!(lab.hears.try_recv().is_err(), "not yet");
    assert_eq!(lab.hears.recv().await.unwrap(), (peer, "b".into()));
}

#[tokio::test]
async fn a_server_that_cuts_its_client_off_is_not_disturbed_itself() {
    let mut lab = lab().await;
    let mut stream = TcpStream::connect(lab.at).await.unwrap();
    assert_eq!(ask(&mut stream, "a").await.unwrap(), "A");
    let (peer, _) = lab.hears.recv().await.unwrap();
    let link = lab.net.link(peer).unwrap();
    assert_eq!((link.client(), link.host(), link.port()), (&Client::Outside, SQL, lab.at.port()));
    link.cut_client();
    assert!(ask(&mut stream, "b").await.is_err());
    assert!(
        tokio::time::timeout(Duration::from_millis(50), lab.hears.recv()).await.is_err(),
        "no end for the server"
    );
    link.reset();
    assert_eq!(lab.hears.recv().await.unwrap(), (peer, "the end".into()));
}

#[tokio::test]
async fn a_server_learns_that_its_client_broke_off_or_left() {
    let mut lab = lab().await;
    for linger in [Some(Duration::ZERO), None] {
        let mut stream = TcpStream::connect(lab.at).await.unwrap();
        assert_eq!(ask(&mut stream, "a").await.unwrap(), "A");
        let (peer, _) = lab.hears.recv().await.unwrap();
        socket2::SockRef::from(&stream).set_linger(linger).unwrap();
        drop(stream);
        assert_eq!(lab.hears.recv().await.unwrap(), (peer, "the end".into()));
        while lab.net.link(peer).is_some() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn hosts_of_the_lab_reach_one_another_by_ways_of_their_own() {
    let lab = lab().await;
    let chat = Client::Host("pc-tp1.contoso.com".into());
    let dial = || lab.net.dial("pc-tp1.contoso.com", SQL, lab.at.port());
    let mut stream = dial().await.unwrap();
    assert_eq!(ask(&mut stream, "a").await.unwrap(), "A");
    lab.net.set_way(&chat, SQL, Way { cut: true, ..Way::default() }).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), dial()).await.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(50), ask(&mut stream, "b")).await.is_err());
    let mut outside = TcpStream::connect(lab.at).await.unwrap();
    assert_eq!(ask(&mut outside, "c").await.unwrap(), "C", "the way from outside is another one");
    lab.net.set_presence(SQL, Presence::Refusing).await.unwrap();
    lab.net.set_way(&chat, SQL, Way::default()).await.unwrap();
    assert_eq!(dial().await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn the_browser_answers_on_a_live_host_only_and_only_while_it_runs() {
    let lab = lab().await;
    let instance = Instance {
        host: "SQL-TP1".into(),
        name: "PCHAT".into(),
        version: "11.0.7001.0".into(),
        port: lab.at.port(),
    };
    lab.net.browse(SQL, vec![instance]).await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect((lab.at.ip(), 1434)).await.unwrap();
    let asked = || async {
        socket.send(b"\x04PCHAT\0").await?;
        let mut reply = [0; 500];
        let count = socket.recv(&mut reply).await?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&reply[..count]).into_owned())
    };
    let tried = |ms| tokio::time::timeout(Duration::from_millis(ms), asked());
    const LONG: u64 = 5_000;
    assert!(tried(LONG).await.unwrap().unwrap().contains(&format!("tcp;{};;", lab.at.port())));
    lab.net.set_presence(SQL, Presence::Dead).await.unwrap();
    assert!(tried(60).await.is_err(), "silence");
    lab.net.set_presence(SQL, Presence::Up).await.unwrap();
    assert!(tried(LONG).await.unwrap().is_ok());
    lab.net.set_browser(SQL, false).await.unwrap();
    assert!(tried(LONG).await.unwrap().is_err(), "unreachable");
}

#[tokio::test]
async fn every_host_has_a_line_with_its_names_and_a_certificate_for_them() {
    let lab = lab().await;
    let line = format!("{} {SQL} sql-tp1\n", lab.at.ip());
    assert_eq!(lab.net.hosts_file(), line);
    let ca = Authority::new("Lab CA").unwrap();
    let names = [SQL.to_owned(), "sql-tp1".to_owned()];
    let certificate = ca.issue(&names, lab.net.address(SQL).unwrap()).unwrap();
    let acceptor = pchat_tds::Tls::from_pem(&certificate.chain, &certificate.key);
    assert!(acceptor.is_ok() && ca.pem().contains("BEGIN CERTIFICATE"));
}
