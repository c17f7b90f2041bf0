//! One NTLM security context: the logon's three messages, then sealing and unsealing in order.
//!
//! The cryptography is `sspi`'s. That library writes message bytes in clear at DEBUG, so it is
//! only ever called with logging switched off; see also [`super::LOG_FILTER`].

use fleetmend_model::Secret;
use sspi::ntlm::NtlmConfig;
use sspi::{
    AuthIdentityBuffers, BufferType, ClientRequestFlags, DataRepresentation, EncryptionFlags, Ntlm,
    SecurityBuffer, SecurityBufferRef, Sspi, SspiImpl,
};
use tracing::subscriber::{NoSubscriber, with_default};

use super::account::Account;
use super::multipart::{self, FrameError, SIGNATURE_LENGTH};

/// Flags of [MS-NLMP] 2.2.2.5 without which a challenge is refused.
const REQUIRED: [(u32, &str); 6] = [
    (0x0000_0001, "Unicode"),
    (0x0000_0010, "signing"),
    (0x0000_0020, "sealing"),
    (0x0008_0000, "extended session security"),
    (0x2000_0000, "128-bit keys"),
    (0x4000_0000, "key exchange"),
];

/// Why the security context failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NtlmError {
    /// Not a challenge ([MS-NLMP] 2.2.1.2).
    #[error("the NTLM challenge is malformed")]
    Malformed,
    /// A challenge that would leave the conversation weakly protected.
    #[error("the NTLM challenge does not offer {0}")]
    Weak(&'static str),
    /// The library refused.
    #[error("NTLM failed: {0}")]
    Library(String),
    /// The frame around a sealed answer.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The signature of a sealed answer does not fit: altered, replayed or out of order.
    #[error("the seal of the answer is not genuine")]
    Seal,
}

/// The client's side of one logon on one connection.
///
/// There is no `Debug`: the library's prints the session key.
pub(crate) struct NtlmContext {
    ntlm: Box<Ntlm>,
}

impl NtlmContext {
    /// Begins a logon; returns the context and the first message.
    ///
    /// # Errors
    /// [`NtlmError::Library`].
    pub(crate) fn begin(channel_binding: Option<&[u8]>) -> Result<(Self, Vec<u8>), NtlmError> {
        quietly(|| {
            let mut ntlm = Box::new(Ntlm::with_auth_identity(None, NtlmConfig::default()));
            if let Some(token) = channel_binding {
                ntlm.set_channel_bindings(token);
            }
            let token = step(&mut ntlm, &mut None, None)?;
            Ok((Self { ntlm }, token))
        })
    }

    /// Answers the challenge; returns the third message, which proves the password.
    ///
    /// # Errors
    /// [`NtlmError::Weak`] and [`NtlmError::Malformed`]: nothing was derived from the password.
    pub(crate) fn answer(
        &mut self,
        challenge: &[u8],
        account: &Account,
        password: &Secret,
    ) -> Result<Vec<u8>, NtlmError> {
        check_challenge(challenge)?;
        quietly(|| {
            // The library's copy of the password is wiped when `identity` goes, here.
            let mut identity = Some(AuthIdentityBuffers::from_utf8(
                &account.user,
                &account.domain,
                password.reveal(),
            ));
            step(&mut self.ntlm, &mut identity, Some(challenge))
        })
    }

    /// Seals a message, in place, into a multipart body.
    ///
    /// # Errors
    /// [`NtlmError::Library`].
    pub(crate) fn seal(&mut self, mut data: Vec<u8>) -> Result<Vec<u8>, NtlmError> {
        quietly(|| {
            let mut signature = [0_u8; SIGNATURE_LENGTH];
            let mut buffers = [
                SecurityBufferRef::token_buf(&mut signature),
                SecurityBufferRef::data_buf(&mut data),
            ];
            self.ntlm
                .encrypt_message(EncryptionFlags::empty(), &mut buffers)
                .map_err(library)?;
            Ok(multipart::frame(&signature, &data))
        })
    }

