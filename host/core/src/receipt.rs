//! What is left of a request when it is over: who was called, how it ended, what it used.
//!
//! Every accepted request yields exactly one [`Receipt`]. The log line, the metrics and the metering are all made from it,
//! so they cannot disagree.

use crate::{Code, FunctionName, RequestId, limits::Reached};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The last byte of the answer was handed to the connection.
    Complete,
    /// The host answered instead of the guest, or broke the answer off.
    Failed(Code),
    /// The client went away, or its connection failed, before the answer was whole.
    Cancelled,
}

impl Ending {
    /// The code of the failure, if it was one.
    pub fn code(self) -> Option<Code> {
        match self {
            Self::Complete => None,
            Self::Failed(code) => Some(code),
            Self::Cancelled => Some(Code::ClientGone),
        }
    }
}

/// Where a request's time went, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Waiting for a place.
    pub queue_us: u32,
    /// Getting a pristine instance.
    pub init_us: u32,
    /// In the guest, up to the head of its response.
    pub run_us: u32,
    /// From the request's head to the last byte of the answer.
    pub total_us: u64,
}

/// One request, accounted for.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The request's id.
    pub request_id: RequestId,
    /// The function and its version; none where no function was found.
    pub function: Option<(FunctionName, u64)>,
    /// The method as sent.
    pub method: http::Method,
    /// The status that was sent.
    pub status: u16,
    /// How it ended.
    pub ending: Ending,
    /// Where its time went.
    pub timing: Timing,
    /// Bytes of the request's body that the host read.
    pub request_bytes: u64,
    /// Bytes of the response's body that the connection took.
    pub response_bytes: u64,
    /// The most linear memory that the instance had, in bytes.
    pub memory_bytes_peak: u64,
    /// How long threads ran its guest, in microseconds: init and what it does after its answer included, waiting not.
    pub cpu_us: u64,
    /// The limits that its guest ran into.
    pub reached: Reached,
    /// Whether its function was waiting for its client's body when it ended.
    pub awaits_body: bool,
    /// Whether its route had the answer, and no function was called.
    pub by_route: bool,
    /// What only the log may know of a failure.
    pub internal: Option<Box<str>>,
}

impl Receipt {
    /// Of a request that begins. As long as nothing else is said of it, it was cancelled.
    pub fn begin(request_id: RequestId, method: http::Method) -> Self {
        Self {
            request_id,
            function: None,
            method,
            status: 0,
            ending: Ending::Cancelled,
            timing: Timing::default(),
            request_bytes: 0,
            response_bytes: 0,
            memory_bytes_peak: 0,
            cpu_us: 0,
            reached: Reached::default(),
            awaits_body: false,
            by_route: false,
            internal: None,
        }
    }

    /// The limits that it ran into, the one that ended it among them.
    pub fn limits_reached(&self) -> Reached {
        let mut reached = self.reached;
        self.ending.code().and_then(Code::limit).into_iter().for_each(|limit| reached.add(limit));
        reached
    }
}
