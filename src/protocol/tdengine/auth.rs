//! Who asks: `Basic` and `Taosd` credentials, as the server takes them out of the box.

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use des::Des;
use des::cipher::{Block, BlockDecrypt, BlockEncrypt, KeyInit};

use crate::model::{Classify, Kind};
use crate::protocol::Core;
use crate::protocol::auth::{AuthError, Login, Principal};

use super::error::{FREE_TEXT, WireError};

/// The account that there always is.
pub(super) const ROOT: &str = "root";
const ROOT_PASSWORD: &str = "taosdata";
/// Of DES in electronic code book mode. It is public, so this hides nothing; clients compare and store tokens.
const KEY: [u8; 8] = [64, 182, 122, 48, 86, 115, 253, 68];
const USER_BYTES: usize = 24;

/// A name and a password, not verified yet.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub user: String,
    pub password: String,
}

impl Credentials {
    /// Those of the `Authorization` header.
    pub(super) fn of(request: &HttpRequest) -> Result<Credentials, WireError> {
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match header.map(str::trim) {
            None | Some("") => Err(WireError::unauthorized(0x1105, "no auth info input")),
            Some(text) => Credentials::parse(text),
        }
    }

    fn parse(header: &str) -> Result<Credentials, WireError> {
        let (scheme, value) = header.split_once(' ').unwrap_or((header, ""));
        let value = value.trim();
        match scheme {
            "Basic" => {
                let wrong = || WireError::unauthorized(0x1124, "invalid basic Authorization");
                Credentials::basic(value).ok_or_else(wrong)
            }
            "Taosd" => {
                let wrong = || WireError::unauthorized(0x1125, "invalid taosd Authorization");
                Credentials::token(value).ok_or_else(wrong)
            }
            _ => Err(WireError::unauthorized(0x1122, "invalid type of Authorization")),
        }
    }

    /// `base64(user:password)`, neither empty.
    fn basic(value: &str) -> Option<Credentials> {
        let text = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Credentials::new(user, password)
    }

    /// A token of [`Credentials::to_token`].
    fn token(value: &str) -> Option<Credentials> {
        let secret = STANDARD.decode(value).ok()?;
        if secret.len() < 2 * USER_BYTES || secret.len() % 8 != 0 {
            return None;
        }
        let plain = by_blocks(&secret, Des::decrypt_block);
        let (user, password) = plain.split_at(USER_BYTES);
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8(bytes[..end].to_vec()).ok()
        };
        Credentials::new(&text(user)?, &text(password)?)
    }

    pub(super) fn new(user: &str, password: &str) -> Option<Credentials> {
        let some = !user.is_empty() && !password.is_empty();
        some.then(|| Credentials { user: user.to_string(), password: password.to_string() })
    }

    /// What a client may send as `Taosd`; `None` when the name is too long.
    pub(super) fn to_token(&self) -> Option<String> {
        if self.user.len() > USER_BYTES {
            return None;
        }
        let mut plain = self.user.as_bytes().to_vec();
        plain.resize(USER_BYTES, 0);
        plain.extend_from_slice(self.password.as_bytes());
        let length = plain.len().max(2 * USER_BYTES).next_multiple_of(8);
        plain.resize(length, 0);
        Some(STANDARD.encode(by_blocks(&plain, Des::encrypt_block)))
    }

    /// Who they are of. While authentication is off: the account that there always is, or one that was created since, who
    /// may do everything. Errors: wrong credentials (401); too many to check at once (503).
    pub(super) async fn principal(&self, core: &Core) -> Result<Principal, WireError> {
        let denied = || WireError::new(StatusCode::UNAUTHORIZED, 0x0357, "Authentication failure");
        let refused = |error: AuthError| match error.kind() {
            Kind::Overloaded => WireError::new(StatusCode::SERVICE_UNAVAILABLE, FREE_TEXT, error.to_string()),
            _ => denied(),
        };
        let state = core.catalog.state();
        if core.auth.is_on() {
            let login = Login { name: self.user.clone(), password: self.password.clone() };
            return core.auth.login(&state, &login).await.map_err(refused);
        }
        let is_right = match state.user(&self.user) {
            Some(user) => core.auth.is_right(&user.password_hash, &self.password).await.map_err(refused)?,
            None => self.user == ROOT && equal(self.password.as_bytes(), ROOT_PASSWORD.as_bytes()),
        };
        if is_right { Ok(Principal::Anyone) } else { Err(denied()) }
    }
}

/// Each block of eight bytes on its own; a rest is left out.
fn by_blocks(bytes: &[u8], run: impl Fn(&Des, &mut Block<Des>)) -> Vec<u8> {
    let cipher = Des::new(&KEY.into());
    let block = |bytes: &[u8; 8]| {
        let mut block = Block::<Des>::from(*bytes);
        run(&cipher, &mut block);
        block
    };
    bytes.as_chunks::<8>().0.iter().flat_map(block).collect()
}

/// In a time that does not tell where they differ.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "/KfeAzX/f9na8qdtNZmtONryp201ma04bEl8LcvLUd7a8qdtNZmtONryp201ma04";

    fn root() -> Credentials {
        Credentials { user: ROOT.to_string(), password: ROOT_PASSWORD.to_string() }
    }

    #[test]
    fn a_token_is_the_one_that_clients_know() {
        assert_eq!(root().to_token().as_deref(), Some(TOKEN));
        assert!(Credentials::token(TOKEN) == Some(root()));
        let long = Credentials { user: "u".to_string(), password: "p".repeat(100) };
        assert!(Credentials::token(&long.to_token().unwrap()) == Some(long));
        assert_eq!(Credentials { user: "u".repeat(25), password: "p".to_string() }.to_token(), None);
    }

    #[track_caller]
    fn refused(header: &str, code: u16) {
        assert_eq!(Credentials::parse(header).err().map(|error| error.code), Some(code), "{header}");
    }

    #[test]
    fn what_cannot_be_read_has_a_code_of_its_own() {
        assert!(Credentials::parse("Basic cm9vdDp0YW9zZGF0YQ==").unwrap() == root());
        for header in ["Basic wrong_basic", "Basic cm9vdA==", "Basic Og==", "Basic cm9vdDo=", "Basic"] {
            refused(header, 0x1124);
        }
        for header in ["Taosd abc", "Taosd MDEyMzQ1Njc4OWFiY2RlZg==", "Taosd"] {
            refused(header, 0x1125);
        }
        for header in ["Digest abc", "Bearerx test_token", "x"] {
            refused(header, 0x1122);
        }
    }
}
