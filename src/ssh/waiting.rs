//! `clusteria queue wait`: a session that stays until it is somebody's turn.

use tokio::sync::mpsc;

use super::session::Session;
use crate::bridge::Exit;
use crate::frontdoor::{Caller, queue};
use crate::reservation::Target;
use crate::text::Say;
use crate::text::queue::Line;

/// News that wait for the client's window.
const NEWS: usize = 4;
const CTRL_C: u8 = 3;

impl Session {
    /// Waits and reserves. A client that goes keeps its place, and so does one that types Ctrl-C or q.
    pub(super) async fn wait_in_queue(&self, caller: &Caller, target: Option<Target>, as_json: bool) {
        let (tell, mut told) = mpsc::channel(NEWS);
        let workspaces = &self.visit().gateway.workspaces;
        let waiting = queue::wait(workspaces, caller, target, as_json, self.lang, tell);
        let stopping = self.stops_watching();
        tokio::pin!(waiting, stopping);
        let outcome = loop {
            tokio::select! {
                // News first: the last of them comes before the outcome.
                biased;
                Some(news) = told.recv() => {
                    if self.outgoing.stdout(self.lines(news)).await.is_err() {
                        return;
                    }
                }
                outcome = &mut waiting => break outcome,
                () = &mut stopping => {
                    let words = Line::StopsWatching.say(self.lang) + "\n";
                    let _ = self.outgoing.stderr(self.lines(words)).await;
                    return self.outgoing.finish(&Exit::Status(1)).await;
                }
            }
        };
        match outcome {
            Ok(answer) => {
                let _ = self.outgoing.stdout(self.lines(answer.stdout)).await;
                let _ = self.outgoing.stderr(self.lines(answer.stderr)).await;
                self.outgoing.finish(&Exit::Status(answer.status)).await;
            }
            Err(refusal) => {
                let words = super::visit::in_words(&refusal, self.lang) + "\n";
                let _ = self.outgoing.stderr(self.lines(words)).await;
                self.outgoing.finish(&Exit::Status(1)).await;
            }
        }
    }

    /// On a terminal; a program that closes its input waits on.
    async fn stops_watching(&self) {
        if self.pty.is_none() {
            return std::future::pending().await;
        }
        let mut refund = self.outgoing.refund();
        while let Some(bytes) = self.inbox.next().await {
            refund.consumed(bytes.len());
            if bytes.iter().any(|byte| matches!(*byte, CTRL_C | b'q')) {
                return;
            }
        }
    }
}
