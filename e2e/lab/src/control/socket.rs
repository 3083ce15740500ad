//! The control socket: one order a line, one JSON answer a line.
//!
//! Answers for `DIR/control.sock`, readable by its owner's group only as the folder allows. An order that fails answers
//! `{"error": ...}`; the connection stays open.

use super::orders;
use crate::lab::Inner;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Longest order that is read.
const LIMIT: usize = 64 * 1024;

fn path(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// Binds the socket of a lab's folder; one that a dead lab left is replaced.
pub fn bind(dir: &Path) -> std::io::Result<UnixListener> {
    let path = path(dir);
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    UnixListener::bind(path)
}

/// Serves orders until it is dropped.
pub async fn serve(listener: UnixListener, lab: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, lab.clone()));
    }
}

async fn converse(stream: UnixStream, lab: Arc<Inner>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(tokio::io::AsyncReadExt::take(read, LIMIT as u64)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = answer(&lab, &line).await;
        if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The JSON answer to one order.
pub async fn answer(lab: &Arc<Inner>, line: &str) -> serde_json::Value {
    match orders::carry_out(lab, line).await {
        Ok(value) => value,
        Err(error) => serde_json::json!({ "error": error }),
    }
}

/// Sends an order to the lab that runs in a folder.
///
/// # Errors
/// No lab there, or one that stopped meanwhile.
pub async fn send(dir: &Path, order: &str) -> std::io::Result<String> {
    let stream = UnixStream::connect(path(dir)).await?;
    let (read, mut write) = stream.into_split();
    write.write_all(format!("{}\n", order.replace('\n', " ")).as_bytes()).await?;
    let mut lines = BufReader::new(read).lines();
    lines.next_line().await?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}