    /// Takes a message out of a multipart body, checking signature and sequence number.
    ///
    /// # Errors
    /// The context is out of step afterwards; its connection must be dropped.
    pub(crate) fn unseal(&mut self, body: &[u8]) -> Result<Vec<u8>, NtlmError> {
        let sealed = multipart::unframe(body)?;
        quietly(|| {
            let mut signature = sealed.signature.to_vec();
            let mut data = sealed.data.to_vec();
            let mut buffers = [
                SecurityBufferRef::token_buf(&mut signature),
                SecurityBufferRef::data_buf(&mut data),
            ];
            self.ntlm
                .decrypt_message(&mut buffers)
                .map_err(|_| NtlmError::Seal)?;
            Ok(data)
        })
    }
}

/// Checks type and flags of a challenge.
fn check_challenge(challenge: &[u8]) -> Result<(), NtlmError> {
    let number = |from: usize| {
        let bytes = challenge.get(from..from + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (Some(kind), Some(flags)) = (number(8), number(20)) else {
        return Err(NtlmError::Malformed);
    };
    if !challenge.starts_with(b"NTLMSSP\0") || kind != 2 || challenge.len() < 48 {
        return Err(NtlmError::Malformed);
    }
    match REQUIRED.iter().find(|(bit, _)| flags & bit == 0) {
        Some((_, name)) => Err(NtlmError::Weak(name)),
        None => Ok(()),
    }
}

fn step(
    ntlm: &mut Ntlm,
    identity: &mut Option<AuthIdentityBuffers>,
    challenge: Option<&[u8]>,
) -> Result<Vec<u8>, NtlmError> {
    let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
    let mut input = challenge.map(|token| [SecurityBuffer::new(token.to_vec(), BufferType::Token)]);
    let mut builder = ntlm
        .initialize_security_context()
        .with_credentials_handle(identity)
        .with_context_requirements(
            ClientRequestFlags::CONFIDENTIALITY | ClientRequestFlags::INTEGRITY,
        )
        .with_target_data_representation(DataRepresentation::Native)
        .with_output(&mut output);
    if let Some(input) = input.as_mut() {
        builder = builder.with_input(input);
    }
    ntlm.initialize_security_context_impl(&mut builder)
        .and_then(|mut generator| generator.resolve_to_result())
        .map_err(library)?;
    let [token] = output;
    Ok(token.buffer)
}

fn library(error: sspi::Error) -> NtlmError {
    NtlmError::Library(error.description)
}

/// Runs the library with logging switched off, whatever the process logs.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    with_default(NoSubscriber::default(), work)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A challenge as a workgroup server sends it ([MS-NLMP] 2.2.1.2).
    fn challenge() -> Vec<u8> {
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let name = wide("PC-01");
        let mut info = Vec::new();
        for (id, value) in [
            (2_u16, name.clone()),
            (1, name.clone()),
            (7, vec![9; 8]),
            (0, vec![]),
        ] {
            info.extend(id.to_le_bytes());
            info.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
            info.extend(value);
        }
        let field = |length: usize, offset: usize| {
            let length = u16::try_from(length).unwrap().to_le_bytes();
            [
                &length[..],
                &length,
                &u32::try_from(offset).unwrap().to_le_bytes(),
            ]
            .concat()
        };
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        message.extend(field(name.len(), 56));
        message.extend(0xe28a_8235_u32.to_le_bytes());
        message.extend(*b"8 random");
        message.extend([0; 8]);
        message.extend(field(info.len(), 56 + name.len()));
        message.extend([10, 0, 0x7c, 0x4f, 0, 0, 0, 15]);
        message.extend(name);
        message.extend(info);
        message
    }

    fn account() -> Account {
        Account::parse(r"PC-01\管理者").unwrap()
    }

    #[test]
    fn carries_account_and_integrity_but_never_the_password() {
        let (mut context, first) = NtlmContext::begin(None).unwrap();
        assert!(first.starts_with(b"NTLMSSP\0\x01\0\0\0"));
        let third = context
            .answer(&challenge(), &account(), &Secret::new("pässword".into()))
            .unwrap();
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let holds = |needle: &[u8]| third.windows(needle.len()).any(|window| window == needle);
        assert!(holds(&wide("管理者")) && holds(&wide("PC-01")));
        assert!(!holds(&wide("pässword")) && !holds("pässword".as_bytes()));
        assert!(
            holds(&[6, 0, 4, 0, 2, 0, 0, 0]),
            "MsvAvFlags announces the MIC"
        );
        assert!(
            third[72..88].iter().any(|byte| *byte != 0),
            "the MIC is there"
        );
    }

    #[test]
    fn refuses_weak_challenges() {
        for (bit, name) in REQUIRED {
            let mut challenge = challenge();
            let flags = u32::from_le_bytes(challenge[20..24].try_into().unwrap()) & !bit;
            challenge[20..24].copy_from_slice(&flags.to_le_bytes());
            let (mut context, _) = NtlmContext::begin(None).unwrap();
            match context.answer(&challenge, &account(), &Secret::new("x".into())) {
                Err(NtlmError::Weak(missing)) => assert_eq!(missing, name),
                other => panic!("{name}: {:?}", other.map(|_| ())),
            }
        }
    }

    #[test]
    fn survives_every_cut_and_flip_of_a_challenge() {
        let good = challenge();
        let try_one = |bytes: &[u8]| {
            let (mut context, _) = NtlmContext::begin(None).unwrap();
            let _ = context.answer(bytes, &account(), &Secret::new("x".into()));
        };
        for end in 0..good.len() {
            try_one(&good[..end]);
        }
        for index in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[index] = value;
                try_one(&bad);
            }
        }
    }

    #[test]
    fn numbers_what_it_seals() {
        let (mut context, _) = NtlmContext::begin(None).unwrap();
        context
            .answer(&challenge(), &account(), &Secret::new("x".into()))
            .unwrap();
        for number in 0_u32..3 {
            let body = context.seal(b"<s:Envelope/>".to_vec()).unwrap();
            let sealed = multipart::unframe(&body).unwrap();
            assert_eq!(sealed.signature[..4], [1, 0, 0, 0]);
            assert_eq!(sealed.signature[12..], number.to_le_bytes());
            assert_ne!(sealed.data, b"<s:Envelope/>");
        }
        let reflected = context.seal(b"mine".to_vec()).unwrap();
        assert!(matches!(context.unseal(&reflected), Err(NtlmError::Seal)));
    }

    #[test]
    fn keeps_the_library_silent() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static EVENTS: AtomicUsize = AtomicUsize::new(0);
        struct Counting;
        impl tracing::Subscriber for Counting {
            fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
                true
            }
            fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
                EVENTS.fetch_add(1, Ordering::SeqCst);
                tracing::span::Id::from_u64(1)
            }
            fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
            fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
            fn event(&self, _: &tracing::Event<'_>) {
                EVENTS.fetch_add(1, Ordering::SeqCst);
            }
            fn enter(&self, _: &tracing::span::Id) {}
            fn exit(&self, _: &tracing::span::Id) {}
        }
        with_default(Counting, || {
            let (mut context, _) = NtlmContext::begin(None).unwrap();
            context
                .answer(&challenge(), &account(), &Secret::new("x".into()))
                .unwrap();
            context.seal(b"secret".to_vec()).unwrap();
            assert_eq!(EVENTS.load(Ordering::SeqCst), 0, "the library logged");
            tracing::debug!("the subscriber itself works");
            assert_eq!(EVENTS.load(Ordering::SeqCst), 1);
        });
    }
}
