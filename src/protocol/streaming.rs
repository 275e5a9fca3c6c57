//! Answers that are sent while they are made: a task beside the queries makes pieces, an HTTP worker sends them.
//!
//! Owns: who waits for whom. The task waits for a slow client, up to its patience; a client that hangs up ends the task;
//! an answer that does not come to its end is cut off, so that no client takes a part for the whole.

use std::future::Future;
use std::time::Duration;

use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tracing::debug;

/// Pieces of an answer that wait for a slow client.
const PIECES_MAX: usize = 2;

/// The client has hung up; nobody wants the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

enum Piece<E> {
    Data(Bytes),
    /// The last one.
    End(Bytes),
    Error(E),
}

/// Takes the pieces of one answer.
#[derive(Clone)]
pub struct Pieces<E>(mpsc::Sender<Piece<E>>);

impl<E> Pieces<E> {
    /// Waits until there is room. Nothing is not sent.
    pub async fn send(&self, piece: Bytes) -> Result<(), Gone> {
        match piece.is_empty() {
            true => Ok(()),
            false => self.0.send(Piece::Data(piece)).await.map_err(|_| Gone),
        }
    }
}

/// Runs `work`, which makes an answer with the pieces it is given and returns the last one. An error before the first piece
/// is the answer; later it can only cut the answer off. `work` ends early when the client goes and when it takes longer
/// than `patience`.
pub fn start<E, F>(runtime: &tokio::runtime::Handle, patience: Duration, work: impl FnOnce(Pieces<E>) -> F) -> Answer<E>
where
    E: From<Gone> + Send + 'static,
    F: Future<Output = Result<Bytes, E>> + Send + 'static,
{
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let work = work(Pieces(sender.clone()));
    runtime.spawn(async move {
        let to_the_end = async {
            let last = match work.await {
                Ok(last) => Piece::End(last),
                Err(error) => Piece::Error(error),
            };
            let _ = sender.send(last).await;
        };
        tokio::select! {
            () = to_the_end => {}
            () = sender.closed() => debug!("the client has gone, its query is cancelled"),
            () = tokio::time::sleep(patience) => debug!("the client does not read, its query is cancelled"),
        }
    });
    Answer(pieces)
}

/// An answer that is being made.
pub struct Answer<E>(mpsc::Receiver<Piece<E>>);

impl<E: From<Gone> + Into<Box<dyn std::error::Error>> + 'static> Answer<E> {
    /// Waits for the first piece and answers with it and what follows. An answer of one piece has a length.
    pub async fn respond(mut self, mut response: HttpResponseBuilder) -> Result<HttpResponse, E> {
        match self.0.recv().await {
            Some(Piece::End(whole)) => Ok(response.body(whole)),
            Some(Piece::Error(error)) => Err(error),
            Some(Piece::Data(first)) => Ok(response.streaming(stream::iter([Ok(first)]).chain(self.rest()))),
            None => Err(E::from(Gone)),
        }
    }

    fn rest(self) -> impl Stream<Item = Result<Bytes, E>> {
        stream::unfold(Some(self.0), |pieces| async {
            let mut pieces = pieces?;
            match pieces.recv().await {
                Some(Piece::Data(bytes)) => Some((Ok(bytes), Some(pieces))),
                Some(Piece::End(bytes)) if bytes.is_empty() => None,
                Some(Piece::End(bytes)) => Some((Ok(bytes), None)),
                Some(Piece::Error(error)) => Some((Err(error), None)),
                None => Some((Err(E::from(Gone)), None)),
            }
        })
    }
}
