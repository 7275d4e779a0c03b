//! What a client sends: a host takes these bytes on a connection of their own, through all that is between the socket and
//! the guest.

mod answers;

use crate::host::HOST;

/// What stands between pieces that are sent one after the other.
const CUT: &[u8] = b"<cut>";

/// The bytes of one connection, over HTTP/1 or HTTP/2.
pub fn http(data: &[u8]) {
    let pieces = pieces(data);
    let answers = HOST.takes(&pieces);
    answers::must_be_well_formed(&pieces.concat(), &answers);
}

fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::new(), data);
    while let Some(at) = rest.windows(CUT.len()).position(|window| window == CUT) {
        pieces.push(&rest[..at]);
        rest = &rest[at + CUT.len()..];
    }
    pieces.push(rest);
    pieces
}
