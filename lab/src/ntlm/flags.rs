//! The NegotiateFlags that matter here ([MS-NLMP] 2.2.2.5).

pub(crate) const UNICODE: u32 = 0x0000_0001;
pub(crate) const REQUEST_TARGET: u32 = 0x0000_0004;
pub(crate) const SIGN: u32 = 0x0000_0010;
pub(crate) const SEAL: u32 = 0x0000_0020;
pub(crate) const NTLM: u32 = 0x0000_0200;
pub(crate) const ALWAYS_SIGN: u32 = 0x0000_8000;
pub(crate) const TARGET_TYPE_DOMAIN: u32 = 0x0001_0000;
pub(crate) const TARGET_TYPE_SERVER: u32 = 0x0002_0000;
pub(crate) const EXTENDED_SESSION_SECURITY: u32 = 0x0008_0000;
pub(crate) const TARGET_INFO: u32 = 0x0080_0000;
pub(crate) const VERSION: u32 = 0x0200_0000;
pub(crate) const KEY_128: u32 = 0x2000_0000;
pub(crate) const KEY_EXCH: u32 = 0x4000_0000;
pub(crate) const KEY_56: u32 = 0x8000_0000;

/// What a client must ask for and get before it may seal a WinRM message.
pub(crate) const FOR_SEALING: u32 = UNICODE | SIGN | SEAL | EXTENDED_SESSION_SECURITY | KEY_128;
